"""The verdict of each gate, and its reason in a sentence a person can act on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, assert_never

from interlock.analysis.comparing import BlockJudge, CompareJudge, MeanJudge
from interlock.analysis.evidence import MIN_OUTCOMES, Tally
from interlock.analysis.judges import AlertJudge, EventsJudge, Judge, LimitJudge, MetricJudge
from interlock.analysis.means import MIN_BLOCKS, Amount
from interlock.analysis.merge import Standing
from interlock.analysis.metrics import Average, Binary
from interlock.analysis.plan import Advance, Mode, Track
from interlock.analysis.report import GateReading, Verdict
from interlock.analysis.timeline import Stretch
from interlock.analysis.values import IN_A_ROW, NoNumber, ValueJudge

GROUPED = 1.05  # design effects from which on people are told
STALE_AFTER = 120.0  # seconds without a sample that are more than scrape jitter


class Facts(NamedTuple):
    """What the readings of all gates share. `newest`: last sample in the step's mode by track and family.

    `finished`: tasks of the candidate in this step that the gate has seen under its present rules.
    `unreadable`: why what is sampled cannot be judged by this gate. `certificate`: ln E, of this step, that
    the candidate is good, None if none is awaited; it must reach `threshold`.
    """

    now: float
    running: Stretch | None
    newest: Mapping[Track, Mapping[str, float]]
    finished: float
    verifier: str | None
    spoilt: tuple[str, ...] = ()
    unreadable: str = ""
    certificate: float | None = None
    threshold: float = 0.0

    def age(self, track: Track, family: str) -> float:
        """Seconds since the newest sample, inf without one."""
        return self.now - self.newest[track].get(family, -math.inf)


@dataclass(frozen=True, slots=True)
class _Shown:
    """The counts that the odds rest on, as people read them."""

    candidate: str = ""
    stable: str = ""
    since: str = ""


def read(judge: Judge, standing: Standing, facts: Facts) -> GateReading:
    """The reading of one gate."""
    gate = judge.gate
    verdict, reason = _verdict(judge, standing, facts)
    judged = standing.failed or facts.running is None or gate.judges(facts.running.step)
    weighed = isinstance(judge, BlockJudge | LimitJudge)
    log = standing.log
    # a gate that does not judge says neither odds nor counts: they would be those of an earlier step
    shown = _shown(judge, standing.failed, mode_of(facts.running)) if judged else _Shown()
    return GateReading(
        name=gate.name,
        verdict=verdict,
        log_evidence=log if weighed else 0.0,
        odds=odds(log) if weighed and judged else "",
        candidate=shown.candidate,
        stable=shown.stable,
        message=reason or _sentence(judge, verdict, log, shown, facts),
        safety=gate.safety,
        judged=judged,
        p_value=min(1.0, math.exp(-standing.share - standing.peak)) if weighed else 1.0,
    )


def _verdict(judge: Judge, standing: Standing, facts: Facts) -> tuple[Verdict, str]:
    """The verdict and, where there is nothing to say about odds, why."""
    if standing.failed:
        return Verdict.FAIL, ""
    if facts.spoilt:
        return Verdict.NO_DATA, f"not decided: counts are wrong in {', '.join(facts.spoilt)}"
    running = facts.running
    if running is None or (aside := _not_judged(judge, running, facts.now)):
        return Verdict.INCONCLUSIVE, aside if running else "no step to judge"
    match judge:
        case AlertJudge():
            return Verdict.PASS, ""
        case ValueJudge():
            return _valued(judge, running, facts.now)
        case _:
            return _judged(judge, running, facts)


def _valued(judge: ValueJudge, running: Stretch, now: float) -> tuple[Verdict, str]:
    """What the newest number of this step says; without one nothing is known."""
    newest = judge.newest
    if newest is None or newest.at <= running.started:
        return Verdict.NO_DATA, "no number yet in this step"
    if isinstance(newest.found, NoNumber):
        return Verdict.NO_DATA, f"no number: {newest.found.reason}"
    if now - newest.at > STALE_AFTER:
        return Verdict.NO_DATA, f"no number for {now - newest.at:.0f} s"
    if judge.out_since is not None:
        return Verdict.INCONCLUSIVE, _out_of_bounds(judge, newest.found, newest.at - judge.out_since)
    return Verdict.PASS, ""


def _out_of_bounds(judge: ValueJudge, number: float, lasted: float) -> str:
    return (
        f"{judge.told(number)} is {_bound(judge)}, for {lasted:.0f} s so far: it fails at {IN_A_ROW} such "
        f"numbers in a row over {judge.lasting:.0f} s"
    )


def _bound(judge: ValueJudge) -> str:
    highest, lowest = judge.test.maximum, judge.test.minimum
    return f"above {judge.told(highest)}" if highest < math.inf else f"below {judge.told(lowest)}"


def _judged(judge: MetricJudge, running: Stretch, facts: Facts) -> tuple[Verdict, str]:
    if silence := _silence(judge, facts) or facts.unreadable:
        return Verdict.NO_DATA, silence
    if undecided := _undecided(judge, running, facts):
        return Verdict.INCONCLUSIVE, undecided
    if facts.certificate is not None and facts.certificate < facts.threshold:
        return Verdict.INCONCLUSIVE, _awaited(judge, facts.certificate, facts.threshold)
    return Verdict.PASS, ""


def _awaited(judge: MetricJudge, so_far: float, threshold: float) -> str:
    """The certificate that has not been reached, and how far it is."""
    match judge:
        case _ if judge.gate.advance is Advance.SUPERIOR:
            claim = "is better than stable"
        case CompareJudge():
            claim = f"is not worse{_margin(judge)}"
        case MeanJudge():
            claim = f"is not worse by over {100 * judge.worse_by:g} %" if judge.worse_by else "is not worse"
        case LimitJudge():
            claim = f"{judge.metric.harm} in less than {100 * judge.maximum:g} % of its {judge.metric.whole}"
        case _:  # Gate has refused it
            raise AssertionError(judge)
    word = judge.gate.advance.lower()
    return f"not {word} yet: {odds(so_far)} so far that the candidate {claim}, {odds(threshold)} awaited"


def _margin(judge: CompareJudge) -> str:
    """By how much more than it the candidate would have to be worse, in percentage points; empty for 0."""
    points = f"{100 * judge.delta:g}"
    if points == "0":
        return ""
    return f" by over {points} point{'' if points == '1' else 's'}"


def _not_judged(judge: Judge, running: Stretch, now: float) -> str:
    """Why the gate has no say at the moment; empty when it has."""
    if running.step.kind not in judge.gate.kinds:
        return f"not judged in {running.step.kind}"
    if not judge.gate.judges(running.step):
        return "not judged: without a hold-out there is nothing to compare with"
    if now < running.started:
        return "the step's clock has not started"
    return "the gate was changed: its evidence has not begun" if now < judge.gate.since else ""


def _silence(judge: MetricJudge, facts: Facts) -> str:
    """Why the data cannot be judged; absence is never a pass and never 0."""
    for family in _needed(judge):
        age = facts.age(Track.CANDIDATE, family)
        if age == math.inf:
            return f"no sample of {family} from the candidate"
        if age > STALE_AFTER:
            return f"no sample of {family} from the candidate for {age:.0f} s"
        if isinstance(judge, BlockJudge) and facts.age(Track.STABLE, family) > STALE_AFTER:
            where = "'s shadow" if mode_of(facts.running) is Mode.SHADOW else ""
            return f"no recent sample of {family} from the stable version{where}: nothing to compare with"
    return ""


def _undecided(judge: MetricJudge, running: Stretch, facts: Facts) -> str:
    """What is still awaited; empty when the absence of harm means something."""
    if facts.now < running.warm:
        left = f" for another {math.ceil(running.warm - facts.now)} s" if running.warm < math.inf else ""
        return f"warming up{left}: outcomes are not comparable yet"
    changed = judge.gate.since > running.started
    if changed and facts.finished < running.step.min_tasks:
        missing = math.ceil(running.step.min_tasks - facts.finished)
        return f"the gate was changed: {missing} more tasks of the candidate under its new rules"
    if facts.finished < 1:
        return "no task of the candidate has finished in this step"
    return _too_few(judge, running.step.index)


def _too_few(judge: MetricJudge, step: int) -> str:
    """What the gate's own counters have not yet shown in this step; empty when they have."""
    if isinstance(judge, CompareJudge) and not judge.blocks(step):
        candidate, stable = judge.tallies(step)
        seen = f"{candidate.total:.0f} of the candidate, {stable.total:.0f} of stable so far"
        return f"too few outcomes to compare, {judge.needed} of each needed: {seen}"
    if isinstance(judge, LimitJudge) and judge.past is None:
        return "what stable did in the day before this attempt is still being read"
    if isinstance(judge, LimitJudge) and judge.tally(step).total < 1:
        return f"no {judge.metric.whole} of the candidate in this step so far"
    if isinstance(judge, CompareJudge | MeanJudge) and (missing := judge.missing(step)):
        needed = judge.needed if isinstance(judge, CompareJudge) else MIN_OUTCOMES
        seen = f"{MIN_BLOCKS - missing} of {MIN_BLOCKS} so far"
        return f"too little to compare means, looks at which both versions have {needed} new ones: {seen}"
    return ""


def _needed(judge: MetricJudge) -> tuple[str, ...]:
    """Counters without which nothing is known. Others are 0 until something happens."""
    match judge:
        case EventsJudge():
            return (judge.metric.ran.family,)
        case MeanJudge():
            return judge.metric.count.family, judge.metric.sum.family
        case CompareJudge() | LimitJudge():
            return (judge.metric.total.family,)
        case _:
            assert_never(judge)


def _sentence(judge: Judge, verdict: Verdict, log: float, shown: _Shown, facts: Facts) -> str:
    candidate, stable = (side or "no outcome" for side in (shown.candidate, shown.stable))
    match judge:
        case CompareJudge():
            claim = f"that the candidate {judge.metric.harm} more often{_margin(judge)}"
            verified = _verified(judge.metric, facts)
            tail = f"{candidate} against {stable}{shown.since}{verified}{_capped(judge.capped)}"
            tail += _grouped(judge.effect)
        case MeanJudge():
            percent = f"over {100 * judge.worse_by:g} % " if judge.worse_by else ""
            claim = f"that the candidate {judge.metric.harm.format(percent)}"
            tail = f"{candidate} against {stable}{shown.since}{_verified(judge.metric, facts)}"
        case LimitJudge():
            most = f"{100 * judge.maximum:g} % of its {judge.metric.whole}"
            claim = f"that the candidate {judge.metric.harm} in more than {most}"
            tail = f"{candidate}{shown.since}{_capped(judge.capped)}{_grouped(judge.effect)}"
        case EventsJudge():
            count = f"{judge.count:.0f}"
            noun = judge.metric.noun + ("" if count == "1" else "s")
            return f"{count} {noun} of the candidate, {judge.maximum} allowed"
        case AlertJudge():
            return told(judge.fired) if judge.fired else "no such alert fires"
        case ValueJudge():
            return _value_in_words(judge)
        case _:
            assert_never(judge)
    if verdict is Verdict.FAIL:
        return f"{odds(log)} {claim}: {tail}"
    evidence = "no evidence of harm" if log <= 0 else "not enough evidence of harm"
    return f"{evidence}: {tail}; {odds(log)} {claim}"


def _value_in_words(judge: ValueJudge) -> str:
    if judge.failed_at is not None:
        return f"{judge.told(judge.failed_at)} is {_bound(judge)}, and was for {judge.lasting:.0f} s"
    number = judge.newest.found if judge.newest else NoNumber("")
    return "" if isinstance(number, NoNumber) else f"{judge.told(number)} is not {_bound(judge)}"


def _verified(metric: Binary | Average, facts: Facts) -> str:
    return f", verified by {facts.verifier}" if metric.verified and facts.verifier else ""


def told(alert: tuple[float, str]) -> str:
    """An alert (unix seconds of a sample, name) in words."""
    at, name = alert
    return f"alert {name} fires, seen at {datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"


def _grouped(effect: float) -> str:
    """Why odds are lower than the counts would make them."""
    if effect < GROUPED:
        return ""
    return f"; {effect:.1f} outcomes weigh as one, for stable's come in groups"


def _capped(excess: float) -> str:
    return f"; {excess:.0f} more than there were tasks, left out" if excess else ""


def _shown(judge: Judge, failed: bool, mode: Mode) -> _Shown:
    """All that the gate has counted in this mode; once failed, the counts that hold most of the evidence."""
    match judge:
        case CompareJudge():
            step, since = _resting_on(judge, failed, mode)
            candidate, stable = judge.tallies(step)
            return _Shown(share(candidate, judge.metric), share(stable, judge.metric), since)
        case MeanJudge():
            step, since = _resting_on(judge, failed, mode)
            mine, theirs = judge.amounts(step)
            return _Shown(mean(mine, judge.metric), mean(theirs, judge.metric), since)
        case LimitJudge():
            step, since = _resting_on(judge, failed, mode)
            return _Shown(share(judge.tally(step), judge.metric), since=since)
        case EventsJudge():
            return _Shown(f"{judge.count:.0f}")
        case AlertJudge():
            return _Shown()
        case ValueJudge():
            number = judge.newest.found if judge.newest else NoNumber("")
            return _Shown("" if isinstance(number, NoNumber) else judge.told(number))
        case _:
            assert_never(judge)


def _resting_on(
    judge: CompareJudge | MeanJudge | LimitJudge, failed: bool, mode: Mode
) -> tuple[int | None, str]:
    """The step since whose start the counts are shown, and how that is said where it is not the first of the
    mode: once failed, that with most of the evidence, which may be a step in shadow."""
    oldest = judge.oldest(mode)
    step = judge.strongest if failed else oldest
    if step is None or step == oldest:
        return step, ""
    told = f" since step {step + 1}"
    return step, told if judge.mode_of(step) is mode else f"{told}, in {judge.mode_of(step)}"


def share(counts: Tally, metric: Binary) -> str:
    """A rate in the metric's own sense, like "0.81 (n=212)"; empty without outcomes."""
    if not counts.total:
        return ""
    rate = counts.good / counts.total
    rate = rate if metric.higher_is_better else 1.0 - rate
    digits = 2 if 0.05 <= rate <= 0.95 else 4
    return f"{round(rate, digits):g} (n={counts.total:.0f})"


def mean(amount: Amount, metric: Average) -> str:
    """A mean in its unit, like "0.031 USD (n=212)"; empty without outcomes."""
    if not amount.count:
        return ""
    return f"{amount.sum / amount.count:.3g} {metric.unit} (n={amount.count:.0f})"


def odds(log: float) -> str:
    """exp(log) as odds of whole numbers: "37:1", "1:5"."""
    if abs(log) > math.log(1e6):
        return "over 1000000:1" if log > 0 else "1:over 1000000"
    return f"{math.exp(log):.0f}:1" if log >= 0 else f"1:{math.exp(-log):.0f}"


def mode_of(running: Stretch | None) -> Mode:
    """The mode whose outcomes count in the running step."""
    return running.step.mode if running else Mode.LIVE

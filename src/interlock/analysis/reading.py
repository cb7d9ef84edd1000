"""The verdict of each gate, and its reason in a sentence a person can act on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from interlock.analysis.comparing import BlockJudge, CompareJudge, MeanJudge
from interlock.analysis.evidence import MIN_OUTCOMES, Tally
from interlock.analysis.judges import AlertJudge, EventsJudge, Judge, LimitJudge, MetricJudge
from interlock.analysis.means import MIN_BLOCKS, Amount
from interlock.analysis.merge import Standing
from interlock.analysis.metrics import Average, Binary
from interlock.analysis.missing import Facts, blind_since, lack, mode_of, not_judged
from interlock.analysis.plan import Advance, Mode
from interlock.analysis.report import GateReading, Verdict
from interlock.analysis.timeline import Stretch
from interlock.analysis.values import IN_A_ROW, NoNumber, ValueJudge

GROUPED = 1.05  # design effects from which on people are told


@dataclass(frozen=True, slots=True)
class _Shown:
    """The counts that the odds rest on, as people read them."""

    candidate: str = ""
    stable: str = ""
    since: str = ""


def read(judge: Judge, standing: Standing, facts: Facts) -> GateReading:
    """The reading of one gate."""
    gate = judge.gate
    found = None if standing.failed else lack(judge, facts)
    verdict, reason = (Verdict.NO_DATA, found.reason) if found else _verdict(judge, standing, facts)
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
        blind_since=blind_since(judge, found, facts),
    )


def _verdict(judge: Judge, standing: Standing, facts: Facts) -> tuple[Verdict, str]:
    """The verdict of a gate that lacks nothing and, where there is nothing to say about odds, why."""
    if standing.failed:
        return Verdict.FAIL, ""
    running = facts.running
    if running is None or (aside := not_judged(judge, running, facts.now)):
        return Verdict.INCONCLUSIVE, aside if running else "no step to judge"
    match judge:
        case AlertJudge():
            return Verdict.PASS, ""
        case ValueJudge():
            return _valued(judge)
        case _:
            return _judged(judge, running, facts)


def _valued(judge: ValueJudge) -> tuple[Verdict, str]:
    """What the newest number says."""
    newest = judge.newest
    if newest is None or isinstance(newest.found, NoNumber):
        raise AssertionError(newest)  # it would lack something
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

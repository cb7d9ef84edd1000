"""The verdict of each gate, and its reason in a sentence a person can act on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from interlock.analysis.evidence import MIN_OUTCOMES, Tally
from interlock.analysis.judges import CompareJudge, EventsJudge, Judge, LimitJudge
from interlock.analysis.plan import Compare, Mode, Track
from interlock.analysis.presets import TASKS, Proportion
from interlock.analysis.timeline import Stretch

STALE_AFTER = 120.0  # seconds without a sample that are more than scrape jitter


class Verdict(StrEnum):
    """What a gate says now. Only Pass lets a rollout advance; Fail takes it back."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a password
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"
    NO_DATA = "NoData"


@dataclass(frozen=True, slots=True)
class GateReading:
    """One gate, read.

    `log_evidence`: ln of weight share times E, comparable with the report's threshold; `odds` is the same as
    "37:1" (empty for events, which are counted). `p_value` in (0, 1] is anytime-valid: 1 / its maximum.
    `candidate` and `stable` are like "0.81 (n=212)", empty where unknown. A gate that is not `judged` in the
    running step is Inconclusive and must not hold the rollout.
    """

    name: str
    verdict: Verdict
    log_evidence: float
    odds: str
    candidate: str
    stable: str
    message: str
    safety: bool
    judged: bool = True
    p_value: float = 1.0


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """The evidence of an attempt at one moment.

    `failed` names the gates that fail; `combined` says that only all of them together cross the threshold.
    `reverts`, once true, stays so. Logs are natural; `threshold` is ln(1/alpha). Counts are of the running
    step and its mode, since its clock start; `*_tasks` after warm-up in canary and full.
    `last_sample`: unix seconds of the candidate's newest sample in that mode, None if there is none.
    """

    gates: tuple[GateReading, ...]
    failed: tuple[str, ...]
    combined: bool
    combined_log_evidence: float
    threshold: float
    candidate_tasks: int
    stable_tasks: int
    candidate_started: int
    stable_started: int
    last_sample: float | None
    warmed_up: bool
    warnings: tuple[str, ...]
    p_value: float = 1.0

    @property
    def reverts(self) -> bool:
        """Whether the candidate is to be taken back."""
        return bool(self.failed) or self.combined


@dataclass(frozen=True, slots=True)
class Standing:
    """A gate's place in the merge: `now` and `peak` are ln(weight share times E); `failed` once named."""

    now: float = 0.0
    peak: float = -math.inf
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the readings of all gates share. `newest`: last sample in the step's mode by track and family."""

    now: float
    running: Stretch | None
    newest: Mapping[tuple[Track, str], float]
    finished: float
    verifier: str | None
    spoilt: tuple[str, ...] = field(default=())

    def age(self, track: Track, family: str) -> float:
        """Seconds since the newest sample, inf without one."""
        return self.now - self.newest.get((track, family), -math.inf)


def read(judge: Judge, standing: Standing, facts: Facts) -> GateReading:
    """The reading of one gate."""
    gate = judge.gate
    verdict, reason = _verdict(judge, standing, facts)
    judged = standing.failed or facts.running is None or gate.judges(facts.running.step)
    step = judge.strongest if standing.failed and not isinstance(judge, EventsJudge) else _step(facts)
    candidate, stable = _shown(judge, step)
    counted = isinstance(judge, EventsJudge)
    log = standing.peak if standing.failed and not counted else standing.now
    return GateReading(
        name=gate.name,
        verdict=verdict,
        log_evidence=0.0 if counted else log,
        odds="" if counted else odds(log),
        candidate=candidate,
        stable=stable,
        message=reason or _sentence(judge, verdict, log, (candidate, stable), facts),
        safety=gate.safety,
        judged=judged,
        p_value=1.0 if counted else min(1.0, math.exp(-standing.peak)),
    )


def _verdict(judge: Judge, standing: Standing, facts: Facts) -> tuple[Verdict, str]:
    """The verdict and, where there is nothing to say about odds, why."""
    if standing.failed:
        return Verdict.FAIL, ""
    if facts.spoilt:
        return Verdict.NO_DATA, f"not decided: counts are doubled in {', '.join(facts.spoilt)}"
    running = facts.running
    if running is None or not judge.gate.judges(running.step) or facts.now < running.started:
        return Verdict.INCONCLUSIVE, _not_judged(judge, running)
    if silence := _silence(judge, facts):
        return Verdict.NO_DATA, silence
    if undecided := _undecided(judge, running, facts):
        return Verdict.INCONCLUSIVE, undecided
    return Verdict.PASS, ""


def _not_judged(judge: Judge, running: Stretch | None) -> str:
    if running is None:
        return "no step to judge"
    if isinstance(judge.gate.test, Compare) and not running.step.compares:
        return "not judged: without a hold-out there is nothing to compare with"
    if not judge.gate.judges(running.step):
        return f"not judged in {running.step.kind}"
    return "the step's clock has not started"


def _silence(judge: Judge, facts: Facts) -> str:
    """Why the candidate's data cannot be judged; absence is never a pass and never 0."""
    family = _total_family(judge)
    age = facts.age(Track.CANDIDATE, family)
    if age == math.inf:
        return f"no sample of {family} from the candidate"
    return f"no sample of {family} from the candidate for {age:.0f} s" if age > STALE_AFTER else ""


def _undecided(judge: Judge, running: Stretch, facts: Facts) -> str:
    """What is still awaited; empty when the absence of harm means something."""
    if facts.now < running.warm:
        left = f" for another {math.ceil(running.warm - facts.now)} s" if running.warm < math.inf else ""
        return f"warming up{left}: outcomes are not comparable yet"
    if facts.finished < 1:
        return "no task of the candidate has finished in this step"
    if isinstance(judge, CompareJudge):
        if facts.age(Track.STABLE, _total_family(judge)) > STALE_AFTER:
            return "no recent sample from the stable version: nothing to compare with"
        if not judge.blocks(running.step.index):
            candidate, stable = judge.tallies(running.step.index)
            seen = f"{candidate.total:.0f} of the candidate, {stable.total:.0f} of stable so far"
            return f"too few outcomes to compare, {MIN_OUTCOMES} of each needed: {seen}"
    return ""


def _total_family(judge: Judge) -> str:
    return TASKS if isinstance(judge, EventsJudge) else judge.metric.total.family


def _sentence(judge: Judge, verdict: Verdict, log: float, shown: tuple[str, str], facts: Facts) -> str:
    candidate, stable = (side or "no outcome" for side in shown)
    match judge:
        case CompareJudge():
            points = 100 * judge.delta
            margin = f" by over {points:g} points" if points else ""
            claim = f"that the candidate {judge.metric.harm} more often{margin}"
            verified = f", verified by {facts.verifier}" if judge.metric.verified and facts.verifier else ""
            tail = f"{candidate} against {stable}{verified}{_capped(judge.capped)}"
        case LimitJudge():
            claim = (
                f"that the candidate {judge.metric.harm} in more than {100 * judge.maximum:g} % of its tasks"
            )
            tail = f"{candidate}{_capped(judge.capped)}"
        case EventsJudge():
            noun = judge.metric.noun + ("" if round(judge.count) == 1 else "s")
            return f"{judge.count:.0f} {noun} of the candidate, {judge.maximum} allowed"
        case _:
            assert_never(judge)
    spaced = odds(log).replace(":", " : ")
    if verdict is Verdict.FAIL:
        return f"{spaced} {claim}: {tail}"
    evidence = "no evidence of harm" if log <= 0 else "not enough evidence of harm"
    return f"{evidence}: {tail}; {spaced} {claim}"


def _capped(excess: float) -> str:
    return f"; {excess:.0f} more than there were tasks, left out" if excess else ""


def _step(facts: Facts) -> int | None:
    return facts.running.step.index if facts.running else None


def _shown(judge: Judge, step: int | None) -> tuple[str, str]:
    match judge:
        case CompareJudge():
            candidate, stable = judge.tallies(step)
            return share(candidate, judge.metric), share(stable, judge.metric)
        case LimitJudge():
            return share(judge.tally(step), judge.metric), ""
        case EventsJudge():
            return f"{judge.count:.0f}", ""
        case _:
            assert_never(judge)


def share(counts: Tally, metric: Proportion) -> str:
    """A rate in the metric's own sense, like "0.81 (n=212)"; empty without outcomes."""
    if not counts.total:
        return ""
    rate = counts.good / counts.total
    rate = rate if metric.higher_is_better else 1.0 - rate
    digits = 2 if 0.05 <= rate <= 0.95 else 4
    return f"{round(rate, digits):g} (n={counts.total:.0f})"


def odds(log: float) -> str:
    """exp(log) as odds of whole numbers: "37:1", "1:5"."""
    if abs(log) > math.log(1e6):
        return "over 1000000:1" if log > 0 else "1:over 1000000"
    return f"{math.exp(log):.0f}:1" if log >= 0 else f"1:{math.exp(-log):.0f}"


def mode_of(running: Stretch | None) -> Mode:
    """The mode whose outcomes count in the running step."""
    return running.step.mode if running else Mode.LIVE

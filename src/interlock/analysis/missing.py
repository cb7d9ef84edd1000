"""What a gate lacks to judge by, and since when: no number, no sample, or counts that mean nothing.

Never says how long a gate may go without: that is the caller's business, as with any silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from interlock.analysis.comparing import BlockJudge, CompareJudge, MeanJudge
from interlock.analysis.doubts import Doubts
from interlock.analysis.judges import AlertJudge, EventsJudge, Judge, LimitJudge, MetricJudge
from interlock.analysis.plan import Mode, Track
from interlock.analysis.timeline import Stretch
from interlock.analysis.values import NoNumber, ValueJudge

STALE_AFTER = 120.0  # seconds without a sample that are more than scrape jitter


class Facts(NamedTuple):
    """What the readings of all gates share. `newest`: last sample in the step's mode by track and family.

    `finished`: tasks of the candidate in this step that the gate has seen under its present rules.
    `unreadable`: why what is sampled cannot be judged by this gate. `certificate`: ln E, of this step, that
    the candidate is good, None if none is awaited; it must reach `threshold`. `worked`: when the candidate's
    first task of this step began or ended, None before. `spoilt_since`, `unreadable_since`: meaningless
    while it is not so. Times are unix seconds.
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
    worked: float | None = None
    spoilt_since: float = math.inf
    unreadable_since: float = math.inf

    def age(self, track: Track, family: str) -> float:
        """Seconds since the newest sample, inf without one."""
        return self.now - self.newest[track].get(family, -math.inf)


@dataclass(frozen=True, slots=True)
class Lack:
    """Why there is nothing to judge by, and when there last was (unix seconds; -inf: never)."""

    reason: str
    known_until: float = -math.inf


def lack(judge: Judge, facts: Facts) -> Lack | None:
    """What the gate lacks; None while it has what it needs, or need not judge."""
    if facts.spoilt:
        return Lack(f"not decided: counts are wrong in {', '.join(facts.spoilt)}", facts.spoilt_since)
    running = facts.running
    if running is None or not_judged(judge, running, facts.now):
        return None
    match judge:
        case AlertJudge():
            return None
        case ValueJudge():
            return _no_number(judge, running, facts.now)
        case _:
            return _silence(judge, facts) or _unreadable(facts)


def blind_since(judge: Judge, found: Lack | None, facts: Facts) -> float | None:
    """Since when the gate should have had something to judge by; None while it need not have had.

    Some counters only appear with what they count. So it counts from the candidate's first task in the step:
    before that, whoever sees none says so for the whole candidate (`silence`).
    """
    running = facts.running
    if found is None or running is None or facts.worked is None or not_judged(judge, running, facts.now):
        return None
    return min(facts.now, max(facts.worked, running.started, judge.gate.since, found.known_until))


def not_judged(judge: Judge, running: Stretch, now: float) -> str:
    """Why the gate has no say at the moment; empty when it has."""
    if running.step.kind not in judge.gate.kinds:
        return f"not judged in {running.step.kind}"
    if not judge.gate.judges(running.step):
        return "not judged: without a hold-out there is nothing to compare with"
    if now < running.started:
        return "the step's clock has not started"
    return "the gate was changed: its evidence has not begun" if now < judge.gate.since else ""


def _no_number(judge: ValueJudge, running: Stretch, now: float) -> Lack | None:
    newest = judge.newest
    if newest is None or newest.at <= running.started:
        return Lack("no number yet in this step")
    if isinstance(newest.found, NoNumber):
        return Lack(f"no number: {newest.found.reason}", judge.known_until)
    if now - newest.at > STALE_AFTER:
        return Lack(f"no number for {now - newest.at:.0f} s", judge.known_until)
    return None


def _silence(judge: MetricJudge, facts: Facts) -> Lack | None:
    """Why the data cannot be judged; absence is never a pass and never 0."""
    for family in _needed(judge):
        age = facts.age(Track.CANDIDATE, family)
        if age == math.inf:
            return Lack(f"no sample of {family} from the candidate")
        if age > STALE_AFTER:
            return Lack(f"no sample of {family} from the candidate for {age:.0f} s", facts.now - age)
        age = facts.age(Track.STABLE, family)
        if isinstance(judge, BlockJudge) and age > STALE_AFTER:
            where = "'s shadow" if mode_of(facts.running) is Mode.SHADOW else ""
            said = f"no recent sample of {family} from the stable version{where}: nothing to compare with"
            return Lack(said, facts.now - age)
    return None


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


def _unreadable(facts: Facts) -> Lack | None:
    return Lack(facts.unreadable, facts.unreadable_since) if facts.unreadable else None


def mode_of(running: Stretch | None) -> Mode:
    """The mode whose outcomes count in the running step."""
    return running.step.mode if running else Mode.LIVE


class Spoilt:
    """Since which look a gate's counts have been known to be wrong, unix seconds, by the gate's name."""

    def __init__(self, doubts: Doubts) -> None:
        self._doubts = doubts
        self.since: dict[str, float] = {}

    def look(self, judges: Iterable[Judge], now: float) -> None:
        """At `now`."""
        found = (judge.gate.name for judge in judges if self._doubts.spoilt(judge))
        self.since = {name: self.since.get(name, now) for name in found}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from a `since`."""
        self.since = {str(name): float(at) for name, at in state.items()}

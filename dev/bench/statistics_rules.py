"""What looks at such a world and may take the candidate back: Interlock's own code, and fixed thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dev.bench.statistics_worlds import LOOK_SECONDS, Look
from interlock.analysis.certify import Certificate
from interlock.analysis.dispersion import deflated
from interlock.analysis.evidence import MIN_OUTCOMES, HarmProcess, Tally
from interlock.analysis.gates import AttemptEvidence, Gate, Plan, PlannedStep, Side, StepTime
from interlock.analysis.past import Past, subject
from interlock.analysis.planning import threshold
from interlock.analysis.presets import DURATION_BUCKETS, TASKS
from interlock.analysis.series import PROCESS_START, Series

ALPHA = 0.05
REVERT = threshold(ALPHA)


class Rule(Protocol):
    """Something that looks every 15 seconds."""

    def see(self, look: Look) -> bool:
        """Whether it decides, now that it has seen this look too."""
        ...


class Evidence:
    """An e-process of the project, fed with blocks that close when either side has enough outcomes."""

    def __init__(self, process: HarmProcess | Certificate, effect: float = 1.0) -> None:
        self._process = process
        self._effect = effect
        self._candidate, self._stable = Tally(), Tally()

    def see(self, look: Look) -> bool:
        """Whether E has reached 1/alpha. Counts are divided by the design effect."""
        self._candidate += deflated(look.candidate, self._effect)
        self._stable += deflated(look.stable, self._effect)
        if min(self._candidate.total, self._stable.total) >= MIN_OUTCOMES:
            self._process.add(self._candidate, self._stable)
            self._candidate, self._stable = Tally(), Tally()
        return self._process.log_e >= REVERT


@dataclass(slots=True)
class FixedThreshold:
    """The candidate's success over the last minute against a fixed minimum, checked every minute.

    As other controllers do: so many failed checks in a row, or so many altogether, take it back. A minute
    without a task is no check.
    """

    minimum: float
    allowed: int
    consecutive: bool
    _minute: Tally = field(default_factory=Tally)
    _looks: int = 0
    _failed: int = 0

    def see(self, look: Look) -> bool:
        """Whether the checks have failed too often."""
        self._minute += look.candidate
        self._looks += 1
        if self._looks * LOOK_SECONDS % 60 or not self._minute.total:
            return self._failed >= self.allowed
        if self._minute.good < self.minimum * self._minute.total:
            self._failed += 1
        elif self.consecutive:
            self._failed = 0
        self._minute = Tally()
        return self._failed >= self.allowed


def attempt_reverts(
    looks: Iterable[Look],
    gates: Sequence[Gate],
    step_looks: Sequence[int],
    warmup: float | None,
    slow: float | None = None,
    *,
    past: Past | None = None,
) -> bool:
    """Whether `AttemptEvidence` takes back a candidate that walks through canary steps of so many looks each.

    `past`: what is known of stable's day; without it outcomes are taken to be independent.
    `warmup` as in `Plan`; where it is derived, stable's histogram shows all tasks within `slow` seconds.
    """
    since = 10_000.0
    steps = tuple(PlannedStep(index, "canary") for index in range(len(step_looks)))
    evidence = AttemptEvidence(
        Plan(
            gates=tuple(gates),
            alpha=ALPHA,
            steps=steps,
            candidate=Side("v2", "b-"),
            stable=Side("v1", "a-"),
            tick=LOOK_SECONDS,
            settle=0.0,
            warmup=warmup,
        ),
        since,
        awaits_past=past is not None,
    )
    if past is not None:
        evidence.learn({subject(gate): past for gate in gates})
    times = list(_clocks(since, step_looks))
    scrapes = _scrapes(looks, since, slow)
    for now, series in (next(scrapes) for _ in range(1 + sum(step_looks))):
        begun = [time for time in times if time.started <= now]
        last = begun[-1]
        evidence.advance((*begun[:-1], StepTime(last.index, last.started)), series, now)
    return evidence.report().reverts


def _clocks(since: float, step_looks: Sequence[int]) -> Iterator[StepTime]:
    started = since
    for index, looks in enumerate(step_looks):
        ended = started + looks * LOOK_SECONDS
        yield StepTime(index, started, ended)
        started = ended


def _scrapes(looks: Iterable[Look], since: float, slow: float | None) -> Iterator[tuple[float, list[Series]]]:
    """Each look as the samples that Prometheus would hand out: the counters of one pod a version."""
    before, now = [0.0] * 4, since
    yield now, _exposed(now, before, now, before, slow)
    for look in looks:
        gained = [
            side for tally in (look.candidate, look.stable) for side in (tally.good, tally.total - tally.good)
        ]
        after = [old + new for old, new in zip(before, gained, strict=True)]
        then, now = now, now + LOOK_SECONDS
        yield now, _exposed(then, before, now, after, slow)
        before = after


def _exposed(
    then: float, before: Sequence[float], now: float, after: Sequence[float], slow: float | None
) -> list[Series]:
    points = [
        ((then, old), (now, new)) if then < now else ((now, new),)
        for old, new in zip(before, after, strict=True)
    ]
    found = [Series(labels, seen) for labels, seen in zip(_COUNTERS, points, strict=True)]
    found += [Series(labels, ((now, 9_990.0),)) for labels in _STARTS]
    if slow is not None:
        found += [Series({**_BUCKET, "le": le}, ((now, 1000.0),)) for le in (f"{slow:g}", "+Inf")]
    return found


def _labels(version: str, pod: str, name: str) -> dict[str, str]:
    target = {"namespace": "shop", "pod": pod, "instance": pod, "job": "agents"}
    return {"__name__": name, "version": version, "mode": "live", **target}


_PODS = (("v2", "b-1"), ("v1", "a-1"))
_COUNTERS = [
    {**_labels(*pod, TASKS), "outcome": outcome} for pod in _PODS for outcome in ("success", "failure")
]
_STARTS = [_labels(*pod, PROCESS_START) for pod in _PODS]
_BUCKET = _labels("v1", "a-1", DURATION_BUCKETS)

"""What stable's series look like over a short while: which are there, and what is wrong with them.

Told before a rollout; the evidence itself copes with all of it, or says that it cannot decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from interlock.analysis.buckets import BucketReader
from interlock.analysis.doubles import Doubles
from interlock.analysis.metrics import Average, Counter, EventCount, Histogram, Proportion
from interlock.analysis.plan import Gate, Mode, Plan, Track
from interlock.analysis.presets import ALERTS, TASKS
from interlock.analysis.series import PROCESS_START, Counts, Series


@dataclass(frozen=True, slots=True)
class GateSightings:
    """Of one gate. `missing`: families without which it judges nothing. `unborn`: counters that look as if
    none had happened, with the pods that do not export them. `bound`: why its bucket bound cannot be read,
    empty when it can."""

    missing: tuple[str, ...] = ()
    unborn: tuple[tuple[Counter, tuple[str, ...]], ...] = ()
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Sightings:
    """`pods` of stable with live series; `others`: versions of the same agent. `interval`: seconds between
    scrapes, None where it cannot be told. `ageless`: pods that do not export their process' start."""

    pods: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    interval: float | None = None
    ageless: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    gates: dict[str, GateSightings] = field(default_factory=dict)


def sighted(plan: Plan, series: Iterable[Series], now: float) -> Sightings:
    """From the raw samples of the last minutes before `now` (unix seconds), of every version of the agent.

    `unlabelled`: of `version`, `mode` and `pod` those that series of the agent lack.
    """
    every = [one for one in series if one.points and one.name != ALERTS]
    mine = [one for one in every if plan.stable.owns(one.labels) and one.labels.get("mode") == Mode.LIVE]
    starts = [one for one in every if one.name == PROCESS_START]
    counts = Counts(now)
    counts.advance([*mine, *starts], now)
    doubles = Doubles(counts.ways)
    doubles.advance(mine, now, counts.process_start)
    buckets = BucketReader(plan)
    buckets.notice([(one, [Track.STABLE]) for one in mine], now)
    # what was there last counts, also where scrapes have been failing since
    last = max((one.points[-1][0] for one in mine), default=now)
    pods = sorted({one.labels.get("pod", "") for one in mine})
    aged = {one.labels.get("pod", "") for one in starts}
    return Sightings(
        pods=tuple(pods),
        others=tuple(sorted({one.labels.get("version", "") for one in every} - {plan.stable.version, ""})),
        unlabelled=_unlabelled(every),
        interval=_interval(mine),
        ageless=tuple(pod for pod in pods if pod not in aged),
        doubled=doubles.warnings(),
        gates={
            gate.name: _of_gate(gate, mine, pods, buckets.problem(gate, Mode.LIVE, last))
            for gate in plan.gates
        },
    )


def needed(gate: Gate) -> tuple[str, ...]:
    """Families without which a gate knows nothing; others are 0 until something happens."""
    match gate.metric:
        case Average() as average:
            return average.count.family, average.sum.family
        case Proportion() as proportion:
            return (proportion.total.family,)
        case Histogram() as histogram:
            return tuple(histogram.families)
        case EventCount():
            return (TASKS,)
        case _:
            return ()


def _of_gate(gate: Gate, series: Sequence[Series], pods: Sequence[str], bound: str) -> GateSightings:
    there = {one.name for one in series}
    missing = tuple(sorted(family for family in needed(gate) if family not in there))
    unborn = []
    for counter in _parts(gate):
        having = {one.labels.get("pod", "") for one in series if counter.matches(one.labels)}
        if lacking := tuple(pod for pod in pods if pod not in having):
            unborn.append((counter, lacking))
    return GateSightings(missing, tuple(unborn), bound if not missing else "")


def _parts(gate: Gate) -> tuple[Counter, ...]:
    """Counters that stay away until something happens, unless they are exported at 0."""
    match gate.metric:
        case Proportion() as proportion:
            return (proportion.part,)
        case EventCount() as events:
            return (events.counter,)
        case _:
            return ()


def _unlabelled(series: Iterable[Series]) -> tuple[str, ...]:
    lacking = {label for one in series for label in ("version", "mode", "pod") if not one.labels.get(label)}
    return tuple(sorted(lacking))


def _interval(series: Iterable[Series]) -> float | None:
    """The usual spacing of the samples of one target."""
    times: dict[object, set[float]] = defaultdict(set)
    for one in series:
        times[one.target].update(at for at, _ in one.points)
    gaps = [b - a for moments in times.values() for a, b in zip(*_shifted(sorted(moments)), strict=True)]
    return median(gaps) if gaps else None


def _shifted(moments: list[float]) -> tuple[list[float], list[float]]:
    return moments[:-1], moments[1:]

"""What the stable version usually does, told from its counters' increments: the ground on which to plan.

Rates, how correlated outcomes are, how single outcomes spread, and how all of it drifts over the day.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from interlock.analysis.dispersion import LOOK_SECONDS, design_effect_by_half_hours
from interlock.analysis.evidence import Tally
from interlock.analysis.means import Amount
from interlock.analysis.metrics import Average, Binary, EventCount, Histogram, Query
from interlock.analysis.plan import Gate, Tail
from interlock.analysis.presets import DURATION_BUCKETS, TASKS, TASKS_VERIFIED, VERIFIERS
from interlock.analysis.series import Identity, Increment
from interlock.analysis.warmup import QUANTILE, Slow, slowest

HOUR = 3600.0
LEAST_HOUR = 20.0
"""Outcomes; an hour with fewer says nothing of a drift."""


@dataclass(frozen=True, slots=True)
class Range:
    """The lowest and the highest value of the hours."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class UsualRate:
    """Of outcomes of two kinds. `per_task`: outcomes a task. `effect` ≥ 1: how many make an independent one.

    `hours`: the good ones' share, hour by hour; None where no hour has enough outcomes. `looks` had outcomes.
    """

    counts: Tally
    per_task: float = 1.0
    effect: float = 1.0
    hours: Range | None = None
    looks: int = 0

    @property
    def good(self) -> float:
        """The good ones' share, strictly between 0 and 1."""
        return self.counts.smoothed


@dataclass(frozen=True, slots=True)
class UsualMean:
    """Of amounts, in the metric's unit. `deviation`: of one outcome, the correlation of outcomes in it."""

    amount: Amount
    deviation: float
    per_task: float = 1.0
    hours: Range | None = None

    @property
    def mean(self) -> float:
        return self.amount.sum / self.amount.count if self.amount.count else 0.0


@dataclass(frozen=True, slots=True)
class UsualEvents:
    """A count, and how many a task."""

    count: float
    per_task: float


Usage = UsualRate | UsualMean | UsualEvents


@dataclass(frozen=True, slots=True)
class Usual:
    """What stable did in `seconds`. `tasks_per_second`: None where nobody has said it.

    `gates`: by the gate's name, as far as it has data. `slow`: the p99 of task durations in seconds, reckoned
    where it lies `beyond` the last bound of their histogram.
    """

    tasks_per_second: float | None = None
    gates: Mapping[str, Usage] = field(default_factory=dict)
    seconds: float = 0.0
    tasks: float = 0.0
    hours: Range | None = None
    slow: float | None = None
    verifier: str | None = None
    beyond: float | None = None


def usual(gates: Iterable[Gate], increments: Iterable[Increment], seconds: float) -> Usual:
    """From the increments of `seconds` > 0 in which stable was looked at, in any order.

    Labels of a histogram's increments name the bounds that gates ask for (`BucketReader.told`).
    """
    held = list(increments)
    verifier = most_trusted(held)
    tasks = _by_look(one for one in held if one.labels.get("__name__") == TASKS)
    total = sum(tasks.values())
    found = {
        gate.name: usage
        for gate in gates
        if (measured := measured_by(gate)) is not None
        and (usage := _usage(measured, held, verifier, total)) is not None
    }
    slow = _slow(held)
    rates = [amount / HOUR for amount in _whole_hours(tasks).values()]
    return Usual(
        tasks_per_second=total / seconds,
        gates=found,
        seconds=seconds,
        tasks=total,
        hours=Range(min(rates), max(rates)) if rates else None,
        slow=slow.seconds if slow else None,
        verifier=verifier,
        beyond=slow.beyond if slow else None,
    )


def by_looks(increments: Iterable[Increment]) -> list[Increment]:
    """The same amounts, of each series and look one increment: all that `usual` needs of a long time."""
    found: dict[tuple[Identity, int], Increment] = {}
    for one in increments:
        key = tuple(sorted(one.labels.items())), int(one.end // LOOK_SECONDS)
        known = found.get(key)
        amount = one.amount + (known.amount if known else 0.0)
        found[key] = Increment(one.labels, known.begin if known else one.begin, one.end, amount)
    return list(found.values())


def measured_by(gate: Gate) -> Binary | Average | EventCount | None:
    """What a gate counts; None for an alert or a value, which count nothing."""
    if isinstance(gate.metric, Query):
        return None
    if isinstance(gate.metric, Histogram):
        return gate.metric.beyond(gate.test.above) if isinstance(gate.test, Tail) else None
    return gate.metric


def most_trusted(increments: Iterable[Increment]) -> str | None:
    """Whose verification would count: the most trusted of those at work."""
    at_work = {one.labels.get("verifier") for one in increments if one.labels["__name__"] == TASKS_VERIFIED}
    return next((verifier for verifier in VERIFIERS if verifier in at_work), None)


def _usage(
    measured: Binary | Average | EventCount, increments: list[Increment], verifier: str | None, tasks: float
) -> Usage | None:
    if isinstance(measured, EventCount):
        count = sum(one.amount for one in increments if measured.counter.matches(one.labels))
        return UsualEvents(count, count / tasks) if tasks else None
    mine = [one for one in increments if _counts(measured, one, verifier)]
    if isinstance(measured, Average):
        return _mean(measured, mine, tasks)
    return _rate(measured, mine, tasks)


def _counts(measured: Binary | Average, one: Increment, verifier: str | None) -> bool:
    if not measured.counts(one.labels) or (measured.verified and verifier is None):
        return False
    verified = measured.verified and one.labels["__name__"] == TASKS_VERIFIED
    return not verified or one.labels.get("verifier") == verifier


def _rate(measured: Binary, increments: list[Increment], tasks: float) -> UsualRate | None:
    part = _by_look(one for one in increments if measured.part.matches(one.labels))
    total = _by_look(one for one in increments if measured.total.matches(one.labels))
    looks = {at: measured.tally(part.get(at, 0.0), count) for at, count in total.items()}
    counts = sum(looks.values(), Tally())
    if not counts.total:
        return None
    hours = _range({at: look.good for at, look in looks.items()}, total)
    seen = sum(look.total > 0 for look in looks.values())
    return UsualRate(
        counts, counts.total / tasks if tasks else 1.0, design_effect_by_half_hours(looks), hours, seen
    )


def _mean(measured: Average, increments: list[Increment], tasks: float) -> UsualMean | None:
    sums = _by_look(one for one in increments if measured.sum.matches(one.labels))
    counts = _by_look(one for one in increments if measured.count.matches(one.labels))
    looks = {at: Amount(sums.get(at, 0.0) * measured.scale, count) for at, count in counts.items()}
    amount = sum(looks.values(), Amount())
    if not amount.count or not sums:
        return None
    hours = _range({at: look.sum for at, look in looks.items()}, counts)
    return UsualMean(amount, deviation(looks.values()), amount.count / tasks if tasks else 1.0, hours)


def deviation(looks: Iterable[Amount]) -> float:
    """The standard deviation of one outcome that explains how the means of looks differ; ≥ 0.

    From sums and counts alone: Σ n(m - M)²/(looks - 1). A drift of the mean is taken for spread, which errs
    on the safe side. The mean itself, as of an exponential, where there are fewer than two looks.
    """
    seen = [look for look in looks if look.count > 0]
    amount = sum(seen, Amount())
    middle = amount.sum / amount.count if seen else 0.0
    if len(seen) < 2:
        return abs(middle)
    squares = sum(look.count * (look.sum / look.count - middle) ** 2 for look in seen)
    return math.sqrt(squares / (len(seen) - 1))


def _by_look(increments: Iterable[Increment]) -> dict[int, float]:
    """Amounts by the look in which they ended."""
    found: dict[int, float] = defaultdict(float)
    for one in increments:
        found[int(one.end // LOOK_SECONDS)] += one.amount
    return dict(found)


def _hourly(looks: Mapping[int, float]) -> dict[int, float]:
    found: dict[int, float] = defaultdict(float)
    for at, amount in looks.items():
        found[int(at * LOOK_SECONDS // HOUR)] += amount
    return dict(found)


def _whole_hours(looks: Mapping[int, float]) -> dict[int, float]:
    """Without the first and the last, which are cut."""
    found = _hourly(looks)
    return {hour: found[hour] for hour in sorted(found)[1:-1]}


def _range(parts: Mapping[int, float], wholes: Mapping[int, float]) -> Range | None:
    """Of the hourly quotients of two counts that have the same looks."""
    hourly = _hourly(parts)
    shares = [hourly[at] / whole for at, whole in _hourly(wholes).items() if whole >= LEAST_HOUR]
    return Range(min(shares), max(shares)) if shares else None


def _slow(increments: Iterable[Increment]) -> Slow | None:
    """The p99 of task durations: the bound of the bucket in which it lies."""
    buckets: dict[float, float] = defaultdict(float)
    for one in increments:
        if one.labels.get("__name__") == DURATION_BUCKETS:
            try:
                buckets[float(one.labels.get("le", ""))] += one.amount
            except ValueError:
                continue
    return slowest(buckets, QUANTILE)

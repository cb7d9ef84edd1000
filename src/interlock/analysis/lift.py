"""By how much the candidate differs from stable in each KPI, known at every look at once.

Shown and recorded; decides nothing: verdicts rest on the e-processes. Only live outcomes count that may be
compared: after warm-up, in steps in which both versions answer. They are gathered in short blocks within one
step, so that neither a drift of the common base nor a change of shares makes a difference of its own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from interlock.analysis.evidence import MIN_OUTCOMES, Tally
from interlock.analysis.intervals import Interval, RateDifference
from interlock.analysis.means import MIN_BLOCKS, MeanProcess
from interlock.analysis.metrics import Average, Binary, Counter, Histogram, Metric, Proportion
from interlock.analysis.outcomes import (
    NONE,
    Amounts,
    Exports,
    Outcome,
    Part,
    PerSeries,
    Role,
    is_verified_by,
    role_in,
)
from interlock.analysis.past import subject
from interlock.analysis.plan import Compare, Gate, Limit, Mean, Mode, Plan, Tail, Track
from interlock.analysis.presets import families
from interlock.analysis.timeline import Clocked

ALPHA = 0.05
"""Chance of an interval of ever being wrong: each holds by itself, at every look of the attempt."""

NOTHING_KNOWN: Mapping[str, float] = MappingProxyType({})
Unit = Literal["points", "percent"]


@dataclass(frozen=True, slots=True)
class Kpi:
    """A metric whose lift is measured, whether or not a gate judges it. `name`: how the lift is called.

    `subject` names what is known of stable's past with it, as for gates.
    """

    name: str
    metric: Binary | Average
    subject: str = field(default="", repr=False)

    @property
    def families(self) -> frozenset[str]:
        """Metric names that must be read."""
        metric = self.metric
        if isinstance(metric, Average):
            return frozenset({metric.sum.family, metric.count.family})
        return frozenset({metric.part.family, metric.total.family})


@dataclass(frozen=True, slots=True)
class Lift:
    """How the candidate's value of a KPI differs from stable's.

    `candidate` and `stable`: shares in [0, 1], or means in the metric's unit, averaged over the same blocks
    with the same weights. `estimate` and `interval`: their difference in percentage points where they are
    shares, in percent of stable's mean where they are means. `relative`: candidate's value over stable's,
    minus 1. Both intervals hold at every look at once with a chance of at most ALPHA of ever being wrong,
    asymptotically. `*_outcomes`: how many each value rests on.
    """

    name: str
    unit: Unit
    candidate: float
    stable: float
    candidate_outcomes: float
    stable_outcomes: float
    estimate: float
    interval: Interval
    relative: Interval

    @property
    def message(self) -> str:
        """Like "+6.9 points (3.1 to 10.7)"."""
        unit = "%" if self.unit == "percent" else "points"
        return f"{self.estimate:+.3g} {unit} ({self.interval.low:.3g} to {self.interval.high:.3g})"


@dataclass(frozen=True, slots=True)
class NoLift:
    """A lift that is not known, and why: never 0."""

    name: str
    reason: str


LiftReading = Lift | NoLift


# ------------------------------------------------------------------ what is measured
def measured(plan: Plan) -> tuple[Kpi, ...]:
    """What gates compare or limit, and what the candidate's author expects something of; each once."""
    judged = [kpi for gate in plan.gates if (kpi := _of_gate(gate)) is not None]
    promised = [kpi for metric in plan.expected if (kpi := kpi_of(metric)) is not None]
    return tuple({kpi.name: kpi for kpi in (*judged, *promised)}.values())


def families_of(plan: Plan, *, derive_warmup: bool) -> frozenset[str]:
    """Metric names that must be read for an attempt: those that gates judge, and those that are measured."""
    judged = (gate.families for gate in plan.gates)
    return families((*judged, *(kpi.families for kpi in measured(plan))), derive_warmup=derive_warmup)


def _of_gate(gate: Gate) -> Kpi | None:
    match gate.test, gate.metric:
        case (Compare() | Limit(), Proportion() as metric) | (Mean(), Average() as metric):
            return Kpi(metric.name, metric, subject(gate))
        case Tail(above=above), Histogram() as metric:
            return Kpi(f"{metric.name}-above-{above:g}", metric.beyond(above), subject(gate))
        case _:
            return None


def kpi_of(metric: Metric) -> Kpi | None:
    """The KPI that an expectation of a metric means; None where there is none: single events have no lift.

    Of a histogram it is the mean: Prometheus' `_sum` over its `_count`.
    """
    match metric:
        case Proportion() | Average():
            return Kpi(metric.name, metric)
        case Histogram(name=name, buckets=Counter(family=family, where=where), harm=harm):
            stem = family.removesuffix("_bucket")
            total, count = (Counter(f"{stem}_{part}", where) for part in ("sum", "count"))
            return Kpi(name, Average(name, total, count, harm, ""))
        case _:
            return None


# ------------------------------------------------------------------ how it is measured
class Meter(ABC):
    """Gathers one KPI in blocks that close as soon as both versions have enough new outcomes."""

    def __init__(self, kpi: Kpi) -> None:
        self.kpi = kpi
        self._read: tuple[float, LiftReading] | None = None  # by this effect; forgotten when a block closes

    def read(self, effect: float) -> LiftReading:
        """The lift as it stands; `effect` ≥ 1 is the design effect."""
        if self._read is None or self._read[0] != effect:
            self._read = effect, self._lift(effect)
        return self._read[1]

    @abstractmethod
    def take(self, outcome: Outcome, role: Role) -> None:
        """An outcome that may be compared, of a series that has this role in the metric."""

    @abstractmethod
    def close(self) -> None:
        """Closes the block if both sides have enough."""

    @abstractmethod
    def drop(self) -> None:
        """A step has ended: what is not in a closed block is forgotten."""

    @abstractmethod
    def _lift(self, effect: float) -> LiftReading:
        """What the closed blocks say."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """As JSON."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""


class ShareMeter(Meter):
    """Shares of outcomes, each in the metric's own sense: of what is good, or of what is bad."""

    def __init__(self, kpi: Kpi, metric: Binary) -> None:
        super().__init__(kpi)
        self._metric = metric
        self._seen = RateDifference()
        self.drop()

    def take(self, outcome: Outcome, role: Role) -> None:
        self._block[outcome.track].add(outcome.amount, role)

    def close(self) -> None:
        if min(self._block[Track.CANDIDATE].total, self._block[Track.STABLE].total) < MIN_OUTCOMES:
            return
        self._read = None
        self._seen.add(*(self._share(self._block[track]) for track in (Track.CANDIDATE, Track.STABLE)))
        self.drop()

    def drop(self) -> None:
        self._block = Part.each()

    def _share(self, part: Part) -> Tally:
        counts = part.tally(self._metric)
        return counts if self._metric.higher_is_better else counts.inverse

    def _lift(self, effect: float) -> LiftReading:
        rates, interval = self._seen.rates, self._seen.interval(ALPHA, effect)
        if rates is None or interval == Interval(-1.0, 1.0):  # it excludes nothing
            seen = (
                f"{self._seen.candidate.total:.0f} of the candidate, {self._seen.stable.total:.0f} of stable"
            )
            return NoLift(self.kpi.name, f"too few outcomes that can be compared: {seen}")
        candidate, stable = rates
        return Lift(
            name=self.kpi.name,
            unit="points",
            candidate=candidate,
            stable=stable,
            candidate_outcomes=self._seen.candidate.total,
            stable_outcomes=self._seen.stable.total,
            estimate=100 * (candidate - stable),
            interval=interval.scaled(100),
            relative=self._seen.ratio(ALPHA, effect).scaled(1, -1),
        )

    def state(self) -> dict[str, Any]:
        block = {track.value: part.state() for track, part in self._block.items()}
        return {"seen": self._seen.state(), "block": block}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._read = None
        self._seen = RateDifference.restored(state["seen"])
        self._block = {track: Part.restored(state["block"][track.value]) for track in Track}


class MeanMeter(Meter):
    """Means from sums and counts; blocks carry their own variance, so the design effect is in it already."""

    def __init__(self, kpi: Kpi, metric: Average) -> None:
        super().__init__(kpi)
        self._metric = metric
        self._seen = MeanProcess()
        self._exports = Exports()
        self.drop()

    def notice(self, labels: Mapping[str, str], tracks: Iterable[Track], since: float) -> None:
        """A series with these labels has had samples since then (unix seconds)."""
        if self._metric.sum.matches(labels):
            for track in tracks:
                self._exports.notice(track, Mode.LIVE, since)

    def take(self, outcome: Outcome, role: Role) -> None:
        if self._exports.cover(outcome):
            self._block[outcome.track].add(outcome.amount, role, self._metric.scale)

    def close(self) -> None:
        if min(self._block[Track.CANDIDATE].count, self._block[Track.STABLE].count) < MIN_OUTCOMES:
            return
        self._read = None
        self._seen.add(self._block[Track.CANDIDATE].amount, self._block[Track.STABLE].amount)
        self.drop()

    def drop(self) -> None:
        self._block = Amounts.each()

    def _lift(self, effect: float) -> LiftReading:
        means = self._seen.means
        if means is None or self._seen.blocks < MIN_BLOCKS:
            seen = (
                f"{self._seen.blocks} of {MIN_BLOCKS} looks with {MIN_OUTCOMES} new outcomes of each version"
            )
            return NoLift(self.kpi.name, f"too little to compare means: {seen}")
        relative = self._seen.ratio(ALPHA).scaled(1, -1)
        candidate, stable = means
        if relative.high == math.inf or stable <= 0:
            return NoLift(self.kpi.name, "stable's mean cannot be told from 0: there is no ratio to it")
        return Lift(
            name=self.kpi.name,
            unit="percent",
            candidate=candidate,
            stable=stable,
            candidate_outcomes=self._seen.candidate.count,
            stable_outcomes=self._seen.stable.count,
            estimate=100 * (candidate / stable - 1),
            interval=relative.scaled(100),
            relative=relative,
        )

    def state(self) -> dict[str, Any]:
        block = {track.value: amounts.state() for track, amounts in self._block.items()}
        return {"seen": self._seen.state(), "block": block, "exported": self._exports.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._read = None
        self._seen = MeanProcess.restored(state["seen"])
        self._block = {track: Amounts.restored(state["block"][track.value]) for track in Track}
        self._exports = Exports.restored(state["exported"])


def meter_of(kpi: Kpi) -> Meter:
    """The meter of a KPI, before any outcome."""
    if isinstance(kpi.metric, Average):
        return MeanMeter(kpi, kpi.metric)
    return ShareMeter(kpi, kpi.metric)


@dataclass(slots=True)
class Lifts:
    """The lifts of one attempt. Fed in order of time with outcomes that have settled."""

    plan: Plan
    meters: tuple[Meter, ...] = field(init=False)
    _takers: PerSeries[tuple[tuple[Meter, Role], ...]] = field(init=False)
    _step: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.meters = tuple(meter_of(kpi) for kpi in measured(self.plan))
        self._takers = PerSeries(self._who_takes)

    @property
    def looks_at(self) -> frozenset[str]:
        """Labels that decide what counts."""
        return frozenset[str]().union(*(meter.kpi.metric.looks_at for meter in self.meters))

    def counts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is part of any."""
        return bool(self._takers.of(labels))

    def notice(self, labels: Mapping[str, str], tracks: Iterable[Track], since: float) -> None:
        """A live series of these versions has had samples since then (unix seconds)."""
        for meter in self.meters:
            if isinstance(meter, MeanMeter):
                meter.notice(labels, tracks, since)

    def release(self, outcomes: Iterable[Clocked], verifier: str | None) -> None:
        """Outcomes settled by one grid point, in order."""
        for outcome, stretch in outcomes:
            if stretch is None or outcome.mode is not Mode.LIVE:
                continue
            if stretch.step.index != self._step:
                self._enter(stretch.step.index)
            # in the whole of the traffic, or in shadow, there is nothing to compare with
            if (
                not stretch.step.compares
                or stretch.step.mode is not Mode.LIVE
                or outcome.begin < stretch.warm
            ):
                continue
            for meter, role in self._takers.of(outcome.labels):
                if not meter.kpi.metric.verified or is_verified_by(verifier, outcome):
                    meter.take(outcome, role)
        for meter in self.meters:
            meter.close()

    def _who_takes(self, labels: Mapping[str, str]) -> tuple[tuple[Meter, Role], ...]:
        """The meters that a series with these labels belongs to, and what it is to each."""
        every = ((meter, role_in(meter.kpi.metric, labels)) for meter in self.meters)
        return tuple((meter, found) for meter, found in every if found != NONE)

    def _enter(self, step: int) -> None:
        """A block must not span a change of weights: shares and base may move together."""
        for meter in self.meters:
            meter.close()
            meter.drop()
        self._step = step

    def read(
        self, spoilt: Callable[[frozenset[str]], Sequence[str]], effects: Mapping[str, float] = NOTHING_KNOWN
    ) -> tuple[LiftReading, ...]:
        """All of them. `spoilt`: pods whose counts of these metric names are wrong. `effects`: design
        effects ≥ 1 by subject; where none is known outcomes are taken to be independent."""
        return tuple(
            _reading(meter, spoilt(meter.kpi.families), effects.get(meter.kpi.subject, 1.0))
            for meter in self.meters
        )

    def state(self) -> dict[str, Any]:
        """As JSON."""
        meters = {meter.kpi.name: [repr(meter.kpi), meter.state()] for meter in self.meters}
        return {"step": self._step, "meters": meters}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`: what was measured then and is measured now."""
        self._step = None if state["step"] is None else int(state["step"])
        for meter in self.meters:
            what, held = state["meters"].get(meter.kpi.name, ("", {}))
            if what == repr(meter.kpi):
                meter.restore(held)


def _reading(meter: Meter, spoilt: Sequence[str], effect: float) -> LiftReading:
    if spoilt:
        why = "it is scraped twice, or several processes answer by turns"
        return NoLift(meter.kpi.name, f"counts of pod {', '.join(spoilt)} are wrong: {why}")
    return meter.read(effect)

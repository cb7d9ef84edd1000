"""Which buckets of a histogram the tail gates count, and whether the bounds they ask for are there.

A bound that is none of the buckets' is never replaced by its neighbour: the gate says which there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from interlock.analysis.histogram import UnknownBound, bucket_bound, fix_bound
from interlock.analysis.metrics import BOUNDS, Histogram
from interlock.analysis.plan import Gate, Mode, Plan, Tail, Track, mode_named
from interlock.analysis.presets import DURATION_BUCKETS
from interlock.analysis.series import Identity, Series

FORGOTTEN_AFTER = 120.0  # seconds without a sample after which buckets are no longer those of a version

Layout = tuple[float, ...]


@dataclass(frozen=True, eq=False, slots=True)
class _Histogram:
    """One process' histogram of a mode; each is one object."""

    family: str
    mode: Mode


class BucketReader:
    """Bounds are fixed by the gates; a histogram without a bound is left out of the counts of its gate.

    Only the counts up to those bounds and of all outcomes are kept, of tasks in modes that are compared.
    """

    def __init__(self, plan: Plan) -> None:
        self._asked = _asked(plan.gates)
        self._modes = frozenset(
            step.mode
            for step in plan.steps
            if any(gate.judges(step) for gate in plan.gates if isinstance(gate.test, Tail))
        )
        # bounds of either version's in a mode, by name: first sample since they were forgotten, and newest
        self._layouts: dict[tuple[str, Mode, Layout], tuple[float, float]] = {}
        self._bounds: dict[_Histogram, str] = {}  # of those last read, the bounds that are asked for
        self._histograms: dict[Identity, _Histogram] = {}
        self._places: dict[Identity, tuple[_Histogram, float] | None] = {}
        self._buckets = frozenset({DURATION_BUCKETS, *self._asked})

    @property
    def names(self) -> frozenset[str]:
        """What is counted, by name."""
        return frozenset(
            f"{family} {bound!r} {mode}"
            for family, bounds in self._asked.items()
            for bound in bounds
            for mode in self._modes
        )

    def notice(self, series: Iterable[tuple[Series, Sequence[Track]]], now: float) -> None:
        """The histograms of a read up to `now` (unix seconds). All buckets of one are scraped together."""
        if not self._asked:
            return
        histograms: dict[_Histogram, dict[float, tuple[float, float]]] = {}
        for one, tracks in series:
            place = self._place(one) if tracks and one.name in self._asked else None
            if place is not None and (newest := one.newest(now)) is not None:
                first = next(at for at, value in one.points if 0 <= value < math.inf)
                histograms.setdefault(place[0], {})[place[1]] = first, newest[0]
        self._bounds = {}
        for histogram, bounds in histograms.items():
            family = histogram.family
            layout = family, histogram.mode, tuple(sorted(bounds))
            self._seen(layout, min(at for at, _ in bounds.values()), max(at for _, at in bounds.values()))
            if math.inf in bounds:
                asked = self._asked[family] & bounds.keys()
                self._bounds[histogram] = ",".join(repr(bound) for bound in sorted(asked))

    def _seen(self, layout: tuple[str, Mode, Layout], first: float, newest: float) -> None:
        begun, last = self._layouts.get(layout, (first, -math.inf))
        begun = first if first - last > FORGOTTEN_AFTER else min(begun, first)
        self._layouts[layout] = begun, max(last, newest)

    def _place(self, one: Series) -> tuple[_Histogram, float] | None:
        """Histogram and bound of a bucket that a gate asks for; None of all else."""
        if one.name not in self._asked:
            return None
        try:
            return self._places[one.identity]
        except KeyError:
            mode, bound = mode_named(one.labels.get("mode")), bucket_bound(one.labels.get("le", ""))
            place = None
            if mode is not None and mode in self._modes and bound is not None:
                place = self._histogram(one, mode), bound
            self._places[one.identity] = place
            return place

    def _histogram(self, one: Series, mode: Mode) -> _Histogram:
        """The one that a bucket belongs to."""
        identity = tuple(label for label in one.identity if label[0] != "le")
        return self._histograms.setdefault(identity, _Histogram(one.name, mode))

    def counted(self, series: Iterable[Series]) -> list[Series]:
        """Without the buckets that no gate asks for."""
        buckets = self._buckets
        return [one for one in series if one.name not in buckets or self._is_counted(one)]

    def _is_counted(self, one: Series) -> bool:
        place = self._place(one)
        return place is not None and (place[1] == math.inf or place[1] in self._asked[one.name])

    def bounds(self, one: Series) -> str:
        """Of the bounds that gates ask for, those of the histogram of a series that was read last."""
        place = self._place(one)
        return self._bounds.get(place[0], "") if place else ""

    def told(self, one: Series) -> Mapping[str, str]:
        """The labels of a series, with the bounds of its histogram that gates ask for."""
        return {**one.labels, BOUNDS: self.bounds(one)} if one.name in self._asked else one.labels

    def problem(self, gate: Gate, mode: Mode, now: float) -> str:
        """Why the gate's bound cannot be read in a mode, naming the bounds there are; empty when it can."""
        if not isinstance(gate.test, Tail):
            return ""
        return _problem(gate.test.above, frozenset(self._recent(gate, mode, now)))

    def unreadable_since(self, gate: Gate, mode: Mode, now: float) -> float:
        """When the first of the histograms without the gate's bound came (unix seconds); inf without one."""
        if not isinstance(gate.test, Tail):
            return math.inf
        recent, above = self._recent(gate, mode, now), gate.test.above
        return min(
            (at for layout, at in recent.items() if _problem(above, frozenset({layout}))), default=math.inf
        )

    def _recent(self, gate: Gate, mode: Mode, now: float) -> dict[Layout, float]:
        """Bounds of the histograms that a gate reads, to when they came."""
        if not isinstance(gate.metric, Histogram):
            return {}
        asked = (gate.metric.buckets.family, mode)
        return {
            layout: begun
            for (family, where, layout), (begun, newest) in self._layouts.items()
            if (family, where) == asked and newest >= now - FORGOTTEN_AFTER
        }

    def state(self) -> list[Any]:
        """As JSON: for each name, mode and set of bounds the first and the newest sample."""
        return [
            [family, mode, begun, newest, [repr(bound) for bound in layout]]
            for (family, mode, layout), (begun, newest) in self._layouts.items()
        ]

    def restore(self, state: Iterable[Any]) -> None:
        """Go on from `state`."""
        self._layouts = {
            (str(family), Mode(mode), tuple(map(float, bounds))): (float(begun), float(newest))
            for family, mode, begun, newest, bounds in state
        }


@lru_cache
def _problem(above: float, layouts: frozenset[Layout]) -> str:
    """Why a bound cannot be read of histograms with these bounds: most versions have the same ones."""
    try:
        fix_bound(above, *([repr(bound) for bound in layout] for layout in layouts))
    except UnknownBound as unknown:
        return f"not decided: {unknown}"
    return ""


def _asked(gates: Iterable[Gate]) -> dict[str, frozenset[float]]:
    """The bounds that gates ask for, by the name of the histogram's buckets."""
    found: dict[str, frozenset[float]] = {}
    for gate in gates:
        if isinstance(gate.test, Tail) and isinstance(gate.metric, Histogram):
            family = gate.metric.buckets.family
            found[family] = found.get(family, frozenset()) | {gate.test.above}
    return found

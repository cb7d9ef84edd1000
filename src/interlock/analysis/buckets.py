"""Which buckets of a histogram the tail gates count, and whether the bounds they ask for are there.

A bound that is none of the buckets' is never replaced by its neighbour: the gate says which there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interlock.analysis.histogram import UnknownBound, bucket_bound, fix_bound
from interlock.analysis.plan import Gate, Mode, Plan, Tail, Track
from interlock.analysis.presets import BOUNDS, DURATION_BUCKETS
from interlock.analysis.series import Identity, Series

FORGOTTEN_AFTER = 120.0  # seconds without a sample after which buckets are no longer those of a version

Layout = tuple[float, ...]


class BucketReader:
    """Bounds are fixed by the gates; a histogram without a bound is left out of the counts of its gate.

    Only the counts up to those bounds and of all outcomes are kept, of live tasks.
    """

    def __init__(self, plan: Plan) -> None:
        self._asked = frozenset(gate.test.above for gate in plan.gates if isinstance(gate.test, Tail))
        self._layouts: dict[Layout, float] = {}  # bounds of either version's histograms: newest sample
        self._bounds: dict[Identity, str] = {}  # of the histograms last read, those that are asked for

    @property
    def names(self) -> frozenset[str]:
        """What is counted, by name."""
        return frozenset(f"{DURATION_BUCKETS} {bound!r}" for bound in self._asked)

    def notice(self, series: Iterable[tuple[Series, Sequence[Track]]], now: float) -> None:
        """The histograms of a read up to `now` (unix seconds). All buckets of one are scraped together."""
        if not self._asked:
            return
        histograms: dict[Identity, dict[float, float]] = {}
        for one, tracks in series:
            bound, newest = bucket_bound(one.labels.get("le", "")), one.newest(now)
            if tracks and _is_live(one.labels) and bound is not None and newest is not None:
                histograms.setdefault(_histogram(one.labels), {})[bound] = newest[0]
        self._bounds = {}
        for identity, bounds in histograms.items():
            layout = tuple(sorted(bounds))
            self._layouts[layout] = max(*bounds.values(), self._layouts.get(layout, -math.inf))
            if math.inf in bounds:
                self._bounds[identity] = ",".join(repr(b) for b in sorted(self._asked & bounds.keys()))

    def counted(self, series: Iterable[Series]) -> list[Series]:
        """Without the buckets that no gate asks for."""
        wanted = self._asked | {math.inf} if self._asked else frozenset()
        return [
            one
            for one in series
            if one.name != DURATION_BUCKETS
            or (_is_live(one.labels) and bucket_bound(one.labels.get("le", "")) in wanted)
        ]

    def told(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels of an increment, with the bounds of its histogram that gates ask for."""
        if not self._asked or labels.get("__name__") != DURATION_BUCKETS:
            return labels
        return {**labels, BOUNDS: self._bounds.get(_histogram(labels), "")}

    def problem(self, gate: Gate, now: float) -> str:
        """Why the gate's bound cannot be read, naming the bounds there are; empty when it can."""
        if not isinstance(gate.test, Tail):
            return ""
        recent = [layout for layout, newest in self._layouts.items() if newest >= now - FORGOTTEN_AFTER]
        try:
            fix_bound(gate.test.above, *([repr(bound) for bound in layout] for layout in recent))
        except UnknownBound as unknown:
            return f"not decided: {unknown}"
        return ""

    def state(self) -> list[Any]:
        """As JSON: for each set of bounds its newest sample."""
        return [[newest, [repr(bound) for bound in layout]] for layout, newest in self._layouts.items()]

    def restore(self, state: Iterable[Any]) -> None:
        """Go on from `state`."""
        self._layouts = {tuple(map(float, bounds)): float(newest) for newest, bounds in state}


def _is_live(labels: Mapping[str, str]) -> bool:
    return labels.get("__name__") == DURATION_BUCKETS and labels.get("mode") == Mode.LIVE


def _histogram(labels: Mapping[str, str]) -> Identity:
    return tuple(sorted((key, value) for key, value in labels.items() if key != "le"))

"""Gathers what stable did over a long time, piece by piece of raw samples, without keeping them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from interlock.analysis.buckets import BucketReader
from interlock.analysis.plan import Mode, Plan, Track
from interlock.analysis.series import PROCESS_START, Counts, Increment, Series
from interlock.analysis.usual import Usual, by_looks, usual


class Collected:
    """Live increments of the plan's stable version since `begin` (unix seconds)."""

    def __init__(self, plan: Plan, begin: float) -> None:
        self._plan = plan
        self._counts = Counts(begin)
        self._buckets = BucketReader(plan)
        self._increments: list[Increment] = []
        self._first, self._last = math.inf, -math.inf
        self._found: Usual | None = None

    def add(self, series: Iterable[Series], end: float) -> None:
        """The samples of the next piece of time, which goes up to `end`."""
        self._found = None
        held = list(series)
        mine = [one for one in held if one.points and self._is_mine(one)]
        ages = [one for one in held if one.name == PROCESS_START]
        self._buckets.notice([(one, [Track.STABLE]) for one in mine], end)
        for one in mine:
            self._first = min(self._first, one.points[0][0])
            self._last = max(self._last, one.points[-1][0])
        told = {id(one.labels): self._buckets.told(one) for one in mine}
        self._increments += by_looks(
            one._replace(labels=told[id(one.labels)]) for one in self._counts.advance([*mine, *ages], end)
        )

    def forget(self, before: float) -> None:
        """What happened up to then (unix seconds)."""
        self._found = None
        self._increments = [one for one in self._increments if one.end > before]
        self._first = max(self._first, before)

    @property
    def usual(self) -> Usual:
        """What stable usually does: in the time from its first to its last sample."""
        if self._found is None:  # it is asked for many times between two pieces, and a day is long
            seconds = max(1.0, self._last - self._first) if self._last > -math.inf else 1.0
            self._found = usual(self._plan.gates, by_looks(self._increments), seconds)
        return self._found

    def _is_mine(self, one: Series) -> bool:
        live = one.labels.get("mode") == Mode.LIVE
        return live and one.name != PROCESS_START and self._plan.stable.owns(one.labels)

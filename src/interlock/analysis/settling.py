"""Outcomes that wait until they have settled: the two sides are scraped at different moments."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from typing import Any

from interlock.analysis.outcomes import Outcome
from interlock.analysis.plan import Mode, Track


class Settling:
    """Hands outcomes out on a fixed grid, `tick` seconds wide, when they are `settle` seconds old.

    Grid points at which nothing new has settled change nothing and are passed over.
    """

    def __init__(self, tick: float, settle: float) -> None:
        self._tick = tick
        self._settle = settle
        self._walked = -math.inf  # the last grid point, unix seconds
        self._handed = 0
        self._waiting: list[tuple[float, int, Outcome]] = []

    def hold(self, outcome: Outcome) -> None:
        """Keep an outcome until it has settled."""
        self._handed += 1
        heapq.heappush(self._waiting, (outcome.end, self._handed, outcome))

    def settled(self, origin: float | None, until: float) -> Iterator[tuple[float, list[Outcome]]]:
        """Grid points ≤ `until` (unix seconds) with what has settled by each; the grid begins at `origin`."""
        while self._waiting and origin is not None:
            point = max(self._due(self._waiting[0][0], origin), self._next(origin))
            if origin + point * self._tick > until:
                return
            ready, settled = [], -math.inf  # what one scrape shows settles together
            while self._waiting:
                end = self._waiting[0][0]
                if end != settled and self._due(end, origin) > point:
                    break
                settled = end
                ready.append(heapq.heappop(self._waiting)[2])
            self._walked = origin + point * self._tick
            yield self._walked, ready

    def point(self, end: float, origin: float) -> float:
        """The first grid point (unix seconds) at which a sample of that time has settled."""
        return origin + self._due(end, origin) * self._tick

    def _due(self, end: float, origin: float) -> int:
        return max(0, math.ceil((end + self._settle - origin) / self._tick - 1e-9))

    def _next(self, origin: float) -> int:
        """The grid point after the last one walked; the grid of another tick goes on from there."""
        if self._walked == -math.inf:
            return 0
        return math.floor((self._walked - origin) / self._tick + 1e-9) + 1

    def state(self, labels: frozenset[str]) -> dict[str, Any]:
        """As JSON; of an outcome's labels only `labels` are kept: those that a comparison looks at."""
        kinds: dict[tuple[tuple[str, str], ...], int] = {}
        waiting = []
        for end, _, outcome in sorted(self._waiting):
            kind = tuple(sorted((k, v) for k, v in outcome.labels.items() if k in labels))
            number = kinds.setdefault(kind, len(kinds))
            waiting.append([end, outcome.begin, outcome.amount, outcome.track, outcome.mode, number])
        return {"walked": repr(self._walked), "kinds": [dict(kind) for kind in kinds], "waiting": waiting}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._walked = float(state["walked"])
        kinds = [{str(k): str(v) for k, v in kind.items()} for kind in state["kinds"]]
        for end, begin, amount, track, mode, kind in state["waiting"]:
            self.hold(Outcome(Track(track), Mode(mode), kinds[kind], float(begin), float(end), float(amount)))

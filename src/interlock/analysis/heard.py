"""When each version was last heard of: in which mode, by which metric."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from interlock.analysis.plan import Gate, Mean, Mode, Tail, Track
from interlock.analysis.presets import ALERTS, TASKS_VERIFIED

NEVER: Mapping[str, float] = MappingProxyType({})


class Heard:
    """The newest sample of each version, mode and metric name, unix seconds."""

    def __init__(self) -> None:
        self._newest: dict[tuple[Track, Mode], dict[str, float]] = {}

    def notice(self, track: Track, mode: Mode, family: str, at: float) -> None:
        """A sample of that time."""
        known = self._newest.get((track, mode))
        if known is None:
            known = self._newest[track, mode] = {}
        if at > known.get(family, -math.inf):
            known[family] = at

    def of(self, track: Track, mode: Mode) -> Mapping[str, float]:
        """The newest sample of a version in a mode, by metric name; until more is heard."""
        return self._newest.get((track, mode), NEVER)

    def state(self) -> list[Any]:
        """As JSON."""
        return [[*side, name, at] for side, known in self._newest.items() for name, at in known.items()]

    def restore(self, state: Sequence[Any]) -> None:
        """Go on from `state`."""
        self._newest = {}
        for track, mode, name, at in state:
            self.notice(Track(track), Mode(mode), str(name), float(at))


def expected(gates: Iterable[Gate]) -> frozenset[str]:
    """What a candidate should export from the start, so that its absence is told."""
    counting = (gate for gate in gates if not isinstance(gate.test, Tail | Mean))  # those say it themselves
    return frozenset[str]().union(*(gate.families for gate in counting)) - {ALERTS, TASKS_VERIFIED}

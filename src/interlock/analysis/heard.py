"""When each version was last heard of: in which mode, by which metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from interlock.analysis.plan import Mode, Track


class Heard:
    """The newest sample of each version, mode and metric name, unix seconds."""

    def __init__(self) -> None:
        self._newest: dict[tuple[Track, Mode, str], float] = {}

    def notice(self, track: Track, mode: Mode, family: str, at: float) -> None:
        """A sample of that time."""
        key = (track, mode, family)
        self._newest[key] = max(at, self._newest.get(key, -math.inf))

    def of(self, track: Track, mode: Mode) -> dict[str, float]:
        """The newest sample of a version in a mode, by metric name."""
        return {
            name: at for (side, where, name), at in self._newest.items() if (side, where) == (track, mode)
        }

    def state(self) -> list[Any]:
        """As JSON."""
        return [[*key, at] for key, at in self._newest.items()]

    def restore(self, state: Sequence[Any]) -> None:
        """Go on from `state`."""
        self._newest = {(Track(t), Mode(m), str(name)): float(at) for t, m, name, at in state}

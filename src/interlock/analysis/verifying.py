"""Whose verification counts: one verifier for the whole attempt, never two of one task added up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from interlock.analysis.presets import VERIFIERS
from interlock.analysis.series import Series
from interlock.analysis.settling import Settling


class Verifying:
    """Takes the most trusted verifier, two scrapes after the first was seen, unless one is `chosen`."""

    def __init__(self, chosen: str | None) -> None:
        self.chosen = chosen
        self._seen: dict[str, float] = {}  # when each was first seen at work

    def notice(self, one: Series, now: float) -> None:
        """A live series of either version up to `now` (unix seconds)."""
        verifier = one.labels.get("verifier", "")
        if self.chosen is not None or verifier not in VERIFIERS:
            return
        worked = next((at for at, value in one.points if at <= now and 0 < value < math.inf), None)
        if worked is not None:
            self._seen[verifier] = min(worked, self._seen.get(verifier, math.inf))

    def choose(self, at: float, settling: Settling, origin: float | None) -> None:
        """Time has come to the grid point `at`; the grid begins at `origin`."""
        first = min(self._seen.values(), default=math.inf)
        if self.chosen is None and origin is not None and first < math.inf:
            settled = settling.point(first, origin)
            if settled <= at:
                self.chosen = next(v for v in VERIFIERS if self._seen.get(v, math.inf) <= settled)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"seen": self._seen, "chosen": self.chosen}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._seen = {str(name): float(at) for name, at in state["seen"].items()}
        self.chosen = None if state["chosen"] is None else str(state["chosen"])

"""Whose verification counts: one verifier a mode in the whole attempt, never two of one task added up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from interlock.analysis.plan import Mode
from interlock.analysis.presets import VERIFIERS
from interlock.analysis.series import Series
from interlock.analysis.settling import Settling


class Verifying:
    """Takes the most trusted verifier of a mode, two scrapes after the first was seen, unless one is chosen.

    A shadow's tasks may be verified by another than real ones: what is stubbed has no effects to look at.
    """

    def __init__(self, chosen: str | None) -> None:
        self.chosen: dict[Mode, str | None] = dict.fromkeys(Mode, chosen)
        self._seen: dict[tuple[Mode, str], float] = {}  # when each was first seen at work

    def notice(self, one: Series, mode: Mode, now: float) -> None:
        """A series of that mode, of either version, up to `now` (unix seconds)."""
        if self.chosen[mode] is not None or (verifier := one.labels.get("verifier", "")) not in VERIFIERS:
            return
        worked = next((at for at, value in one.points if at <= now and 0 < value < math.inf), None)
        if worked is not None:
            self._seen[mode, verifier] = min(worked, self._since(mode, verifier))

    def choose(self, point: float, settling: Settling, origin: float | None) -> None:
        """Time has come to the grid point `point`; the grid begins at `origin`."""
        for mode, chosen in self.chosen.items():
            if chosen is not None or origin is None:
                continue
            found = [at for (where, name), at in self._seen.items() if where is mode and name in VERIFIERS]
            if not found:
                continue
            first = min(found)
            settled = settling.point(first, origin)
            if settled <= point:
                self.chosen[mode] = next(v for v in VERIFIERS if self._since(mode, v) <= settled)

    def _since(self, mode: Mode, verifier: str) -> float:
        return self._seen.get((mode, verifier), math.inf)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"seen": [[*key, at] for key, at in self._seen.items()], "chosen": self.chosen}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._seen = {(Mode(mode), str(name)): float(at) for mode, name, at in state["seen"]}
        held = {mode: state["chosen"][mode.value] for mode in Mode}
        self.chosen = {mode: None if chosen is None else str(chosen) for mode, chosen in held.items()}

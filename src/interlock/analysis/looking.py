"""Which gates look back on what stable did before the attempt, and what they know of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interlock.analysis.comparing import CompareJudge
from interlock.analysis.judges import Judge, LimitJudge
from interlock.analysis.past import Past, looks_back, subject
from interlock.analysis.plan import Gate


class LookingBack:
    """Keeps what was told of the past, once and for all. Not awaited, outcomes are independent."""

    def __init__(self, gates: Sequence[Gate], *, awaits: bool) -> None:
        self._awaits = awaits
        self._lacking = {subject(gate) for gate in gates if looks_back(gate)} if awaits else set()
        self._known: dict[str, Past] = {}

    @property
    def lacks(self) -> bool:
        """Whether a gate still waits."""
        return bool(self._lacking)

    def learn(self, pasts: Mapping[str, Past]) -> None:
        """By subject; what is known already stays as it is."""
        self._known = {**pasts, **self._known}
        self._lacking -= self._known.keys()

    def tell(self, judges: Iterable[Judge]) -> None:
        """Those that look back weigh by what is known now."""
        for judge in judges:
            past = self._known.get(subject(judge.gate), None if self._awaits else Past())
            if isinstance(judge, CompareJudge) and past is not None:
                judge.past = past
            elif isinstance(judge, LimitJudge) and looks_back(judge.gate):
                judge.look_back(past)

    @property
    def effects(self) -> dict[str, float]:
        """Design effects ≥ 1 by subject, as far as they are known."""
        return {about: past.effect for about, past in self._known.items()}

    def warnings(self) -> list[str]:
        """Why outcomes are taken to be independent, where that was not measured."""
        reasons = {past.unknown for past in self._known.values() if past.unknown}
        return [f"outcomes are taken to be independent: {why}" for why in sorted(reasons)]

    def state(self) -> dict[str, Any]:
        """As JSON; `restored_pasts` reads it."""
        return {about: [past.effect, past.rate, past.unknown] for about, past in self._known.items()}

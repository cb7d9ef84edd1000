"""Notices that several processes answer by turns where one is expected: workers behind one address.

Each shows its own counters, so what is scraped jumps to and fro between them. Every fall looks like a reset,
and what a process has counted for long is taken for new; nothing may rest on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from interlock.analysis.series import START_JITTER, Series

KEPT = 16  # processes of one target


@dataclass(slots=True)
class _Told:
    """What the ages of one target have told: last sample, starts in order of their last appearance.

    `returned`: a process that had been left for another came back.
    """

    at: float = -math.inf
    starts: list[float] = field(default_factory=list)
    returned: bool = False

    def tell(self, at: float, start: float) -> None:
        if at <= self.at:
            return
        self.at = at
        if self.starts and abs(start - self.starts[-1]) <= START_JITTER:
            return
        others = [known for known in self.starts if abs(known - start) > START_JITTER]
        self.returned = self.returned or len(others) < len(self.starts)
        self.starts = [*others, start][-KEPT:]


class Turns:
    """Pods whose counters come from several processes by turns. Once found, they stay found."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, ...], _Told] = {}
        self.pods: tuple[str, ...] = ()
        """In order of their names."""

    def notice(self, age: Series, now: float) -> None:
        """A series that tells how old a process is, up to `now` (unix seconds)."""
        told = self._told.setdefault((*age.target,), _Told())
        for at, start in age.points:
            if at <= now:
                told.tell(at, start)
        if told.returned and age.target[1] not in self.pods:
            self._find()

    def _find(self) -> None:
        self.pods = tuple(sorted({target[1] for target, told in self._told.items() if told.returned}))

    def warnings(self) -> tuple[str, ...]:
        """One sentence a pod."""
        return tuple(
            f"pod {pod} answers with several processes by turns, so its counts jump: let all its workers "
            "report together (prometheus_client: multiprocess mode) or run one, then retry"
            for pod in self.pods
        )

    def state(self) -> list[Any]:
        """As JSON."""
        return [
            [list(target), repr(told.at), told.starts, told.returned] for target, told in self._told.items()
        ]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Go on from `state`."""
        self._told = {
            tuple(map(str, target)): _Told(float(at), [float(start) for start in starts], bool(returned))
            for target, at, starts, returned in state
        }
        self._find()

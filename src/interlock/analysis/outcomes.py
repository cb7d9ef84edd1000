"""What the judges are fed with, and the raw counts that they keep of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interlock.analysis.evidence import Tally
from interlock.analysis.metrics import Binary
from interlock.analysis.plan import Mode, Track


@dataclass(frozen=True, slots=True)
class Outcome:
    """An increment of one version's counter: `amount` in (begin, end], unix seconds."""

    track: Track
    mode: Mode
    labels: Mapping[str, str]
    begin: float
    end: float
    amount: float


class Part:
    """Raw counts of a part and the whole, read by different counters."""

    __slots__ = ("part", "total")

    def __init__(self) -> None:
        self.part = 0.0
        self.total = 0.0

    def add(self, outcome: Outcome, metric: Binary) -> None:
        if metric.part.matches(outcome.labels):
            self.part += outcome.amount
        if metric.total.matches(outcome.labels):
            self.total += outcome.amount

    def state(self) -> list[float]:
        return [self.part, self.total]

    @classmethod
    def restored(cls, state: Sequence[float]) -> Part:
        part = cls()
        part.part, part.total = map(float, state)
        return part

    def tally(self, metric: Binary) -> Tally:
        return metric.tally(self.part, self.total)

    def excess(self, metric: Binary) -> float:
        return metric.excess(self.part, self.total)

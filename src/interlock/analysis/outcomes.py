"""What the judges are fed with, and the raw counts that they keep of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.analysis.evidence import Tally
from interlock.analysis.means import Amount
from interlock.analysis.metrics import Average, Binary
from interlock.analysis.plan import Mode, Track
from interlock.analysis.presets import TASKS_VERIFIED


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


class Exports:
    """Since when each version exports a sum, in shadow and live: what is not exported is not 0."""

    def __init__(self) -> None:
        self._since: dict[tuple[Track, Mode], float] = {}  # unix seconds

    def notice(self, track: Track, mode: Mode, since: float) -> None:
        """A version exports it in that mode since that sample (unix seconds) at the latest."""
        self._since[track, mode] = min(since, self._since.get((track, mode), since))

    def cover(self, outcome: Outcome) -> bool:
        """Whether both versions have exported it in the outcome's mode since before it."""
        since = (self._since.get((track, outcome.mode), float("inf")) for track in Track)
        return outcome.begin >= max(since)

    def state(self) -> list[list[Any]]:
        return [[*key, since] for key, since in self._since.items()]

    @classmethod
    def restored(cls, state: Iterable[Sequence[Any]]) -> Exports:
        exports = cls()
        exports._since = {(Track(track), Mode(mode)): float(since) for track, mode, since in state}
        return exports


class Amounts:
    """A sum and the outcomes it is shared by, read by different counters."""

    __slots__ = ("count", "sum")

    def __init__(self) -> None:
        self.sum = 0.0
        self.count = 0.0

    @property
    def amount(self) -> Amount:
        return Amount(self.sum, self.count)

    def add(self, outcome: Outcome, metric: Average) -> None:
        if metric.sum.matches(outcome.labels):
            self.sum += outcome.amount * metric.scale
        if metric.count.matches(outcome.labels):
            self.count += outcome.amount

    def state(self) -> list[float]:
        return [self.sum, self.count]

    @classmethod
    def restored(cls, state: Sequence[float]) -> Amounts:
        amounts = cls()
        amounts.sum, amounts.count = map(float, state)
        return amounts


def is_verified_by(verifier: str | None, outcome: Outcome) -> bool:
    """Whether an outcome belongs to a metric that counts one verifier only; none before it is known whose."""
    if verifier is None:
        return False
    return outcome.labels["__name__"] != TASKS_VERIFIED or outcome.labels.get("verifier") == verifier

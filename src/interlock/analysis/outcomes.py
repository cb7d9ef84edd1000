"""What the judges are fed with, and the raw counts that they keep of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from interlock.analysis.evidence import Tally
from interlock.analysis.means import Amount
from interlock.analysis.metrics import Average, Binary
from interlock.analysis.plan import Mode, Track
from interlock.analysis.presets import TASKS_VERIFIED


class Outcome(NamedTuple):
    """An increment of one version's counter: `amount` in (begin, end], unix seconds."""

    track: Track
    mode: Mode
    labels: Mapping[str, str]
    begin: float
    end: float
    amount: float


Found = TypeVar("Found")
MOST = 1024  # series of which it is kept


class PerSeries(Generic[Found]):
    """What follows from labels, found once a series: they never change, and outcomes come without end.

    All outcomes of a series show one and the same object of labels. Those that are kept are held, so no other
    object has their id.
    """

    __slots__ = ("_find", "_known")

    def __init__(self, find: Callable[[Mapping[str, str]], Found]) -> None:
        self._find = find
        self._known: dict[int, tuple[Found, Mapping[str, str]]] = {}

    def of(self, labels: Mapping[str, str]) -> Found:
        """What follows from these labels."""
        known = self._known.get(id(labels))
        return known[0] if known else self._first(labels)

    def _first(self, labels: Mapping[str, str]) -> Found:
        if len(self._known) >= MOST:
            self._known.clear()
        found = self._find(labels)
        self._known[id(labels)] = found, labels
        return found


Role = tuple[bool, bool]
"""Whether a series belongs to the first of a metric's two counters, and whether to the second."""

NONE: Role = (False, False)


def role_in(metric: Binary | Average, labels: Mapping[str, str]) -> Role:
    """In the metric's part and in its total; or in its sum, and in what that is shared by."""
    first, second = (metric.sum, metric.count) if isinstance(metric, Average) else (metric.part, metric.total)
    return first.matches(labels), second.matches(labels)


def roles(metric: Binary | Average) -> PerSeries[Role]:
    """The role of each series in a metric."""
    return PerSeries(partial(role_in, metric))


class Part:
    """Raw counts of a part and the whole, read by different counters."""

    __slots__ = ("part", "total")

    def __init__(self) -> None:
        self.part = 0.0
        self.total = 0.0

    @classmethod
    def each(cls) -> dict[Track, Part]:
        """Nothing of either version."""
        return {Track.CANDIDATE: cls(), Track.STABLE: cls()}

    def add(self, amount: float, role: Role) -> None:
        """What a series gained; `role`: in the part, and in the whole."""
        if role[0]:
            self.part += amount
        if role[1]:
            self.total += amount

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
        candidate = self._since.get((Track.CANDIDATE, outcome.mode), math.inf)
        stable = self._since.get((Track.STABLE, outcome.mode), math.inf)
        return candidate <= outcome.begin >= stable

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

    @classmethod
    def each(cls) -> dict[Track, Amounts]:
        """Nothing of either version."""
        return {Track.CANDIDATE: cls(), Track.STABLE: cls()}

    def add(self, amount: float, role: Role, scale: float) -> None:
        """What a series gained; `role`: in the sum, which `scale` turns into the metric's unit, and in what
        it is shared by."""
        if role[0]:
            self.sum += amount * scale
        if role[1]:
            self.count += amount

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

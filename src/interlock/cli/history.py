"""Raw samples of one agent over a long time, read in pieces that fit into one answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from interlock.analysis.series import Series
from interlock.core.observation import Unreadable
from interlock.errors import SpecError, TransientError
from interlock.ports import Samples, Selection

PIECE = 900.0
"""Seconds of the first piece; the next are as long as their answers allow."""
SHORTEST, LONGEST = 15.0, 21600.0
SAMPLES = 40_000
"""In an answer, as aimed at: about a megabyte."""
MOST_SAMPLES = 100_000_000
"""In all. More takes too long to be waited for."""


class Reads(Protocol):
    """The part of `ports.Metrics` that history needs."""

    async def read(self, selection: Selection) -> Samples | Unreadable:
        """Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """All samples in (begin, end], unix seconds."""

    begin: float
    end: float
    series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class History:
    """What Prometheus holds of an agent. `progress` is told the share that has been read, 0 to 1."""

    metrics: Reads
    families: frozenset[str]
    namespace: str
    agent: str
    progress: Callable[[float], None] = lambda share: None

    async def pieces(self, begin: float, end: float) -> AsyncIterator[Piece]:
        """In order, without gaps. TransientError where it cannot be read, SpecError where it is too much."""
        at, seconds, held = begin, PIECE, 0
        while at < end:
            piece, seconds = await self._piece(at, min(end, at + seconds), seconds)
            count = sum(len(series.points) for series in piece.series)
            held += count
            if held > MOST_SAMPLES:
                raise SpecError(f"--window holds over {MOST_SAMPLES:,} samples: choose a shorter one")
            at = piece.end
            wanted = seconds * min(4.0, SAMPLES / max(count, 1))
            seconds = min(LONGEST, max(SHORTEST, wanted))
            self.progress((at - begin) / (end - begin))
            yield piece

    async def last(self, at: float, seconds: float) -> Sequence[Series]:
        """The samples of the last seconds before `at`."""
        return (await self._piece(at - seconds, at, seconds))[0].series

    async def _piece(self, begin: float, end: float, seconds: float) -> tuple[Piece, float]:
        """A piece from `begin`, shortened until its answer can be used, and the length that could be."""
        while True:
            selection = Selection(self.families, self.namespace, self.agent, end, end - begin)
            answer = await self.metrics.read(selection)
            if not isinstance(answer, Unreadable):
                return Piece(begin, end, answer.series), seconds
            if "larger than" not in answer.reason or end - begin <= SHORTEST:
                raise TransientError(f"Prometheus: {answer.reason}")
            seconds = max(SHORTEST, (end - begin) / 4)
            end = begin + seconds

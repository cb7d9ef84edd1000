"""How much more a share scatters between stretches of time than chance alone would make it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from interlock.analysis.evidence import Tally

MIN_BLOCKS = 4  # of one width, before their scatter says anything
WIDTHS = 12  # each twice the one before
UNLUCKY = -1.2816  # normal quantile at .1: a scatter that looks this small by chance is allowed for


class Scatter:
    """Overdispersion of a share, measured over blocks of time whose widths double.

    Requests that go together (a fan-out, a connection kept alive) make the share of a block scatter. Narrow
    blocks do not show groups that last longer than a block, so the largest of all widths counts: Pearson's χ²
    as in `dispersion`, and batch means as simulations use them for correlated series (Law & Carson 1979). Of
    wide blocks there are few: χ² is divided not by its degrees of freedom but by its lower tenth.
    """

    def __init__(self) -> None:
        self._widths = [_Width() for _ in range(WIDTHS)]

    @property
    def blocks(self) -> int:
        """Of the narrowest width."""
        return self._widths[0].blocks

    @property
    def effect(self) -> float:
        """How many outcomes are worth one independent outcome, ≥ 1.

        While all outcomes are of one kind nothing scatters: each block then counts as one outcome.
        """
        return max(1.0, *(width.effect for width in self._widths))

    def add(self, block: Tally) -> None:
        """One block of the narrowest width. A block without outcomes says nothing."""
        if block.total <= 0:
            return
        whole: Tally | None = block
        for width in self._widths:
            if whole is None:
                return
            whole = width.add(whole)

    def state(self) -> list[Any]:
        """As JSON: the widths that hold something."""
        return [width.state() for width in self._widths if width.blocks]

    @classmethod
    def restored(cls, state: Sequence[Any]) -> Scatter:
        """As it was at `state`."""
        scatter = cls()
        for at, held in enumerate(state):
            scatter._widths[at] = _Width.restored(held)
        return scatter


class _Width:
    """Sums over the blocks of one width; `_half` waits for its other half of a block twice as wide."""

    __slots__ = ("_counts", "_half", "_squares", "blocks")

    def __init__(self) -> None:
        self.blocks = 0
        self._counts = Tally()
        self._squares = 0.0  # of good/sqrt(total)
        self._half: Tally | None = None

    def add(self, block: Tally) -> Tally | None:
        """Returns a block of twice the width when it is whole."""
        self.blocks += 1
        self._counts += block
        self._squares += block.good**2 / block.total
        if self._half is None:
            self._half = block
            return None
        whole, self._half = self._half + block, None
        return whole

    @property
    def effect(self) -> float:
        good, total = self._counts.good, self._counts.total
        if self.blocks < MIN_BLOCKS:
            return 1.0
        if not 0 < good < total:
            return total / self.blocks
        rate = good / total
        return (self._squares - good * rate) / (rate * (1.0 - rate)) / _lower_tenth(self.blocks - 1)

    def state(self) -> list[Any]:
        half = None if self._half is None else [self._half.good, self._half.total]
        return [self.blocks, self._counts.good, self._counts.total, self._squares, half]

    @classmethod
    def restored(cls, state: Sequence[Any]) -> _Width:
        blocks, good, total, squares, half = state
        width = cls()
        width.blocks, width._squares = int(blocks), float(squares)
        width._counts = Tally(float(good), float(total))
        width._half = None if half is None else Tally(float(half[0]), float(half[1]))
        return width


def _lower_tenth(freedom: int) -> float:
    """The χ² that is undercut once in ten times, by Wilson & Hilferty's cube root (1931)."""
    spread = 2.0 / (9.0 * freedom)
    return freedom * (1.0 - spread + UNLUCKY * math.sqrt(spread)) ** 3

"""Seeded worlds and exact binomial bounds: what a simulation shows, and what it may not be taken to show."""

from __future__ import annotations

import math
import random

from interlock.analysis.evidence import Tally
from interlock.analysis.intervals import pmf


def world(seed: int = 7) -> random.Random:
    """One fixed experiment."""
    return random.Random(seed)  # noqa: S311 - a world, not a secret


def draw(chance: random.Random, total: int, rate: float) -> Tally:
    """`total` outcomes, each good with this chance."""
    return Tally(total - failures(chance, total, 1 - rate), total)


def failures(chance: random.Random, total: int, rate: float) -> int:
    """A binomial draw that skips from one event to the next."""
    if rate <= 0 or rate >= 1:
        return total if rate >= 1 else 0
    found, at, step = 0, -1, math.log1p(-rate)
    while (at := at + 1 + int(math.log(1 - chance.random()) / step)) < total:
        found += 1
    return found


def refutes(events: int, runs: int, rate: float, level: float = 0.001) -> bool:
    """Whether so many events in independent runs refute a chance of at most `rate` each (exact)."""
    return sum(pmf(x, runs, rate) for x in range(events, runs + 1)) < level

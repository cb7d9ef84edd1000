"""Seeded worlds and exact binomial bounds: what a simulation shows, and what it may not be taken to show."""

from __future__ import annotations

import math
import random

from interlock.analysis.evidence import Tally


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


def pmf(x: int, n: int, p: float) -> float:
    """Chance of exactly x events in n trials."""
    if p <= 0 or p >= 1:
        return float(x == (n if p >= 1 else 0))
    ways = math.lgamma(n + 1) - math.lgamma(x + 1) - math.lgamma(n - x + 1)
    return math.exp(ways + x * math.log(p) + (n - x) * math.log1p(-p))


def refutes(events: int, runs: int, rate: float, level: float = 0.001) -> bool:
    """Whether so many events in independent runs refute a chance of at most `rate` each (exact)."""
    return sum(pmf(x, runs, rate) for x in range(events, runs + 1)) < level


def exact_interval(events: int, runs: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper & Pearson's interval for the chance of an event, by bisection."""
    outside = (1 - level) / 2

    def bound(at_least: bool) -> float:
        low, high = 0.0, 1.0
        for _ in range(50):
            p = (low + high) / 2
            side = range(events, runs + 1) if at_least else range(events + 1)
            beyond = sum(pmf(x, runs, p) for x in side) < outside
            low, high = (p, high) if beyond == at_least else (low, p)
        return (low + high) / 2

    return (bound(True) if events > 0 else 0.0, bound(False) if events < runs else 1.0)

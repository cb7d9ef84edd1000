"""Draws of whole numbers from a source of uniform ones, which comes in as an argument."""

from __future__ import annotations

import math
from typing import Protocol

SINGLY = 64
"""Units that are drawn one by one; for more stands the normal distribution of the same mean and variance."""


class Chance(Protocol):
    """What draws need of `random.Random`."""

    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...

    def gauss(self, mu: float, sigma: float) -> float:
        """Normal."""
        ...

    def betavariate(self, alpha: float, beta: float) -> float:
        """Beta; both parameters above 0."""
        ...

    def sample(self, population: list[str], k: int) -> list[str]:
        """So many different ones."""
        ...


def binomial(chance: Chance, units: int, p: float) -> int:
    """How many of `units` ≥ 0 are taken when each is, with chance `p`."""
    if p >= 1 or p <= 0 or not units:
        return units if p >= 1 else 0
    if units <= SINGLY:
        return sum(chance.random() < p for _ in range(units))
    if units * min(p, 1 - p) > SINGLY / 2:
        return _rounded(chance, units * p, units * p * (1 - p), 0, units)
    if p > 0.5:
        return units - binomial(chance, units, 1 - p)
    return _by_gaps(chance, units, p)


def hypergeometric(chance: Chance, units: int, taken: int, total: int) -> int:
    """How many of `units`, drawn from `total` ≥ units without putting back, are among the `taken` of them."""
    low, high = max(0, units - (total - taken)), min(units, taken)
    if low == high:
        return low
    if units > SINGLY:
        share = taken / total
        variance = units * share * (1 - share) * (total - units) / (total - 1)
        return _rounded(chance, units * share, variance, low, high)
    found = 0
    for drawn in range(units):
        found += chance.random() * (total - drawn) < taken - found
    return found


def _by_gaps(chance: Chance, units: int, p: float) -> int:
    """Geometric gaps between those taken: as many draws as are taken (Devroye 1986, X.4)."""
    found, place, scale = 0, 0, math.log1p(-p)
    while True:
        gap = math.log(1.0 - chance.random()) / scale
        if gap >= units - place:  # it may be infinite
            return found
        place, found = place + 1 + int(gap), found + 1


def _rounded(chance: Chance, mean: float, variance: float, low: int, high: int) -> int:
    return min(high, max(low, round(chance.gauss(mean, math.sqrt(variance)))))

"""Exact binomial probabilities: how likely it is that a test fails by chance."""

from __future__ import annotations

import math


def at_most(k: int, n: int, p: float) -> float:
    """P(X ≤ k) for X ~ Bin(n, p), 0 < p < 1."""
    return math.fsum(_exactly(i, n, p) for i in range(k + 1))


def at_least(k: int, n: int, p: float) -> float:
    """P(X ≥ k) for X ~ Bin(n, p), 0 < p < 1."""
    return math.fsum(_exactly(i, n, p) for i in range(k, n + 1))


def is_plausible(k: int, n: int, p: float, chance: float = 1e-6) -> bool:
    """Neither tail of Bin(n, p) at k is less likely than `chance`: wrong by chance at most 2 · `chance`."""
    return min(at_most(k, n, p), at_least(k, n, p)) >= chance


def _exactly(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))

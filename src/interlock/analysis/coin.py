"""Coins against one another: likelihood ratios, divergences and nearest pairs that hold at the edges too."""

from __future__ import annotations

import math

from interlock.analysis.evidence import Tally


def log_ratio(counts: Tally, p: float, q: float) -> float:
    """ln of the likelihood of `counts` under a coin `p` over that under `q`, both in [0, 1].

    Outcomes that do not occur have no say: 0·ln 0 = 0. -inf where `p` excludes what was seen, else +inf where
    `q` does.
    """
    bad = counts.total - counts.good
    if p == q:
        return 0.0
    if (counts.good > 0 and p <= 0) or (bad > 0 and p >= 1):
        return -math.inf
    if (counts.good > 0 and q <= 0) or (bad > 0 and q >= 1):
        return math.inf
    log = counts.good * math.log(p / q) if counts.good > 0 else 0.0
    return log + (bad * (math.log1p(-p) - math.log1p(-q)) if bad > 0 else 0.0)


def log_likelihood(counts: Tally, p: float) -> float:
    """ln of the likelihood of `counts`, in the order they came, under a coin `p` in [0, 1]."""
    bad = counts.total - counts.good
    if (counts.good > 0 and p <= 0) or (bad > 0 and p >= 1):
        return -math.inf
    return (counts.good * math.log(p) if counts.good > 0 else 0.0) + (
        bad * math.log1p(-p) if bad > 0 else 0.0
    )


def divergence(p: float, q: float) -> float:
    """KL(p‖q) ≥ 0 of two coins, in nats per toss; inf where `q` excludes what `p` does."""
    return max(0.0, log_ratio(Tally(p, 1.0), p, q))


def nearest_pair(p_c: float, p_s: float, n_c: float, n_s: float, delta: float) -> tuple[float, float]:
    """(q_c, q_s) with q_c = q_s - delta that minimises n_c·KL(p_c‖q_c) + n_s·KL(p_s‖q_s).

    The border between healthy and inferior, seen from either side. Needs 0 < p_c, p_s < 1, 0 ≤ delta < 1 and
    n_c, n_s > 0. The slope in q_c rises from below 0 to above 0 between p_c and p_s - delta, as far as both
    rates lie in (0, 1): Newton's method held in that bracket.
    """
    low, high = sorted((p_c, p_s - delta))
    low, high = max(low, 0.0), min(high, 1.0 - delta)
    weighted = (n_c * p_c + n_s * (p_s - delta)) / (n_c + n_s)
    q = weighted if low < weighted < high else (low + high) / 2
    for _ in range(100):
        slope = n_c * _slope(p_c, q) + n_s * _slope(p_s, q + delta)
        low, high = (q, high) if slope < 0 else (low, q)
        step = slope / (n_c * _curvature(p_c, q) + n_s * _curvature(p_s, q + delta))
        if abs(step) <= 1e-15:
            break
        q = q - step if low < q - step < high else (low + high) / 2
    return q, q + delta


def _slope(p: float, q: float) -> float:
    """d KL(p‖q)/dq."""
    return (q - p) / (q * (1.0 - q))


def _curvature(p: float, q: float) -> float:
    """d² KL(p‖q)/dq²; positive."""
    return p / q**2 + (1.0 - p) / (1.0 - q) ** 2

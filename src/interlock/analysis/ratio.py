"""Is traffic split as intended? A sequential sample-ratio test; a mismatch pauses, it never reverts."""

from __future__ import annotations

import math

from interlock.analysis.coin import log_likelihood
from interlock.analysis.evidence import Tally, log_mean

SAMPLE_RATIO_ALPHA = 0.001
CONCENTRATION = 100.0  # how close to the intended share the mixture expects the true one to be
SLAB = 0.1  # weight of a uniform mixture, which keeps gross mismatches from being found late


def sample_ratio(candidate: float, stable: float, share: float, tolerance: float = 0.0) -> float:
    """ln E that the router does not send the candidate its `share`, within ± `tolerance`; alpha is .001.

    Cumulative counts of the unit that the router splits, since the share was set: looking often costs
    nothing, a new share begins new counts. `share` in [0, 1]. A mixture of Dirichlet-multinomial likelihoods
    (Lindon & Malek 2022) over the greatest likelihood that an allowed share gives, hence an e-process
    under each of them. +inf where counts appear on a side that must have none.
    """
    counts = Tally(candidate, candidate + stable)
    if counts.total <= 0:
        return 0.0
    low, high = max(0.0, share - tolerance), min(1.0, share + tolerance)
    nearest = min(max(candidate / counts.total, low), high)
    shapes, weights = [(1.0, 1.0)], [SLAB]
    if 0 < share < 1:
        shapes.append((CONCENTRATION * share, CONCENTRATION * (1.0 - share)))
        weights.append(1.0 - SLAB)
    mixed = log_mean([beta_mixture(counts, a, b) for a, b in shapes], weights)
    return mixed - log_likelihood(counts, nearest)


def beta_mixture(counts: Tally, a: float, b: float) -> float:
    """ln of the likelihood of `counts`, in the order they came, under a coin drawn from Beta(a, b)."""
    return _log_beta(a + counts.good, b + counts.total - counts.good) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

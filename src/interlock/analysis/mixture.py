"""The normal mixture: a sum of independent steps weighed against zero, valid at every look.

Robbins' mixture as in Howard, Ramdas, McAuliffe & Sekhon, "Time-uniform, nonparametric, nonasymptotic
confidence sequences", Annals of Statistics 2021 (normal mixture boundaries). With an estimated variance it
holds asymptotically: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences", Annals of Statistics 2024.

`z` is the sum over its standard deviation, `time` ≥ 0 what its variance grows with (blocks, or outcomes),
`rho` > 0 the scale of time at which the mixture is tightest.
"""

from __future__ import annotations

import math
from functools import cache


def log_mixture(z: float, time: float, rho: float) -> float:
    """ln E that the steps are above zero; one-sided: at most about ln 2 is lost by steps below it."""
    shrunk = z * math.sqrt(time / (time + rho))
    return 0.5 * math.log(4.0 * rho / (time + rho)) + _half_square_and_log_phi(shrunk)


def radius(time: float, rho: float, alpha: float) -> float:
    """The |z| that is ever exceeded with a chance of at most `alpha` in (0, 1); inf at time 0. Two-sided."""
    if time <= 0:
        return math.inf
    return math.sqrt(2.0 * (1.0 + rho / time) * (0.5 * math.log1p(time / rho) - math.log(alpha)))


@cache
def tuned(time: float, alpha: float) -> float:
    """The `rho` with which the two-sided mixture at `alpha` is tightest at `time`.

    One-sided, give it 2·alpha. The minimum of `radius` solves y - ln y = 1 - 2 ln(alpha) with
    y = 1 + time/rho (Howard et al. 2021, by Lambert's W; here by iteration, which contracts since y > 1).
    """
    constant = 1.0 - 2.0 * math.log(alpha)
    y = constant
    for _ in range(200):
        y = constant + math.log(y)
    return time / (y - 1.0)


def _half_square_and_log_phi(x: float) -> float:
    """x²/2 + ln Φ(x). Far below zero the terms cancel: there the tail's expansion is taken."""
    if x > -25.0:
        return 0.5 * x * x + math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
    square = 1.0 / (x * x)
    return -math.log(-x * math.sqrt(2.0 * math.pi)) + math.log1p(
        -square * (1.0 - square * (3.0 - 15.0 * square))
    )

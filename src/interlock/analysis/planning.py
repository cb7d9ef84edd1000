"""How many tasks a decision will take, told before the rollout starts: estimates, for `lint`.

Evidence grows by g nats a candidate task on average, so a threshold is reached after about threshold/g tasks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from interlock.analysis.certify import below
from interlock.analysis.coin import divergence, nearest_pair

LEARNING = 1.0  # nats that the mixture of bets costs before the right one prevails
TAIL = 3.0  # the 95th percentile of the tasks needed, in medians


@dataclass(frozen=True, slots=True)
class Effort:
    """Candidate tasks until a decision falls, in half of all cases and in 95 of 100; inf if it never will."""

    median: float
    p95: float


def threshold(alpha: float, steps: int = 1, gates: int = 1) -> float:
    """ln(steps·gates/alpha): what one process must reach when all gates and planned steps share `alpha`."""
    return math.log(max(1, steps) * max(1, gates)) - math.log(alpha)


def effort(growth: float, threshold: float) -> Effort:
    """Tasks until evidence that grows by `growth` nats a task crosses `threshold` nats."""
    if growth <= 0:
        return Effort(math.inf, math.inf)
    median = (threshold + LEARNING) / growth
    return Effort(median, TAIL * median)


def harm_growth(candidate: float, stable: float, share: float, delta: float = 0.0) -> float:
    """Nats a candidate task by which `HarmProcess` grows at these true success rates in (0, 1).

    0 where the candidate is not worse by more than `delta`. `share` in (0, 1) is the candidate's.
    """
    return _growth(candidate, stable, share, delta) if candidate < stable - delta else 0.0


def certificate_growth(candidate: float, stable: float, share: float, delta: float) -> float:
    """The same for `certificate`: that the candidate is not worse by `delta` or, with 0, is better."""
    return _growth(candidate, stable, share, delta) if candidate > stable - delta else 0.0


def above_growth(rate: float, limit: float) -> float:
    """Nats a candidate task by which `above` grows at this true rate; 0 unless it exceeds the limit."""
    return divergence(rate, limit) if rate > limit else 0.0


def below_growth(rate: float, limit: float) -> float:
    """Nats a candidate task by which `below` grows at this true rate; 0 unless it is under the limit."""
    return divergence(rate, limit) if rate < limit else 0.0


def clean_tasks_to_certify(limit: float, alpha: float) -> float:
    """The least number of tasks, none of them bad, that certify a rate below `limit`; inf if it is 0."""
    if limit <= 0:
        return math.inf
    needed = 1
    while below(0, needed, limit) < -math.log(alpha):
        needed *= 2
    return _first(lambda tasks: below(0, tasks, limit) >= -math.log(alpha), needed // 2, needed)


def _growth(candidate: float, stable: float, share: float, delta: float) -> float:
    """KL(p_c‖q_c) + (n_s/n_c)·KL(p_s‖q_s) at the nearest pair on the border."""
    if not (0 < share < 1 and 0 < candidate < 1 and 0 < stable < 1):
        return 0.0
    ratio = (1.0 - share) / share
    q_c, q_s = nearest_pair(candidate, stable, 1.0, ratio, delta)
    return divergence(candidate, q_c) + ratio * divergence(stable, q_s)


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The least number in (low, high] that holds; it holds at `high` and from some number on."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high

"""What is known of rates at every look at once: confidence sequences for display and for lift.

They decide nothing: verdicts rest on the e-processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from interlock.analysis.coin import log_likelihood
from interlock.analysis.evidence import Tally
from interlock.analysis.mixture import radius, tuned
from interlock.analysis.ratio import beta_mixture

TUNED_AT = 200.0  # precision, in outcomes of the smaller side, at which differences are known best


@dataclass(frozen=True, slots=True)
class Interval:
    """What is known of a quantity at every look at once: low ≤ it ≤ high. Infinite where nothing is known."""

    low: float = -math.inf
    high: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether the value lies within."""
        return self.low <= value <= self.high


class RateDifference:
    """Success rate of the candidate minus that of stable, from closed blocks, within [-1, 1].

    Blocks are averaged with weight w = n_c·n_s/(n_c + n_s), so that a common drift and a change of shares
    cancel (Mantel & Haenszel 1959). The spread follows from each version's rate; two-sided normal mixture
    with Σw for time, asymptotic (sources: `mixture`). Before its spread is taken, radius²/4 successes and as
    many failures are added to either side, as Agresti & Caffo (2000) do for a fixed z: early, and where
    failures are rare, the plain estimate would be too sure of itself.
    """

    __slots__ = ("_noise_c", "_noise_s", "_sum", "_weight", "candidate", "stable")

    def __init__(self) -> None:
        self._sum = 0.0
        self._weight = 0.0
        self._noise_c = 0.0  # Σw²/n_c: the sum's variance for each unit of the candidate's
        self._noise_s = 0.0
        self.candidate = Tally()
        self.stable = Tally()

    def add(self, candidate: Tally, stable: Tally) -> None:
        """One closed block. A block in which one side has no outcome says nothing."""
        if candidate.total <= 0 or stable.total <= 0:
            return
        w = candidate.total * stable.total / (candidate.total + stable.total)
        self._sum += w * (candidate.good / candidate.total - stable.good / stable.total)
        self._weight += w
        self._noise_c += w * w / candidate.total
        self._noise_s += w * w / stable.total
        self.candidate += candidate
        self.stable += stable

    def state(self) -> list[float]:
        """Weighted sum, weight, noise of either side, counts: 4 + 4 numbers."""
        counts = (self.candidate.good, self.candidate.total, self.stable.good, self.stable.total)
        return [self._sum, self._weight, self._noise_c, self._noise_s, *counts]

    @classmethod
    def restored(cls, state: Sequence[float]) -> RateDifference:
        """As it was at `state`. ValueError where that is none."""
        total, weight, noise_c, noise_s, good_c, total_c, good_s, total_s = map(float, state)
        seen = cls()
        seen._sum, seen._weight, seen._noise_c, seen._noise_s = total, weight, noise_c, noise_s
        seen.candidate, seen.stable = Tally(good_c, total_c), Tally(good_s, total_s)
        return seen

    def interval(self, alpha: float) -> Interval:
        """The difference, with a chance of at most `alpha` in (0, 1) of ever being wrong (asymptotically)."""
        if self._weight <= 0:
            return Interval(-1.0, 1.0)
        allowed = radius(self._weight, tuned(TUNED_AT, alpha), alpha)
        added = allowed**2 / 4
        variance = self._noise_c * _spread(self.candidate, added) + self._noise_s * _spread(
            self.stable, added
        )
        middle, half = self._sum / self._weight, allowed * math.sqrt(variance) / self._weight
        return Interval(max(-1.0, middle - half), min(1.0, middle + half))


def rate_interval(counts: Tally, alpha: float) -> Interval:
    """One version's constant success rate, with a chance of at most `alpha` of ever being wrong.

    Exact: the rates that the uniform beta mixture does not refute (Robbins 1970).
    """
    if counts.total <= 0:
        return Interval(0.0, 1.0)
    refuted = beta_mixture(counts, 1.0, 1.0) + math.log(alpha)
    observed = counts.good / counts.total
    return Interval(_edge(counts, 0.0, observed, refuted), _edge(counts, 1.0, observed, refuted))


def _edge(counts: Tally, outer: float, inner: float, refuted: float) -> float:
    """The last rate from `inner` towards `outer` whose log-likelihood exceeds `refuted`, by bisection."""
    if log_likelihood(counts, outer) > refuted:
        return outer
    for _ in range(60):
        middle = (outer + inner) / 2
        outer, inner = (outer, middle) if log_likelihood(counts, middle) > refuted else (middle, inner)
    return outer


def _spread(counts: Tally, added: float) -> float:
    """Variance of one outcome, with so many successes and failures added."""
    p = (counts.good + added) / (counts.total + 2 * added)
    return p * (1.0 - p)

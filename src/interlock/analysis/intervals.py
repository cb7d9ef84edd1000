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

    def scaled(self, by: float, shift: float = 0.0) -> Interval:
        """All values as `by` ≠ 0 times themselves, plus `shift`; a negative `by` turns it round."""
        low, high = self.low * by + shift, self.high * by + shift
        return Interval(min(low, high), max(low, high))


class RateDifference:
    """Success rates of candidate and stable, from closed blocks: their difference, and their ratio.

    Blocks are averaged with weight w = n_c·n_s/(n_c + n_s), so that a common drift and a change of shares
    cancel (Mantel & Haenszel 1959). The spread follows from each version's rate; two-sided normal mixture
    with Σw for time, asymptotic (sources: `mixture`). Before its spread is taken, radius²/4 successes and as
    many failures are added to either side, as Agresti & Caffo (2000) do for a fixed z: early, and where
    failures are rare, the plain estimate would be too sure of itself. A design effect ≥ 1 says how many
    outcomes make one independent outcome: all counts are divided by it.
    """

    __slots__ = ("_noise_c", "_noise_s", "_sum_c", "_sum_s", "_weight", "candidate", "stable")

    def __init__(self) -> None:
        self._sum_c = 0.0  # Σw·rate of the candidate
        self._sum_s = 0.0
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
        self._sum_c += w * candidate.good / candidate.total
        self._sum_s += w * stable.good / stable.total
        self._weight += w
        self._noise_c += w * w / candidate.total
        self._noise_s += w * w / stable.total
        self.candidate += candidate
        self.stable += stable

    def state(self) -> list[float]:
        """Weighted sums, weight, noise of either side, counts: 5 + 4 numbers."""
        counts = (self.candidate.good, self.candidate.total, self.stable.good, self.stable.total)
        return [self._sum_c, self._sum_s, self._weight, self._noise_c, self._noise_s, *counts]

    @classmethod
    def restored(cls, state: Sequence[float]) -> RateDifference:
        """As it was at `state`. ValueError where that is none."""
        sum_c, sum_s, weight, noise_c, noise_s, good_c, total_c, good_s, total_s = map(float, state)
        seen = cls()
        seen._sum_c, seen._sum_s, seen._weight = sum_c, sum_s, weight
        seen._noise_c, seen._noise_s = noise_c, noise_s
        seen.candidate, seen.stable = Tally(good_c, total_c), Tally(good_s, total_s)
        return seen

    @property
    def rates(self) -> tuple[float, float] | None:
        """Candidate's and stable's, averaged over the same blocks with the same weights; None without any.

        Unlike the pooled counts they are comparable when the shares or the common base have moved.
        """
        return (self._sum_c / self._weight, self._sum_s / self._weight) if self._weight > 0 else None

    def interval(self, alpha: float, effect: float = 1.0) -> Interval:
        """The difference, in [-1, 1], with a chance of at most `alpha` of ever being wrong (asymptotically).

        `alpha` in (0, 1); `effect`: the design effect.
        """
        if self._weight <= 0:
            return Interval(-1.0, 1.0)
        allowed, variance_c, variance_s = self._noise(alpha, effect)
        middle = (self._sum_c - self._sum_s) / self._weight
        half = allowed * math.sqrt(variance_c + variance_s) / self._weight
        return Interval(max(-1.0, middle - half), min(1.0, middle + half))

    def ratio(self, alpha: float, effect: float = 1.0) -> Interval:
        """Candidate's rate over stable's, likewise (Fieller 1954: the ratios that are not rejected).

        Unbounded above while stable's rate cannot be told from 0.
        """
        if self._weight <= 0:
            return Interval(0.0)
        allowed, variance_c, variance_s = self._noise(alpha, effect)
        a, b, square = self._sum_c, self._sum_s, allowed**2
        curvature = b * b - square * variance_s
        if curvature <= 0:
            return Interval(0.0)
        middle = a * b / curvature
        inner = a * a * variance_s + b * b * variance_c - square * variance_c * variance_s
        half = allowed * math.sqrt(inner) / curvature
        return Interval(max(0.0, middle - half), middle + half)

    def _noise(self, alpha: float, effect: float) -> tuple[float, float, float]:
        """The |z| allowed, and the variance of either side's weighted sum."""
        allowed = radius(self._weight / effect, tuned(TUNED_AT, alpha), alpha)
        added = effect * allowed**2 / 4
        return (
            allowed,
            effect * self._noise_c * _spread(self.candidate, added),
            effect * self._noise_s * _spread(self.stable, added),
        )


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


def pmf(x: int, n: int, p: float) -> float:
    """Chance of exactly x events in n trials."""
    if p <= 0 or p >= 1:
        return float(x == (n if p >= 1 else 0))
    ways = math.lgamma(n + 1) - math.lgamma(x + 1) - math.lgamma(n - x + 1)
    return math.exp(ways + x * math.log(p) + (n - x) * math.log1p(-p))


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

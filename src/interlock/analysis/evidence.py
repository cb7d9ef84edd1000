"""The e-processes: how strongly counts speak against the candidate, valid at every look.

An e-process E starts at 1 and has E[E] ≤ 1 at every stopping time if the candidate is healthy, so the chance
that it ever reaches 1/alpha is at most alpha (Ville). Everything is in natural logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Self

# Fixed bets on how much worse the candidate's odds of success are, and how much higher a rate's odds are.
HARM_BETS = (0.8, 0.667, 0.5, 0.333, 0.2, 0.1, 0.05)
ABOVE_BETS = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)

MIN_OUTCOMES = 4  # new outcomes of either version that close a block
PRIOR_OUTCOMES = 50.0  # weight of p0 against the counts of the process itself
NEAREST = 1e-12  # a rate nearer to 0 or 1 may round to it, and then no bet could be placed
REACH = 0.5  # odds of the boldest bet over those of the border, at most: a bet next to it hardly wins


@dataclass(frozen=True, slots=True)
class Tally:
    """`good` of `total` outcomes, 0 ≤ good ≤ total; fractions are allowed."""

    good: float = 0.0
    total: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.good + other.good, self.total + other.total)

    @property
    def inverse(self) -> Tally:
        """The others of them."""
        return Tally(self.total - self.good, self.total)

    @property
    def smoothed(self) -> float:
        """Success rate strictly between 0 and 1: half a success and half a failure are added (Jeffreys)."""
        return (self.good + 0.5) / (self.total + 1.0)


class BlockProcess:
    """What block e-processes on two binary outcomes share: counts of past blocks, and the wealth of each bet.

    `p0` in (0, 1) is the stable version's rate known before the first block; `delta` is a share.
    """

    BETS: ClassVar[tuple[float, ...]]
    __slots__ = ("_delta", "_logs", "_p0", "candidate", "log_e", "stable")

    def __init__(self, p0: float, delta: float) -> None:
        self._p0 = p0
        self._delta = delta
        self._logs = [0.0] * len(self.BETS)
        self.log_e = 0.0
        self.candidate = Tally()
        self.stable = Tally()

    @property
    def _stable_rate(self) -> float:
        """The stable version's rate, as known before the present block."""
        return (PRIOR_OUTCOMES * self._p0 + self.stable.good) / (PRIOR_OUTCOMES + self.stable.total)

    def _closed(self, candidate: Tally, stable: Tally) -> None:
        """The bets have been settled: the block belongs to the past."""
        self.log_e = log_mean(self._logs)
        self.candidate += candidate
        self.stable += stable

    def state(self) -> list[float]:
        """Prior rate, counts, wealth of each bet (ln): 5 numbers and one a bet."""
        counts = (self.candidate.good, self.candidate.total, self.stable.good, self.stable.total)
        return [self._p0, *counts, *self._logs]

    @classmethod
    def restored(cls, state: Sequence[float], delta: float) -> Self:
        """As it was at `state`. ValueError where that is none."""
        p0, good_c, total_c, good_s, total_s, *logs = map(float, state)
        if not (0 < p0 < 1 and len(logs) == len(cls.BETS)):
            raise ValueError(f"not the state of a {cls.__name__}")
        process = cls(p0, delta)
        process.candidate, process.stable = Tally(good_c, total_c), Tally(good_s, total_s)
        process._logs = logs
        process.log_e = log_mean(logs) if total_c else 0.0
        return process


class HarmProcess(BlockProcess):
    """Binary outcomes of two versions compared: a block e-process with a grid of odds (statistics.md a).

    Protected null: in every block the candidate's success probability, averaged over its outcomes, is at
    least the stable version's minus `delta` (0 ≤ delta < 1, a share). Turner, Ly & Grünwald 2024; Turner &
    Grünwald 2023.
    """

    BETS = HARM_BETS
    __slots__ = ()

    def add(self, candidate: Tally, stable: Tally) -> None:
        """One closed block. The bets use the blocks before it only."""
        p_s = min(max(self._stable_rate, NEAREST), 1.0 - NEAREST)
        rate = _measure(p_s, self._delta)
        for at, bet in enumerate(self.BETS):
            self._logs[at] += block_log_odds(candidate, stable, scale_odds(rate, bet), p_s, self._delta)
        self._closed(candidate, stable)


def _measure(p_s: float, delta: float) -> float:
    """The rate whose odds the bets scale: stable's, or the border's where they would not reach beyond it.

    At 99.9 % even a twentieth of stable's odds is 98 %: with a margin of two points all bets would lie within
    what is allowed, and a candidate that fails at every task would never be found.
    """
    border = p_s - delta
    if border <= 0 or scale_odds(p_s, HARM_BETS[-1]) <= scale_odds(border, REACH):
        return p_s
    return border


def block_log_odds(candidate: Tally, stable: Tally, p_c: float, p_s: float, delta: float) -> float:
    """ln of the likelihood of a block under the bet (p_c, p_s) over that under the nearest healthy pair."""
    if p_c >= p_s - delta:
        return 0.0
    x_c, n_c, x_s, n_s = candidate.good, candidate.total, stable.good, stable.total
    q_c, q_s = nearest_healthy(p_c, p_s, n_c, n_s, delta)
    log = math.log  # seven bets a block, a block a scrape: this is where a day of simulation goes
    return (x_c * log(p_c / q_c) + (n_c - x_c) * log((1.0 - p_c) / (1.0 - q_c))) + (
        x_s * log(p_s / q_s) + (n_s - x_s) * log((1.0 - p_s) / (1.0 - q_s))
    )


def nearest_healthy(p_c: float, p_s: float, n_c: float, n_s: float, delta: float) -> tuple[float, float]:
    """(q_c, q_s) with q_c = q_s - delta that minimises n_c·KL(p_c‖q_c) + n_s·KL(p_s‖q_s).

    Needs 0 < p_c < p_s - delta and p_s < 1, n_c, n_s > 0. Without delta the pooled rate; otherwise the root
    of the derivative, which rises from below 0 at q_c = p_c to above 0 at q_c = p_s - delta: Newton's method
    held in that bracket.
    """
    if delta == 0:
        pooled = (n_c * p_c + n_s * p_s) / (n_c + n_s)
        return pooled, pooled
    low, high = p_c, p_s - delta
    q = (n_c * low + n_s * high) / (n_c + n_s)
    for _ in range(100):
        r = q + delta
        # the first and second derivatives of KL(p‖q) in q
        fail_q, fail_r = 1.0 - q, 1.0 - r
        slope = n_c * ((q - p_c) / (q * fail_q)) + n_s * ((r - p_s) / (r * fail_r))
        low, high = (q, high) if slope < 0 else (low, q)
        curve_c = p_c / (q * q) + (1.0 - p_c) / (fail_q * fail_q)
        curve_s = p_s / (r * r) + (1.0 - p_s) / (fail_r * fail_r)
        step = slope / (n_c * curve_c + n_s * curve_s)
        if abs(step) <= 1e-15:  # first: next to the root the bracket is as narrow as a rounding error
            break
        q = q - step if low < q - step < high else (low + high) / 2
    return q, q + delta


def above(bad: float, total: float, limit: float) -> float:
    """ln E that a rate lies above `limit` (a share), from `bad` of `total` outcomes (statistics.md b).

    Stateless: cumulative counts since the process began. A limit of 0 is refuted by one occurrence (+inf),
    a limit of 1 by nothing.
    """
    if limit >= 1:
        return 0.0
    if limit <= 0:
        return math.inf if bad > 0 else 0.0
    good = total - bad
    return log_mean([bad * worse + good * better for worse, better in _above_ratios(limit)])


@cache
def _above_ratios(limit: float) -> tuple[tuple[float, float], ...]:
    """What a bad and a good outcome add to ln of each bet."""
    rates = [scale_odds(limit, bet) for bet in ABOVE_BETS]
    return tuple((math.log(rate / limit), math.log((1.0 - rate) / (1.0 - limit))) for rate in rates)


def scale_odds(p: float, factor: float) -> float:
    """The probability whose odds are `factor` times those of `p`."""
    return factor * p / (1.0 - p + factor * p)


def log_mean(logs: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """ln of the (weighted) arithmetic mean of exp(logs); a mean of e-values is an e-value."""
    top = max(logs)
    if math.isinf(top):
        return top
    if weights is None:
        return top + math.log(sum([math.exp(x - top) for x in logs]) / len(logs))
    return top + math.log(
        sum(w * math.exp(x - top) for w, x in zip(weights, logs, strict=True)) / sum(weights)
    )


def rejected(logs: Sequence[float], weights: Sequence[float], threshold: float) -> frozenset[int]:
    """Positions that closed testing on weighted means names at the level exp(-threshold) (statistics.md e).

    A position is named when every set that holds it has a weighted mean ≥ exp(threshold). The worst such set
    is the position together with all that lie below the threshold, so no subsets need be walked.
    """
    gains = [
        w * math.expm1(min(x - threshold, 700.0)) if x < math.inf else math.inf
        for x, w in zip(logs, weights, strict=True)
    ]
    missing = sum(gain for gain in gains if gain < 0)
    return frozenset(at for at, gain in enumerate(gains) if gain >= 0 and gain + missing >= -1e-12)

"""Certificates: how strongly counts speak for the candidate, valid at every look.

What `advance: Certified` and `advance: Superior` wait for. The null is turned round: here an e-process has
E[E] ≤ 1 at every stopping time if the candidate is *not* good enough, so the chance that a bad one is ever
certified at 1/alpha is at most alpha (Ville). All gates must be certified, so no correction is due for their
number: a bad candidate is let through only if the very gate that it violates errs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from interlock.analysis.coin import log_ratio, nearest_pair
from interlock.analysis.evidence import NEAREST, BlockProcess, HarmProcess, Tally, log_mean, scale_odds

# Fixed bets on how far within its limit a rate is (odds), and on how much of the margin is not used up.
BELOW_BETS = (0.75, 0.5, 0.25, 0.1, 0.0)
MARGIN_BETS = (1.5, 1.0, 0.5)


class Certificate(Protocol):
    """Evidence that two versions' outcomes certify the candidate."""

    @property
    def log_e(self) -> float:
        """ln E so far; certified at ln(1/alpha)."""
        ...

    def add(self, candidate: Tally, stable: Tally) -> None:
        """One closed block; the bets use the blocks before it only."""
        ...

    def state(self) -> list[float]:
        """All that it holds, as numbers."""
        ...


def certificate(p0: float, delta: float) -> Certificate:
    """Evidence that the candidate's success rate is not below the stable version's minus `delta`.

    `p0` in (0, 1): the stable version's rate known before the first block. Without a margin the bets of
    `NonInferiority` coincide with its null, and "not worse" can only be shown by being better.
    """
    return NonInferiority(p0, delta) if delta > 0 else Superiority(p0)


def restored_certificate(state: Sequence[float], delta: float) -> Certificate:
    """As it was at `state`. ValueError where that is none."""
    return NonInferiority.restored(state, delta) if delta > 0 else Superiority.restored(state)


class NonInferiority(BlockProcess):
    """The block e-process of `HarmProcess` with the null turned round (statistics.md a).

    Protected null: in every block the candidate's success probability, averaged over its outcomes, is at most
    the stable version's minus `delta` (0 < delta < 1). That half plane is convex like its complement, so the
    likelihood ratio against its nearest point is an e-variable as before (Turner, Ly & Grünwald 2024; for
    differences Turner & Grünwald 2023). Bets: the candidate lies above the border by 1.5, 1 or .5 margins.
    """

    BETS = MARGIN_BETS
    __slots__ = ()

    def add(self, candidate: Tally, stable: Tally) -> None:
        """One closed block. A block in which one side has no outcome says nothing."""
        if candidate.total <= 0 or stable.total <= 0:
            return
        p_s = min(max(self._stable_rate, NEAREST), 1.0 - NEAREST)
        for at, bet in enumerate(self.BETS):
            p_c = _inside(p_s - self._delta * (1.0 - bet), p_s)
            self._logs[at] += certificate_log_odds(candidate, stable, p_c, p_s, self._delta)
        self._closed(candidate, stable)


class Superiority:
    """Evidence that the candidate is better than stable.

    Protected null: in every block the candidate's success probability is at most the stable version's. This
    is `HarmProcess` with delta = 0 and its roles exchanged. Exchanging good and bad instead of the versions
    states the same null (1 - q_c ≥ 1 - q_s) but keeps the bets anchored at stable, whose rate is known best:
    the candidate's odds of failure are .8 … .05 of stable's.
    """

    __slots__ = ("_failures",)

    def __init__(self, p0: float) -> None:
        self._failures = HarmProcess(1.0 - p0, 0.0)

    @property
    def log_e(self) -> float:
        """ln E so far."""
        return self._failures.log_e

    @property
    def candidate(self) -> Tally:
        """The candidate's outcomes so far."""
        return _turned(self._failures.candidate)

    @property
    def stable(self) -> Tally:
        """The stable version's outcomes so far."""
        return _turned(self._failures.stable)

    def add(self, candidate: Tally, stable: Tally) -> None:
        """One closed block. A block in which one side has no outcome says nothing."""
        if candidate.total <= 0 or stable.total <= 0:
            return
        self._failures.add(_turned(candidate), _turned(stable))

    def state(self) -> list[float]:
        """That of the process of its failures."""
        return self._failures.state()

    @classmethod
    def restored(cls, state: Sequence[float]) -> Superiority:
        """As it was at `state`. ValueError where that is none."""
        process = cls(0.5)
        process._failures = HarmProcess.restored(state, 0.0)
        return process


def certificate_log_odds(candidate: Tally, stable: Tally, p_c: float, p_s: float, delta: float) -> float:
    """ln of the likelihood of a block under the bet (p_c, p_s) over that under the nearest inferior pair."""
    if p_c <= p_s - delta:
        return 0.0
    q_c, q_s = nearest_pair(p_c, p_s, candidate.total, stable.total, delta)
    return log_ratio(candidate, p_c, q_c) + log_ratio(stable, p_s, q_s)


def below(bad: float, total: float, limit: float) -> float:
    """ln E that a rate lies below `limit` (a share), from `bad` of `total` outcomes (statistics.md b).

    Stateless: cumulative counts since the process began. Protected null: each outcome is bad with a chance of
    at least `limit`. No counts certify a limit of 0; above a limit of 1 there is nothing to rule out
    (+inf).
    """
    if limit <= 0:
        return 0.0
    if limit >= 1:
        return math.inf
    counts = Tally(bad, total)
    return log_mean([log_ratio(counts, scale_odds(limit, bet), limit) for bet in BELOW_BETS])


def _inside(bet: float, p_s: float) -> float:
    """A bet beyond the possible goes half of the way from stable's rate to the end instead."""
    if bet >= 1:
        return (1.0 + p_s) / 2
    return bet if bet > 0 else p_s / 2


def _turned(counts: Tally) -> Tally:
    return Tally(counts.total - counts.good, counts.total)

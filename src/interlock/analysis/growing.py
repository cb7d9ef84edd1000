"""How the evidence of a gate grows with traffic, on average and when luck is bad."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from interlock.analysis.evidence import MIN_OUTCOMES
from interlock.analysis.means import MIN_BLOCKS, RHO
from interlock.analysis.mixture import log_mixture
from interlock.analysis.planning import LEARNING, TAIL

UNLUCKY = 1.645  # standard deviations by which a mean falls short in 5 of 100 cases
FOREVER = 10 * 365 * 86400.0
"""Seconds; what takes longer never comes."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many seconds, in which the candidate does `share` of the tasks, and `part` of those compared."""

    seconds: float
    share: float
    part: float


class Evidence(Protocol):
    """Evidence that is expected to grow."""

    def reached(self, stretches: Sequence[Stretch], needed: float, *, surely: bool) -> bool:
        """Whether it is at `needed` nats after these, in half of all cases or, `surely`, in 95 of 100.

        Once it is, it stays so as stretches get longer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Coins:
    """Outcomes of two kinds. `growth`: nats a candidate outcome, given its part; `rate`: outcomes a second.

    `least`: outcomes of the candidate below which nothing is ever decided.
    """

    growth: Callable[[float], float]
    rate: float
    least: float = 0.0

    def reached(self, stretches: Sequence[Stretch], needed: float, *, surely: bool) -> bool:
        outcomes = [stretch.seconds * self.rate * stretch.share for stretch in stretches]
        nats = sum(n * self.growth(s.part) for n, s in zip(outcomes, stretches, strict=True))
        return sum(outcomes) >= self.least and nats >= (needed + LEARNING) * (TAIL if surely else 1.0)


@dataclass(frozen=True, slots=True)
class Means:
    """Sums over outcomes. The candidate's mean is `ratio` times stable's; to be shown is that it lies above
    `border` times stable's or, for a certificate, below.

    `variation`: deviation of one outcome over its mean, alike in both versions. `tick`: seconds between
    looks, each of which closes a block if both sides have enough.
    """

    ratio: float
    border: float
    above: bool
    variation: float
    rate: float
    tick: float

    def reached(self, stretches: Sequence[Stretch], needed: float, *, surely: bool) -> bool:
        blocks = sum(stretch.seconds / self._spacing(stretch) for stretch in stretches)
        z = math.sqrt(sum(map(self._square, stretches))) - (UNLUCKY if surely else 0.0)
        return blocks >= MIN_BLOCKS and log_mixture(z, blocks, RHO) >= needed

    def _square(self, stretch: Stretch) -> float:
        """What is added to z²: Σw·excess²/variance, with w = n_c·n_s/(n_c + n_s) (statistics.md c)."""
        excess = self.ratio - self.border if self.above else self.border - self.ratio
        weight = stretch.seconds * self.rate * stretch.share * (1.0 - stretch.part)
        variance = self.ratio**2 * (1.0 - stretch.part) + self.border**2 * stretch.part
        return weight * (max(0.0, excess) / self.variation) ** 2 / variance

    def _spacing(self, stretch: Stretch) -> float:
        """Seconds until a block closes; inf without a second version."""
        if not 0 < stretch.part < 1:
            return math.inf
        candidate = self.rate * stretch.share
        scarcer = candidate * min(1.0, (1.0 - stretch.part) / stretch.part)
        return max(self.tick, MIN_OUTCOMES / scarcer) if scarcer > 0 else math.inf


def reached_after(
    evidence: Evidence, before: Sequence[Stretch], here: Stretch, needed: float, *, surely: bool
) -> float:
    """Seconds of `here`, after the stretches `before`, until the evidence is there; inf if it never is."""

    def there(seconds: float) -> bool:
        return evidence.reached((*before, replace(here, seconds=seconds)), needed, surely=surely)

    if there(0.0):
        return 0.0
    if not there(FOREVER):
        return math.inf
    low, high = 0.0, FOREVER
    for _ in range(80):
        middle = math.sqrt(max(low, 1e-3) * high)
        low, high = (low, middle) if there(middle) else (middle, high)
    return high

"""Means of two versions compared from sums and counts, block by block: cost, latency, scores.

Asymptotic, unlike the comparison of binary outcomes, since a mean may hang on a few outcomes. Blocks
carry their own variance, so neither the spread of single outcomes nor their correlation need be known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from interlock.analysis.intervals import Interval
from interlock.analysis.mixture import log_mixture, radius, tuned

MIN_BLOCKS = 20  # before these the variance between blocks is not known well enough
TUNED_AT = 200.0  # blocks
RHO = tuned(TUNED_AT, 2 * 0.05)  # one-sided at 5 %
RESOLUTION = 1e-6  # differences of this share of the values are rounding, whatever their spread


@dataclass(frozen=True, slots=True)
class Amount:
    """`sum` over `count` ≥ 0 outcomes, in the metric's unit; finite."""

    sum: float = 0.0
    count: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.sum + other.sum, self.count + other.count)


class MeanProcess:
    """Blocks of sums and counts of two versions (statistics.md c).

    With w = n_c·n_s/(n_c + n_s), the precision of a difference, every block gives a = w·s_c/n_c and
    b = w·s_s/n_s. A claim "m_c = ratio·m_s + difference" turns into steps u = a - ratio·b - difference·w with
    mean zero, whatever common base the block had; their variance is that between blocks.
    """

    __slots__ = ("_centre", "_moments", "blocks", "candidate", "stable")

    def __init__(self) -> None:
        self.blocks = 0
        self.candidate = Amount()
        self.stable = Amount()
        self._centre = (0.0, 0.0, 0.0)  # means of a, b and w
        self._moments = [0.0] * 6  # sums of products of their deviations: aa, ab, aw, bb, bw, ww

    def add(self, candidate: Amount, stable: Amount) -> None:
        """One closed block. A block in which one side has no outcome says nothing."""
        if candidate.count <= 0 or stable.count <= 0:
            return
        w = candidate.count * stable.count / (candidate.count + stable.count)
        a, b = w * candidate.sum / candidate.count, w * stable.sum / stable.count
        self.blocks += 1
        mean_a, mean_b, mean_w = self._centre
        off_a, off_b, off_w = a - mean_a, b - mean_b, w - mean_w  # from the means before, and then after it
        mean_a, mean_b, mean_w = (
            mean_a + off_a / self.blocks,
            mean_b + off_b / self.blocks,
            mean_w + off_w / self.blocks,
        )
        self._centre = (mean_a, mean_b, mean_w)
        a, b, w = a - mean_a, b - mean_b, w - mean_w
        aa, ab, aw, bb, bw, ww = self._moments
        self._moments = [
            aa + off_a * a,
            ab + off_a * b,
            aw + off_a * w,
            bb + off_b * b,
            bw + off_b * w,
            ww + off_w * w,
        ]
        self.candidate += candidate
        self.stable += stable

    @property
    def means(self) -> tuple[float, float] | None:
        """Candidate's and stable's, averaged over the same blocks with the same weights; None without any.

        Unlike the pooled sums they are comparable when the shares or the common base have moved.
        """
        a, b, w = self._centre
        return (a / w, b / w) if self.blocks else None

    def state(self) -> list[float]:
        """Blocks, sums and counts, means of a, b and w, their sums of products: 5 + 3 + 6 numbers."""
        amounts = (self.candidate.sum, self.candidate.count, self.stable.sum, self.stable.count)
        return [self.blocks, *amounts, *self._centre, *self._moments]

    @classmethod
    def restored(cls, state: Sequence[float]) -> MeanProcess:
        """As it was at `state`. ValueError where that is none."""
        blocks, sum_c, count_c, sum_s, count_s, a, b, w, *moments = map(float, state)
        if len(moments) != 6:
            raise ValueError("not the state of a comparison of means")
        process = cls()
        process.blocks = int(blocks)
        process.candidate, process.stable = Amount(sum_c, count_c), Amount(sum_s, count_s)
        process._centre, process._moments = (a, b, w), moments
        return process

    def log_above(self, ratio: float) -> float:
        """ln E that the candidate's mean exceeds `ratio` times stable's; 0 before 20 blocks.

        Where lower is better this is harm at ratio = 1 + margin; where higher is better, the certificate
        of no harm at ratio = 1 - margin, and of superiority at 1.
        """
        return self._log(self._z(ratio))

    def log_below(self, ratio: float) -> float:
        """ln E that the candidate's mean is less than `ratio` times stable's; 0 before 20 blocks."""
        return self._log(-self._z(ratio))

    def difference(self, alpha: float) -> Interval:
        """m_c - m_s, with a chance of at most `alpha` of ever being wrong (asymptotically)."""
        a, b, w = self._centre
        aa, ab, aw, bb, bw, ww = self._moments
        return self._interval((a - b, w), (aa - 2 * ab + bb, aw - bw, ww), alpha)

    def ratio(self, alpha: float) -> Interval:
        """m_c / m_s of means that are not negative, likewise (Fieller: the ratios that are not rejected)."""
        a, b, _ = self._centre
        aa, ab, _, bb, _, _ = self._moments
        found = self._interval((a, b), (aa, ab, bb), alpha)
        return Interval(max(0.0, found.low), found.high)

    def _log(self, z: float) -> float:
        return log_mixture(z, self.blocks, RHO) if self.blocks >= MIN_BLOCKS else 0.0

    def _z(self, ratio: float) -> float:
        """Sum of the steps a - ratio·b over its standard deviation."""
        if self.blocks < 2:
            return 0.0
        a, b, _ = self._centre
        aa, ab, _, bb, _, _ = self._moments
        spread = max(0.0, aa - 2 * ratio * ab + ratio**2 * bb) / (self.blocks - 1)
        floor = RESOLUTION**2 * (a**2 + (ratio * b) ** 2)
        deviation = math.sqrt(self.blocks * (spread + floor))
        return self.blocks * (a - ratio * b) / deviation if deviation > 0 else 0.0

    def _interval(
        self, centre: tuple[float, float], moments: tuple[float, float, float], alpha: float
    ) -> Interval:
        """The values t for which steps y - t·x might have mean zero: |z| ≤ radius, a quadratic in t.

        `centre` holds the means of y and x, `moments` the sums of products yy, yx, xx of their deviations.
        Solved around the estimate, where nothing cancels. Unbounded while x cannot be told from zero.
        """
        if self.blocks < MIN_BLOCKS:
            return Interval()
        (y, x), (yy, yx, xx) = centre, moments
        square = radius(self.blocks, tuned(TUNED_AT, alpha), alpha) ** 2 / (self.blocks - 1)
        curvature = self.blocks * x**2 - square * xx
        if curvature <= 0:
            return Interval()
        estimate = y / x
        spread = max(0.0, yy - 2 * estimate * yx + estimate**2 * xx)
        floor = 2 * (RESOLUTION * self._centre[0]) ** 2 * (self.blocks - 1)
        shift = square * (yx - estimate * xx) / curvature
        half = math.sqrt(shift**2 + square * (spread + floor) / curvature)
        return Interval(estimate - shift - half, estimate - shift + half)

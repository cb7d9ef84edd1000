"""Shares whose part is counted later than their whole, as verifications are counted after tasks.

In a block the part is then of other tasks than the whole: it may exceed it, and differs from it by far more
than single outcomes would. Taken for outcomes, and cut off at the whole, the version with the smaller blocks
looks worse, however long one waits. So the difference of both is compared like a mean, by its spread between
blocks: asymptotic (statistics.md c). Before the parts that come in are those of this step's tasks there is
nothing to compare: that is for the warm-up.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.analysis.evidence import Tally
from interlock.analysis.means import MIN_BLOCKS, Amount, MeanProcess


class FollowingProcess:
    """Blocks of two versions' tallies, in which `good` may exceed `total`.

    Protected null: per outcome the candidate lacks on average at most `delta` (a share) more than stable.
    """

    __slots__ = ("_delta", "_means", "candidate", "stable")

    def __init__(self, delta: float) -> None:
        self._delta = delta
        self._means = MeanProcess()
        self.candidate = Tally()
        self.stable = Tally()

    @property
    def missing(self) -> int:
        """Blocks before anything can be said."""
        return max(0, MIN_BLOCKS - self._means.blocks)

    @property
    def log_e(self) -> float:
        """ln E that the candidate lacks more than stable and `delta`."""
        return self._means.log_above(1.0)

    @property
    def log_certified(self) -> float:
        """ln E that it lacks less than that."""
        return self._means.log_below(1.0)

    def add(self, candidate: Tally, stable: Tally) -> None:
        """One closed block."""
        allowed = Amount(stable.total - stable.good + self._delta * stable.total, stable.total)
        self._means.add(Amount(candidate.total - candidate.good, candidate.total), allowed)
        self.candidate += candidate
        self.stable += stable

    def state(self) -> list[float]:
        """Counts, and what is known of the blocks: 4 + 14 numbers."""
        counts = (self.candidate.good, self.candidate.total, self.stable.good, self.stable.total)
        return [*counts, *self._means.state()]

    @classmethod
    def restored(cls, state: Sequence[float], delta: float) -> FollowingProcess:
        """As it was at `state`. ValueError where that is none."""
        good_c, total_c, good_s, total_s, *means = map(float, state)
        process = cls(delta)
        process.candidate, process.stable = Tally(good_c, total_c), Tally(good_s, total_s)
        process._means = MeanProcess.restored(means)
        return process


class FollowingCertificate:
    """The same from one step alone, read the other way; `log_e` speaks for the candidate."""

    __slots__ = ("_process",)

    def __init__(self, delta: float) -> None:
        self._process = FollowingProcess(delta)

    @property
    def log_e(self) -> float:
        """ln E so far."""
        return self._process.log_certified

    def add(self, candidate: Tally, stable: Tally) -> None:
        """One closed block."""
        self._process.add(candidate, stable)

    def state(self) -> list[float]:
        """That of its process."""
        return self._process.state()

    @classmethod
    def restored(cls, state: Sequence[float], delta: float) -> FollowingCertificate:
        """As it was at `state`. ValueError where that is none."""
        certificate = cls(delta)
        certificate._process = FollowingProcess.restored(state, delta)
        return certificate

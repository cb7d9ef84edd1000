"""The tail of a histogram as a binary metric: outcomes within one bound, fixed at the step's start.

`le` is matched as a number ("30" and "30.0" are one bound): clients write it in different ways.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from interlock.analysis.evidence import Tally


class UnknownBound(ValueError):
    """No bucket that all histograms share ends there; `bounds` are those they do share, finite, ascending."""

    def __init__(self, wanted: float, bounds: tuple[float, ...]) -> None:
        self.wanted = wanted
        self.bounds = bounds
        choice = ", ".join(f"{bound:g}" for bound in bounds) or "none"
        super().__init__(f"{wanted:g} is not a bound of the histogram's buckets; there are: {choice}")


@dataclass(frozen=True, slots=True)
class TailBound:
    """A finite bucket bound in the histogram's unit: outcomes up to it are good, those beyond the tail."""

    bound: float

    def within(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels counts the outcomes up to the bound."""
        return bucket_bound(labels.get("le", "")) == self.bound

    def total(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels counts all outcomes."""
        return bucket_bound(labels.get("le", "")) == math.inf

    def tally(self, buckets: Iterable[tuple[Mapping[str, str], float]]) -> Tally:
        """Outcomes up to the bound, of all, from (labels, count) of cumulative buckets or their increments.

        Series of one bound add up; a bucket that has not grown may be left out.
        """
        within, total = 0.0, 0.0
        for labels, count in buckets:
            within += count if self.within(labels) else 0.0
            total += count if self.total(labels) else 0.0
        return Tally(min(within, total), total)


def fix_bound(wanted: float, *histograms: Iterable[str]) -> TailBound:
    """The bound at `wanted`, which every histogram (its `le` labels) must have beside +Inf.

    UnknownBound names the bounds there are; +Inf is none: nothing lies beyond it.
    """
    sets = [{number for le in labels if (number := bucket_bound(le)) is not None} for labels in histograms]
    shared = set.intersection(*sets) if sets else set()
    bounds = tuple(sorted(shared - {math.inf})) if math.inf in shared else ()
    if wanted not in bounds:
        raise UnknownBound(wanted, bounds)
    return TailBound(wanted)


def bucket_bound(le: str) -> float | None:
    """`le` as a number, +Inf among them; None for what is none."""
    try:
        number = float(le)
    except ValueError:
        return None
    return None if math.isnan(number) else number

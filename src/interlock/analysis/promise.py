"""Whether a candidate did what its author expected of it: Confirmed, Refuted or Inconclusive.

Said at the end of an attempt, from lifts that hold at every look. Decides nothing about traffic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from interlock.analysis.lift import Lift, LiftReading, NoLift

Direction = Literal["Increase", "Decrease"]


class Finding(StrEnum):
    """What the lift says of a promise."""

    CONFIRMED = "Confirmed"
    REFUTED = "Refuted"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Promise:
    """`metric` shall go in `direction` by at least `by` ≥ 0, a share of stable's value; 0: by anything."""

    metric: str
    direction: Direction
    by: float = 0.0

    @property
    def claim(self) -> str:
        """Like "verified-success-rate +5 %"."""
        if self.by:
            return f"{self.metric} {'+' if self.direction == 'Increase' else '-'}{100 * self.by:g} %"
        return f"{self.metric} to {self.direction.lower()}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of one promise; `message` is a sentence without a full stop."""

    promise: Promise
    finding: Finding
    message: str


def judged(promise: Promise, lift: LiftReading) -> Judgement:
    """The promise beside the lift of its metric.

    With [low, high] the interval of the relative lift in the promised direction: Confirmed when low > 0 and
    high ≥ `by`, an improvement is certain and the promised size is not excluded; Refuted when high < `by`
    or high ≤ 0, the promise is excluded; else Inconclusive. So a promise that is kept is refuted, and one in
    whose direction nothing happened is confirmed, with a chance of at most the interval's, at every look.
    """
    if isinstance(lift, NoLift):
        found, seen = Finding.INCONCLUSIVE, lift.reason
    else:
        found, seen = _finding(promise, lift), _shown(lift)
    return Judgement(promise, found, f"expected {promise.claim}: {found}, {seen}")


def _finding(promise: Promise, lift: Lift) -> Finding:
    seen = lift.relative if promise.direction == "Increase" else lift.relative.scaled(-1)
    if seen.high < promise.by or seen.high <= 0:
        return Finding.REFUTED
    return Finding.CONFIRMED if seen.low > 0 else Finding.INCONCLUSIVE


def _shown(lift: Lift) -> str:
    """The lift, and where that is in points also in percent: that is what was promised."""
    if lift.unit == "percent":
        return lift.message
    low, high = 100 * lift.relative.low, 100 * lift.relative.high
    much = f"at least {low:+.3g} %" if high == math.inf else f"{low:+.3g} to {high:+.3g} %"
    return f"{lift.message}, that is {much} of stable's"

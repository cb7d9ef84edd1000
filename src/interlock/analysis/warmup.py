"""How long after a step's start outcomes are not yet comparable.

Failures are often fast and successes slow, so the first outcomes after a change of weights are worse than
the version is. Default: stable's p99 task duration, at least two scrapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.analysis.plan import Mode, Plan, StepTime
from interlock.analysis.presets import DURATION_BUCKETS
from interlock.analysis.series import Identity, Series

QUANTILE = 0.99
AT_MOST = 10.0
"""Times the last bound of a histogram: more is not believed of what lies beyond it."""


@dataclass(frozen=True, slots=True)
class Slow:
    """How long the slowest tasks take. `beyond`: the last bound, where more of them lie beyond it than tell
    how long; `seconds` are then reckoned."""

    seconds: float
    beyond: float | None = None


class Warmups:
    """The warm-up of each step that has one, in seconds, derived once, `settle` seconds after its start.

    It rests on the newest buckets at that moment: the same whenever and however often one looks. They are
    those of live tasks in a shadow too, where at its start there are no others.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._warm = {step.index for step in plan.steps if plan.warms_up(step)}
        self._newest: dict[Identity, tuple[str, float, float]] = {}  # bound, time, cumulative count
        self.lengths: dict[int, float] = {}
        self.beyond: float | None = None
        """The last bound of stable's durations, where that does not tell how long the slowest take."""
        if plan.warmup is not None:
            self.lengths = dict.fromkeys(self._warm, plan.warmup)

    def advance(self, times: Iterable[StepTime], series: Iterable[Series], now: float) -> None:
        """Take in what stable's duration histogram shows up to `now`."""
        if self._warm <= self.lengths.keys():
            return
        buckets = [
            one
            for one in series
            if one.name == DURATION_BUCKETS
            and self._plan.stable.owns(one.labels)
            and one.labels.get("mode") == Mode.LIVE
        ]
        for time in times:
            ready = time.started + self._plan.settle
            if time.index in self._warm and time.index not in self.lengths and ready <= now:
                slow = slowest(self._at(buckets, ready), QUANTILE)
                self.lengths[time.index] = max(self._plan.settle, slow.seconds if slow else 0.0)
                self.beyond = slow.beyond if slow else None
        self._newest |= _latest(buckets, now)

    def warnings(self) -> list[str]:
        """That the warm-up is reckoned, where it is."""
        if self.beyond is None:
            return []
        share = f"{100 * (1 - QUANTILE):.0f} %"
        return [
            (
                f"over {share} of stable's tasks take longer than {self.beyond:g} s, the last bound of their "
                "histogram: how long is only reckoned; set `spec.analysis.warmupSeconds`"
            )
        ]

    def state(self, number: Callable[[Identity], int], *, buckets: bool) -> dict[str, Any]:
        """As JSON, series by their numbers; `buckets` are needed while a step's warm-up is still to come."""
        wanted = buckets and not self._warm <= self.lengths.keys()
        rows = [[number(identity), at, count] for identity, (_, at, count) in self._newest.items()]
        lengths = {str(step): seconds for step, seconds in self.lengths.items()}
        return {"lengths": lengths, "beyond": self.beyond, "newest": rows if wanted else []}

    def restore(self, state: Mapping[str, Any], identities: Sequence[Identity]) -> None:
        """Go on from `state`; `identities` are the series by their numbers."""
        self.lengths |= {int(step): float(seconds) for step, seconds in state["lengths"].items()}
        self.beyond = None if state["beyond"] is None else float(state["beyond"])
        for at, time, count in state["newest"]:
            identity = identities[at]
            self._newest[identity] = (dict(identity).get("le", ""), float(time), float(count))

    def _at(self, buckets: Iterable[Series], time: float) -> dict[float, float]:
        """Stable's cumulative counts by upper bound at `time`."""
        counts: dict[float, float] = {}
        for bound, _, count in (self._newest | _latest(buckets, time)).values():
            upper = _number(bound)
            if upper is not None:
                counts[upper] = counts.get(upper, 0.0) + count
        return counts


def slowest(cumulative: Mapping[float, float], quantile: float) -> Slow | None:
    """Upper bound of the bucket that holds the quantile. None without outcomes or without a finite bound.

    Beyond the last finite bound the histogram knows no more than how many are there. They are taken to end
    at random, as those up to it did: by the exponential distribution through that point, and within AT_MOST
    times the bound.
    """
    finite = sorted(bound for bound in cumulative if bound < math.inf)
    total = max(cumulative.values(), default=0.0)
    if not finite or total <= 0:
        return None
    bound = next((bound for bound in finite if cumulative[bound] >= quantile * total), None)
    if bound is not None:
        return Slow(bound)
    within = cumulative[finite[-1]] / total
    times = math.log1p(-quantile) / math.log1p(-within) if within > 0 else math.inf
    return Slow(finite[-1] * min(AT_MOST, times), finite[-1])


def _latest(buckets: Iterable[Series], time: float) -> dict[Identity, tuple[str, float, float]]:
    found = {}
    for one in buckets:
        newest = one.newest(time)
        if newest is not None:
            found[one.identity] = (one.labels.get("le", ""), *newest)
    return found


def _number(bound: str) -> float | None:
    """`le` as a number: "30" and "30.0" are one bound."""
    try:
        number = float(bound)
    except ValueError:
        return None
    return None if math.isnan(number) else number

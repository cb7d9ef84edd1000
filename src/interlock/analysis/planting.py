"""Makes a pseudo-candidate worse by a known amount, in the counters that a metric is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from interlock.analysis.chances import Chance, binomial
from interlock.analysis.metrics import Average, Counter, Metric, Proportion
from interlock.analysis.presets import TASKS, TASKS_VERIFIED
from interlock.analysis.series import Increment

BAD = {TASKS: {"outcome": "failure"}, TASKS_VERIFIED: {"result": "fail"}}
"""What a task becomes that was a good one."""


@dataclass(frozen=True, slots=True)
class Plant:
    """What is planted: `change` of a share (below 0: less of it), or of a mean as a share of it.

    ValueError, in a sentence, where that cannot be done in counters.
    """

    metric: Metric
    change: float

    def __post_init__(self) -> None:
        match self.metric:
            case Average() if self.change > -1:
                return
            case Proportion() if -1 <= self.change < 0 or (self.change > 0 and not self._flips):
                return
            case Proportion():
                raise ValueError(f"{self.metric.name} can only be lowered: give a change below 0")
            case _:
                raise ValueError(f"{self.metric.name} cannot be planted: choose a share or a mean")

    def applied(self, increments: Iterable[Increment], usual: float, chance: Chance) -> tuple[Increment, ...]:
        """The increments of one scrape made worse; `usual` is the share that is usual, 0 to 1."""
        held = list(increments)
        if isinstance(self.metric, Average):
            return tuple(self._dearer(one) for one in held)
        if not isinstance(self.metric, Proportion):
            raise AssertionError(self.metric)
        if self.change > 0:
            return (*held, *self._more(held, self.metric, chance))
        lost = min(1.0, -self.change / usual) if usual > 0 else 0.0
        return tuple(part for one in held for part in self._less(one, self.metric, lost, chance))

    @property
    def _flips(self) -> bool:
        """Whether each outcome is either part or not, told by a label: one more part is one other less."""
        metric = self.metric
        return isinstance(metric, Proportion) and metric.part.family == metric.total.family

    def _dearer(self, one: Increment) -> Increment:
        dear = isinstance(self.metric, Average) and self.metric.sum.matches(one.labels)
        return one._replace(amount=one.amount * (1 + self.change)) if dear else one

    def _less(self, one: Increment, metric: Proportion, lost: float, chance: Chance) -> Iterator[Increment]:
        """Some of the part are another outcome instead or, where a counter of its own tells them, none."""
        if not metric.part.matches(one.labels):
            yield one
            return
        gone = binomial(chance, round(one.amount), lost)
        if one.amount > gone:
            yield one._replace(amount=one.amount - gone)
        if gone and self._flips:
            yield one._replace(labels={**one.labels, **_other(metric)}, amount=float(gone))

    def _more(self, held: list[Increment], metric: Proportion, chance: Chance) -> Iterator[Increment]:
        for one in held:
            if metric.total.matches(one.labels) and (
                more := binomial(chance, round(one.amount), self.change)
            ):
                target = {k: v for k, v in one.labels.items() if k in _TARGET}
                labels = {**target, "__name__": metric.part.family, **_like(metric.part)}
                yield one._replace(labels=labels, amount=float(more))


_TARGET = frozenset({"namespace", "pod", "instance", "job", "agent", "version", "mode"})


def _other(metric: Proportion) -> Mapping[str, str]:
    """Labels that make an outcome none of the part."""
    known = BAD.get(metric.part.family)
    if known is not None:
        return known
    return {one.label: "planted" for one in metric.part.where if not one.negated}


def _like(counter: Counter) -> Mapping[str, str]:
    """Labels that a series of the counter has."""
    return {one.label: "planted" if one.negated else one.values[0] for one in counter.where}

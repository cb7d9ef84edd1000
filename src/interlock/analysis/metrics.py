"""What a gate can measure: a share, a tail, a mean or events, made of counters. Plain data.

Which of them there are is said in `presets`, and by templates. What is only said to people makes no
difference between two of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Self

from interlock.analysis.evidence import Tally
from interlock.analysis.histogram import TailBound


class Kind(StrEnum):
    """What a metric is, and so which tests may be put on it: compare and limit, or the one of its name."""

    PROPORTION = "proportion"
    TAIL = "tail"
    MEAN = "mean"
    EVENTS = "events"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Matcher:
    """Asks of a label that its value is one of `values`, or with `negated` none; an absent label is ""."""

    label: str
    values: tuple[str, ...]
    negated: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels fits."""
        return (labels.get(self.label, "") in self.values) is not self.negated


@dataclass(frozen=True, slots=True)
class Counter:
    """All series of one counter that every matcher fits."""

    family: str
    where: tuple[Matcher, ...] = ()

    @classmethod
    def of(cls, family: str, **labels: str) -> Self:
        """Those whose labels have these values."""
        return cls(family, tuple(Matcher(label, (value,)) for label, value in labels.items()))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels (`__name__` among them) belongs to the counter."""
        if labels.get("__name__") != self.family:
            return False
        return not self.where or all(one.matches(labels) for one in self.where)

    @property
    def looks_at(self) -> frozenset[str]:
        """The labels that decide it."""
        return frozenset({"__name__", *(one.label for one in self.where)})


@dataclass(frozen=True, slots=True)
class Proportion:
    """`part` of `total`; the part is the good one where higher is better, else the bad one.

    A bad part is capped at the total: one task may violate several rules. `harm` completes "the candidate …
    more often". `verified` metrics count one verifier only. `whole` is what the total counts.
    """

    name: str
    part: Counter
    total: Counter
    higher_is_better: bool
    harm: str = field(compare=False, repr=False)
    verified: bool = False
    whole: str = field(default="tasks", compare=False, repr=False)

    @property
    def kind(self) -> Kind:
        return Kind.PROPORTION

    @property
    def families(self) -> frozenset[str]:
        """Metric names that must be read."""
        return frozenset({self.part.family, self.total.family})

    @property
    def follows(self) -> bool:
        """Whether the part is counted apart from the whole, and most of the whole belongs to it: its
        counter may lag behind, and then blocks hold the parts of other outcomes."""
        return self.higher_is_better and self.part.family != self.total.family

    def counts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is part of the metric."""
        return self.total.matches(labels) or self.part.matches(labels)

    @property
    def looks_at(self) -> frozenset[str]:
        """The labels that decide it."""
        return self.part.looks_at | self.total.looks_at | ({"verifier"} if self.verified else set())

    def tally(self, part: float, total: float) -> Tally:
        """The good ones among `total` outcomes, given the raw count of the part."""
        part = min(part, total)
        return Tally(part if self.higher_is_better else total - part, total)

    def excess(self, part: float, total: float) -> float:
        """Bad parts beyond the total, which the cap leaves out."""
        return 0.0 if self.higher_is_better else max(0.0, part - total)


BOUNDS = "__bounds__"
"""A label that only we give to a histogram's count of all outcomes: the bounds in it that gates ask for."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """The series of a histogram that count its outcomes up to `bound`, or with +Inf all of them.

    Of all outcomes only those are counted whose histogram has the bound: else it is not known which of them
    lie beyond.
    """

    counter: Counter
    bound: TailBound
    all_outcomes: bool = False

    @property
    def family(self) -> str:
        """The metric name."""
        return self.counter.family

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels belongs to it."""
        if not self.counter.matches(labels):
            return False
        if not self.all_outcomes:
            return self.bound.within(labels)
        return self.bound.total(labels) and repr(self.bound.bound) in labels.get(BOUNDS, "").split(",")


@dataclass(frozen=True, slots=True)
class Beyond:
    """The share of outcomes beyond one bound of a histogram, as a metric of two outcomes; lower is better."""

    name: str
    part: Buckets
    total: Buckets
    harm: str = field(compare=False, repr=False)

    higher_is_better: ClassVar[bool] = False
    verified: ClassVar[bool] = False
    follows: ClassVar[bool] = False

    @property
    def looks_at(self) -> frozenset[str]:
        """The labels that decide it."""
        return self.total.counter.looks_at | {"le", BOUNDS}

    def counts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is part of the metric."""
        return self.total.matches(labels) or self.part.matches(labels)

    def tally(self, part: float, total: float) -> Tally:
        """The good ones, within the bound, among `total` outcomes."""
        return Tally(min(part, total), total)

    def excess(self, part: float, total: float) -> float:
        """Nothing is capped: `part` are good ones, and every one of them is an outcome."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram whose tail may be compared. `harm` completes "the candidate …", `{}` is the bound."""

    name: str
    buckets: Counter
    harm: str = field(compare=False, repr=False)

    @property
    def kind(self) -> Kind:
        return Kind.TAIL

    @property
    def higher_is_better(self) -> bool:
        return False

    @property
    def families(self) -> frozenset[str]:
        """Metric names that must be read."""
        return frozenset({self.buckets.family})

    def beyond(self, bound: float) -> Beyond:
        """The share of outcomes beyond `bound`, in the histogram's unit."""
        within, every = (Buckets(self.buckets, TailBound(bound), each) for each in (False, True))
        return Beyond(self.name, within, every, self.harm.format(f"{bound:g}"))


@dataclass(frozen=True, slots=True)
class EventCount:
    """A counter whose single events matter. `noun` names one of them for people.

    Where `ran` has samples, "none happened" can be told from "nothing ran". `shadow_only`: where
    requests are real they are none.
    """

    name: str
    counter: Counter
    noun: str = field(compare=False, repr=False)
    ran: Counter
    shadow_only: bool = False

    @property
    def kind(self) -> Kind:
        return Kind.EVENTS

    @property
    def higher_is_better(self) -> bool:
        return False

    @property
    def families(self) -> frozenset[str]:
        """Metric names that must be read."""
        return frozenset({self.counter.family, self.ran.family})


@dataclass(frozen=True, slots=True)
class Average:
    """`sum` over `count`; lower is better. `scale` turns the counter's unit into `unit`.

    `harm` completes "the candidate …", `{}` is how much more. `verified` metrics count one verifier only.
    """

    name: str
    sum: Counter
    count: Counter
    harm: str = field(compare=False, repr=False)
    unit: str = field(compare=False, repr=False)
    scale: float = 1.0
    verified: bool = False

    @property
    def kind(self) -> Kind:
        return Kind.MEAN

    @property
    def higher_is_better(self) -> bool:
        return False

    @property
    def families(self) -> frozenset[str]:
        """Metric names that must be read."""
        return frozenset({self.sum.family, self.count.family})

    def counts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is part of the metric."""
        return self.sum.matches(labels) or self.count.matches(labels)

    @property
    def looks_at(self) -> frozenset[str]:
        """The labels that decide it."""
        return self.sum.looks_at | self.count.looks_at | ({"verifier"} if self.verified else set())


@dataclass(frozen=True, slots=True)
class Query:
    """A number that an expression of Prometheus gives; it is judged as it is, without statistics."""

    name: str
    promql: str
    unit: str = field(default="", compare=False, repr=False)

    @property
    def kind(self) -> Kind:
        return Kind.VALUE

    @property
    def higher_is_better(self) -> bool:
        return False

    @property
    def families(self) -> frozenset[str]:
        """No counters are read for it."""
        return frozenset()


Metric = Proportion | Histogram | Average | EventCount | Query
Binary = Proportion | Beyond

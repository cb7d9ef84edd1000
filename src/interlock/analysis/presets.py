"""The built-in metrics: which counters they are made of, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from interlock.analysis.evidence import Tally
from interlock.analysis.histogram import TailBound
from interlock.analysis.series import PROCESS_START

TASKS_STARTED = "ai_agent_tasks_started_total"
TASKS = "ai_agent_tasks_total"
TASKS_VERIFIED = "ai_agent_tasks_verified_total"
VIOLATIONS = "ai_agent_policy_violations_total"
TASKS_TRACED = "ai_agent_tasks_traced_total"
DECISIONS = "ai_agent_policy_decisions_total"
NEAR_MISSES = "ai_agent_near_misses_total"
FAILURES = "ai_agent_failures_total"
TOOL_CALLS = "ai_agent_tool_calls_total"
FEEDBACK = "ai_agent_user_feedback_total"
COST = "ai_agent_cost_usd_total"
HUMAN_SECONDS = "ai_agent_human_seconds_total"
ALERTS = "ALERTS"
"""Where Prometheus itself keeps its alerts: a series each, with a sample at each evaluation."""
DURATION_BUCKETS = "ai_agent_task_duration_seconds_bucket"

# Who verifies a task, most trusted first. A task may be verified by several: they are never added up.
VERIFIERS = ("postcondition", "human", "judge")


class Kind(StrEnum):
    """What a metric is, and so which tests a gate may put on it: compare and limit, tail, mean, or events."""

    PROPORTION = "proportion"
    TAIL = "tail"
    MEAN = "mean"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Counter:
    """All series of one counter whose labels have these values."""

    family: str
    where: tuple[tuple[str, str], ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels (`__name__` among them) belongs to the counter."""
        return labels.get("__name__") == self.family and all(labels.get(k) == v for k, v in self.where)

    @property
    def looks_at(self) -> frozenset[str]:
        """The labels that decide it."""
        return frozenset({"__name__", *dict(self.where)})


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
    harm: str
    verified: bool = False
    whole: str = "tasks"

    @property
    def kind(self) -> Kind:
        return Kind.PROPORTION

    @property
    def families(self) -> frozenset[str]:
        """Metric names that must be read."""
        return frozenset({self.part.family, self.total.family})

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

    family: str
    bound: TailBound
    all_outcomes: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels belongs to it."""
        if labels.get("__name__") != self.family:
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
    harm: str

    higher_is_better: ClassVar[bool] = False
    verified: ClassVar[bool] = False
    looks_at: ClassVar[frozenset[str]] = frozenset({"__name__", "le", BOUNDS})

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
    family: str
    harm: str

    @property
    def kind(self) -> Kind:
        return Kind.TAIL

    @property
    def higher_is_better(self) -> bool:
        return False

    @property
    def families(self) -> frozenset[str]:
        """Metric names that must be read."""
        return frozenset({self.family})

    def beyond(self, bound: float) -> Beyond:
        """The share of outcomes beyond `bound`, in the histogram's unit."""
        within, every = (Buckets(self.family, TailBound(bound), each) for each in (False, True))
        return Beyond(self.name, within, every, self.harm.format(f"{bound:g}"))


@dataclass(frozen=True, slots=True)
class EventCount:
    """A counter whose single events matter. `noun` names one of them for people."""

    name: str
    counter: Counter
    noun: str

    @property
    def kind(self) -> Kind:
        return Kind.EVENTS

    @property
    def higher_is_better(self) -> bool:
        return False

    @property
    def families(self) -> frozenset[str]:
        """Metric names that must be read; the tasks tell "none happened" from "nothing ran"."""
        return frozenset({self.counter.family, TASKS})


@dataclass(frozen=True, slots=True)
class Average:
    """`sum` over `count`; lower is better. `scale` turns the counter's unit into `unit`.

    `harm` completes "the candidate …", `{}` is how much more. `verified` metrics count one verifier only.
    """

    name: str
    sum: Counter
    count: Counter
    harm: str
    unit: str
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


Metric = Proportion | Histogram | Average | EventCount
Binary = Proportion | Beyond

_FAILURES = {
    "missing_context": "fails for want of context",
    "wrong_tool": "takes a wrong tool",
    "bad_parameter": "calls a tool with bad parameters",
    "policy_deny": "fails because policy denies",
    "hallucinated_fact": "invents facts",
    "workflow_mismatch": "departs from the workflow",
    "other": "fails for other reasons",
}


def _good(
    name: str, part: Counter, harm: str, total: Counter | None = None, *, verified: bool = False
) -> Proportion:
    whole = total or Counter(TASKS)
    return Proportion(name, part, whole, higher_is_better=True, harm=harm, verified=verified)


def _bad(
    name: str, part: Counter, harm: str, total: Counter | None = None, whole: str = "tasks"
) -> Proportion:
    return Proportion(name, part, total or Counter(TASKS), higher_is_better=False, harm=harm, whole=whole)


_ALL: tuple[Metric, ...] = (
    _good("task-success-rate", Counter(TASKS, (("outcome", "success"),)), "fails"),
    _good(
        "verified-success-rate",
        Counter(TASKS_VERIFIED, (("result", "pass"),)),
        "fails verification",
        Counter(TASKS_VERIFIED),
        verified=True,
    ),
    _good("verification-coverage", Counter(TASKS_VERIFIED), "leaves a task unverified", verified=True),
    _good("trace-coverage", Counter(TASKS_TRACED), "leaves a task untraced"),
    _bad("policy-violation-rate", Counter(VIOLATIONS), "violates policy"),
    _bad(
        "policy-deny-rate",
        Counter(DECISIONS, (("decision", "deny"),)),
        "is denied by policy",
        Counter(DECISIONS),
        "policy decisions",
    ),
    _bad("near-miss-rate", Counter(NEAR_MISSES), "has to be stopped"),
    _bad("failure-rate", Counter(FAILURES), "fails in a known way"),
    *(
        _bad(
            f"failure-rate-{category.replace('_', '-')}",
            Counter(FAILURES, (("category", category),)),
            harm,
        )
        for category, harm in _FAILURES.items()
    ),
    _bad(
        "tool-error-rate",
        Counter(TOOL_CALLS, (("result", "error"),)),
        "meets errors of tools",
        Counter(TOOL_CALLS),
        "tool calls",
    ),
    _bad(
        "user-negative-feedback-rate",
        Counter(FEEDBACK, (("signal", "negative"),)),
        "displeases users",
        Counter(FEEDBACK),
        "ratings",
    ),
    EventCount(
        name="critical-policy-violations",
        counter=Counter(VIOLATIONS, (("severity", "critical"),)),
        noun="critical policy violation",
    ),
    Average("cost-per-task", Counter(COST), Counter(TASKS), "costs {}more a task", "USD"),
    Average(
        "cost-per-verified-success",
        Counter(COST),
        Counter(TASKS_VERIFIED, (("result", "pass"),)),
        "costs {}more a verified success",
        "USD",
        verified=True,
    ),
    Average(
        "human-minutes-per-task",
        Counter(HUMAN_SECONDS),
        Counter(TASKS),
        "takes {}more of people's time a task",
        "min",
        scale=1 / 60,
    ),
    Histogram(name="task-duration", family=DURATION_BUCKETS, harm="takes over {} s"),
)
BUILT_IN: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}


def metric(name: str) -> Metric:
    """The built-in metric of that name; ValueError, in a sentence, where there is none."""
    try:
        return BUILT_IN[name]
    except KeyError:
        raise ValueError(f"metric {name!r} must be one of {', '.join(sorted(BUILT_IN))}") from None


def families(gates: Iterable[frozenset[str]], *, derive_warmup: bool = True) -> frozenset[str]:
    """Metric names that must be read, given those that each gate needs.

    With `derive_warmup` also the task durations, from which the warm-up follows where none is set.
    """
    always = {TASKS_STARTED, TASKS, PROCESS_START}
    durations = {DURATION_BUCKETS} if derive_warmup else set()
    return frozenset(always | durations).union(*gates)

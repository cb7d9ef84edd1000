"""The built-in metrics: which counters they are made of, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from interlock.analysis.series import PROCESS_START

TASKS_STARTED = "ai_agent_tasks_started_total"
TASKS = "ai_agent_tasks_total"
TASKS_VERIFIED = "ai_agent_tasks_verified_total"
VIOLATIONS = "ai_agent_policy_violations_total"
ALERTS = "ALERTS"
"""Where Prometheus itself keeps its alerts: a series each, with a sample at each evaluation."""
DURATION_BUCKETS = "ai_agent_task_duration_seconds_bucket"

# Who verifies a task, most trusted first. A task may be verified by several: they are never added up.
VERIFIERS = ("postcondition", "human", "judge")


class Kind(StrEnum):
    """What a metric is, and so which tests a gate may put on it: compare and limit, or events."""

    PROPORTION = "proportion"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Counter:
    """All series of one counter whose labels have these values."""

    family: str
    where: tuple[tuple[str, str], ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels (`__name__` among them) belongs to the counter."""
        return labels.get("__name__") == self.family and all(labels.get(k) == v for k, v in self.where)


@dataclass(frozen=True, slots=True)
class Proportion:
    """`part` of `total`; the part is the good one where higher is better, else the bad one.

    A bad part is capped at the total: one task may violate several rules. `harm` completes "the candidate …
    more often". `verified` metrics count one verifier only.
    """

    name: str
    part: Counter
    total: Counter
    higher_is_better: bool
    harm: str
    verified: bool = False

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


Metric = Proportion | EventCount

BUILT_IN: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Proportion(
            name="task-success-rate",
            part=Counter(TASKS, (("outcome", "success"),)),
            total=Counter(TASKS),
            higher_is_better=True,
            harm="fails",
        ),
        Proportion(
            name="verified-success-rate",
            part=Counter(TASKS_VERIFIED, (("result", "pass"),)),
            total=Counter(TASKS_VERIFIED),
            higher_is_better=True,
            harm="fails verification",
            verified=True,
        ),
        Proportion(
            name="policy-violation-rate",
            part=Counter(VIOLATIONS),
            total=Counter(TASKS),
            higher_is_better=False,
            harm="violates policy",
        ),
        EventCount(
            name="critical-policy-violations",
            counter=Counter(VIOLATIONS, (("severity", "critical"),)),
            noun="critical policy violation",
        ),
    )
}


def metric(name: str) -> Metric:
    """The built-in metric of that name; ValueError, in a sentence, where there is none."""
    try:
        return BUILT_IN[name]
    except KeyError:
        raise ValueError(f"metric must be one of {', '.join(sorted(BUILT_IN))}, not {name!r}") from None


def families(gates: Iterable[frozenset[str]], *, derive_warmup: bool = True) -> frozenset[str]:
    """Metric names that must be read, given those that each gate needs.

    With `derive_warmup` also the task durations, from which the warm-up follows where none is set.
    """
    always = {TASKS_STARTED, TASKS, PROCESS_START}
    durations = {DURATION_BUCKETS} if derive_warmup else set()
    return frozenset(always | durations).union(*gates)

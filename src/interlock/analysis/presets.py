"""The built-in metrics: which counters they are made of, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from interlock.analysis.metrics import Average, Counter, EventCount, Histogram, Matcher, Metric, Proportion
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

TOOL_LEAKS = "suppressed-tool-leaks"
NOT_RUN = ("suppressed", "denied", "invalid_args")
"""Results of tool calls that have done nothing. Any other, also one that we do not know, may have."""

# Who verifies a task, most trusted first. A task may be verified by several: they are never added up.
VERIFIERS = ("postcondition", "human", "judge")


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
    _good("task-success-rate", Counter.of(TASKS, outcome="success"), "fails"),
    _good(
        "verified-success-rate",
        Counter.of(TASKS_VERIFIED, result="pass"),
        "fails verification",
        Counter(TASKS_VERIFIED),
        verified=True,
    ),
    _good("verification-coverage", Counter(TASKS_VERIFIED), "leaves a task unverified", verified=True),
    _good("trace-coverage", Counter(TASKS_TRACED), "leaves a task untraced"),
    _bad("policy-violation-rate", Counter(VIOLATIONS), "violates policy"),
    _bad(
        "policy-deny-rate",
        Counter.of(DECISIONS, decision="deny"),
        "is denied by policy",
        Counter(DECISIONS),
        "policy decisions",
    ),
    _bad("near-miss-rate", Counter(NEAR_MISSES), "has to be stopped"),
    _bad("failure-rate", Counter(FAILURES), "fails in a known way"),
    *(
        _bad(
            f"failure-rate-{category.replace('_', '-')}",
            Counter.of(FAILURES, category=category),
            harm,
        )
        for category, harm in _FAILURES.items()
    ),
    _bad(
        "tool-error-rate",
        Counter.of(TOOL_CALLS, result="error"),
        "meets errors of tools",
        Counter(TOOL_CALLS),
        "tool calls",
    ),
    _bad(
        "user-negative-feedback-rate",
        Counter.of(FEEDBACK, signal="negative"),
        "displeases users",
        Counter(FEEDBACK),
        "ratings",
    ),
    EventCount(
        name="critical-policy-violations",
        counter=Counter.of(VIOLATIONS, severity="critical"),
        noun="critical policy violation",
        ran=Counter(TASKS),
    ),
    EventCount(
        name=TOOL_LEAKS,
        counter=Counter(TOOL_CALLS, (Matcher("result", NOT_RUN, negated=True),)),
        noun="unsuppressed tool call",
        ran=Counter(TASKS),
        shadow_only=True,
    ),
    Average("cost-per-task", Counter(COST), Counter(TASKS), "costs {}more a task", "USD"),
    Average(
        "cost-per-verified-success",
        Counter(COST),
        Counter.of(TASKS_VERIFIED, result="pass"),
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
    Histogram(name="task-duration", buckets=Counter(DURATION_BUCKETS), harm="takes over {} s"),
)
BUILT_IN: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}


def metric(name: str) -> Metric:
    """The built-in metric of that name; ValueError, in a sentence, where there is none."""
    try:
        return BUILT_IN[name]
    except KeyError:
        raise ValueError(f"metric {name!r} must be one of {', '.join(sorted(BUILT_IN))}") from None


def tool_leaks(allowed: tuple[str, ...]) -> Metric:
    """The built-in of that name, of an agent whose tools of these names may really be called in a shadow."""
    found = BUILT_IN[TOOL_LEAKS]
    if not isinstance(found, EventCount) or not allowed:
        return found
    where = (*found.counter.where, Matcher("tool", allowed, negated=True))
    return replace(found, counter=replace(found.counter, where=where))


def families(gates: Iterable[frozenset[str]], *, derive_warmup: bool = True) -> frozenset[str]:
    """Metric names that must be read, given those that each gate needs.

    With `derive_warmup` also the task durations, from which the warm-up follows where none is set. Costs are
    always read: what an attempt costs is told whether or not it is judged.
    """
    always = {TASKS_STARTED, TASKS, COST, PROCESS_START}
    durations = {DURATION_BUCKETS} if derive_warmup else set()
    return frozenset(always | durations).union(*gates)

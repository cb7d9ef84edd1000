"""The agent's counters, named as documented; every label combination that can occur starts at 0.

The labels namespace, agent, version and mode are not here: relabelling puts them on from the pod's labels.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from .judge import RULES, Judgement

OUTCOMES = ("success", "failure", "abandoned", "escalated")
FAILURE_CATEGORIES = (
    "missing_context",
    "wrong_tool",
    "bad_parameter",
    "policy_deny",
    "hallucinated_fact",
    "workflow_mismatch",
    "other",
)
TOOL_RESULTS = ("ok", "error", "denied", "invalid_args", "suppressed")
# From a third of a millisecond, which scoring takes, to what a test's injected delay may take.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class AgentMetrics:
    """One registry with all of them; `digest` is the content digest of the document that really runs."""

    def __init__(self, digest: str, tools: Iterable[str]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._started = Counter("ai_agent_tasks_started", "Tasks begun.", registry=registry)
        self._tasks = Counter(
            "ai_agent_tasks", "Tasks ended, by the agent's own claim.", ["outcome"], registry=registry
        )
        self._verified = Counter(
            "ai_agent_tasks_verified",
            "Tasks whose post-condition was checked.",
            ["result", "verifier"],
            registry=registry,
        )
        self._violations = Counter(
            "ai_agent_policy_violations",
            "Policy violations that happened.",
            ["rule", "severity"],
            registry=registry,
        )
        self._failures = Counter(
            "ai_agent_failures", "What went wrong, by category.", ["category"], registry=registry
        )
        self._tool_calls = Counter(
            "ai_agent_tool_calls", "Calls of the agent's tools.", ["tool", "result"], registry=registry
        )
        self._duration = Histogram(
            "ai_agent_task_duration_seconds", "Time a task took.", buckets=_BUCKETS, registry=registry
        )
        self._active = Gauge("ai_agent_conversations_active", "Conversations under way.", registry=registry)
        self._conversations = Counter(
            "ai_agent_conversations_started", "Conversations begun; here one a task.", registry=registry
        )
        Gauge("ai_agent_version_info", "What really runs.", ["digest"], registry=registry).labels(digest).set(
            1
        )
        self._born_at_zero(tools)

    def _born_at_zero(self, tools: Iterable[str]) -> None:
        for outcome in OUTCOMES:
            self._tasks.labels(outcome)
        for result in ("pass", "fail"):
            self._verified.labels(result, "postcondition")
        for rule, severity in RULES.items():
            self._violations.labels(rule, severity)
        for category in FAILURE_CATEGORIES:
            self._failures.labels(category)
        for tool in tools:
            for result in TOOL_RESULTS:
                self._tool_calls.labels(tool, result)

    def active(self) -> int:
        """How many conversations are under way."""
        return int(self.registry.get_sample_value("ai_agent_conversations_active") or 0)

    def begin(self) -> None:
        """A task has arrived."""
        self._started.inc()
        self._conversations.inc()
        self._active.inc()

    def tool_call(self, tool: str, result: str) -> None:
        """One of the agent's tools was called, or suppressed."""
        self._tool_calls.labels(tool, result).inc()

    def judged(self, judgement: Judgement) -> None:
        """What a finished task was worth."""
        self._tasks.labels(judgement.outcome).inc()
        if judgement.verified is not None:
            self._verified.labels("pass" if judgement.verified else "fail", "postcondition").inc()
        for rule in judgement.violations:
            self._violations.labels(rule, RULES[rule]).inc()
        if judgement.failure is not None:
            self._failures.labels(judgement.failure).inc()

    def broke(self, answerable: bool) -> None:
        """The task ended in an error; where there is a post-condition, it was not met."""
        self._tasks.labels("failure").inc()
        self._failures.labels("other").inc()
        if answerable:
            self._verified.labels("fail", "postcondition").inc()

    def end(self, seconds: float) -> None:
        """The task is over, however it ended."""
        self._duration.observe(seconds)
        self._active.dec()

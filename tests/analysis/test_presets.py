"""The built-in metrics are made of the counters that agents export."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from interlock.analysis.metrics import EventCount, Kind, Proportion
from interlock.analysis.plan import Events, Gate
from interlock.analysis.presets import BUILT_IN, families, metric, tool_leaks

BASE = {
    "ai_agent_tasks_started_total",
    "ai_agent_tasks_total",
    "ai_agent_cost_usd_total",
    "process_start_time_seconds",
}


@pytest.mark.parametrize(
    ("name", "kind", "higher"),
    [
        ("task-success-rate", Kind.PROPORTION, True),
        ("verified-success-rate", Kind.PROPORTION, True),
        ("policy-violation-rate", Kind.PROPORTION, False),
        ("critical-policy-violations", Kind.EVENTS, False),
        ("verification-coverage", Kind.PROPORTION, True),
        ("trace-coverage", Kind.PROPORTION, True),
        ("policy-deny-rate", Kind.PROPORTION, False),
        ("near-miss-rate", Kind.PROPORTION, False),
        ("failure-rate", Kind.PROPORTION, False),
        ("failure-rate-hallucinated-fact", Kind.PROPORTION, False),
        ("tool-error-rate", Kind.PROPORTION, False),
        ("user-negative-feedback-rate", Kind.PROPORTION, False),
        ("task-duration", Kind.TAIL, False),
        ("suppressed-tool-leaks", Kind.EVENTS, False),
        ("cost-per-task", Kind.MEAN, False),
        ("cost-per-verified-success", Kind.MEAN, False),
        ("human-minutes-per-task", Kind.MEAN, False),
    ],
)
def test_what_they_are(name: str, kind: Kind, higher: bool) -> None:
    assert (metric(name).kind, metric(name).higher_is_better) == (kind, higher)


def test_a_success_is_part_of_all_tasks() -> None:
    found = BUILT_IN["task-success-rate"]
    assert isinstance(found, Proportion)
    labels = {"__name__": "ai_agent_tasks_total", "outcome": "abandoned"}
    assert found.total.matches(labels)
    assert not found.part.matches(labels)
    assert found.part.matches({**labels, "outcome": "success"})


def test_each_category_of_failures_is_a_metric() -> None:
    categories = {
        {one.label: one.values for one in found.part.where}.get("category")
        for name, found in BUILT_IN.items()
        if name.startswith("failure-rate") and isinstance(found, Proportion)
    }
    known = "missing_context wrong_tool bad_parameter policy_deny hallucinated_fact workflow_mismatch other"
    assert categories == {None, *((category,) for category in known.split())}


@pytest.mark.parametrize(
    ("tool", "result", "leaks"),
    [
        ("refund", "ok", True),
        ("refund", "error", True),
        ("refund", "new-word", True),
        ("refund", "suppressed", False),
        ("refund", "denied", False),
        ("refund", "invalid_args", False),
        ("search", "ok", False),
    ],
)
def test_a_call_that_may_have_done_something_is_a_leak(tool: str, result: str, leaks: bool) -> None:
    found = tool_leaks(("read", "search"))
    assert isinstance(found, EventCount)
    labels = {"__name__": "ai_agent_tool_calls_total", "tool": tool, "result": result}
    assert found.counter.matches(labels) is leaks


def test_without_a_list_no_tool_is_allowed() -> None:
    assert tool_leaks(()) is BUILT_IN["suppressed-tool-leaks"]


def test_leaks_are_looked_for_in_shadows_only() -> None:
    gate = Gate("leaks", tool_leaks(()), Events(0))
    assert gate.kinds == ("shadow",)
    with pytest.raises(ValueError, match="during must be Shadow"):
        replace(gate, during=("canary",))


def test_they_are_called_by_their_names() -> None:
    """In kebab case, as the API asks for."""
    assert all(name == found.name for name, found in BUILT_IN.items())
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", name) for name in BUILT_IN)


def test_tasks_and_process_starts_are_always_read() -> None:
    assert families((), derive_warmup=False) == BASE


def test_each_metric_adds_its_own() -> None:
    names = ("verified-success-rate", "critical-policy-violations")
    assert families(metric(name).families for name in names) == BASE | {
        "ai_agent_tasks_verified_total",
        "ai_agent_policy_violations_total",
        "ai_agent_task_duration_seconds_bucket",
    }


def test_an_unknown_metric_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"metric 'speed' must be one of cost-per-task, .*, verified-success-rate$"
    ):
        metric("speed")

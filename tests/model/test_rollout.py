"""Rollout as data: what the schema refuses as well, and what only rests on it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from interlock.model.base import first_problem
from interlock.model.rollout import Rollout

SPEC: dict[str, Any] = {
    "agent": "triage",
    "versionRef": {"name": "triage-v1"},
    "workload": {"templateRef": {"name": "triage"}},
    "traffic": {
        "gatewayAPI": {"parentRefs": [{"name": "public"}], "hostnames": ["a.example.com"], "port": 80}
    },
    "strategy": {"steps": [{"name": "full", "full": {}}]},
}


def read(**changes: Any) -> Rollout:
    """A Rollout whose spec is SPEC with these changes."""
    metadata = {"name": "triage", "namespace": "support", "uid": "u"}
    return Rollout.read({"metadata": metadata, "spec": SPEC | changes})


def alerting(**labels: str) -> dict[str, Any]:
    """An analysis with one alert gate."""
    return {"gates": [{"name": "page", "alert": {"matchLabels": labels}}]}


def test_what_is_absent_has_its_default() -> None:
    spec = read().spec
    assert (spec.replicas, spec.paused, spec.history_limit) == (1, False, 5)
    assert spec.on_first_version_failure == "KeepServing"
    assert (spec.strategy.step_deadline_seconds, spec.strategy.on_deadline) == (None, "Hold")
    assert (spec.analysis.no_data.hold_after_seconds, spec.analysis.no_data.revert_after_seconds) == (
        120,
        1800,
    )


def test_the_rollout_that_is_read_is_the_one_that_was_written() -> None:
    found = read(analysis=alerting(severity="page"), paused=True)
    assert Rollout.read(found.to_wire()) == found
    assert found.spec.analysis.gates[0].alert is not None
    assert found.spec.analysis.gates[0].alert.match_labels == {"severity": "page"}


@pytest.mark.parametrize("name", ["interlock-action", "1st", "", "ä", "severity\n", 'a="b"} or up{c'])
def test_a_key_that_would_become_part_of_a_query_is_refused_with_its_field(name: str) -> None:
    """An API server with an older CRD may have let it in: the user is told, and nothing is asked."""
    with pytest.raises(ValidationError) as caught:
        read(analysis=alerting(**{"severity": "page", name: "x"}))
    assert first_problem(caught.value) == (
        "`spec.analysis.gates.0.alert.matchLabels` must have as keys label names of Prometheus, which "
        "consist of letters, digits and `_` and do not begin with a digit"
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"analysis": alerting()}, "`spec.analysis.gates.0.alert.matchLabels` must have at least 1 item"),
        ({"analysis": alerting(severity="")}, "`spec.analysis.gates.0.alert.matchLabels.severity` must have"),
        (
            {"analysis": {"gates": [{"name": "slow", "tail": {"aboveSeconds": "30s"}}]}},
            "`spec.analysis.gates.0.tail.aboveSeconds` must",
        ),
        (
            {"analysis": {"gates": [{"name": "cost", "mean": {"worseByPercent": "10%"}}]}},
            "`spec.analysis.gates.0.mean.worseByPercent` must",
        ),
        (
            {"analysis": {"gates": [{"name": "cost", "advance": "Better"}]}},
            "`spec.analysis.gates.0.advance` must",
        ),
        ({"strategy": {"steps": []}}, "`spec.strategy.steps` must have at least 1 item"),
        ({"historyLimit": 65}, "`spec.historyLimit` must be less than or equal to 64"),
    ],
)
def test_a_problem_names_its_field(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(**changes)
    assert first_problem(caught.value).startswith(problem)

"""What cannot be measured or judged is told with field and remedy, and nothing is promoted because of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import yaml

from tests.cluster import objects
from tests.cluster.seen import stalled
from tests.cluster.story import Story, condition, healthy, phase
from tests.cluster.waiting import until

LEAKS = {"name": "leaks", "limit": {"maxPercent": "60"}}
Templates = Callable[[Story, dict[str, Any]], Awaitable[str]]


def share(**labels: str) -> dict[str, Any]:
    bad: dict[str, Any] = {"metric": "ai_agent_policy_violations_total"}
    if labels:
        bad["matchLabels"] = labels
    return {"proportion": {"bad": bad, "total": {"metric": "ai_agent_tasks_total"}, "harm": "leaks"}}


@pytest.fixture
async def templates(story: Story) -> AsyncIterator[Templates]:
    """Makes a MetricTemplate of the test's own: they are in no namespace."""
    made: list[str] = []

    async def make(story: Story, spec: dict[str, Any]) -> str:
        name = f"m-{story.namespace}"
        manifest = {
            "apiVersion": "interlock.dev/v1alpha1",
            "kind": "MetricTemplate",
            "metadata": {"name": name},
            "spec": spec,
        }
        await story.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(manifest))
        made.append(name)
        return name

    yield make
    for name in set(made):
        await story.kubectl("delete", "metrictemplate", name, "--ignore-not-found")


async def ready_of(story: Story, template: str) -> str:
    ready = "{.status.conditions[?(@.type=='Ready')]"
    path = f"jsonpath={ready}.reason}}: {ready}.message}}"
    return await story.kubectl("get", "metrictemplate", template, "-o", path)


async def test_nothing_begins_with_gates_that_cannot_be_followed(story: Story) -> None:
    await story.first_version(strategy=objects.QUICK)
    await story.apply(objects.agent_version("v2"))
    bad: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
        (
            objects.QUICK,
            {**objects.SUCCESS, "metric": "mood"},
            ("metric 'mood' must be one of", "MetricTemplate"),
        ),
        (
            objects.QUICK,
            {**objects.SUCCESS, "compare": {"worseByPoints": "100"}},
            ("compare.worseByPoints must be below 100",),
        ),
        (objects.QUICK, {**objects.VIOLATIONS, "during": ["Shadow"]}, ("during must name a kind of step",)),
    ]
    for strategy, gate, words in bad:
        analysis = {"warmupSeconds": 1, "gates": [gate]}
        await story.edit(versionRef={"name": "v2"}, strategy=strategy, analysis=analysis)
        found = await story.until(
            stalled("InvalidSpec", f"spec.analysis.gates[0] ({gate['name']}): ", *words)
        )
        assert found.status.attempt is not None
        assert found.status.attempt.number == 1
        assert story.weights() == {await story.stable(): 100}
    await story.edit(strategy=objects.QUICK, analysis={"warmupSeconds": 1, "gates": [objects.VIOLATIONS]})
    await story.until(healthy("v2"))


async def test_a_bound_that_is_none_holds_and_names_those_there_are(story: Story) -> None:
    slow = {"name": "slow", "metric": "task-duration", "tail": {"aboveSeconds": "45", "worseByPoints": "1"}}
    await story.first_version(strategy=objects.QUICK, analysis={"warmupSeconds": 1, "gates": [slow]})
    for version in ("v1", "v2"):
        story.behaves(version, durations=True)
    await story.release("v2")

    def told(found: Any) -> bool:
        says = "45 is not a bound of the histogram's buckets; there are: 5, 30, 60"
        return found.status.phase == "Canary" and says in condition(found, "Ready")[2]

    await story.until(told)


async def test_a_name_of_a_built_in_is_taken_on_purpose_only(story: Story) -> None:
    """On a name that no other test measures by."""
    name = "near-miss-rate"
    manifest = {
        "apiVersion": "interlock.dev/v1alpha1",
        "kind": "MetricTemplate",
        "metadata": {"name": name},
        "spec": share(),
    }
    gate = {"name": "misses", "metric": name, "limit": {"maxPercent": "60"}}
    await story.first_version(strategy=objects.QUICK)
    await story.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(manifest))
    try:
        await story.edit(analysis={"warmupSeconds": 1, "gates": [gate]})
        await story.release("v2")
        words = (f"MetricTemplate {name} cannot be used", "set `spec.overrides` to BuiltIn")
        await story.until(stalled("InvalidSpec", "spec.analysis.gates[0] (misses): metric", *words))
        assert (await ready_of(story, name)).startswith(f"NameIsBuiltIn: {name} is a built-in metric")
        meant = {**manifest, "spec": {**share(), "overrides": "BuiltIn"}}
        await story.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(meant))
        await story.until(healthy("v2"))
    finally:
        await story.kubectl("delete", "metrictemplate", name)


async def test_a_template_that_changes_starts_its_gate_afresh_and_one_that_goes_stops_the_walk(
    story: Story, templates: Templates
) -> None:
    name = await templates(story, share(severity="critical"))
    gates = [{**LEAKS, "metric": name}]
    held = {"steps": [objects.HELD, objects.FULL]}
    await story.first_version(strategy=held, analysis={"warmupSeconds": 1, "gates": gates})
    await story.release("v2")
    await story.until(phase("Canary"))
    await templates(story, share())

    def told(found: Any) -> bool:
        status, reason, says = condition(found, "GatesChanged")
        where = "spec.analysis.gates[0] (leaks) at" in says and f"MetricTemplate {name}" in says
        return (status, reason, where, found.status.phase) == ("True", "RulesAreNewer", True, "Canary")

    await story.until(told)
    await story.recorded(2, "AttemptStarted", "StepStarted", "GatesChanged")
    await story.kubectl("delete", "metrictemplate", name)
    await story.until(stalled("InvalidSpec", f"(leaks): metric '{name}' must be one of"))
    stable = await story.stable()

    async def back() -> bool:
        return story.weights() == {stable: 100}

    await until(back, 20, "traffic to go to stable")
    assert (await story.rollout()).status.quarantine == ()


async def test_an_expression_is_judged_and_takes_a_candidate_back(story: Story, templates: Templates) -> None:
    labels = 'namespace="{{namespace}}",agent="{{agent}}",version="{{candidate.version}}"'
    promql = f"sum(ai_agent_policy_violations_total{{{labels}}})"
    name = await templates(story, {"value": {"promQL": promql, "unit": "violations"}})
    gate = {"name": "so-far", "metric": name, "value": {"max": "3"}}
    await story.first_version(strategy={"steps": [objects.HELD, objects.FULL]}, analysis={"gates": [gate]})
    await story.release("v2")

    def passes(found: Any) -> bool:
        return [(g.verdict, g.candidate) for g in found.status.gates] == [("Pass", "0 violations")]

    await story.until(passes)
    story.behaves("v2", violation=1.0)
    found = await story.until(phase("Reverted"))
    assert [item.version for item in found.status.quarantine] == ["v2"]
    assert "violations is above 3 violations, and was for" in condition(found, "Ready")[2]

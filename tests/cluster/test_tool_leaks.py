"""A shadow that carries out a tool which must not run, read from a real Prometheus."""

from __future__ import annotations

from tests.cluster import objects
from tests.cluster.chorus import together
from tests.cluster.story import Story, healthy, measured, phase

LEAKS = {"name": "leaks", "metric": "suppressed-tool-leaks", "events": {"max": 0}}
SHADOW_HELD = {"name": "shadow", "shadow": {"percent": 50}, "minDurationSeconds": 3600}
SHADOW_SHORT = {**SHADOW_HELD, "minDurationSeconds": 3, "minTasks": 20}
TOOLS = [
    {"name": "search", "annotations": {"readOnly": True}},
    {"name": "refund", "shadow": "Stub", "stub": "done"},
    {"name": "delete", "shadow": "Deny"},
]
SUPPRESSED = {"search": "ok", "refund": "suppressed", "delete": "denied"}


async def tried(story: Story, shadow: objects.Manifest) -> None:
    """v2 is mirrored to, with its tools suppressed."""
    strategy = {"steps": [shadow, objects.CANARY, objects.FULL]}
    await story.first_version(strategy=strategy, analysis={"warmupSeconds": 1, "gates": [LEAKS]})
    story.behaves("v2", tools=SUPPRESSED)
    await story.apply(objects.agent_version("v2", tools=TOOLS))
    await story.go_to("v2")


@together
async def test_the_first_call_that_was_not_suppressed_takes_it_back(story: Story) -> None:
    await tried(story, SHADOW_HELD)
    await story.until(measured("leaks"))
    await story.scraped(3)
    assert phase("Shadow")(await story.rollout()), "what is suppressed, denied or allowed is no leak"
    (leaks,) = (await story.rollout()).status.gates
    assert leaks.verdict == "Pass"

    workload = f"{await story.candidate()}-shadow"
    done = story.land.agents.served(story.namespace, workload, "ai_agent_tool_calls_total", tool="refund")
    assert done > 0, "it was asked"
    story.behaves("v2", tools=SUPPRESSED | {"refund": "ok"})
    found = await story.until(phase("Reverted"))
    assert found.status.attempt is not None
    assert found.status.attempt.message.startswith("leaks:")
    assert "unsuppressed tool call" in found.status.attempt.message
    assert [one.version for one in found.status.quarantine] == ["v2"]
    assert story.land.agents.served(story.namespace, await story.stable(), "ai_agent_tasks_total") > 0


@together
async def test_live_requests_may_call_any_tool(story: Story) -> None:
    await tried(story, SHADOW_SHORT)
    await story.until(healthy("v2"))
    carried_out = {"tool": "refund", "result": "ok"}
    workload = await story.stable()
    assert story.land.agents.served(story.namespace, workload, "ai_agent_tool_calls_total", **carried_out) > 0

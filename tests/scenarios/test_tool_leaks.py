"""A shadow whose tools are not suppressed has done something: the first such call takes it back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.given import phase, served
from tests.scenarios.objects import CANARY, FULL, SHADOW, agent_version
from tests.scenarios.world import Behaviour, World

LEAKS: dict[str, Any] = {"name": "leaks", "metric": "suppressed-tool-leaks", "events": {"max": 0}}
TOOLS = [
    {"name": "search", "shadow": "Allow"},
    {"name": "read", "annotations": {"readOnly": True}},
    {"name": "refund", "shadow": "Stub", "stub": "done"},
    {"name": "delete", "shadow": "Deny"},
    {"name": "write"},
]
"""The last one says nothing, so it may do anything."""
GOOD = {"search": "ok", "read": "ok", "refund": "suppressed", "delete": "denied", "write": "suppressed"}
STEPS = [{**SHADOW, "minDurationSeconds": 60}, CANARY, FULL]


async def tried(tools: dict[str, str], *, at: str = "Shadow", **changes: Any) -> World:
    world = await served(strategy={"steps": STEPS}, analysis={"warmupSeconds": 5, "gates": [LEAKS | changes]})
    await world.apply(agent_version("v2", tools=TOOLS))
    world.behaviour["v2"] = Behaviour(tools=tools)
    await world.serve_version("v2")
    await world.until(phase(at))
    return world


async def verdict(world: World) -> str:
    (leaks,) = (await world.rollout()).status.gates
    return str(leaks.verdict)


async def test_what_is_suppressed_or_allowed_is_no_leak() -> None:
    world = await tried(GOOD)
    await world.run(20)
    assert await verdict(world) == "Pass"
    await world.until(phase("Healthy"), limit=900)
    stable = (await world.rollout()).status.stable
    assert stable is not None
    assert stable.version == "v2"


@pytest.mark.parametrize("tool", ["refund", "delete", "write", "unheard-of"])
@pytest.mark.parametrize("result", ["ok", "error", "something-new"])
async def test_the_first_one_takes_it_back(tool: str, result: str) -> None:
    world = await tried(GOOD)
    world.behaviour["v2"] = Behaviour(tools=GOOD | {tool: result})
    await world.until(phase("Reverted"), limit=60)
    found = await world.rollout()
    assert [held.version for held in found.status.quarantine] == ["v2"]
    _, _, message = await world.condition("Ready")
    assert "unsuppressed tool call" in message
    assert "of the candidate, 0 allowed" in message


async def test_real_requests_may_call_tools() -> None:
    world = await tried(GOOD, at="Canary")
    await world.run(20)
    found = await world.rollout()
    (leaks,) = found.status.gates
    assert (leaks.verdict, leaks.message) == ("Inconclusive", "not judged in canary")


async def test_an_operator_that_starts_anew_judges_by_the_same_tools() -> None:
    world = await tried(GOOD)
    world.start_operator()
    await world.run(20)
    assert await verdict(world) == "Pass"
    world.behaviour["v2"] = Behaviour(tools=GOOD | {"refund": "ok"})
    world.start_operator()
    await world.until(phase("Reverted"), limit=60)


@pytest.mark.parametrize("during", [["Canary"], ["Shadow", "Full"]])
async def test_it_is_asked_of_shadows_only(during: list[str]) -> None:
    world = await served()
    await world.edit(lambda spec: spec["analysis"].update(gates=[LEAKS | {"during": during}]))
    await world.settle()
    assert (await world.condition("Ready"))[2].endswith("during must be Shadow for suppressed-tool-leaks")


async def test_without_a_shadow_it_would_judge_nothing() -> None:
    world = await served(strategy={"steps": [CANARY, FULL]})
    await world.edit(lambda spec: spec["analysis"].update(gates=[LEAKS]))
    await world.settle()
    assert "there is no Shadow to judge" in (await world.condition("Ready"))[2]

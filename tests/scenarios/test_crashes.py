"""Story 26 in memory: the operator dies before and after each of its writes, and a fresh one goes on.

What holds at every write (weights, steps, record) is judged by rules.py on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from interlock.errors import SpecError, TransientError
from interlock.model.rollout import Rollout
from tests.scenarios.faults import Write
from tests.scenarios.given import HARMFUL, candidate_percent, healthy, phase, served
from tests.scenarios.objects import CANARY, FULL, SHADOW, agent_version
from tests.scenarios.world import Behaviour, Wanted, World

QUICK: dict[str, Any] = {
    "strategy": {
        "steps": [
            {**SHADOW, "minDurationSeconds": 10, "minTasks": 3},
            {**CANARY, "minDurationSeconds": 20, "minTasks": 8},
            {**FULL, "full": {"soakSeconds": 20, "holdoutPercent": 10}},
        ]
    }
}
WALKED = ["AttemptStarted", "StepStarted", "StepStarted", "SoakStarted"]


@dataclass(frozen=True)
class Story:
    """How it begins, what it waits for, and how the attempt under test is told in its record."""

    end: Wanted
    told: list[str]
    quarantined: list[str] = field(default_factory=list)
    bad_from: str = ""
    """The phase from which on v2 breaks rules; empty: never."""


STORIES = {
    "2 promoted": Story(healthy("v2"), [*WALKED, "SoakPassed"]),
    "13 reverted": Story(
        phase("Reverted"),
        ["AttemptStarted", "StepStarted", "StepStarted", "GateFailed", "GateFailed"],
        ["v2"],
        bad_from="Canary",
    ),
    "17 reverted in the soak": Story(
        phase("Reverted"), [*WALKED, "GateFailed", "GateFailed"], ["v2"], bad_from="Full"
    ),
}


async def begun() -> World:
    """v1 serves, v2 has just been asked for."""
    world = await served(**QUICK)
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    return world


async def told(world: World, story: Story) -> None:
    """Let the story come to its end."""
    if story.bad_from:
        await world.until(phase(story.bad_from, "Reverted"), limit=600)
        world.behaviour["v2"] = HARMFUL
    await world.until(lambda r: story.end(r) and not r.status.draining, limit=600)
    await world.settle()


async def check_end(world: World, story: Story) -> None:
    """The same end as if nothing had happened."""
    found = await world.rollout()
    assert await world.reasons(2) == story.told
    assert [item.version for item in found.status.quarantine] == story.quarantined
    assert found.status.attempt is not None
    assert found.status.attempt.number == 2
    assert len(await world.releases()) == 2
    stable = found.status.stable
    assert stable is not None
    assert stable.version == ("v1" if story.quarantined else "v2")
    route = await world.objects.get("HTTPRoute", "shop", "triage")
    assert route is not None
    assert [(b["name"], b["weight"]) for b in route["spec"]["rules"][0]["backendRefs"]] == [
        (stable.workload, 100)
    ]
    assert len(await world.objects.list("Deployment")) == 2, "the template and the stable version"
    assert len(await world.objects.list("Event")) == 2 + len(story.told)


async def writes_of(story: Story) -> int:
    """How many writes the story takes undisturbed."""
    world = await begun()
    world.faults.writes.clear()
    await told(world, story)
    await check_end(world, story)
    return len(world.faults.writes)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", STORIES)
async def test_26_killed_at_every_write(name: str, moment: Literal["before", "after"]) -> None:
    story = STORIES[name]
    total = await writes_of(story)
    assert total > 20
    for number in range(1, total + 1):
        world = await begun()
        world.faults.writes.clear()
        world.faults.crash = (number, moment)
        await told(world, story)
        assert len(world.faults.writes) >= number, "the crash took place"
        await check_end(world, story)


@pytest.mark.parametrize("name", STORIES)
async def test_26_killed_over_and_over(name: str) -> None:
    """Each process dies at its third write."""
    world = await begun()
    world.faults.writes.clear()
    world.faults.crash_every = 3
    await told(world, STORIES[name])
    await check_end(world, STORIES[name])


# ------------------------------------------------------------------ refused writes in a revert
def no_status(write: Write) -> TransientError | None:
    return (
        TransientError("etcd is full") if (write.verb, write.kind) == ("replace_status", "Rollout") else None
    )


async def at_the_revert(refuse: Callable[[Write], Any], at: str = "Canary") -> World:
    """v2 breaks rules from `at` on, and some writes are refused from then on."""
    world = await begun()
    await world.until(phase(at))
    world.behaviour["v2"] = HARMFUL
    world.faults.refuse = refuse
    await world.until_route(stable=100)
    return world


@pytest.mark.parametrize("at", ["Shadow", "Canary", "Full"])
async def test_26_a_refused_status_does_not_keep_the_route_from_0(at: str) -> None:
    world = await at_the_revert(no_status, at)
    found = await world.rollout()
    assert not phase("Reverting", "Reverted")(found), "the status could not be written"
    await world.run(300)
    assert (await world.weights())[0] == 100
    world.faults.refuse = lambda write: None
    await world.until(phase("Reverted"), limit=60)
    assert (await world.reasons(2))[-1] == "GateFailed"
    assert [item.version for item in (await world.rollout()).status.quarantine] == ["v2"]


@pytest.mark.parametrize("at", ["Shadow", "Canary", "Full"])
async def test_26_the_route_at_0_is_read_as_intent_by_the_next_process(at: str) -> None:
    world = await at_the_revert(no_status, at)
    world.metrics.broken = "connection refused"
    world.faults.refuse = lambda write: None
    world.start_operator()
    await world.settle()
    assert (await world.weights())[0] == 100
    assert (await world.reasons(2))[-1] == "RouteAtZero"
    assert [item.version for item in (await world.rollout()).status.quarantine] == ["v2"]


async def test_26_a_status_refused_once_is_written_in_the_next_pass() -> None:
    refusals = iter([TransientError("try again")])
    world = await at_the_revert(lambda w: next(refusals, None) if no_status(w) else None)
    await world.until(phase("Reverted"), limit=30)
    assert (await world.reasons(2))[-2:] == ["GateFailed", "GateFailed"]


@pytest.mark.parametrize("error", [SpecError("exceeded quota"), TransientError("webhook timed out")])
@pytest.mark.parametrize("at", ["Shadow", "Canary", "Full"])
async def test_32b_a_ledger_that_refuses_writes_does_not_keep_the_route_from_0(
    at: str, error: SpecError | TransientError
) -> None:
    world = await at_the_revert(lambda write: error if write.kind == "Release" else None, at)
    await world.run(120)
    assert phase("Reverting")(await world.rollout())
    assert "GateFailed" not in await world.reasons(2)
    counted = world.operator.telemetry.registry.get_sample_value(
        "interlock_reverts_total", {"namespace": "shop", "rollout": "triage", "reason": "GateFailed"}
    )
    assert counted == 1
    world.faults.refuse = lambda write: None
    await world.until(phase("Reverted"), limit=30)
    assert (await world.reasons(2))[-2:] == ["GateFailed", "GateFailed"]


async def test_32b_with_a_refusing_ledger_nothing_walks_on() -> None:
    world = await begun()
    world.faults.refuse = lambda write: SpecError("exceeded quota") if write.kind == "Release" else None
    await world.run(300)
    found: Rollout = await world.rollout()
    assert phase("Preparing")(found)
    assert candidate_percent(0)(found)
    world.faults.refuse = lambda write: None
    world.behaviour["v2"] = Behaviour()
    await world.until(healthy("v2"))

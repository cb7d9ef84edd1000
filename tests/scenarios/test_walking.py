"""Walking forward and turning back, on the operator's own shell over the in-memory ports."""

from __future__ import annotations

from interlock.model.rollout import Rollout
from tests.scenarios.objects import agent_version, rollout, template
from tests.scenarios.world import Behaviour, World


def healthy(version: str):  # type: ignore[no-untyped-def]
    return lambda r: (
        r.status.phase == "Healthy" and r.status.stable.version == version and not r.status.draining
    )


def phase(name: str):  # type: ignore[no-untyped-def]
    return lambda r: r.status.phase == name


async def served(seed: int = 1) -> World:
    """A world in which v1 serves."""
    world = World(seed)
    await world.apply(template(), agent_version("v1"), rollout("v1"))
    await world.until(healthy("v1"))
    return world


async def test_first_version_serves_without_analysis() -> None:
    world = await served()
    found = await world.rollout()
    assert found.status.traffic is not None
    assert found.status.traffic.stable_percent == 100
    assert world.metrics.reads == 0


async def test_good_candidate_becomes_stable() -> None:
    world = await served()
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.until(phase("Shadow"))
    await world.until(phase("Canary"))
    await world.until(phase("Full"))
    await world.until(healthy("v2"))
    assert len(await world.objects.list("Deployment")) == 2  # the template and v2


async def test_violations_take_it_back() -> None:
    world = await served()
    world.behaviour["v3"] = Behaviour(success=0.99, violation=0.5)
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(phase("Reverted"))
    found: Rollout = await world.rollout()
    assert found.status.stable is not None
    assert found.status.stable.version == "v1"
    assert [q.version for q in found.status.quarantine] == ["v3"]

"""Where stories begin, and what they wait for."""

from __future__ import annotations

from interlock.model.rollout import Rollout
from tests.scenarios.objects import Manifest, agent_version, rollout, template
from tests.scenarios.world import Behaviour, Wanted, World

HARMFUL = Behaviour(success=0.99, violation=0.5)
"""Does its tasks, and breaks rules on the way."""


def healthy(version: str) -> Wanted:
    """It is stable, serves, and nothing else is left running."""

    def wanted(found: Rollout) -> bool:
        stable = found.status.stable
        serves = stable is not None and stable.version == version
        return found.status.phase == "Healthy" and serves and not found.status.draining

    return wanted


def phase(*names: str) -> Wanted:
    """The word in the STATUS column is one of these."""
    return lambda found: found.status.phase in names


def candidate_percent(share: int) -> Wanted:
    """The intended share of the candidate."""
    return lambda found: found.status.traffic is not None and found.status.traffic.candidate_percent == share


async def served(seed: int = 1, **spec: Manifest) -> World:
    """A world in which v1 serves."""
    world = World(seed)
    await world.apply(template(), agent_version("v1"), rollout("v1", **spec))
    await world.until(healthy("v1"))
    return world


async def trying(version: str, at: str, seed: int = 1, **spec: Manifest) -> World:
    """A world in which v1 serves and another version has come to a phase."""
    world = await served(seed, **spec)
    await world.apply(agent_version(version))
    await world.serve_version(version)
    await world.until(phase(at))
    return world


async def candidate_workload(world: World) -> str:
    """The name of the workload under test."""
    found = await world.rollout()
    assert found.status.candidate is not None
    return found.status.candidate.workload

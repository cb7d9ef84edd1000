"""A stable version whose workload is gone is made again from its AgentVersion, while another is wanted."""

from __future__ import annotations

from tests.scenarios.given import healthy, trying
from tests.scenarios.objects import template
from tests.scenarios.surroundings import NAMESPACE


async def test_a_stable_workload_that_was_deleted_is_made_again_though_another_version_is_wanted() -> None:
    """The model test found it: nothing looked up the AgentVersion, and the route waited for ever."""
    world = await trying("v2", "Shadow")
    stable = (await world.rollout()).status.stable
    assert stable is not None
    for kind in ("ConfigMap", "Deployment", "Service"):
        found = await world.objects.get(kind, NAMESPACE, stable.workload)
        assert found is not None
        await world.objects.delete(kind, NAMESPACE, stable.workload, found["metadata"]["uid"])
    world.start_operator()
    await world.settle()
    assert await world.objects.get("Deployment", NAMESPACE, stable.workload)
    await world.until(healthy("v2"))


async def test_a_stable_workload_that_can_never_be_made_again_is_said() -> None:
    """Its template is gone with its ConfigMap: before, the Rollout waited for a route, without a word."""
    world = await trying("v2", "Shadow")
    stable = (await world.rollout()).status.stable
    assert stable is not None
    await world.apply(template("example.com/agent:2"))
    for kind in ("ConfigMap", "Deployment", "Service"):
        found = await world.objects.get(kind, NAMESPACE, stable.workload)
        assert found is not None
        await world.objects.delete(kind, NAMESPACE, stable.workload, found["metadata"]["uid"])
    world.start_operator()
    await world.settle()
    status, reason, message = await world.condition("Stalled")
    assert (status, reason) == ("True", "DependencyNotReady")
    assert f"workload {stable.workload} of v1, which serves, is gone and cannot be made again" in message
    await world.apply(template())
    await world.until(healthy("v2"))

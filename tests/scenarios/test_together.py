"""Stories 27, 29, 32 and 33: several hands on the same objects, and none at rest."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from interlock.operator.evidence import Evidence
from tests.scenarios import objects
from tests.scenarios.given import (
    HARMFUL,
    candidate_percent,
    candidate_workload,
    healthy,
    phase,
    served,
    trying,
)
from tests.scenarios.objects import CANARY, FULL, agent_version, template
from tests.scenarios.surroundings import NAMESPACE
from tests.scenarios.world import Process, World

WALKED = ["AttemptStarted", "StepStarted", "StepStarted", "SoakStarted"]


# ------------------------------------------------------------------ 27
async def two_operators(seed: int) -> tuple[World, Process]:
    """Two processes over one store, each write of one may come between two of the other."""
    world = await served(seed)
    return world, world.start_another()


@pytest.mark.parametrize("seed", range(2))
async def test_27_two_operators_promote_once(seed: int) -> None:
    world, _ = await two_operators(seed)
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.until(healthy("v2"))
    assert await world.reasons(2) == [*WALKED, "SoakPassed"]
    assert len(await world.releases()) == 2


@pytest.mark.parametrize("at", ["Shadow", "Canary", "Full"])
async def test_27_two_operators_turn_back_once(at: str) -> None:
    world, _ = await two_operators(1)
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.until(phase(at))
    world.behaviour["v2"] = HARMFUL
    await world.until(phase("Reverted"))
    assert (await world.reasons(2))[-2:] == ["GateFailed", "GateFailed"]
    assert len((await world.rollout()).status.quarantine) == 1


@pytest.mark.parametrize("kinds", [("Rollout",), ("HTTPRoute",), ("Release",), ("Rollout", "Release")])
async def test_27_an_operator_whose_watch_is_late_breaks_nothing(kinds: tuple[str, ...]) -> None:
    """It sees some kinds minutes late, the others at once."""
    world, other = await two_operators(1)
    hear = other.hear
    kept: list[tuple[str, dict[str, Any]]] = []

    def late(event: str, manifest: dict[str, Any]) -> None:
        if manifest["kind"] in kinds:
            kept.append((event, manifest))
        else:
            hear(event, manifest)

    world.objects.listeners[:] = [world.processes[0].hear, late]
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    for at in ("Shadow", "Canary", "Full"):
        await world.until(phase(at))
        for event in kept:
            hear(*event)
        kept.clear()
    world.behaviour["v2"] = HARMFUL
    await world.until(phase("Reverted"))
    await world.run(60)
    assert candidate_percent(0)(await world.rollout())
    assert await world.weights() == [100]
    assert await world.reasons(2) == [*WALKED, "GateFailed", "GateFailed"]


# ------------------------------------------------------------------ 29
async def edit_route(world: World, weights: list[int]) -> None:
    """kubectl edit httproute: other weights for the same backends."""
    route = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    assert route is not None
    for backend, weight in zip(route["spec"]["rules"][0]["backendRefs"], weights, strict=False):
        backend["weight"] = weight
    await world.objects.replace(route)


@pytest.mark.parametrize("weights", [[50, 50], [20, 80], [1, 1]])
async def test_29_weights_edited_by_hand_are_repaired(weights: list[int]) -> None:
    world = await trying("v2", "Canary")
    await edit_route(world, weights)
    await world.settle()
    assert await world.weights() == [80, 20]
    await world.until(healthy("v2"))


async def test_29_a_route_deleted_by_hand_is_made_again() -> None:
    world = await trying("v2", "Canary")
    route = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    assert route is not None
    await world.objects.delete("HTTPRoute", NAMESPACE, "triage", route["metadata"]["uid"])
    await world.settle()
    assert await world.weights() == [80, 20]
    await world.until(healthy("v2"))


async def test_29_a_route_deleted_or_edited_at_rest_is_repaired() -> None:
    world = await served()
    route = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    assert route is not None
    await world.objects.delete("HTTPRoute", NAMESPACE, "triage", route["metadata"]["uid"])
    await world.settle()
    assert await world.weights() == [100]
    route = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    assert route is not None
    route["spec"]["hostnames"] = ["evil.example.com"]
    await world.objects.replace(route)
    await world.until(healthy("v1"))
    route = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    assert route is not None
    assert route["spec"]["hostnames"] == ["triage.example.com"]


async def test_29_weight_0_set_by_hand_takes_the_candidate_back() -> None:
    world = await trying("v2", "Canary")
    await edit_route(world, [100, 0])
    await world.until(phase("Reverted"))
    assert (await world.reasons(2))[-1] == "RouteAtZero"


async def test_29_a_route_of_somebody_else_is_left_alone() -> None:
    world = World()
    theirs = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "triage", "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"name": "public"}],
            "hostnames": ["other.example.com"],
            "rules": [{"backendRefs": [{"name": "other", "port": 80, "weight": 100}]}],
        },
    }
    await world.apply(theirs)
    before = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    assert before is not None
    await served_beside(world)
    await world.run(60)
    after = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    assert after is not None
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == 1
    assert (await world.condition("Stalled"))[:2] == ("True", "NameTaken")
    await world.objects.delete("HTTPRoute", NAMESPACE, "triage", after["metadata"]["uid"])
    await world.until(healthy("v1"))


async def served_beside(world: World) -> None:
    """v1 is to be served in a world that holds something already."""
    await world.apply(template(), agent_version("v1"), objects.rollout("v1"))


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
async def test_29_children_deleted_by_hand_are_made_again(kind: str) -> None:
    world = await trying("v2", "Canary")
    for name in (await candidate_workload(world), (await world.rollout()).status.stable.workload):  # type: ignore[union-attr]
        child = await world.objects.get(kind, NAMESPACE, name)
        assert child is not None
        await world.objects.delete(kind, NAMESPACE, name, child["metadata"]["uid"])
        await world.settle()
        assert await world.objects.get(kind, NAMESPACE, name) is not None
    await world.until(healthy("v2"))


async def test_29_a_clone_edited_by_hand_is_repaired() -> None:
    world = await trying("v2", "Canary")
    clone = await world.objects.get("Deployment", NAMESPACE, await candidate_workload(world))
    assert clone is not None
    clone["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/other:1"
    clone["spec"]["replicas"] = 0
    await world.objects.replace(clone)
    await world.settle()
    mended = await world.objects.get("Deployment", NAMESPACE, await candidate_workload(world))
    assert mended is not None
    assert mended["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/agent:1"
    assert mended["spec"]["replicas"] == 2


# ------------------------------------------------------------------ 32
async def at_rest(world: World) -> None:
    """A day passes: relists, and a look at everything now and then."""
    await world.run(60)
    world.faults.writes.clear()
    world.metrics.reads = 0
    world.rate = 0.01
    for _ in range(96):
        await world.run(900, stride=900)
        await world.operator.list_all()
    assert world.faults.writes == []
    assert world.metrics.reads == 0
    assert world.errors == []


async def test_32_at_rest_after_the_first_version() -> None:
    await at_rest(await served())


async def test_32_at_rest_after_a_promotion() -> None:
    world = await trying("v2", "Full")
    await world.until(healthy("v2"))
    await at_rest(world)


async def test_32_at_rest_after_a_revert() -> None:
    world = await trying("v2", "Canary")
    world.behaviour["v2"] = HARMFUL
    await world.until(phase("Reverted"))
    await world.run(180)
    await at_rest(world)


async def test_32_at_rest_while_stalled() -> None:
    world = await served()
    await world.serve_version("v9")
    await at_rest(world)


async def test_32_while_a_step_runs_status_is_written_at_most_every_20_s() -> None:
    world = await trying("v2", "Canary", strategy={"steps": [{**CANARY, "minDurationSeconds": 900}, FULL]})
    await world.run(60)
    world.faults.writes.clear()
    await world.run(300)
    assert {(w.verb, w.kind) for w in world.faults.writes} == {("replace_status", "Rollout")}
    assert len(world.faults.writes) <= 300 / 20 + 3, "and when a verdict changes"


async def test_32_a_step_that_waits_for_the_gateway_queries_but_does_not_write() -> None:
    world = await served(strategy={"steps": [CANARY, FULL]})
    await world.apply(agent_version("v2"))
    world.gateway_up = False
    await world.serve_version("v2")
    await world.until(phase("Canary"))
    await world.run(60)
    world.faults.writes.clear()
    await world.run(300)
    assert len(world.faults.writes) <= 300 / 20 + 1


# ------------------------------------------------------------------ 28, in part
async def test_28_a_deleted_rollout_is_forgotten_even_when_the_watch_missed_it() -> None:
    world = await trying("v2", "Canary")
    await world.run(10)
    evidence: Evidence = world.operator.evidence
    world.objects.listeners.clear()  # the watch is cut
    found = await world.rollout()
    await world.objects.delete("Rollout", NAMESPACE, "triage", found.metadata.uid)
    await world.operator.list_all()
    assert evidence.report(found) is None
    sample = partial(world.operator.telemetry.registry.get_sample_value, "interlock_rollout_weight_percent")
    assert sample({"namespace": NAMESPACE, "rollout": "triage", "track": "candidate"}) is None


# ------------------------------------------------------------------ 33
async def test_33_what_git_owns_is_as_git_left_it_at_every_stage() -> None:
    world = await served()
    manifests = [template(), agent_version("v1"), agent_version("v2")]
    await world.apply(*manifests)
    await world.serve_version("v2")

    async def differences() -> list[str]:
        found = []
        for manifest in manifests:
            meta = manifest["metadata"]
            stored = await world.objects.get(manifest["kind"], NAMESPACE, meta["name"])
            assert stored is not None
            if stored["spec"] != manifest["spec"] or stored["metadata"].get("annotations"):
                found.append(meta["name"])
            if stored["metadata"]["generation"] != 1:
                found.append(meta["name"])
        rollout = await world.objects.get("Rollout", NAMESPACE, "triage")
        assert rollout is not None
        if set(rollout["metadata"]) - {
            "name",
            "namespace",
            "uid",
            "generation",
            "resourceVersion",
            "creationTimestamp",
        }:
            found.append("triage")
        return found

    for at in ("Shadow", "Canary", "Full"):
        await world.until(phase(at))
        assert await differences() == []
    world.behaviour["v2"] = HARMFUL
    await world.until(phase("Reverted"))
    assert await differences() == []

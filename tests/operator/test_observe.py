"""What the observer tells the decision of what surrounds a Rollout."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core import workloads
from interlock.core.observation import Observation, Target, Unusable
from interlock.errors import TransientError
from interlock.reasons import Reason
from tests.operator.lives import created_again, deleted
from tests.scenarios.given import HARMFUL, candidate_workload, healthy, phase, served, trying
from tests.scenarios.objects import CANARY, CONTROLLED, FULL, SHADOW, agent_version, rollout
from tests.scenarios.surroundings import NAMESPACE, Manifest
from tests.scenarios.world import World


async def seen(world: World) -> Observation:
    return await world.operator.observer.observe(await world.rollout(), world.now)


async def workload(world: World) -> str:
    stable = (await world.rollout()).status.stable
    assert stable is not None
    return stable.workload


# ------------------------------------------------------------------ memory
async def test_a_new_rollout_has_nothing_to_remember() -> None:
    world = World()
    await world.apply(rollout())
    found = await seen(world)
    assert (found.memory, found.baseline) == (None, None)


async def test_a_rollout_that_is_created_again_remembers_and_its_stable_version_is_read() -> None:
    world = await trying("v2", "Canary")
    world.behaviour["v2"] = HARMFUL
    await world.until(phase("Reverted"))
    await deleted(world)
    await created_again(world, "v1")
    found = await seen(world)
    assert found.memory is not None
    assert found.memory.stable is not None
    assert (found.memory.stable.version, found.memory.attempts, found.memory.problem) == ("v1", 0, "")
    assert [q.version for q in found.memory.quarantine] == ["v2"]
    assert isinstance(found.baseline, Target)
    assert found.baseline.digest == found.memory.stable.digest


async def test_a_stable_version_that_is_gone_is_told_as_gone() -> None:
    world = await served()
    await deleted(world)
    version = await world.objects.get("AgentVersion", NAMESPACE, "v1")
    assert version is not None
    await world.objects.delete("AgentVersion", NAMESPACE, "v1", version["metadata"]["uid"])
    await world.apply(agent_version("v2"))
    await created_again(world, "v2")
    baseline = (await seen(world)).baseline
    assert isinstance(baseline, Unusable)
    assert "AgentVersion v1 does not exist" in baseline.message


async def test_while_the_status_knows_what_serves_no_baseline_is_read() -> None:
    world = await served()
    found = await seen(world)
    assert found.baseline is None
    assert found.memory is not None
    assert found.memory.attempts == 1


async def test_releases_are_read_again_only_when_one_was_written() -> None:
    world = await served()
    first, second = await seen(world), await seen(world)
    assert first.memory is second.memory
    (release,) = await world.releases()
    await world.objects.replace({**release, "metadata": {**release["metadata"], "annotations": {"a": "b"}}})
    assert (await seen(world)).memory is not first.memory


# ------------------------------------------------------------------ adoption
async def orphaned(at: str = "Canary") -> World:
    """v1 serves and v2 is tried; the Rollout is deleted with --cascade=orphan and created again."""
    world = await trying("v2", at, strategy={"steps": [CANARY, FULL]})
    await deleted(world, "orphan")
    await created_again(world, "v1", strategy={"steps": [CANARY, FULL]})
    return world


async def test_orphans_of_the_stable_version_are_the_rollouts_again() -> None:
    world = await orphaned()
    found = await seen(world)
    assert found.memory is not None
    assert found.memory.stable is not None
    (name,) = found.workloads
    assert name == found.memory.stable.workload
    state = found.workloads[name]
    assert (state.deployment is None, state.service is None, state.config is None) == (False, False, False)
    assert state.ready_endpoints == 2
    assert [o.reason for o in found.obstacles] == []


async def test_what_an_earlier_rollout_still_owns_is_not_seen_as_ours() -> None:
    """Deleted in the background and created again before the garbage collector came."""
    world = await served()
    name = await workload(world)
    found = await world.rollout()
    await world.objects.delete("Rollout", NAMESPACE, "triage", found.metadata.uid)
    await created_again(world, "v1")
    observed = await seen(world)
    assert observed.workloads == {}
    taken = [o.message for o in observed.obstacles if o.reason is Reason.NAME_TAKEN]
    assert taken[0].startswith("HTTPRoute triage exists and is not this Rollout's")
    assert {message.split(" ")[1] for message in taken} == {"triage", name}


async def test_a_route_that_serves_what_nobody_remembers_is_a_problem() -> None:
    world = await orphaned()
    for release in await world.releases():
        meta = release["metadata"]
        await world.objects.delete("Release", NAMESPACE, meta["name"], meta["uid"])
    found = await seen(world)
    assert found.memory is not None
    assert found.memory.stable is None
    assert "but no Release tells which version that is" in found.memory.problem


async def test_a_config_map_that_holds_evidence_is_no_workload() -> None:
    world = await served()
    found = await world.rollout()
    owner = {"apiVersion": "interlock.dev/v1alpha1", "kind": "Rollout", "name": "triage"}
    meta: Manifest = {
        "name": "triage-evidence",
        "namespace": NAMESPACE,
        "labels": {"interlock.dev/rollout": "triage", "interlock.dev/evidence": "true"},
        "ownerReferences": [owner | {"uid": found.metadata.uid, "controller": True}],
    }
    await world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {}})
    assert set((await seen(world)).workloads) == {await workload(world)}


# ------------------------------------------------------------------ obstacles
async def without_slices(world: World, of: str = "") -> str:
    """A Service, v1's, has lost its labels, and its slice with it: to the watch that is a deletion."""
    name = of or await workload(world)
    found = await world.objects.get("EndpointSlice", NAMESPACE, f"{name}-x")
    assert found is not None
    world.operator.heard("DELETED", found)
    return name


async def test_endpoints_that_the_watch_does_not_bring_are_asked_for() -> None:
    world = await trying("v2", "Canary")
    name = await without_slices(world)
    found = await seen(world)
    assert found.workloads[name].ready_endpoints == 2
    assert all(state.ready_endpoints for state in found.workloads.values())


async def test_without_stables_a_comparison_turns_back() -> None:
    world = await trying("v2", "Canary")
    await without_slices(world)
    world.behaviour["v2"].success = 0.1
    await world.until(phase("Reverted"))


async def test_without_the_candidates_it_walks_on() -> None:
    world = await trying("v2", "Canary")
    await without_slices(world, await candidate_workload(world))
    await world.until(healthy("v2"))


async def test_endpoints_that_cannot_be_asked_for_keep_nothing_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await trying("v2", "Canary")
    name = await without_slices(world)
    asked: list[str] = []

    async def refused(kind: str, *, namespace: str = "", selector: str = "") -> list[Manifest]:
        asked.append(f"{kind} {namespace} {selector}")
        raise TransientError("no answer")

    monkeypatch.setattr(world.objects, "list", refused)
    found = await seen(world)
    assert asked == [f"EndpointSlice {NAMESPACE} kubernetes.io/service-name={name}"], "of no other"
    assert found.workloads[name].ready_endpoints == 0


async def next_workload(world: World) -> str:
    """The name that v2's workload would get; v2 is wanted but not begun."""
    await world.apply(agent_version("v2"))
    manifest = await world.objects.get("Rollout", NAMESPACE, "triage")
    assert manifest is not None
    manifest["spec"]["versionRef"]["name"] = "v2"
    await world.objects.replace(manifest)
    found = await seen(world)
    assert isinstance(found.target, Target)
    assert not isinstance(found.template, Unusable)
    return workloads.workload_name("triage", found.target, found.template)


PARTS = [
    ("ConfigMap", "", "v1"),
    ("Deployment", "", "apps/v1"),
    ("Deployment", "-shadow", "apps/v1"),
    ("Service", "", "v1"),
    ("Service", "-shadow", "v1"),
]


@pytest.mark.parametrize(("kind", "suffix", "version"), PARTS)
async def test_a_name_of_the_next_workload_is_looked_up_before_it_is_used(
    kind: str, suffix: str, version: str
) -> None:
    """Deployments and ConfigMaps without our labels are not watched: they are asked for by name."""
    world = await served()
    name = await next_workload(world) + suffix
    spec: dict[str, Any] = {"data": {}} if kind == "ConfigMap" else {"spec": {"selector": None}}
    await world.apply(
        {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **spec}
    )
    if kind != "Service":
        held = world.operator.cache.get(kind, NAMESPACE, name)
        assert held is not None
        world.operator.cache.drop(held)
    (obstacle,) = (await seen(world)).obstacles
    assert obstacle.reason is Reason.NAME_TAKEN
    assert obstacle.message.startswith(f"{kind} {name} exists")


CONTROL_FIRST: dict[str, Any] = {"steps": [CONTROLLED, CANARY, FULL]}


@pytest.mark.parametrize(("kind", "version"), [("Deployment", "apps/v1"), ("Service", "v1")])
async def test_a_name_of_stables_shadow_is_looked_up_as_well(kind: str, version: str) -> None:
    world = await served(strategy=CONTROL_FIRST)
    await next_workload(world)
    name = f"{await workload(world)}-shadow"
    await world.apply(
        {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": None},
        }
    )
    if kind != "Service":
        held = world.operator.cache.get(kind, NAMESPACE, name)
        assert held is not None
        world.operator.cache.drop(held)
    (obstacle,) = (await seen(world)).obstacles
    assert (obstacle.reason, obstacle.message.split(" exists")[0]) == (Reason.NAME_TAKEN, f"{kind} {name}")


@pytest.mark.parametrize("strategy", [CONTROL_FIRST, {"steps": [SHADOW, CANARY, FULL]}])
async def test_a_service_that_would_select_stables_shadow_is_in_the_way(strategy: dict[str, Any]) -> None:
    """Its answers would go to users, and its tools are stubbed."""
    world = await served(strategy=strategy)
    await next_workload(world)
    name = f"{await workload(world)}-shadow"
    theirs = {"interlock.dev/mode": "shadow", "interlock.dev/version": "v1"}
    await world.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "legacy", "namespace": NAMESPACE},
            "spec": {"selector": theirs},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "direct", "namespace": NAMESPACE},
            "spec": {"selector": {"interlock.dev/workload": name}},
        },
    )
    found = (await seen(world)).obstacles
    told = [o.message.split(" is not this Rollout's")[0] for o in found if o.reason is Reason.FOREIGN_SERVICE]
    assert told == (["Service direct", "Service legacy"] if strategy is CONTROL_FIRST else [])


@pytest.mark.parametrize("kind", ["Deployment", "Service", "ConfigMap"])
async def test_what_serves_is_not_taken_over_from_somebody_else(kind: str) -> None:
    """Deleted and created by another, under the name that the stable version has."""
    world = await served()
    name = await workload(world)
    mine = await world.objects.get(kind, NAMESPACE, name)
    assert mine is not None
    await world.objects.delete(kind, NAMESPACE, name, mine["metadata"]["uid"])
    theirs = {key: value for key, value in mine.items() if key != "status"}
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "app", "uid": "theirs"}
    theirs["metadata"] = {"name": name, "namespace": NAMESPACE, "ownerReferences": [owner]}
    await world.objects.create(theirs)
    obstacle, *_ = (await seen(world)).obstacles
    assert obstacle.message.startswith(f"{kind} {name} exists and is not this Rollout's")
    await world.run(30)
    kept = await world.objects.get(kind, NAMESPACE, name)
    assert kept is not None
    assert kept["metadata"]["ownerReferences"] == [owner]
    assert "labels" not in kept["metadata"]


async def test_at_rest_nothing_is_asked_for_by_name() -> None:
    world = await served()
    asked: list[str] = []
    get = world.objects.get

    async def counted(kind: str, namespace: str, name: str) -> Manifest | None:
        asked.append(f"{kind} {name}")
        return await get(kind, namespace, name)

    found = await world.rollout()
    world.objects.get = counted  # type: ignore[method-assign]
    await world.operator.observer.observe(found, world.now)
    assert asked == []


async def test_a_service_that_selects_the_running_candidate_is_told() -> None:
    world = await trying("v2", "Canary")
    selector = {"interlock.dev/version": "v2"}
    legacy = {"name": "legacy", "namespace": NAMESPACE}
    await world.objects.create(
        {"apiVersion": "v1", "kind": "Service", "metadata": legacy, "spec": {"selector": selector}}
    )
    (obstacle,) = (await seen(world)).obstacles
    assert obstacle.reason is Reason.FOREIGN_SERVICE
    assert "Service legacy" in obstacle.message


async def test_all_is_well_when_v2_is_promoted_under_the_same_roof() -> None:
    world = await trying("v2", "Full")
    await world.until(healthy("v2"))
    found = await seen(world)
    assert found.obstacles == ()
    assert found.memory is not None
    assert [v.version for v in found.memory.promoted] == ["v1"]


# ------------------------------------------------------------------ what it asks
async def test_a_version_that_does_not_exist_is_looked_up_once_a_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await served()
    await world.serve_version("v9")
    asked: list[str] = []
    get = world.objects.get

    async def counted(kind: str, namespace: str, name: str) -> Manifest | None:
        asked.append(f"{kind} {name}")
        return await get(kind, namespace, name)

    monkeypatch.setattr(world.objects, "get", counted)
    found = (await world.operator.observer.observe(await world.rollout(), world.now)).target
    assert isinstance(found, Unusable)
    assert found.message == "AgentVersion v9 does not exist: create it or correct spec.versionRef"
    assert asked.count("AgentVersion v9") == 1

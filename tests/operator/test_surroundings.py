"""Stories 28 and 32a in memory: other objects in the way, and a Rollout that is deleted and created again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest

from interlock.model.rollout import Rollout
from interlock.operator import feed
from tests.core.records import OLD, PROMOTED, REVERTED, release
from tests.operator.lives import collected, created_again, deleted, owned
from tests.scenarios.given import HARMFUL, candidate_percent, healthy, phase, served, trying
from tests.scenarios.objects import CANARY, FULL, SHADOW, agent_version, rollout, template
from tests.scenarios.surroundings import GATEWAY, NAMESPACE, Behaviour, Manifest
from tests.scenarios.world import World

CANARY_FIRST = {"steps": [CANARY, FULL]}
SERVING = ("Deployment", "Service", "HTTPRoute")


def stalled(reason: str, *named: str) -> Callable[[Rollout], bool]:
    """Ready is False and Stalled is True for this reason, and the message names these."""

    def wanted(found: Rollout) -> bool:
        said = {c.type: c for c in found.status.conditions}
        return (
            {"Ready", "Stalled"} <= set(said)
            and {said["Ready"].reason, said["Stalled"].reason} == {reason}
            and all(name in said["Stalled"].message for name in named)
        )

    return wanted


def foreign(kind: str, name: str, namespace: str = NAMESPACE, **spec: Any) -> Manifest:
    """An object that somebody else has made."""
    version = "gateway.networking.k8s.io/v1" if kind == "HTTPRoute" else "v1"
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}


def legacy_route(namespace: str = "aaa") -> Manifest:
    """It was there first: all times are the same in memory, so the name decides."""
    return foreign(
        "HTTPRoute",
        "legacy",
        namespace,
        parentRefs=[{"name": "public", "namespace": "gateways"}],
        hostnames=["triage.example.com"],
        rules=[{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": []}],
    )


async def remove(world: World, manifest: Manifest) -> None:
    """kubectl delete."""
    meta = manifest["metadata"]
    found = await world.objects.get(manifest["kind"], meta["namespace"], meta["name"])
    assert found is not None
    await world.objects.delete(manifest["kind"], meta["namespace"], meta["name"], found["metadata"]["uid"])


async def unwritten(world: World, seconds: float = 600) -> None:
    """Nothing is written, however long it lasts."""
    await world.run(30)
    world.faults.writes.clear()
    await world.run(seconds)
    assert world.faults.writes == []


# ------------------------------------------------------------------ 32a
async def test_32a_a_service_that_selects_the_clones_holds_a_new_version_and_traffic_is_untouched() -> None:
    world = await served()
    await world.apply(agent_version("v2"))
    legacy = foreign("Service", "legacy", selector={"team": "support"})
    await world.objects.create(legacy)
    await world.serve_version("v2")
    await world.until(stalled("ForeignServiceSelectsCandidate", "Service legacy", "team=support"))
    await unwritten(world)
    assert await world.weights() == [100]
    assert len(await world.releases()) == 1, "no attempt began"
    assert len(await world.objects.list("Deployment")) == 2
    await remove(world, legacy)
    await world.until(healthy("v2"))
    assert world.lost == 0


async def test_32a_a_service_that_comes_during_a_canary_stops_the_walk_but_no_revert() -> None:
    world = await trying("v2", "Canary", strategy=CANARY_FIRST)
    await world.objects.create(foreign("Service", "legacy", selector={"interlock.dev/version": "v2"}))
    await world.until(stalled("ForeignServiceSelectsCandidate", "Service legacy"))
    await world.holds(candidate_percent(20), 600)
    world.behaviour["v2"] = HARMFUL
    await world.until(lambda found: "v2" in [q.version for q in found.status.quarantine])
    await world.until_route(stable=100)


async def test_32a_an_older_route_keeps_its_requests_until_it_goes_and_the_workload_is_ready_by_then() -> (
    None
):
    world = World()
    legacy = legacy_route()
    await world.objects.create(legacy)
    await world.apply(template(), agent_version("v1"), rollout("v1"))
    await world.until(stalled("RouteConflict", "HTTPRoute aaa/legacy", "triage.example.com"))
    await world.until(lambda _: len(world.pods) == 2)
    await unwritten(world)
    assert await world.weights() == []
    await remove(world, legacy)
    await world.until(healthy("v1"))
    assert await world.weights() == [100]


async def test_32a_a_route_that_conflicts_later_stops_the_walk_and_what_serves_is_untouched() -> None:
    world = await served()
    before = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    legacy = legacy_route()
    await world.objects.create(legacy)
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.until(stalled("RouteConflict", "aaa/legacy"))
    await unwritten(world)
    after = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    assert after == before
    await remove(world, legacy)
    await world.until(healthy("v2"))


async def test_32a_the_older_rollout_keeps_the_agent_and_the_younger_follows_when_it_goes() -> None:
    world = await served()
    second = rollout("v1")
    second["metadata"]["name"] = "usurper"
    second["spec"]["traffic"]["gatewayAPI"]["hostnames"] = ["usurper.example.com"]
    await world.apply(second)
    await world.run(30)
    assert stalled("AgentTaken", "Rollout triage", "agent triage")(await world.rollout("usurper"))
    assert healthy("v1")(await world.rollout())
    await unwritten(world)
    await deleted(world)
    await world.run(120)
    assert healthy("v1")(await world.rollout("usurper"))


async def test_a_name_that_is_taken_is_not_overwritten() -> None:
    world = await served()
    theirs = foreign("HTTPRoute", "other", parentRefs=[], hostnames=["other.example.com"], rules=[])
    await world.objects.create(theirs)
    other = rollout("w1", agent="other")
    other["metadata"]["name"] = "other"
    other["spec"]["traffic"]["gatewayAPI"]["hostnames"] = ["mine.example.com"]
    await world.apply(agent_version("w1", agent="other"), other)
    await world.run(60)
    assert stalled("NameTaken", "HTTPRoute other")(await world.rollout("other"))
    kept = await world.objects.get("HTTPRoute", NAMESPACE, "other")
    assert kept is not None
    assert kept["spec"] == theirs["spec"]


async def test_without_a_gateway_workloads_are_prepared_and_the_route_follows_it() -> None:
    world = World()
    await remove(world, GATEWAY)
    await world.apply(template(), agent_version("v1"), rollout("v1"))
    await world.until(stalled("DependencyNotReady", "Gateway gateways/public does not exist"))
    await world.until(lambda _: len(world.pods) == 2)
    assert await world.weights() == []
    await world.objects.create(GATEWAY)
    await world.until(healthy("v1"))


async def test_a_gateway_that_cannot_mirror_is_told_before_anything_begins() -> None:
    world = await served(strategy=CANARY_FIRST)
    chosen = await world.objects.get("GatewayClass", "", "example")
    assert chosen is not None
    features = {"supportedFeatures": [{"name": "HTTPRoute"}]}
    await world.objects.replace({**chosen, "status": features})
    await world.edit(lambda spec: spec.update(strategy={"steps": [SHADOW, CANARY, FULL]}))
    await world.until(stalled("GatewayLacksFeature", "step shadow", "Gateway gateways/public"))
    assert await world.weights() == [100]
    await world.edit(lambda spec: spec.update(strategy=CANARY_FIRST))
    await world.until(healthy("v1"))


# ------------------------------------------------------------------ 28: deleted and created again
async def test_28_a_rollout_created_again_inherits_stable_history_and_quarantine() -> None:
    world = await trying("v2", "Full", strategy=CANARY_FIRST)
    await world.until(healthy("v2"))
    world.behaviour["v3"] = HARMFUL
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(phase("Reverted"))
    before = (await world.rollout()).status
    await deleted(world)
    await world.run(10)
    await created_again(world, "v2", strategy=CANARY_FIRST)
    await world.until(healthy("v2"))
    found = await world.rollout()
    assert found.status.quarantine == before.quarantine
    assert found.status.attempt is None, "v2 serves without being tried again"
    assert len(await world.releases()) == 3
    assert await world.weights() == [100]
    await world.serve_version("v3")
    await world.until(phase("Reverted"))
    assert (await world.rollout()).status.attempt is None
    await unwritten(world)


async def test_28_history_leads_back_by_the_fast_path() -> None:
    world = await trying("v2", "Full", strategy=CANARY_FIRST)
    await world.until(healthy("v2"))
    await deleted(world)
    await created_again(world, "v2", strategy=CANARY_FIRST)
    await world.until(healthy("v2"))
    await world.serve_version("v1")
    await world.until(healthy("v1"))
    newest = max(await world.releases(), key=lambda r: str(r["entries"][0]["time"]))
    assert [e["reason"] for e in newest["entries"]] == ["FastPathStarted", "SoakStarted", "SoakPassed"]


@pytest.mark.parametrize("at", ["Preparing", "Canary", "Full"])
async def test_28_an_attempt_is_never_inherited(at: str) -> None:
    world = await served(strategy=CANARY_FIRST)
    world.behaviour["v2"] = Behaviour(ready=at != "Preparing")
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.until(phase(at))
    await world.run(20)
    await deleted(world)
    world.behaviour["v2"] = Behaviour()
    await created_again(world, "v2", strategy=CANARY_FIRST)
    await world.until(candidate_percent(20))
    found = await world.rollout()
    assert found.status.stable is not None
    assert found.status.stable.version == "v1"
    assert found.status.attempt is not None
    assert (found.status.attempt.number, found.status.attempt.step_index) == (1, 0)
    assert found.status.gates == ()
    await world.until(healthy("v2"))
    (own,) = [r for r in await world.releases() if r["header"]["rolloutUid"] == found.metadata.uid]
    assert own["header"]["stable"]["version"] == "v1"
    assert [e["reason"] for e in own["entries"]] == [
        "AttemptStarted",
        "StepStarted",
        "SoakStarted",
        "SoakPassed",
    ]


async def test_28_a_pause_is_never_inherited() -> None:
    world = await trying("v2", "Canary", strategy=CANARY_FIRST)
    await world.edit(lambda spec: spec.update(paused=True))
    await world.until(phase("Paused", "Canary"))
    await world.run(30)
    await deleted(world)
    await created_again(world, "v2", strategy=CANARY_FIRST)
    await world.until(healthy("v2"))


async def test_28_one_that_comes_before_the_garbage_collector_waits_for_it() -> None:
    world = await served()
    uid = (await world.rollout()).metadata.uid
    await world.objects.delete("Rollout", NAMESPACE, "triage", uid)
    await created_again(world, "v1")
    await world.run(20)
    assert len(await owned(world, uid)) == 4, "nothing was taken over"
    await collected(world, uid)
    await world.until(healthy("v1"))


async def test_28_without_the_stable_version_nothing_moves_until_it_is_back() -> None:
    world = await served()
    await deleted(world)
    await remove(world, agent_version("v1"))
    await world.apply(agent_version("v2"))
    await created_again(world, "v2")
    await world.until(stalled("BaselineUnknown", "AgentVersion v1"))
    await unwritten(world)
    assert await world.weights() == []


# ------------------------------------------------------------------ --cascade=orphan
class Watched:
    """What requests meet while the Rollout has no owner for its children."""

    def __init__(self, world: World) -> None:
        self.splits: list[list[int]] = []
        self.gone: list[str] = []
        self._world = world
        world.objects.listeners.append(self._heard)

    def _heard(self, event: str, manifest: Manifest) -> None:
        kind = manifest["kind"]
        if event == "DELETED" and kind in SERVING:
            self.gone.append(f"{kind} {manifest['metadata']['name']}")
        if kind == "HTTPRoute" and event != "DELETED":
            backends = manifest["spec"]["rules"][0]["backendRefs"]
            split = [backend["weight"] for backend in backends]
            if self.splits[-1:] != [split]:
                self.splits.append(split)


async def test_an_orphaned_agent_serves_on_and_is_adopted_as_it_is() -> None:
    world = await served()
    children = {
        m["kind"]: m["metadata"]["uid"] for m in await owned(world, (await world.rollout()).metadata.uid)
    }
    watched = Watched(world)
    await deleted(world, "orphan")
    await world.run(60)
    await created_again(world, "v1")
    await world.until(healthy("v1"))
    uid = (await world.rollout()).metadata.uid
    assert {m["kind"]: m["metadata"]["uid"] for m in await owned(world, uid)} == children
    assert watched.splits == [[100]]
    assert watched.gone == []
    assert world.lost == 0
    await unwritten(world)


async def test_an_orphaned_canary_ends_without_a_lost_request_and_starts_over() -> None:
    world = await trying("v2", "Canary", strategy=CANARY_FIRST)
    watched = Watched(world)
    await deleted(world, "orphan")
    await world.run(60)
    await created_again(world, "v2", strategy=CANARY_FIRST)
    await world.until(phase("Preparing", "Canary"))
    assert watched.splits[:2] == [[80, 20], [100]], "stable takes all of it, then the steps begin"
    await world.until(healthy("v2"))
    assert world.lost == 0
    uid = (await world.rollout()).metadata.uid
    kinds = sorted(m["kind"] for m in await owned(world, uid))
    assert kinds == ["ConfigMap", "ConfigMap", "Deployment", "HTTPRoute", "Service"], "one holds the evidence"


async def test_an_orphan_lives_on_from_its_own_document_when_its_version_was_pruned() -> None:
    world = await served(strategy=CANARY_FIRST)
    stable = (await world.rollout()).status.stable
    assert stable is not None
    watched = Watched(world)
    await deleted(world, "orphan")
    await remove(world, agent_version("v1"))
    await world.apply(agent_version("v2"))
    await created_again(world, "v2", strategy=CANARY_FIRST)
    await world.until(candidate_percent(20))
    assert watched.splits == [[100], [80, 20]]
    after = (await world.rollout()).status.stable
    assert after is not None
    assert (after.uid, after.workload) == (stable.uid, stable.workload)
    await world.until(healthy("v2"))
    assert world.lost == 0


async def test_orphans_of_a_version_that_is_not_wanted_are_never_deleted() -> None:
    world = await trying("v2", "Canary", strategy=CANARY_FIRST)
    candidate = (await world.rollout()).status.candidate
    assert candidate is not None
    watched = Watched(world)
    await deleted(world, "orphan")
    await created_again(world, "v1", strategy=CANARY_FIRST)
    await world.until(healthy("v1"))
    await world.run(300)
    assert watched.gone == []
    left = await world.objects.get("Deployment", NAMESPACE, candidate.workload)
    assert left is not None
    assert not left["metadata"].get("ownerReferences")


async def test_orphans_serve_on_where_no_release_tells_what_they_are() -> None:
    world = await served()
    for found in await world.releases():
        await remove(world, found)
    watched = Watched(world)
    await deleted(world, "orphan")
    await created_again(world, "v1")
    await world.until(stalled("BaselineUnknown"))
    await unwritten(world)
    assert watched.gone == []
    assert await world.weights() == [100]


async def taken_up(crash: tuple[int, Literal["before", "after"]] | None) -> World:
    """v1 was orphaned with a canary of v2, which did harm; the operator dies at one write of what follows."""
    world = await trying("v2", "Canary", strategy=CANARY_FIRST)
    world.behaviour["v2"] = HARMFUL
    await world.until(phase("Reverted"))
    watched = Watched(world)
    await deleted(world, "orphan")
    world.faults.writes.clear()
    world.faults.crash = crash
    await created_again(world, "v1", strategy=CANARY_FIRST)
    await world.until(healthy("v1"))
    status = (await world.rollout()).status
    assert status.attempt is None
    assert [q.version for q in status.quarantine] == ["v2"]
    assert watched.splits in ([[100]], [[100, 0], [100]])
    assert "HTTPRoute triage" not in watched.gone
    assert len(await world.releases()) == 2
    return world


async def test_an_operator_that_dies_while_it_adopts_goes_on_where_it_was() -> None:
    undisturbed = await taken_up(None)
    uid = (await undisturbed.rollout()).metadata.uid
    kinds = sorted(m["kind"] for m in await owned(undisturbed, uid))
    writes = len(undisturbed.faults.writes)
    assert writes >= 5, "status, route and three children"
    for number in range(1, writes + 1):
        for moment in ("before", "after"):
            world = await taken_up((number, moment))
            uid = (await world.rollout()).metadata.uid
            assert sorted(m["kind"] for m in await owned(world, uid)) == kinds, (number, moment)


# ------------------------------------------------------------------ 200 Releases
def labelled(manifest: Manifest) -> Manifest:
    """Its metadata, with the Rollout's name as a label."""
    return {"metadata": {**manifest["metadata"], "labels": {"interlock.dev/rollout": "triage"}}}


async def test_of_a_names_releases_200_are_kept_and_what_they_remember_stays() -> None:
    world = await served(strategy=CANARY_FIRST)
    for number in range(1, 211):
        moves = REVERTED if number == 7 else PROMOTED
        old = release(number, f"w{number}", moves, day=number - 300)
        await world.objects.create(old | labelled(old))
    await world.operator.list_all()
    before = (await world.operator.observer.observe(await world.rollout(), world.now)).memory
    await world.run(30)
    left = await world.releases()
    assert len(left) == 200
    gone = set(range(1, 211)) - {r["header"]["attempt"] for r in left if r["header"]["rolloutUid"] == OLD}
    assert gone == set(range(1, 13)) - {7}, "the oldest, but not what did harm"
    after = (await world.operator.observer.observe(await world.rollout(), world.now)).memory
    assert before is not None
    assert after is not None
    assert (after.stable, after.quarantine) == (before.stable, before.quarantine)
    assert after.promoted[:100] == before.promoted[:100]
    await unwritten(world)


# ------------------------------------------------------------------ the watch
def test_all_that_is_looked_at_is_watched_and_rollouts_come_last() -> None:
    assert {"Service", "HTTPRoute", "Gateway", "GatewayClass"} <= set(feed.WATCHED)
    assert "Service" not in feed.SELECTORS
    assert list(feed.WATCHED)[-1] == "Rollout"

"""Stories 28 and 32a on a real API server: what is in the way, and a Rollout that is created again."""

from __future__ import annotations

import asyncio
from typing import Any

import yaml

from interlock.core import workloads
from interlock.core.observation import Target
from interlock.model.rollout import Rollout
from tests.cluster import objects
from tests.cluster.api import GATEWAY, INTERLOCK, Manifest, core, grouped
from tests.cluster.conftest import NewStory
from tests.cluster.objects import CANARY_FIRST
from tests.cluster.seen import stalled
from tests.cluster.story import Story, clock_runs, condition, healthy, made_to_serve, measured, phase
from tests.cluster.waiting import until

QUICK = {"steps": [objects.CANARY, objects.FULL]}
CHILDREN = ("Deployment", "Service", "ConfigMap", "HTTPRoute")


async def create(story: Story, manifest: Manifest) -> None:
    """kubectl create -f -."""
    await story.kubectl("create", "-f", "-", stdin=yaml.safe_dump(manifest))


async def until_serves(story: Story, name: str, version: str) -> None:
    """A Rollout of another name comes to serve the version."""

    async def serves() -> bool:
        found = await story.land.api.get(grouped(INTERLOCK, story.namespace, "rollouts", name))
        return found is not None and healthy(version)(Rollout.read(found))

    await until(serves, 60, f"{name} to serve {version}", story.land.operator_log)


# ------------------------------------------------------------------ 32a
async def test_32a_a_service_that_would_select_the_clones_holds_the_next_version(story: Story) -> None:
    await story.first_version(strategy=QUICK)
    stable = await story.stable()
    ports = [{"port": 80, "targetPort": 8080}]
    legacy: Manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "legacy"}}
    await create(story, legacy | {"spec": {"selector": {"team": "support"}, "ports": ports}})
    await story.release("v2")
    await story.until(stalled("ForeignServiceSelectsCandidate", "Service legacy", "team=support"))
    await story.holds(stalled("ForeignServiceSelectsCandidate", "Service legacy"), 2)
    assert {m["metadata"]["name"] for m in await story.all("Deployment")} == {objects.NAME, stable}
    assert story.weights() == {stable: 100}
    await story.kubectl("delete", "service", "legacy")
    await story.until(healthy("v2"), 60)
    assert story.land.agents.lost[story.namespace] == 0


def legacy_route(story: Story, **spec: Any) -> Manifest:
    """A route on the host of `story`, that sends requests somewhere else."""
    parent = {"name": objects.GATEWAY, "namespace": objects.GATEWAY_NAMESPACE}
    return {
        "apiVersion": GATEWAY,
        "kind": "HTTPRoute",
        "metadata": {"name": "legacy"},
        "spec": {
            "parentRefs": [parent],
            "hostnames": [f"{story.namespace}.example.com"],
            "rules": [{"backendRefs": [{"name": "old", "port": 80}]}],
        }
        | spec,
    }


async def test_32a_an_older_route_of_another_namespace_keeps_its_requests(
    story: Story, new_story: NewStory
) -> None:
    """Workloads are ready before it goes, so that moving over needs no downtime."""
    other = await new_story()
    other.traffic(0)
    await create(other, legacy_route(story))
    await story.begin("v1")
    await story.until(stalled("RouteConflict", f"HTTPRoute {other.namespace}/legacy", story.namespace))
    prepared = await story.candidate()
    await story.until_pods(prepared, lambda pods: len(pods) == 2)
    await story.holds(stalled("RouteConflict", "legacy"), 2)
    assert await story.all("HTTPRoute") == []
    moved = [{"op": "replace", "path": "/spec/hostnames", "value": ["elsewhere.example.com"]}]
    path = grouped(GATEWAY, other.namespace, "httproutes", "legacy")
    await story.land.api.patch(path, moved, "json")  # type: ignore[arg-type]
    await story.until(healthy("v1"))
    assert story.weights() == {prepared: 100}


async def test_32a_the_older_rollout_keeps_the_agent(story: Story) -> None:
    await story.first_version()
    await asyncio.sleep(1.1)  # ages are whole seconds, and else the uid would decide
    second = objects.rollout("v1", f"second-{story.namespace}.example.com")
    second["metadata"]["name"] = "second"
    await create(story, second)
    path = grouped(INTERLOCK, story.namespace, "rollouts", "second")

    async def told() -> bool:
        found = await story.land.api.get(path)
        assert found is not None
        return stalled("AgentTaken", "Rollout triage", "agent triage")(Rollout.read(found))

    await until(told, 20, "the second Rollout to be told of the first", story.land.operator_log)
    assert healthy("v1")(await story.rollout())
    assert len(await story.all("HTTPRoute")) == 1
    await story.kubectl("delete", "rollout", objects.NAME)
    await until_serves(story, "second", "v1")


# ------------------------------------------------------------------ names and Gateways
async def test_a_name_that_somebody_has_taken_is_told_and_left_alone(story: Story) -> None:
    """It carries no label of ours, so nobody watches it."""
    await story.apply(objects.template(), objects.agent_version("v1"))
    name = await upcoming(story, "v1")
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"mine": "1"}}
    await create(story, theirs)
    await story.begin("v1")
    await story.until(stalled("NameTaken", f"ConfigMap {name}"))
    kept = await story.land.api.get(core(story.namespace, "configmaps", name))
    assert kept is not None
    assert (kept["data"], "ownerReferences" in kept["metadata"]) == ({"mine": "1"}, False)
    await story.kubectl("delete", "configmap", name)
    await story.until(healthy("v1"))


async def upcoming(story: Story, version: str) -> str:
    """The name that the version's workload will have."""
    path = grouped(INTERLOCK, story.namespace, "agentversions", version)
    found: Manifest = {}

    async def digested() -> bool:
        found.update(await story.land.api.get(path) or {})
        return "contentDigest" in (found.get("status") or {})

    await until(digested, 20, f"{version} to have a digest", story.land.operator_log)
    template = await story.land.api.get(grouped("apps/v1", story.namespace, "deployments", objects.NAME))
    assert template is not None
    target = Target(version, found["metadata"]["uid"], found["status"]["contentDigest"], "")
    return workloads.workload_name(objects.NAME, target, workloads.template_of(template))


def through(story: Story, gateway: str) -> Manifest:
    """Traffic settings with a Gateway of the story's own namespace."""
    hosts = [f"{story.namespace}.example.com"]
    return {"gatewayAPI": {"parentRefs": [{"name": gateway}], "hostnames": hosts, "port": 8080}}


def gateway(name: str, of_class: str) -> Manifest:
    """A Gateway with one listener."""
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    spec = {"gatewayClassName": of_class, "listeners": listeners}
    return {"apiVersion": GATEWAY, "kind": "Gateway", "metadata": {"name": name}, "spec": spec}


async def test_a_missing_gateway_is_named_and_the_route_follows_it(story: Story) -> None:
    await story.begin("v1", traffic=through(story, "edge"))
    await story.until(stalled("DependencyNotReady", f"Gateway {story.namespace}/edge does not exist"))
    assert await story.all("HTTPRoute") == []
    await create(story, gateway("edge", "played"))
    await story.until(healthy("v1"))


async def test_8_a_route_stays_at_its_gateway_until_the_one_that_an_edit_asks_for_exists(
    story: Story,
) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    await story.pause()  # so that the step does not end on the way
    before = (await story.route())["spec"]
    await story.edit(traffic=through(story, "edge"))
    await story.until(stalled("DependencyNotReady", f"Gateway {story.namespace}/edge does not exist"))
    assert (await story.route())["spec"] == before
    await create(story, gateway("edge", "played"))

    async def follows() -> bool:
        return [ref["name"] for ref in (await story.route())["spec"]["parentRefs"]] == ["edge"]

    await until(follows, 10, "the route to follow", story.land.operator_log)
    await story.until(phase("Paused"))
    assert (await story.route())["spec"]["rules"] == before["rules"]
    assert story.land.agents.lost[story.namespace] == 0


async def test_a_gateway_that_cannot_mirror_is_refused_with_a_sentence(story: Story) -> None:
    chosen = f"{story.namespace}-class"
    spec = {"controllerName": "traefik.io/gateway-controller"}
    await create(
        story, {"apiVersion": GATEWAY, "kind": "GatewayClass", "metadata": {"name": chosen}, "spec": spec}
    )
    try:
        await create(story, gateway("edge", chosen))
        await story.begin("v1", traffic=through(story, "edge"))
        await story.until(stalled("GatewayLacksFeature", "step shadow", "Traefik", "leave the step out"))
        await story.begin("v1", traffic=through(story, "edge"), strategy=QUICK)
        await story.until(healthy("v1"))
    finally:
        await story.land.api.delete(grouped(GATEWAY, "", "gatewayclasses", chosen))


# ------------------------------------------------------------------ 28: deleted and created again
async def test_28_created_again_it_knows_who_serves_and_what_stays_back(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(measured("violations"))
    story.behaves("v2", violation=1.0)
    before = await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "GateFailed", "GateFailed")
    await story.kubectl("delete", "rollout", objects.NAME)
    await story.sync()
    found = await story.until(phase("Reverted"))
    await story.until(lambda r: condition(r, "TrafficShifted")[0] == "True")
    await story.holds(phase("Reverted"), 2)
    assert found.metadata.uid != before.metadata.uid
    assert [(q.version, q.digest, q.message) for q in found.status.quarantine] == [
        (q.version, q.digest, q.message) for q in before.status.quarantine
    ]
    assert found.status.attempt is None
    assert found.status.stable is not None
    assert before.status.stable is not None
    assert found.status.stable.digest == before.status.stable.digest
    assert story.weights() == {found.status.stable.workload: 100}
    assert len(await story.all("Release")) == 2


async def test_28_an_attempt_is_not_inherited(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    before = await story.until(clock_runs("canary"))
    await story.until(measured("violations"))
    await story.kubectl("delete", "rollout", objects.NAME)
    await story.sync()
    found = await story.until(clock_runs("canary"))
    assert before.status.attempt is not None
    assert found.status.attempt is not None
    assert (found.status.attempt.number, found.status.attempt.seq) == (1, 2)
    assert found.status.attempt.step_started_time is not None
    assert before.status.attempt.step_started_time is not None
    assert found.status.attempt.step_started_time > before.status.attempt.step_started_time
    headers = [r["header"] for r in await story.all("Release")]
    (own,) = [header for header in headers if header["rolloutUid"] == found.metadata.uid]
    assert own["stable"]["version"] == "v1", "it is compared with what served before"


# ------------------------------------------------------------------ --cascade=orphan
async def children(story: Story) -> dict[str, tuple[str, list[str]]]:
    """Uid, and uids of the owners, of every object that was made to serve a version."""
    found = [m for kind in CHILDREN for m in await story.all(kind)]
    return {
        f"{m['kind']}/{m['metadata']['name']}": (
            m["metadata"]["uid"],
            [owner["uid"] for owner in m["metadata"].get("ownerReferences") or []],
        )
        for m in found
        if made_to_serve(m)
    }


async def orphaned(story: Story) -> None:
    """kubectl delete rollout --cascade=orphan: nobody owns the children any more."""
    await story.kubectl("delete", "rollout", objects.NAME, "--cascade=orphan")
    assert [owners for _, owners in (await children(story)).values() if owners] == []


async def adopted(story: Story, names: set[str]) -> None:
    """All of these, and nothing else, belong to the living Rollout."""
    uid = (await story.rollout()).metadata.uid
    found: dict[str, Any] = {}

    async def is_so() -> bool:
        found.clear()
        found.update(await children(story))
        return {name for name, (_, owners) in found.items() if owners == [uid]} == names

    await until(is_so, 20, f"{names} to be adopted", lambda: str(found))


async def test_an_orphaned_agent_serves_on_and_is_adopted_as_it_is(story: Story) -> None:
    await story.first_version()
    stable, before = await story.stable(), await children(story)
    await orphaned(story)
    served = story.land.agents.served(story.namespace, stable, "ai_agent_tasks_started_total")
    await story.scraped(2)
    assert story.land.agents.served(story.namespace, stable, "ai_agent_tasks_started_total") > served
    await story.sync()
    await story.until(healthy("v1"))
    await adopted(story, set(before))
    assert {n: uid for n, (uid, _) in (await children(story)).items()} == {
        n: u for n, (u, _) in before.items()
    }
    assert story.splits() == [{stable: 100}], "at every moment"
    assert "DELETED" not in {s.event for s in story.land.witness.history(story.namespace, "HTTPRoute")}
    assert story.land.agents.lost[story.namespace] == 0
    assert len(await story.all("Release")) == 1, "it was not tried again"


async def test_an_orphaned_canary_goes_back_to_stable_first_and_loses_no_request(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    stable, candidate, before = await story.stable(), await story.candidate(), await children(story)
    await orphaned(story)
    await story.scraped(2)
    assert story.splits()[-1] == {stable: 50, candidate: 50}
    await story.sync()
    await story.until(clock_runs("canary"))
    await adopted(story, set(before))
    half = {stable: 50, candidate: 50}
    assert story.splits() == [{stable: 100}, half, {stable: 100}, half]
    assert {n: uid for n, (uid, _) in (await children(story)).items()} == {
        n: u for n, (u, _) in before.items()
    }
    assert story.land.agents.lost[story.namespace] == 0

"""Stories 29, 32 and 33, and the API server's own troubles: holding together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.cluster.api import Manifest
from tests.cluster.apiserver import without_api_server
from tests.cluster.conftest import NewStory
from tests.cluster.objects import CANARY_FIRST, NAME
from tests.cluster.operator import Operator
from tests.cluster.story import Story, clock_runs, condition, healthy, made_to_serve, measured, phase
from tests.cluster.waiting import until

REST_SECONDS = 20


# ------------------------------------------------------------------ 29
async def _edited(story: Story, change: Callable[[list[Manifest]], object]) -> None:
    """Somebody changes the route's backends with kubectl edit."""
    backends = (await story.route())["spec"]["rules"][0]["backendRefs"]
    change(backends)
    patch = [{"op": "replace", "path": "/spec/rules/0/backendRefs", "value": backends}]
    await story.land.api.patch(story.route_path, patch, "json")  # type: ignore[arg-type]


async def _repaired(story: Story, weights: dict[str, int]) -> None:
    async def holds() -> bool:
        return [story.weights()] == [weights]

    await until(holds, 10, f"the route to be repaired to {weights}")


async def test_29_edited_weights_are_repaired(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    found = await story.until(clock_runs("canary"))
    assert found.status.stable is not None
    stable, candidate = found.status.stable.workload, await story.candidate()
    await _edited(story, lambda backends: backends[1].update(weight=99))
    await _repaired(story, {stable: 50, candidate: 50})
    await _edited(story, lambda backends: backends.pop(1))
    await _repaired(story, {stable: 50, candidate: 50})
    assert phase("Canary")(await story.rollout())
    await story.recorded(2, "AttemptStarted", "StepStarted")


async def test_29_a_condition_added_to_the_route_is_taken_away(story: Story) -> None:
    await story.first_version()
    before = (await story.route())["spec"]
    added = {"path": "/spec/rules/0/matches/0/headers", "value": [{"name": "x-beta", "value": "1"}]}
    await story.land.api.patch(story.route_path, [{"op": "add", **added}], "json")  # type: ignore[arg-type]

    async def repaired() -> bool:
        return bool((await story.route())["spec"] == before)

    await until(repaired, 10, "the condition to be taken away")
    await story.until(healthy("v1"))


async def test_29_a_deleted_route_comes_back(story: Story) -> None:
    await story.first_version()
    stable = await story.stable()
    route = await story.route()
    await story.land.api.delete(story.route_path)

    async def made_again() -> bool:
        found = await story.all("HTTPRoute")
        return [m["metadata"]["uid"] for m in found] not in ([], [route["metadata"]["uid"]])

    await until(made_again, 10, "the route to be made again")
    await _repaired(story, {stable: 100})
    await story.until(healthy("v1"))


async def test_29_a_weight_of_zero_by_hand_is_taken_as_a_wish(story: Story) -> None:
    """§3.4: a candidate weight of 0 on our route is itself read as intent."""
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(clock_runs("canary"))

    def to_zero(backends: list[Manifest]) -> None:
        backends[0].update(weight=100)
        backends[1].update(weight=0)

    await _edited(story, to_zero)
    await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "RouteAtZero", "RouteAtZero")


async def test_29_a_child_changed_by_hand_is_repaired(story: Story) -> None:
    await story.first_version()
    stable = await story.stable()
    await story.kubectl("scale", f"deployment/{stable}", "--replicas=0")
    await story.kubectl("delete", f"service/{stable}", "--wait=false")

    async def repaired() -> bool:
        services = [m["metadata"]["name"] for m in await story.all("Service")]
        sizes = {m["metadata"]["name"]: m["spec"]["replicas"] for m in await story.all("Deployment")}
        return services == [stable] and sizes[stable] == 2

    await until(repaired, 10, "the Deployment and the Service to be repaired")
    await story.until(healthy("v1"))


async def test_29_a_service_led_elsewhere_by_hand_is_repaired(story: Story) -> None:
    await story.first_version()
    stable = await story.stable()
    elsewhere = '{"spec":{"type":"ExternalName","externalName":"elsewhere.example.com"}}'
    await story.kubectl("patch", f"service/{stable}", "--type=merge", "-p", elsewhere)

    async def repaired() -> bool:
        (spec,) = [m["spec"] for m in await story.all("Service")]
        return bool(spec["type"] == "ClusterIP")

    await until(repaired, 10, "the Service to be repaired")
    await story.until(healthy("v1"))


async def test_29_what_lost_labels_and_owner_is_ours_again_and_turns_back(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(measured("violations"))
    stable, candidate = await story.stable(), await story.candidate()
    owner = (await story.rollout()).metadata.uid
    stripped = ("--type=merge", "-p", '{"metadata":{"labels":null,"ownerReferences":null}}')
    await story.kubectl("patch", "httproute", NAME, *stripped)
    for workload in (stable, candidate):
        for kind in ("service", "deployment"):  # nobody else may write a rendered ConfigMap
            await story.kubectl("patch", kind, workload, *stripped)
    story.behaves("v2", violation=1.0)
    await story.until(phase("Reverted"))
    await story.until(lambda rollout: condition(rollout, "TrafficShifted")[0] == "True")
    await story.only_serves("v1")
    kinds = ("HTTPRoute", "Service", "Deployment", "ConfigMap")
    ours = [m for kind in kinds for m in await story.all(kind) if made_to_serve(m)]
    assert {(m["kind"], m["metadata"]["ownerReferences"][0]["uid"]) for m in ours} == {
        (kind, owner) for kind in kinds
    }
    seen = story.land.witness.history(story.namespace, "Rollout")
    said = [c for one in seen for c in one.manifest.get("status", {}).get("conditions", [])]
    assert "StableUnavailable" not in {c["reason"] for c in said}, "the Service took its EndpointSlices along"


# ------------------------------------------------------------------ 32
async def test_32_at_rest_nothing_is_written_and_nothing_is_asked(
    new_story: NewStory, operator: Operator
) -> None:
    promoted, reverted = await new_story(), await new_story()
    await asyncio.gather(promoted.first_version(), reverted.first_version(strategy=CANARY_FIRST))
    await asyncio.gather(promoted.release("v2"), reverted.release("v2"))
    await reverted.until(measured("violations"))
    reverted.behaves("v2", violation=1.0)
    await asyncio.gather(
        promoted.only_serves_after(healthy("v2")), reverted.only_serves_after(phase("Reverted"))
    )
    await _still(operator)
    before = [await promoted.versions(), await reverted.versions()]
    spent = await operator.writes()
    asked = [story.land.relay.queries[story.namespace] for story in (promoted, reverted)]
    missed = await operator.value("interlock_relist_missed_total")
    await asyncio.sleep(REST_SECONDS)
    assert [await promoted.versions(), await reverted.versions()] == before
    assert await operator.writes() == spent
    assert [story.land.relay.queries[story.namespace] for story in (promoted, reverted)] == asked
    assert await operator.value("interlock_relist_missed_total") == missed


async def _still(operator: Operator) -> None:
    """Namespaces of earlier stories are still going away: wait until nothing more is written for a while."""
    spent, since = -1.0, time.monotonic()

    async def still() -> bool:
        nonlocal spent, since
        now = await operator.writes()
        if now != spent:
            spent, since = now, time.monotonic()
        return time.monotonic() - since > 3

    await until(still, 60, "the operator to come to rest", operator.program.tail, pause=0.5)


# ------------------------------------------------------------------ the API server itself
async def test_the_operator_survives_an_api_server_that_is_gone_for_seconds(
    story: Story, operator: Operator
) -> None:
    await story.first_version()
    await story.release("v2")
    await story.until(phase("Canary"))
    before = (await story.rollout()).status.attempt
    await without_api_server(story.land.cluster, 4)
    assert await operator.probe("livez") == 200
    after = (await story.rollout()).status.attempt
    assert before is not None
    assert after is not None
    assert after.number == before.number
    await story.until(healthy("v2"), 60)
    walked = ["AttemptStarted", "StepStarted", "StepStarted", "SoakStarted", "SoakPassed"]
    await story.recorded(2, *walked)

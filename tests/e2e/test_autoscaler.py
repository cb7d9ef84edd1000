"""Story 10 with the real autoscaler: it scales the Rollout by the CPU of its pods, alone and in a canary.

Nobody but the HorizontalPodAutoscaler ever says how many pods there are: the manifest leaves `replicas` out.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest

from tests.e2e import manifests
from tests.e2e.clients import Clients, versions
from tests.e2e.given import V1, questions, release
from tests.e2e.manifests import Manifest
from tests.e2e.measured import Measured
from tests.e2e.place import GATEWAY_LAG, Place, Stage, seconds, weights
from tests.e2e.watch import Sight, Watched, Watches

LASTS = 110
"""Seconds: as the longest story it begins first."""
V4 = "triage-v4"
SHARE = 10
LOW, HIGH = 30, 100_000
"""Targets in percent of a pod's CPU request (10m): less than a pod uses under load, more than it ever can."""
RISE = 30
"""Percent of the request that the load costs at least: 20 tasks a second, 0.15 ms each."""


@dataclass(frozen=True, slots=True)
class Told:
    """What happened. Times in unix seconds; `two`, `three` and `one`: so many pods were ready, in the canary
    of both versions; from `canary` to `rolled_back` both had weights. `idle` and `loaded`: percent of its
    request that v1's one pod used, as the autoscaler knew it."""

    clients: Clients
    idle: int
    loaded: int
    asked_for_two: float
    two: float
    canary: float
    asked_for_three: float
    three: float
    rolled_back: float
    one: float
    rollouts: list[Sight]
    routes: list[Sight]
    clones: list[Sight]
    autoscalers: list[Sight]
    account: str


async def tell(stage: Stage) -> Told:
    """Under load: 1 → 2 pods while v1 serves alone, 2 → 3 in a canary of v4, and 1 again when v4 is off."""
    await asyncio.to_thread(stage.cluster.add_metrics_server)
    async with stage.place("autoscaled") as place:
        where = f"/apis/autoscaling/v2/namespaces/{place.namespace}/horizontalpodautoscalers"
        autoscalers = Watched(stage.api, where)
        watches = Watches(autoscalers)
        watches.start()
        try:
            return await _scaled(place, autoscalers)
        finally:
            await watches.stop()


async def _scaled(place: Place, autoscalers: Watched) -> Told:
    rollout = await _v1_serves(place)
    await place.apply(_autoscaler(place, most=2, percent=HIGH))
    await place.until(lambda: _used(autoscalers) >= 0, "the autoscaler knows what the pod uses")
    idle = _used(autoscalers)
    place.clients.start(questions(place, seed=19))
    await place.until(lambda: _used(autoscalers) >= idle + RISE, "it knows that the pod uses more")
    loaded, asked_for_two = _used(autoscalers), time.time()
    await place.apply(_autoscaler(place, most=2, percent=LOW))
    two = await place.until(lambda: _sizes(place) == {V1: 2}, "v1 has two pods")
    await release(place, rollout, manifests.version(V4, place.namespace))
    canary = await place.until(lambda: place.is_running(f"canary-{SHARE}"), "the canary begins")
    asked_for_three = time.time()
    await place.apply(_autoscaler(place, most=3, percent=LOW))
    three = await place.until(lambda: _sizes(place) == {V1: 3, V4: 3}, "both versions have three pods")
    await asyncio.sleep(GATEWAY_LAG)
    rolled_back = time.time()
    await place.apply(rollout)
    await place.until(lambda: place.is_healthy(V1), "v1 serves alone")
    await place.apply(_autoscaler(place, most=3, percent=HIGH))
    one = await place.until(lambda: _sizes(place).get(V1) == 1, "v1 has one pod")
    await asyncio.sleep(GATEWAY_LAG + 5)
    await place.clients.stop()
    return Told(
        clients=place.clients,
        idle=idle,
        loaded=loaded,
        asked_for_two=asked_for_two,
        two=two,
        canary=canary,
        asked_for_three=asked_for_three,
        three=three,
        rolled_back=rolled_back,
        one=one,
        rollouts=place.rollouts.history,
        routes=place.routes.history,
        clones=place.clones.history,
        autoscalers=autoscalers.history,
        account=await place.describe() + _shown(autoscalers),
    )


async def _v1_serves(place: Place) -> Manifest:
    rollout = manifests.rollout(place.namespace, place.host, V1, steps=manifests.endless(SHARE), gates=[])
    del rollout["spec"]["replicas"]
    await place.apply(manifests.template(place.namespace), manifests.version(V1, place.namespace), rollout)
    await place.until(lambda: place.is_healthy(V1), "v1 serves as the first version")
    return rollout


def _autoscaler(place: Place, *, most: int, percent: int) -> Manifest:
    target = {"type": "Utilization", "averageUtilization": percent}
    at_once = {"stabilizationWindowSeconds": 0}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "triage", "namespace": place.namespace},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "interlock.dev/v1alpha1",
                "kind": "Rollout",
                "name": manifests.ROLLOUT,
            },
            "minReplicas": 1,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleUp": at_once, "scaleDown": at_once},
        },
    }


def _used(autoscalers: Watched) -> int:
    """Percent of their request that the pods use, as the autoscaler knows it; -1 while it does not."""
    status = autoscalers.present.get("triage", {}).get("status", {})
    known = [metric.get("resource", {}).get("current", {}) for metric in status.get("currentMetrics") or []]
    return next((int(current["averageUtilization"]) for current in known if current), -1)


def _sizes(place: Place) -> dict[str, int]:
    """Pods of each version that are ready, where they are as many as are wanted and no others are left."""
    found = {}
    for deployment in place.clones.present.values():
        status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
        if status.get("replicas", 0) == status.get("readyReplicas", 0) == wanted:
            found[_version(deployment)] = wanted
    return found


def _version(deployment: Manifest) -> str:
    return str(deployment["metadata"]["labels"]["interlock.dev/version"])


def _shown(autoscalers: Watched) -> str:
    shown = [f"{name}: {found.get('status')}" for name, found in autoscalers.present.items()]
    return "\n[autoscaler]\n" + "\n".join(shown)


def _at(history: list[Sight], moment: float) -> Manifest:
    """The last state heard of by then."""
    return [sight.manifest for sight in history if sight.at <= moment][-1]


# ------------------------------------------------------------------ who scales
@pytest.mark.parametrize(("moment", "pods"), [("two", 2), ("three", 3), ("one", 1)])
def test_the_rollout_has_as_many_pods_as_the_autoscaler_wants(told: Told, moment: str, pods: int) -> None:
    when = getattr(told, moment)
    rollout, autoscaler = _at(told.rollouts, when), _at(told.autoscalers, when)
    assert rollout["spec"]["replicas"] == pods
    assert autoscaler["status"]["desiredReplicas"] == pods


def test_nobody_else_sets_the_number_of_pods(told: Told) -> None:
    rollout = told.rollouts[-1].manifest
    owners = {
        (entry["manager"], entry.get("subresource"))
        for entry in rollout["metadata"]["managedFields"]
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    }
    assert owners == {("kube-controller-manager", "scale")}


def test_it_goes_by_the_cpu_of_the_pods(told: Told, measured: Measured) -> None:
    measured(
        f"autoscaler: a pod used {told.idle / 10} m idle, {told.loaded / 10} m under load; two pods after "
        f"{told.two - told.asked_for_two:.0f} s, three in the canary after "
        f"{told.three - told.asked_for_three:.0f} s"
    )
    known = _at(told.autoscalers, told.asked_for_two)["status"]
    assert known["desiredReplicas"] == 1
    assert [metric["resource"]["name"] for metric in known["currentMetrics"]] == ["cpu"]
    active = {c["type"]: c["status"] for c in known["conditions"]}
    assert active["AbleToScale"] == active["ScalingActive"] == "True"


def test_the_scale_subresource_counts_the_pods_that_serve_most(told: Told) -> None:
    selected = _at(told.rollouts, told.three)["status"]
    assert selected["replicas"] == 3
    stable = selected["stable"]["workload"]
    assert selected["selector"] == f"interlock.dev/workload={stable}"


# ------------------------------------------------------------------ the canary meanwhile
def test_weights_stay_while_both_sides_grow(told: Told) -> None:
    splits = [weights(sight.manifest) for sight in told.routes if told.canary <= sight.at < told.rolled_back]
    before = weights(_at(told.routes, told.canary))
    assert before == [100 - SHARE, SHARE]
    assert all(split == before for split in splits)


def test_the_step_goes_on_as_it_was(told: Told) -> None:
    begun, grown = (_at(told.rollouts, when)["status"]["attempt"] for when in (told.canary, told.three))
    assert begun["number"] == grown["number"]
    assert begun["stepStartedTime"] == grown["stepStartedTime"]
    assert seconds(begun["stepStartedTime"]) < told.asked_for_three


def test_clients_see_both_versions_and_lose_no_request(told: Told) -> None:
    assert not told.clients.failures
    assert told.clients.failed == 0
    seen = versions(told.clients.between(told.canary, told.rolled_back))
    assert seen.keys() == {V1, V4}
    after = told.clients.between(told.one, float("inf"))
    assert versions(after).keys() == {V1}
    assert len(after) >= 50

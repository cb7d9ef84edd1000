"""Objects of others, and our own after somebody's hand: whatever they hold, reading them raises nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.analysis.gates import Verdict
from interlock.core import ledger, memory, obstacles, traffic, workloads
from interlock.core.decide import decide
from interlock.core.effects import RecordEntries
from interlock.core.gateways import capabilities
from interlock.core.observation import Observation, Target, WorkloadState
from interlock.errors import InterlockError
from interlock.model.release import Header, Stage
from interlock.operator import feed, routing
from interlock.operator.cache import Cache
from interlock.operator.neighbours import Neighbours
from tests.core.hostile import mutated
from tests.core.machine.judge import check_revert
from tests.core.seen import (
    HARMFUL,
    NOW,
    TEMPLATE,
    V1,
    V2,
    accepted,
    gate,
    identity,
    parsed,
    report,
    stored,
    trying,
)
from tests.scenarios.objects import template
from tests.scenarios.surroundings import GATEWAY, GATEWAY_CLASS

few = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
many = settings(few, max_examples=120)
ROLLOUT = parsed("v2")
SEEN = trying(Stage.RUNNING, 0)
ROUTE = accepted(SEEN.route.manifest).manifest if SEEN.route else {}
STATE = SEEN.workloads[identity(V2).workload]
SLICE: dict[str, Any] = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {
        "name": "a-x",
        "namespace": "shop",
        "uid": "u",
        "resourceVersion": "5",
        "labels": {"kubernetes.io/service-name": "a"},
    },
    "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}, {"conditions": {}}],
}
RELEASE: dict[str, Any] = {
    "apiVersion": "interlock.dev/v1alpha1",
    "kind": "Release",
    "metadata": {"name": "triage-0f0e0d-1", "namespace": "shop", "uid": "u", "resourceVersion": "5"},
    "header": Header(
        rollout="triage",
        rollout_uid="x",
        agent="triage",
        attempt=1,
        candidate=identity(V2),
        stable=identity(V1),
    ).to_wire(),
    "entries": [
        {
            "seq": 1,
            "time": "2026-01-01T00:00:00Z",
            "stage": "Done",
            "outcome": "Reverted",
            "reason": "GateFailed",
            "stablePercent": 100,
            "candidatePercent": 0,
            "shadowPercent": 0,
        }
    ],
}


def placed(manifest: dict[str, Any]) -> dict[str, Any]:
    """With the metadata that every object of an API server has."""
    made = stored(manifest)
    made["metadata"].setdefault("namespace", "shop")
    return made


GOOD = {
    "HTTPRoute": placed(ROUTE),
    "Deployment": placed(STATE.deployment or {}),
    "template": placed(template()),
    "Service": placed(STATE.service or {}),
    "ConfigMap": placed(STATE.config or {}),
    "EndpointSlice": SLICE,
    "Release": RELEASE,
    "Gateway": placed(GATEWAY),
    "GatewayClass": placed(GATEWAY_CLASS),
}
PARTS = {"Deployment": "deployment", "Service": "service", "ConfigMap": "config"}
ALWAYS = ("apiVersion", "kind", "metadata")
"""What the API server itself sees to, for every kind."""


def around(manifest: dict[str, Any]) -> obstacles.Surroundings:
    """The object beside a Rollout, wherever it may be in its way."""
    place = (manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
    return obstacles.Surroundings(
        rollouts=[manifest],
        children=[manifest],
        services=[manifest],
        routes=[manifest],
        gateways={("gateways", "public"): manifest, place: manifest},
        classes={"example": manifest},
    )


def in_the_way(manifest: dict[str, Any]) -> object:
    pods = obstacles.clone_labels(ROLLOUT, "v2", "triage-x", TEMPLATE)
    return obstacles.obstacles(ROLLOUT, pods, [identity(V2)], around(manifest))


def listed(manifest: dict[str, Any]) -> object:
    """As the watch brings it: trimmed, kept, told to the neighbours."""
    cache = Cache()
    neighbours = Neighbours(cache, lambda key: None)
    cache.put(feed.lean(manifest))
    cache.put(feed.lean({**manifest, "metadata": {**manifest["metadata"], "resourceVersion": "99999"}}))
    neighbours.claiming([("triage.example.com", "")])
    return list(routing.concerned(cache, manifest))


def as_part(manifest: dict[str, Any]) -> object:
    """As the part of a workload of ours."""
    parts: dict[str, Any] = {PARTS[manifest["kind"]]: manifest}
    state: WorkloadState = replace(STATE, **parts)
    return workloads.is_available(state), workloads.unavailable_since(state)


def remembered(manifest: dict[str, Any]) -> object:
    effect = RecordEntries("triage-0f0e0d-1", "shop", Header.model_validate(RELEASE["header"]), ())
    return (
        memory.remember([manifest], "x"),
        memory.prunable([manifest], "x"),
        ledger.appended(manifest, effect),
    )


READERS: dict[str, Iterable[Callable[[dict[str, Any]], object]]] = {
    "HTTPRoute": (traffic.read_route, in_the_way, listed),
    "Deployment": (as_part, in_the_way, listed),
    "template": (workloads.template_of, listed),
    "Service": (as_part, in_the_way, listed),
    "ConfigMap": (as_part, workloads.stored_template, in_the_way, listed),
    "EndpointSlice": (listed,),
    "Release": (remembered, listed),
    "Gateway": (in_the_way, listed),
    "GatewayClass": (in_the_way, capabilities, listed),
}


def refused(read: Callable[[dict[str, Any]], object], manifest: dict[str, Any]) -> str:
    """The words of the refusal; the object's own name where it is read."""
    try:
        read(manifest)
    except InterlockError as error:
        return str(error)
    return str(manifest["metadata"]["name"])


@pytest.mark.parametrize("kind", GOOD)
@many
@given(st.data())
def test_every_reader_copes_with(kind: str, data: st.DataObject) -> None:
    """At most an error of ours, which names the object."""
    manifest = data.draw(mutated(GOOD[kind], ALWAYS), label=kind)
    for read in READERS[kind]:
        assert manifest["metadata"]["name"] in refused(read, manifest)


# ------------------------------------------------------------------ decisions on them
OURS = ("HTTPRoute", "Deployment", "Service", "ConfigMap")
PLACES = [
    (Stage.RUNNING, 0),
    (Stage.RUNNING, 1),
    (Stage.SOAKING, 2),
    (Stage.REVERTING, 1),
    (Stage.PREPARING, 0),
]


def with_part(seen: Observation, kind: str, workload: str, manifest: dict[str, Any]) -> Observation:
    """Our own object, as somebody has left it."""
    if kind == "HTTPRoute":
        return replace(seen, route=traffic.read_route(manifest))
    part: dict[str, Any] = {PARTS[kind]: manifest}
    return replace(seen, workloads={**seen.workloads, workload: replace(seen.workloads[workload], **part)})


@pytest.mark.parametrize("kind", OURS)
@few
@given(st.sampled_from(PLACES), st.sampled_from([V1, V2]), st.data())
def test_decisions_cope_with_our_own(
    kind: str, place: tuple[Stage, int], whose: Target, data: st.DataObject
) -> None:
    """Nothing is raised, something is said, no share rises, and harm takes the candidate off all the same."""
    seen, workload = trying(*place), identity(whose).workload
    assert seen.route is not None
    good = seen.route.manifest if kind == "HTTPRoute" else getattr(seen.workloads[workload], PARTS[kind])
    seen = with_part(seen, kind, workload, data.draw(mutated(good, ALWAYS), label=kind))
    before = seen.rollout.status.traffic
    decision = decide(replace(seen, evidence=report(gate(verdict=Verdict.INCONCLUSIVE))), NOW)
    decision.status.to_wire()
    assert all(condition.message for condition in decision.status.conditions)
    assert before is not None
    assert decision.status.traffic is not None
    assert (
        place[0] is Stage.PREPARING or decision.status.traffic.candidate_percent <= before.candidate_percent
    )
    if place[0] in (Stage.RUNNING, Stage.SOAKING):
        check_revert(seen, decide(replace(seen, evidence=HARMFUL), NOW), safety=True)


def test_a_template_that_somebody_spoilt_is_said_and_keeps_nothing_from_turning_back() -> None:
    """Before, decisions raised: the candidate could not be taken back any more."""
    seen = trying(Stage.RUNNING, 1)
    name = identity(V2).workload
    spoilt = {
        **(seen.workloads[name].config or {}),
        "data": {"template.json": '{"name": "triage", "spec": []}'},
    }
    seen = with_part(seen, "ConfigMap", name, spoilt)
    said = {c.type: (c.status.value, c.message) for c in decide(seen, NOW).status.conditions}
    assert said["Stalled"][0] == "True"
    assert f"ConfigMap {name} holds no template of ours: delete it" in said["Stalled"][1]
    assert decide(replace(seen, evidence=HARMFUL), NOW).reverts

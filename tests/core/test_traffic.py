"""The route for a split, and what is read back from it."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core import traffic
from interlock.core.observation import NOTHING, WorkloadState
from interlock.model.rollout import Step, TrafficStatus
from tests.core.seen import accepted, parsed
from tests.scenarios.rules import backends


def step(**kind: Any) -> Step:
    return Step.model_validate({"name": "x", **kind})


@pytest.mark.parametrize(
    ("kind", "split"),
    [
        ({"shadow": {"percent": 20}}, (100, 0, 20)),
        ({"canary": {"percent": 1}}, (99, 1, 0)),
        ({"canary": {"percent": 99}}, (1, 99, 0)),
        ({"full": {"holdoutPercent": 5}}, (5, 95, 0)),
        ({"full": {}}, (0, 100, 0)),
    ],
)
def test_what_a_step_asks_for(kind: dict[str, Any], split: tuple[int, int, int]) -> None:
    found = traffic.intended(step(**kind))
    assert (found.stable_percent, found.candidate_percent, found.shadow_percent) == split


def route(
    stable: int, candidate: int, shadow: int = 0, *, keep: bool = False, **gateway: Any
) -> dict[str, Any]:
    rollout = parsed()
    if gateway:
        manifest = {
            "gatewayAPI": {
                "parentRefs": [{"name": "public", "sectionName": "http"}],
                "hostnames": ["a.example.com", "b.example.com"],
                "port": 9000,
            }
            | gateway
        }
        rollout = parsed(traffic=manifest)
    split = TrafficStatus(stable_percent=stable, candidate_percent=candidate, shadow_percent=shadow)
    return traffic.http_route(rollout, split, stable="s", candidate="c", keep_candidate=keep)


@pytest.mark.parametrize(
    ("made", "weights", "mirror"),
    [
        (route(100, 0), {"s": 100}, None),
        (route(100, 0, keep=True), {"s": 100, "c": 0}, None),
        (route(80, 20), {"s": 80, "c": 20}, None),
        (route(0, 100), {"c": 100}, None),
        (route(100, 0, 20), {"s": 100}, "c-shadow"),
    ],
)
def test_backends_of_a_split(made: dict[str, Any], weights: dict[str, int], mirror: str | None) -> None:
    assert backends(made) == (weights, mirror)
    read = traffic.read_route(made)
    assert (dict(read.weights), read.mirror and read.mirror[0]) == (weights, mirror)


def test_hosts_listeners_paths_and_port_are_the_users() -> None:
    spec = route(100, 0, matches=[{"path": "/triage"}, {"path": "/t"}])["spec"]
    assert spec["hostnames"] == ["a.example.com", "b.example.com"]
    [parent] = spec["parentRefs"]
    assert (parent["kind"], parent["name"], parent["sectionName"]) == ("Gateway", "public", "http")
    [rule] = spec["rules"]
    assert [m["path"]["value"] for m in rule["matches"]] == ["/triage", "/t"]
    assert rule["backendRefs"][0]["port"] == 9000


def test_a_route_is_ours_and_goes_with_its_rollout() -> None:
    meta = route(100, 0)["metadata"]
    assert meta["name"] == "triage"
    [owner] = meta["ownerReferences"]
    assert (owner["kind"], owner["controller"]) == ("Rollout", True)


# ------------------------------------------------------------------ read back
def condition(kind: str, status: str = "True", generation: int | None = 1) -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind, "status": status, "reason": "Because", "message": "so"}
    return found if generation is None else found | {"observedGeneration": generation}


BOTH = [condition("Accepted"), condition("ResolvedRefs")]


@pytest.mark.parametrize(
    ("parents", "accepted_", "problem"),
    [
        ([{"conditions": BOTH}], True, ""),
        ([], False, ""),
        ([{"conditions": [condition("Accepted")]}], False, ""),
        ([{"conditions": [condition("Accepted"), condition("ResolvedRefs", generation=0)]}], False, ""),
        ([{"conditions": [condition("Accepted"), condition("ResolvedRefs", generation=None)]}], False, ""),
        ([{"conditions": [condition("Accepted", "False"), BOTH[1]]}], False, "Because: so"),
        ([{"conditions": [BOTH[0], condition("ResolvedRefs", "False")]}], False, "Because: so"),
        ([{"conditions": BOTH}, {"conditions": [condition("Accepted", "False")]}], False, "Because: so"),
        ([{"conditions": None}], False, ""),
        ([{}], False, ""),
        ([{"conditions": ["odd"]}], False, ""),
    ],
)
def test_accepted_means_both_conditions_at_the_current_generation(
    parents: list[dict[str, Any]], accepted_: bool, problem: str
) -> None:
    manifest = route(80, 20)
    manifest["metadata"]["generation"] = 1
    found = traffic.read_route({**manifest, "status": {"parents": parents}})
    assert (found.accepted, found.problem) == (accepted_, problem)


@pytest.mark.parametrize("spec", [{}, {"rules": None}, {"rules": []}, {"rules": [{}]}])
def test_a_route_without_rules_is_read_as_empty(spec: dict[str, Any]) -> None:
    found = traffic.read_route({"metadata": {"name": "triage"}, "spec": spec})
    assert (dict(found.weights), found.mirror, found.accepted) == ({}, None, False)


def test_a_weight_that_is_not_given_is_1_as_in_the_gateway_api() -> None:
    spec = {"rules": [{"backendRefs": [{"name": "s"}, {"name": "c", "weight": 0}]}]}
    assert dict(traffic.read_route({"metadata": {}, "spec": spec}).weights) == {"s": 1, "c": 0}


def test_shows_compares_with_the_whole_intent() -> None:
    desired = route(80, 20)
    found = accepted(desired)
    assert traffic.shows(found, desired)
    assert not traffic.shows(found, route(100, 0))
    assert not traffic.shows(None, desired)


def test_only_a_service_with_endpoints_can_receive() -> None:
    service = {"kind": "Service"}
    assert traffic.can_receive(WorkloadState(service=service, ready_endpoints=1))
    assert not traffic.can_receive(WorkloadState(service=service, ready_endpoints=0))
    assert not traffic.can_receive(WorkloadState(service=None, ready_endpoints=3))
    assert not traffic.can_receive(NOTHING)

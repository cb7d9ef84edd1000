"""What is in a Rollout's way: each rule by what it names, and by what it lets pass."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from interlock.core import traffic, workloads
from interlock.core.observation import Holds, Manifest, Obstacle
from interlock.core.obstacles import Surroundings, claims, claims_of, clone_labels, obstacles
from interlock.model.rollout import Rollout
from interlock.reasons import Reason
from tests.core import seen as given
from tests.scenarios.objects import CANARY, FULL
from tests.scenarios.objects import rollout as rollout_manifest
from tests.scenarios.surroundings import GATEWAY, GATEWAY_CLASS

CREATED, EARLIER, LATER = "2026-01-01T12:00:00Z", "2026-01-01T11:59:59Z", "2026-01-01T12:00:01Z"
UID = "0f0e0d0c-0000-4000-8000-000000000001"
READY: dict[str, Any] = {
    "gateways": {("gateways", "public"): GATEWAY},
    "classes": {"example": GATEWAY_CLASS},
}


def rollout(**spec: Any) -> Rollout:
    manifest = rollout_manifest("v1", **spec)
    manifest["metadata"] |= {"uid": UID, "creationTimestamp": CREATED}
    return Rollout.read(manifest)


ROLLOUT = rollout()
WHO = given.identity(given.V1)
PODS = clone_labels(ROLLOUT, "v1", WHO.workload, given.TEMPLATE)


def found(subject: Rollout = ROLLOUT, **around: Any) -> tuple[Obstacle, ...]:
    return obstacles(subject, PODS, [WHO], Surroundings(**(READY | around)))


def only(*all_found: Obstacle) -> Obstacle:
    (one,) = all_found
    return one


def test_nothing_is_in_the_way_of_a_rollout_alone() -> None:
    assert found() == ()


# ------------------------------------------------------------------ one Rollout an agent
def another(name: str = "older", created: str = EARLIER, uid: str = "ffff", **spec: Any) -> Manifest:
    manifest = rollout_manifest("v1", **spec)
    manifest["metadata"] |= {"name": name, "uid": uid, "creationTimestamp": created}
    return manifest


def test_an_older_rollout_keeps_the_agent() -> None:
    obstacle = only(*found(rollouts=[another("second", EARLIER), another("first", "2025-12-31T00:00:00Z")]))
    assert (obstacle.reason, obstacle.holds) == (Reason.AGENT_TAKEN, Holds.START)
    assert obstacle.message.startswith("Rollout first of this namespace is older and has agent triage")


@pytest.mark.parametrize(
    ("other", "taken"),
    [
        (another(created=CREATED, uid="0000"), True),
        (another(created=CREATED, uid="ffff"), False),
        (another(created=LATER, uid="0000"), False),
        (another(agent="other"), False),
        (another("triage", CREATED, UID), False),
        ({"metadata": {"name": "half-written", "uid": "0"}, "spec": None}, False),
    ],
    ids=["same second, first uid", "same second, last uid", "younger", "other agent", "itself", "broken"],
)
def test_who_is_older_goes_by_time_and_then_by_uid(other: Manifest, taken: bool) -> None:
    assert bool(found(rollouts=[other])) is taken


# ------------------------------------------------------------------ names
def theirs(kind: str, name: str, **meta: Any) -> Manifest:
    return {"kind": kind, "metadata": {"name": name, "namespace": "shop", **meta}}


@pytest.mark.parametrize("kind", ["ConfigMap", "Deployment", "Service"])
def test_a_name_that_somebody_else_has_taken_is_told_with_its_kind(kind: str) -> None:
    obstacle = only(*found(children=[theirs(kind, WHO.workload)]))
    assert (obstacle.reason, obstacle.holds) == (Reason.NAME_TAKEN, Holds.START)
    assert obstacle.message == (
        f"{kind} {WHO.workload} exists and is not this Rollout's: rename or delete it"
    )


def test_a_route_of_somebody_else_under_our_name_is_told() -> None:
    obstacle = only(*found(children=[theirs("HTTPRoute", "triage")]))
    assert obstacle.message.startswith("HTTPRoute triage exists and is not this Rollout's")


def test_what_is_going_away_is_waited_for() -> None:
    going = theirs("Service", WHO.workload, deletionTimestamp=LATER)
    assert "is being deleted: its name is free when it is gone" in only(*found(children=[going])).message


def test_own_objects_and_orphans_are_not_in_the_way() -> None:
    own = given.stored(workloads.service(ROLLOUT, WHO.workload, mode="live"))
    left = copy.deepcopy(own)
    del left["metadata"]["ownerReferences"]
    assert found(children=[own, left]) == ()


# ------------------------------------------------------------------ Services
def service(selector: dict[str, str] | None, name: str = "legacy", **spec: Any) -> Manifest:
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": selector, **spec},
    }


LEAKS = {
    "a label of the template": {"team": "support"},
    "a label of ours": {"interlock.dev/agent": "triage"},
    "the version": {"interlock.dev/version": "v1"},
    "the workload": {"interlock.dev/workload": WHO.workload},
    "the shadow": {"interlock.dev/mode": "shadow", "team": "support"},
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_service_that_would_pass_by_the_weights_is_told(name: str) -> None:
    obstacle = only(*found(services=[service(LEAKS[name])]))
    assert (obstacle.reason, obstacle.holds) == (Reason.FOREIGN_SERVICE, Holds.START)
    assert obstacle.message.startswith("Service legacy is not this Rollout's and selects its pods (")
    asked = ",".join(f"{key}={value}" for key, value in sorted(LEAKS[name].items()))
    assert asked in obstacle.message


@pytest.mark.parametrize(
    "harmless",
    [
        service({"app": "triage"}),
        service({"team": "support", "app": "triage"}),
        service({"team": "other"}),
        service({}),
        service(None),
        service({"team": "support"}, type="ExternalName", externalName="example.com"),
        {"kind": "Service", "metadata": {"name": "broken", "namespace": "shop"}},
    ],
    ids=["template's own key", "and another", "other value", "empty", "none", "name elsewhere", "no spec"],
)
def test_a_service_that_cannot_select_the_clones_is_nobodys_business(harmless: Manifest) -> None:
    assert found(services=[harmless]) == ()


def test_own_services_may_select_the_clones_of_course() -> None:
    own = given.stored(workloads.service(ROLLOUT, WHO.workload, mode="live"))
    left = copy.deepcopy(own)
    del left["metadata"]["ownerReferences"]
    assert found(services=[own, left]) == ()


def test_clones_carry_what_their_deployment_gives_them() -> None:
    for mode, pod in zip(("live", "shadow"), PODS, strict=True):
        made = workloads.deployment(ROLLOUT, WHO, given.TEMPLATE, mode=mode, replicas=1)
        assert pod == made["spec"]["template"]["metadata"]["labels"]


# ------------------------------------------------------------------ Gateways
def test_a_gateway_that_does_not_exist_is_told_and_holds_the_route_only() -> None:
    obstacle = only(*found(gateways={}, classes={}))
    assert (obstacle.reason, obstacle.holds) == (Reason.DEPENDENCY_NOT_READY, Holds.ROUTE)
    assert obstacle.message.startswith("Gateway gateways/public does not exist")


def test_a_gateway_of_the_rollouts_own_namespace_is_the_default() -> None:
    subject = rollout(
        traffic={"gatewayAPI": {"parentRefs": [{"name": "edge"}], "hostnames": ["a.b"], "port": 1}}
    )
    assert "Gateway shop/edge does not exist" in only(*found(subject)).message
    assert found(subject, gateways={("shop", "edge"): GATEWAY}) == ()


def test_a_class_that_does_not_exist_is_told_with_its_gateway() -> None:
    obstacle = only(*found(classes={}))
    assert obstacle.holds is Holds.ROUTE
    assert "GatewayClass example, which Gateway gateways/public names, does not exist" in obstacle.message


def test_a_gateway_that_cannot_do_a_step_is_told_with_the_step() -> None:
    contour = {"spec": {"controllerName": "projectcontour.io/gateway-controller"}}
    obstacle = only(*found(classes={"example": contour}))
    assert (obstacle.reason, obstacle.holds) == (Reason.GATEWAY_LACKS_FEATURE, Holds.START)
    assert obstacle.message.startswith("Gateway gateways/public: step shadow: `shadow.percent` 20 cannot be")
    without = rollout(strategy={"steps": [CANARY, FULL]})
    assert found(without, classes={"example": contour}) == ()


# ------------------------------------------------------------------ other routes
def route(
    name: str = "legacy",
    namespace: str = "elsewhere",
    created: str = EARLIER,
    parent: dict[str, str] | None = None,
    **spec: Any,
) -> Manifest:
    return {
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways"} | (parent or {})],
            "hostnames": ["triage.example.com"],
            **spec,
        },
    }


def own_route(created: str = CREATED) -> Manifest:
    made = given.stored(
        traffic.http_route(
            ROLLOUT, traffic.ALL_STABLE, stable=WHO.workload, candidate=None, keep_candidate=False
        )
    )
    made["metadata"]["creationTimestamp"] = created
    return made


def test_an_older_route_of_the_same_host_and_path_would_win_silently() -> None:
    obstacle = only(*found(routes=[route(rules=[{}]), own_route()]))
    assert (obstacle.reason, obstacle.holds) == (Reason.ROUTE_CONFLICT, Holds.ROUTE)
    assert obstacle.message.startswith(
        "HTTPRoute elsewhere/legacy already has host triage.example.com with path / on "
        "Gateway gateways/public"
    )


@pytest.mark.parametrize(
    ("other", "own", "conflict"),
    [
        (route(created=LATER), [], True),
        (route(created=LATER), [own_route()], False),
        (route(created=CREATED, namespace="aaa"), [own_route()], True),
        (route(created=CREATED, namespace="zzz"), [own_route()], False),
        (route(created=CREATED, namespace="shop", name="aaa"), [own_route()], True),
    ],
    ids=["ours is not there yet", "younger", "first by namespace", "last by namespace", "first by name"],
)
def test_who_wins_goes_by_age_and_then_by_name(other: Manifest, own: list[Manifest], conflict: bool) -> None:
    other["spec"]["rules"] = [{}]
    assert bool(found(routes=[other, *own])) is conflict


def matches(*given_matches: Any) -> dict[str, Any]:
    return {"rules": [{"matches": list(given_matches)}]}


def at(path: str, **more: Any) -> dict[str, Any]:
    return {"path": {"type": "PathPrefix", "value": path}, **more}


@pytest.mark.parametrize(
    ("spec", "conflict"),
    [
        ({}, False),
        ({"rules": [{}]}, True),
        ({"rules": [{"matches": []}]}, True),
        (matches({}), True),
        (matches(at("/")), True),
        (matches({"path": {"value": "/"}}), True),
        (matches(at("/other"), at("/")), True),
        (matches(at("/other")), False),
        (matches({"path": {"type": "Exact", "value": "/"}}), False),
        (matches(at("/", headers=[{"name": "a", "value": "b"}])), False),
        (matches(at("/", queryParams=[{"name": "a", "value": "b"}])), False),
        (matches(at("/", method="GET")), False),
        ({"rules": [None, {"matches": None}]}, True),
        ({"rules": [{}], "hostnames": ["other.example.com"]}, False),
        ({"rules": [{}], "hostnames": None}, False),
    ],
)
def test_only_an_equal_match_on_an_equal_host_is_in_the_way(spec: dict[str, Any], conflict: bool) -> None:
    assert bool(found(routes=[route(**spec)])) is conflict


def test_a_trailing_slash_makes_no_other_path() -> None:
    settings = {"parentRefs": [{"name": "public", "namespace": "gateways"}], "port": 8080}
    hosts = {"hostnames": ["triage.example.com"], "matches": [{"path": "/triage/"}]}
    subject = rollout(traffic={"gatewayAPI": settings | hosts})
    obstacle = only(*found(subject, routes=[route(**matches(at("/triage")))]))
    assert "with path /triage on" in obstacle.message
    assert found(subject, routes=[route(**matches(at("/triages")))]) == ()


@pytest.mark.parametrize(
    ("parent", "conflict"),
    [
        ({"sectionName": "http"}, True),
        ({"name": "other"}, False),
        ({"namespace": "elsewhere"}, False),
        ({"kind": "Service", "group": ""}, False),
        ({"group": "gateway.networking.k8s.io", "kind": "Gateway"}, True),
    ],
)
def test_routes_meet_on_the_same_gateway(parent: dict[str, str], conflict: bool) -> None:
    assert bool(found(routes=[route(parent=parent, rules=[{}])])) is conflict


@pytest.mark.parametrize(("section", "conflict"), [("http", True), ("https", False), (None, True)])
def test_routes_of_two_listeners_do_not_meet(section: str | None, conflict: bool) -> None:
    parent = {"name": "public", "namespace": "gateways", "sectionName": "http"}
    settings = {"parentRefs": [parent], "hostnames": ["triage.example.com"], "port": 8080}
    subject = rollout(traffic={"gatewayAPI": settings})
    theirs_on = {"sectionName": section} if section else {}
    assert bool(found(subject, routes=[route(parent=theirs_on, rules=[{}])])) is conflict


def test_a_parent_without_namespace_is_in_the_routes_own() -> None:
    other = route(namespace="gateways", rules=[{}])
    del other["spec"]["parentRefs"][0]["namespace"]
    assert only(*found(routes=[other])).reason is Reason.ROUTE_CONFLICT


def test_what_our_route_claims_is_what_it_says() -> None:
    settings = {"parentRefs": [{"name": "public"}], "hostnames": ["a.example.com", "b.example.com"]}
    subject = rollout(
        traffic={"gatewayAPI": settings | {"matches": [{"path": "/x/"}, {"path": "/"}], "port": 1}}
    )
    made = traffic.http_route(subject, traffic.ALL_STABLE, stable="s", candidate=None, keep_candidate=False)
    assert claims(made) == claims_of(subject)
    assert len(claims(made)) == 4


def test_the_gravest_comes_first() -> None:
    all_found = found(
        rollouts=[another()],
        children=[theirs("Service", WHO.workload)],
        services=[service({"team": "support"})],
        routes=[route(rules=[{}])],
        gateways={},
    )
    assert [o.reason for o in all_found] == [
        Reason.AGENT_TAKEN,
        Reason.NAME_TAKEN,
        Reason.FOREIGN_SERVICE,
        Reason.DEPENDENCY_NOT_READY,
        Reason.ROUTE_CONFLICT,
    ]

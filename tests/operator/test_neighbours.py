"""Who lives beside a Rollout, and whose coming, going or changing makes it worth another look."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from interlock.core.obstacles import claims
from interlock.operator import feed
from interlock.operator.cache import Cache, Manifest
from interlock.operator.neighbours import Neighbours
from tests.scenarios.objects import rollout
from tests.scenarios.surroundings import GATEWAY, GATEWAY_CLASS


class Town:
    """A cache, its neighbours, and who was woken since the last question."""

    def __init__(self) -> None:
        self.cache = Cache()
        self._versions = itertools.count(1)
        self._woken: set[str] = set()
        self.neighbours = Neighbours(self.cache, lambda key: self._woken.add(f"{key[1]}/{key[2]}"))

    def comes(self, *manifests: Manifest) -> set[str]:
        """They are written; returns whom that has woken."""
        for manifest in manifests:
            written = copy.deepcopy(manifest)
            written["metadata"].setdefault("uid", f"uid-{written['metadata']['name']}")
            written["metadata"]["resourceVersion"] = str(next(self._versions))
            self.cache.put(written)
        return self.woken()

    def changes(self, manifest: Manifest, change: Callable[[Manifest], object]) -> set[str]:
        """It is written again, changed."""
        change(manifest)
        return self.comes(manifest)

    def goes(self, manifest: Manifest) -> set[str]:
        """It is deleted."""
        meta = manifest["metadata"]
        held = self.cache.get(manifest["kind"], meta.get("namespace", ""), meta["name"])
        assert held is not None
        self.cache.drop(held)
        return self.woken()

    def woken(self) -> set[str]:
        told, self._woken = self._woken, set()
        return told


def agent(name: str, namespace: str = "shop", **spec: Any) -> Manifest:
    """A Rollout for an agent of its own name unless `spec` says otherwise."""
    settings = {
        "parentRefs": [{"name": "public", "namespace": "gateways"}],
        "hostnames": [f"{name}.example.com"],
        "port": 8080,
    }
    made = rollout("v1", **({"agent": name, "traffic": {"gatewayAPI": settings}} | spec))
    made["metadata"] = {"name": name, "namespace": namespace}
    return made


def route(name: str, host: str, namespace: str = "elsewhere", path: str = "/") -> Manifest:
    return {
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": [host],
            "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": path}}]}],
        },
    }


def service(name: str, selector: dict[str, str] | None, **meta: Any) -> Manifest:
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "shop", **meta},
        "spec": {"selector": selector},
    }


@pytest.fixture
def town() -> Town:
    """Two Rollouts of one namespace and one of another; nobody is awake."""
    made = Town()
    made.comes(GATEWAY_CLASS, GATEWAY, agent("triage"), agent("billing"), agent("triage", "lab"))
    return made


# ------------------------------------------------------------------ one Rollout an agent
def test_a_rollout_of_the_same_agent_wakes_the_others_when_it_comes_and_goes(town: Town) -> None:
    second = agent("second", agent="triage")
    assert town.comes(second) == {"shop/triage"}
    assert town.changes(second, lambda r: r.update(status={"phase": "Healthy"})) == set()
    assert town.goes(second) == {"shop/triage"}


def test_a_rollout_that_was_created_again_is_another(town: Town) -> None:
    town.comes(agent("second", agent="triage"))
    again = agent("second", agent="triage")
    again["metadata"]["uid"] = "another"
    assert town.comes(again) == {"shop/triage"}


def test_rollouts_of_an_agent_are_found_in_their_namespace(town: Town) -> None:
    town.comes(agent("second", agent="triage"))
    names = {m["metadata"]["name"] for m in town.neighbours.of_agent("shop", "triage")}
    assert names == {"triage", "second"}
    assert len(town.neighbours.of_agent("lab", "triage")) == 1
    assert town.neighbours.of_agent("shop", "nobody") == []


# ------------------------------------------------------------------ routes
def test_a_route_wakes_whoever_wants_the_same_host_across_namespaces(town: Town) -> None:
    other = route("legacy", "triage.example.com")
    assert town.comes(other) == {"shop/triage", "lab/triage"}
    assert town.changes(other, lambda r: r.update(status={"parents": []})) == set()
    assert town.changes(other, lambda r: r["spec"].update(hostnames=["billing.example.com"])) == {
        "shop/triage",
        "lab/triage",
        "shop/billing",
    }, "those that it no longer hinders, too"
    assert town.goes(other) == {"shop/billing"}


def test_a_route_that_moves_to_another_gateway_wakes_them(town: Town) -> None:
    other = route("legacy", "billing.example.com")
    town.comes(other)
    moved = [{"name": "other", "namespace": "gateways"}]
    assert town.changes(other, lambda r: r["spec"].update(parentRefs=moved)) == {"shop/billing"}


def test_a_rollouts_own_route_wakes_its_rivals_only(town: Town) -> None:
    assert town.comes(route("triage", "triage.example.com", "shop")) == {"lab/triage"}


def test_a_route_of_another_path_wakes_nobody(town: Town) -> None:
    assert town.comes(route("legacy", "triage.example.com", path="/other")) == set()


def test_routes_are_found_by_what_they_claim(town: Town) -> None:
    other = route("legacy", "triage.example.com", path="/x/")
    town.comes(other)
    assert [m["metadata"]["name"] for m in town.neighbours.claiming(claims(other))] == ["legacy"]
    assert town.neighbours.claiming([("triage.example.com", "")]) == []
    town.goes(other)
    assert town.neighbours.claiming(claims(other)) == []


# ------------------------------------------------------------------ Services
def test_a_foreign_service_wakes_the_namespace_when_it_selects_others_than_before(town: Town) -> None:
    legacy = service("legacy", {"team": "support"})
    everybody = {"shop/triage", "shop/billing"}
    assert town.comes(legacy) == everybody
    assert town.changes(legacy, lambda s: s["metadata"].update(annotations={"a": "b"})) == set()
    assert town.changes(legacy, lambda s: s["spec"].update(selector={"app": "x"})) == everybody
    assert town.goes(legacy) == everybody


def test_services_of_rollouts_wake_nobody_else(town: Town) -> None:
    owned = [{"kind": "Rollout", "name": "billing", "uid": "u"}]
    assert (
        town.comes(service("billing-1", {"interlock.dev/workload": "billing-1"}, ownerReferences=owned))
        == set()
    )


def test_services_that_ask_for_another_workload_are_not_even_looked_at(town: Town) -> None:
    town.comes(
        service("legacy", {"team": "support"}),
        service("a", {"interlock.dev/workload": "a"}),
        service("b", {"interlock.dev/workload": "b"}),
        service("nothing", None),
    )
    names = {m["metadata"]["name"] for m in town.neighbours.selecting("shop", ["a"])}
    assert names == {"legacy", "a"}
    assert town.neighbours.selecting("lab", ["a"]) == []


# ------------------------------------------------------------------ Gateways
def test_a_gateway_wakes_its_rollouts_when_it_comes_goes_or_changes_class(town: Town) -> None:
    everybody = {"shop/triage", "shop/billing", "lab/triage"}
    gateway = copy.deepcopy(GATEWAY)
    assert town.goes(gateway) == everybody
    assert town.comes(gateway) == everybody
    attached = {"listeners": [{"name": "http", "attachedRoutes": 7}]}
    assert town.changes(gateway, lambda g: g.update(status=attached)) == set(), "with every route anew"
    assert town.changes(gateway, lambda g: g["spec"].update(gatewayClassName="other")) == everybody
    assert town.comes({**GATEWAY, "metadata": {"name": "private", "namespace": "gateways"}}) == set()


def test_a_class_wakes_its_gateways_rollouts_when_it_can_do_more_or_less(town: Town) -> None:
    everybody = {"shop/triage", "shop/billing", "lab/triage"}
    chosen = copy.deepcopy(GATEWAY_CLASS)
    condition = {"conditions": [{"type": "Accepted", "status": "True"}]}
    assert town.changes(chosen, lambda c: c["status"].update(condition)) == set()
    assert town.changes(chosen, lambda c: c["status"].update(supportedFeatures=["HTTPRoute"])) == everybody
    assert town.goes(chosen) == everybody


def test_gateways_and_their_classes_are_found(town: Town) -> None:
    found = town.neighbours.gateways([("gateways", "public"), ("gateways", "private")])
    assert set(found) == {("gateways", "public")}
    assert set(town.neighbours.classes(found.values())) == {"example"}


# ------------------------------------------------------------------ what cannot be read
BROKEN: list[Manifest] = [
    {"kind": "Rollout", "metadata": {"name": "broken", "namespace": "shop"}, "spec": None},
    {"kind": "Rollout", "metadata": {"name": "broken", "namespace": "shop"}, "spec": {"agent": {}}},
    {"kind": "HTTPRoute", "metadata": {"name": "broken", "namespace": "shop"}, "spec": {"rules": [7]}},
    {"kind": "Service", "metadata": {"name": "broken", "namespace": "shop"}, "spec": {"selector": "all"}},
    {"kind": "Gateway", "metadata": {"name": "public", "namespace": "gateways"}, "spec": 7},
    {"kind": "GatewayClass", "metadata": {"name": "example"}, "spec": []},
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda m: f"{m['kind']}")
def test_what_cannot_be_read_names_nobody_and_breaks_nothing(town: Town, broken: Manifest) -> None:
    town.comes(broken)
    town.comes({**broken, "spec": {}})
    town.goes(broken)
    assert town.comes(agent("second", agent="triage")) == {"shop/triage"}


# ------------------------------------------------------------------ what is kept of others
def test_of_other_peoples_objects_only_what_is_read_is_kept() -> None:
    owned = [{"kind": "App", "uid": "1"}]
    found = service("legacy", {"team": "support"}, ownerReferences=owned, annotations={"long": "…" * 1000})
    found["spec"] |= {"clusterIP": "10.0.0.1", "ports": [{"port": 80}], "type": "ClusterIP"}
    found["status"] = {"loadBalancer": {}}
    kept = feed.lean(found)
    assert kept["spec"] == {"selector": {"team": "support"}, "type": "ClusterIP"}
    assert kept["metadata"] == {"name": "legacy", "namespace": "shop", "ownerReferences": owned}
    assert "status" not in kept


def test_what_a_foreign_route_claims_is_kept_and_where_it_sends_requests_is_not() -> None:
    other = route("legacy", "triage.example.com", path="/x")
    other["spec"]["rules"][0]["backendRefs"] = [{"name": "old"}]
    other["status"] = {"parents": []}
    kept = feed.lean(other)
    assert claims(kept) == claims(other)
    assert kept["spec"]["parentRefs"] == other["spec"]["parentRefs"]
    assert "backendRefs" not in kept["spec"]["rules"][0]
    assert "status" not in kept


@pytest.mark.parametrize("kind", ["Service", "HTTPRoute", "Deployment", "ConfigMap"])
def test_what_carries_our_label_is_kept_whole(kind: str) -> None:
    ours = {
        "kind": kind,
        "metadata": {"name": "a", "labels": {"interlock.dev/rollout": "triage"}},
        "spec": {"x": 1},
    }
    assert feed.lean(ours) == ours


def test_what_we_applied_is_kept_whole_whoever_took_off_its_labels() -> None:
    applied = [{"manager": "interlock", "operation": "Apply"}]
    ours = {"kind": "HTTPRoute", "metadata": {"name": "a", "managedFields": applied}, "spec": {"x": 1}}
    assert feed.lean(ours) == ours


def test_what_a_class_can_do_is_kept() -> None:
    kept = feed.lean(GATEWAY_CLASS | {"status": {**GATEWAY_CLASS["status"], "conditions": []}})
    assert kept["spec"] == GATEWAY_CLASS["spec"]
    assert kept["status"] == GATEWAY_CLASS["status"]
    assert feed.lean(GATEWAY)["spec"] == GATEWAY["spec"]

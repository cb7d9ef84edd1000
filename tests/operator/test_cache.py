"""The newest wins, whoever brings it; what was deleted stays deleted."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.operator import routing
from interlock.operator.cache import Cache, key_of, shared, trimmed
from tests.scenarios.objects import agent_version, rollout, template


def seen(version: int, name: str = "a", uid: str = "1", **labels: str) -> dict[str, Any]:
    """An object of the API server at a resourceVersion."""
    return {
        "kind": "ConfigMap",
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "labels": labels,
        },
    }


def held(cache: Cache, name: str = "a") -> str | None:
    found = cache.get("ConfigMap", "shop", name)
    return found["metadata"]["resourceVersion"] if found else None


def test_the_newest_version_wins() -> None:
    cache = Cache()
    assert cache.put(seen(9))
    assert not cache.put(seen(7)), "an old event that comes late"
    assert not cache.put(seen(9))
    assert cache.put(seen(10)), "versions are numbers: 10 is newer than 9"
    assert held(cache) == "10"


def test_a_late_event_does_not_bring_back_what_was_deleted() -> None:
    cache = Cache()
    cache.put(seen(5))
    assert cache.drop(seen(8))
    assert not cache.put(seen(7))
    assert held(cache) is None


def test_a_new_object_of_the_same_name_comes_in() -> None:
    cache = Cache()
    cache.put(seen(5))
    cache.drop(seen(8))
    assert cache.put(seen(9, uid="2"))


def test_a_late_deletion_does_not_take_the_new_object() -> None:
    cache = Cache()
    cache.put(seen(9, uid="2"))
    assert not cache.drop(seen(8, uid="1"))
    assert held(cache) == "9"


def test_a_deletion_of_the_unknown_is_remembered() -> None:
    cache = Cache()
    assert not cache.drop(seen(8))
    assert not cache.put(seen(7))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.permutations([("put", 1), ("put", 3), ("put", 5), ("drop", 6)]))
def test_any_order_of_the_same_events_ends_in_the_same_state(events: list[tuple[str, int]]) -> None:
    cache = Cache()
    for what, version in events:
        (cache.put if what == "put" else cache.drop)(seen(version))
    assert held(cache) is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.permutations([1, 3, 5, 12, 101]))
def test_any_order_of_versions_ends_with_the_newest(versions: list[int]) -> None:
    cache = Cache()
    for version in versions:
        cache.put(seen(version))
    assert held(cache) == "101"


# ------------------------------------------------------------------ relist
def test_a_listing_tells_what_the_watch_has_missed() -> None:
    cache = Cache()
    for name, version in (("same", 1), ("changed", 2), ("gone", 3)):
        cache.put(seen(version, name))
    listed = [seen(1, "same"), seen(9, "changed"), seen(8, "new")]
    assert {m["metadata"]["name"] for m in cache.learn("ConfigMap", listed)} == {"changed", "new"}
    assert [m["metadata"]["name"] for m in cache.absent_from("ConfigMap", listed)] == ["gone"]


def test_a_listing_of_one_kind_says_nothing_about_others() -> None:
    cache = Cache()
    cache.put(seen(1))
    assert cache.absent_from("Service", []) == []
    assert held(cache) == "1"


# ------------------------------------------------------------------ what is kept
def test_what_no_decision_reads_is_not_kept() -> None:
    manifest = seen(1)
    manifest["metadata"] |= {
        "managedFields": [{"manager": "kubectl"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "…", "mine": "x"},
    }
    kept = trimmed(manifest)
    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["annotations"] == {"mine": "x"}
    assert "managedFields" in manifest["metadata"], "the caller's object is left as it is"


def test_who_wrote_it_is_kept_only_while_nobody_owns_it() -> None:
    ours = {"manager": "interlock", "operation": "Apply", "fieldsV1": {"f:spec": {}}}
    status = {"manager": "interlock", "operation": "Update", "subresource": "status"}
    left = seen(1)
    left["metadata"]["managedFields"] = [status, {"manager": "kubectl"}, ours]
    owned = {**left, "metadata": {**left["metadata"], "ownerReferences": [{"uid": "u"}]}}
    assert trimmed(left)["metadata"]["managedFields"] == [{"manager": "interlock", "operation": "Apply"}]
    assert "managedFields" not in trimmed(owned)["metadata"]


def test_of_endpoints_only_their_readiness_is_kept() -> None:
    ready, silent = {"addresses": ["10.0.0.1"], "conditions": {"ready": False}}, {"addresses": ["10.0.0.2"]}
    kept = trimmed({**seen(1), "kind": "EndpointSlice", "ports": [{}], "endpoints": [ready, silent]})
    assert kept["endpoints"] == [{"conditions": {"ready": False}}, {"conditions": {"ready": True}}]
    assert "ports" not in kept


def test_the_document_is_kept_only_while_nobody_owns_it() -> None:
    orphan = {**seen(1), "data": {"agent.json": "{}", "template.json": "{}"}, "immutable": True}
    owned = {**orphan, "metadata": {**orphan["metadata"], "ownerReferences": [{"uid": "u"}]}}
    assert trimmed(orphan)["data"] == orphan["data"], "whoever adopts it must know what it holds"
    assert trimmed(owned)["data"] == {"template.json": "{}"}
    assert owned["data"] == orphan["data"], "the caller's object is left as it is"


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    )
)
def test_words_are_kept_once_and_nothing_is_changed(value: Any) -> None:
    assert shared(value) == value


def test_equal_words_of_two_events_are_one() -> None:
    first, second = (shared(json.loads('{"kind": "Config-Map of an event"}')) for _ in range(2))
    assert first["kind"] is second["kind"]
    assert next(iter(first)) is next(iter(second))


# ------------------------------------------------------------------ indices
OURS, SLICE = "interlock.dev/rollout", "kubernetes.io/service-name"
Step = tuple[str, str, str, dict[str, str], str]
STEPS = st.tuples(
    st.sampled_from(["put", "drop"]),
    st.sampled_from(["ConfigMap", "EndpointSlice"]),
    st.sampled_from(["shop/a", "shop/b", "desk/a"]),
    st.dictionaries(st.sampled_from([OURS, SLICE, "other"]), st.sampled_from(["x", "y"])),
    st.sampled_from(["1", "2"]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(STEPS, st.integers(1, 12)), max_size=12))
def test_what_an_index_finds_is_what_a_search_would(steps: list[tuple[Step, int]]) -> None:
    cache = Cache()
    for (what, kind, place, marks, uid), version in steps:
        namespace, _, name = place.partition("/")
        meta = {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": str(version)}
        (cache.put if what == "put" else cache.drop)({"kind": kind, "metadata": {**meta, "labels": marks}})
    for kind in ("ConfigMap", "EndpointSlice"):
        everything = cache.all(kind)
        assert len(everything) == len(cache.all(kind, "shop")) + len(cache.all(kind, "desk"))
        for namespace, label, value in itertools.product(("shop", "desk"), (OURS, SLICE), ("x", "y")):
            searched = [
                m
                for m in everything
                if (m["metadata"]["namespace"], m["metadata"]["labels"].get(label)) == (namespace, value)
            ]
            found = cache.labelled(kind, namespace, label, value)
            assert sorted(map(key_of, found)) == sorted(map(key_of, searched))
            assert all(cache.get(*key_of(manifest)) is manifest for manifest in found), "as last seen"


def test_only_what_is_indexed_can_be_asked_for() -> None:
    with pytest.raises(KeyError, match="INDEXED"):
        Cache().labelled("ConfigMap", "shop", "color", "red")


def test_objects_are_counted_and_found_by_namespace() -> None:
    cache = Cache()
    elsewhere = seen(3, "c")
    elsewhere["metadata"]["namespace"] = "other"
    for manifest in (seen(1, "a"), seen(2, "b"), elsewhere):
        cache.put(manifest)
    assert [m["metadata"]["name"] for m in cache.all("ConfigMap", "shop")] == ["a", "b"]
    assert len(cache.all("ConfigMap")) == len(cache) == 3
    cache.drop(elsewhere)
    assert len(cache) == 2


# ------------------------------------------------------------------ routing
def routed(*known: dict[str, Any], changed: dict[str, Any]) -> set[tuple[str, str]]:
    cache = Cache()
    for manifest in known:
        cache.put(manifest | {"metadata": {"resourceVersion": "1", "uid": "u", **manifest["metadata"]}})
    return {(kind, name) for kind, _, name in routing.concerned(cache, changed)}


OTHER = {**rollout("v2"), "metadata": {"name": "other", "namespace": "shop"}}


def test_a_version_concerns_its_agent_and_who_names_it_or_tries_it() -> None:
    trying = {**rollout("v1"), "status": {"candidate": {"version": "v2"}}}
    bystander = {**rollout("v1"), "metadata": {"name": "bystander", "namespace": "shop"}}
    found = routed(trying, OTHER, bystander, changed=agent_version("v2", agent="billing"))
    assert found == {("AgentVersion", "v2"), ("Rollout", "triage"), ("Rollout", "other")}
    found = routed(bystander, changed=agent_version("v2"))
    assert found == {("AgentVersion", "v2"), ("Rollout", "bystander")}, "it may remember it"


def test_a_version_of_another_namespace_concerns_nobody_here() -> None:
    elsewhere = {**OTHER, "metadata": {"name": "other", "namespace": "elsewhere"}}
    assert routed(elsewhere, changed=agent_version("v2")) == {("AgentVersion", "v2")}


def test_a_template_concerns_who_uses_it() -> None:
    assert routed(rollout(), OTHER, changed=template()) == {("Rollout", "triage"), ("Rollout", "other")}


def test_a_child_concerns_its_rollout_and_a_clone_is_no_template() -> None:
    clone = template()
    clone["metadata"]["labels"] = {"interlock.dev/rollout": "triage", "interlock.dev/template": "false"}
    assert routed(rollout(), OTHER, changed=clone) == {("Rollout", "triage")}


def test_evidence_that_was_written_down_concerns_nobody() -> None:
    marks = {"interlock.dev/rollout": "triage", "interlock.dev/evidence": "true"}
    written = {"kind": "ConfigMap", "metadata": {"name": "e", "namespace": "shop", "labels": marks}}
    assert routed(rollout(), OTHER, changed=written) == set()


def test_a_route_concerns_the_rollout_of_its_name_and_strangers_nobody() -> None:
    route = {"kind": "HTTPRoute", "metadata": {"name": "triage", "namespace": "shop"}}
    assert routed(rollout(), OTHER, changed=route) == {("Rollout", "triage")}
    assert routed(rollout(), changed=seen(1)) == set()


def test_half_written_rollouts_do_not_disturb_the_others() -> None:
    broken = {"kind": "Rollout", "metadata": {"name": "broken", "namespace": "shop"}, "spec": None}
    assert ("Rollout", "other") in routed(broken, OTHER, changed=agent_version("v2"))
    assert ("Rollout", "other") in routed(broken, OTHER, changed=template())

"""What `ports.Objects` promises, in memory and on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.adapters import kubernetes
from interlock.adapters.kubernetes import Connection, KubernetesObjects
from interlock.errors import Conflict, SpecError, TransientError
from tests.cluster import objects as users
from tests.contracts.stores import Manifest, ObjectStore, OnApiServer


def route(
    store: ObjectStore, name: str = "a", *, weights: dict[str, int] | None = None, **meta: Any
) -> Manifest:
    """An HTTPRoute: the operator may do everything with it."""
    backends = [{"name": n, "port": 80, "weight": w} for n, w in (weights or {"one": 100}).items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": store.namespace, **meta},
        "spec": {"hostnames": ["a.example.com"], "rules": [{"backendRefs": backends}]},
    }


def weights(manifest: Manifest) -> dict[str, int]:
    return {b["name"]: b["weight"] for b in manifest["spec"]["rules"][0]["backendRefs"]}


def version(manifest: Manifest) -> str:
    found: str = manifest["metadata"]["resourceVersion"]
    return found


# ------------------------------------------------------------------ create and get
async def test_what_was_created_is_found(store: ObjectStore) -> None:
    made = await store.objects.create(route(store))
    found = await store.objects.get("HTTPRoute", store.namespace, "a")
    assert found is not None
    assert made["metadata"]["uid"]
    assert made["metadata"]["generation"] == 1
    assert (found["kind"], found["apiVersion"]) == ("HTTPRoute", "gateway.networking.k8s.io/v1")
    assert (found["metadata"]["uid"], version(found)) == (made["metadata"]["uid"], version(made))
    assert weights(found) == {"one": 100}


async def test_what_is_not_there_is_none(store: ObjectStore) -> None:
    assert await store.objects.get("HTTPRoute", store.namespace, "a") is None


async def test_a_name_is_taken_once(store: ObjectStore) -> None:
    await store.objects.create(route(store))
    with pytest.raises(Conflict):
        await store.objects.create(route(store))


async def test_a_name_is_free_again_after_deletion(store: ObjectStore) -> None:
    first = await store.objects.create(route(store))
    await store.objects.delete("HTTPRoute", store.namespace, "a", first["metadata"]["uid"])
    second = await store.objects.create(route(store))
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert int(version(second)) > int(version(first))


# ------------------------------------------------------------------ list
async def test_lists_are_by_namespace_and_label(store: ObjectStore) -> None:
    for name, labels in (("a", {"k": "1"}), ("b", {"k": "2"}), ("c", {})):
        await store.objects.create(route(store, name, labels=labels))

    async def names(**by: str) -> list[str]:
        found = await store.objects.list("HTTPRoute", **by)
        assert all(m["kind"] == "HTTPRoute" and m["apiVersion"] for m in found)
        return sorted(m["metadata"]["name"] for m in found if m["metadata"]["namespace"] == store.namespace)

    assert await names() == ["a", "b", "c"]
    assert await names(namespace=store.namespace) == ["a", "b", "c"]
    assert await names(namespace="nowhere") == []
    assert await names(namespace=store.namespace, selector="k") == ["a", "b"]
    assert await names(selector="k=2") == ["b"]


async def test_lists_come_in_pages(api_server: OnApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "PAGE", 2)
    for name in "abcde":
        await api_server.objects.create(route(api_server, name))
    found = await api_server.objects.list("HTTPRoute", namespace=api_server.namespace)
    assert [m["metadata"]["name"] for m in found] == list("abcde")


# ------------------------------------------------------------------ apply
async def test_apply_makes_what_is_missing(store: ObjectStore) -> None:
    made = await store.objects.apply(route(store))
    found = await store.objects.get("HTTPRoute", store.namespace, "a")
    assert found is not None
    assert version(found) == version(made)


async def test_applying_the_same_again_is_no_write(store: ObjectStore) -> None:
    made = await store.objects.apply(route(store))
    again = await store.objects.apply(route(store))
    assert version(again) == version(made)
    assert again["metadata"]["generation"] == 1


async def test_apply_sets_whole_lists_and_leaves_what_others_added(store: ObjectStore) -> None:
    await store.given(route(store, labels={"theirs": "1"}))
    applied = await store.objects.apply(route(store, weights={"two": 90, "three": 10}, labels={"ours": "1"}))
    assert weights(applied) == {"two": 90, "three": 10}
    assert applied["metadata"]["labels"] == {"theirs": "1", "ours": "1"}
    assert applied["metadata"]["generation"] == 2


async def test_apply_with_an_old_version_is_refused(store: ObjectStore) -> None:
    old = await store.objects.apply(route(store))
    await store.objects.apply(route(store, weights={"two": 100}))
    with pytest.raises(Conflict):
        await store.objects.apply(route(store, weights={"three": 100}, resourceVersion=version(old)))


async def test_apply_with_the_version_of_a_gone_object_makes_it_again(store: ObjectStore) -> None:
    gone = await store.objects.create(route(store))
    await store.objects.delete("HTTPRoute", store.namespace, "a", gone["metadata"]["uid"])
    made = await store.objects.apply(route(store, resourceVersion=version(gone)))
    assert made["metadata"]["uid"] != gone["metadata"]["uid"]
    assert int(version(made)) > int(version(gone))


# ------------------------------------------------------------------ replace
async def test_replace_writes_all_but_status(store: ObjectStore) -> None:
    made = await store.objects.create(route(store, labels={"k": "1"}))
    changed = route(store, weights={"two": 100}, resourceVersion=version(made))
    found = await store.objects.replace({**changed, "status": {"parents": []}})
    assert weights(found) == {"two": 100}
    assert "labels" not in found["metadata"]
    assert found["metadata"]["generation"] == 2
    assert found["metadata"]["uid"] == made["metadata"]["uid"]


async def test_replace_with_an_old_version_is_refused(store: ObjectStore) -> None:
    old = await store.objects.create(route(store))
    await store.objects.replace(route(store, weights={"two": 100}, resourceVersion=version(old)))
    with pytest.raises(Conflict):
        await store.objects.replace(route(store, weights={"three": 100}, resourceVersion=version(old)))


async def test_replace_of_a_gone_object_makes_nothing(store: ObjectStore) -> None:
    gone = await store.objects.create(route(store))
    await store.objects.delete("HTTPRoute", store.namespace, "a", gone["metadata"]["uid"])
    with pytest.raises(Conflict):
        await store.objects.replace(gone)


async def test_who_changes_an_annotation_is_told_and_who_leaves_it_is_not(store: ObjectStore) -> None:
    key = {"f:example.com/note"}

    def owners(found: Manifest) -> list[tuple[str, str]]:
        return [
            (entry["manager"], entry["operation"])
            for entry in found["metadata"]["managedFields"]
            if entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:annotations", {}).keys() & key
        ]

    def noted(found: Manifest, note: str) -> Manifest:
        meta = {k: v for k, v in found["metadata"].items() if k != "managedFields"}
        return {**found, "metadata": {**meta, "annotations": {"example.com/note": note}}}

    made = await store.objects.create(route(store))
    ours = await store.objects.replace(noted(made, "1"), manager="ours")
    assert owners(ours) == [("ours", "Update")]
    same = await store.objects.replace(noted(ours, "1"), manager="theirs")
    assert owners(same) == [("ours", "Update")]
    theirs = await store.objects.replace(noted(same, "2"), manager="theirs")
    assert owners(theirs) == [("theirs", "Update")]


async def test_a_blind_replace_is_a_mistake_of_the_caller(store: ObjectStore) -> None:
    await store.objects.create(route(store))
    with pytest.raises(ValueError, match="blindly"):
        await store.objects.replace(route(store))


# ------------------------------------------------------------------ status
async def rollout_of_a_user(store: ObjectStore) -> Manifest:
    given = users.rollout("v1")
    await store.given({**given, "metadata": {**given["metadata"], "namespace": store.namespace}})
    found = await store.objects.get("Rollout", store.namespace, users.NAME)
    assert found is not None
    return found


async def test_status_is_written_alone(store: ObjectStore) -> None:
    made = await rollout_of_a_user(store)
    spec = {**made["spec"], "replicas": 9}
    meta = {**made["metadata"], "labels": {"forged": "1"}}
    wanted = {"observedGeneration": 1, "phase": "Pending"}
    written = await store.objects.replace_status({**made, "metadata": meta, "spec": spec, "status": wanted})
    assert wanted.items() <= written["status"].items()
    assert written["spec"] == made["spec"]
    assert "labels" not in written["metadata"]
    assert written["metadata"]["generation"] == made["metadata"]["generation"]
    assert version(written) != version(made)


async def test_status_needs_neither_spec_nor_uid(store: ObjectStore) -> None:
    made = await rollout_of_a_user(store)
    meta = {key: made["metadata"][key] for key in ("name", "namespace", "resourceVersion")}
    head = {key: made[key] for key in ("apiVersion", "kind")}
    status = {"observedGeneration": 1, "phase": "Pending"}
    written = await store.objects.replace_status({**head, "metadata": meta, "status": status})
    assert (written["spec"], written["metadata"]["uid"]) == (made["spec"], made["metadata"]["uid"])
    assert written["status"]["phase"] == "Pending"


async def test_status_with_an_old_version_is_refused(store: ObjectStore) -> None:
    old = await rollout_of_a_user(store)
    await store.objects.replace_status({**old, "status": {"observedGeneration": 1}})
    with pytest.raises(Conflict):
        await store.objects.replace_status({**old, "status": {"observedGeneration": 1, "phase": "Pending"}})


async def test_the_same_status_again_is_no_write(store: ObjectStore) -> None:
    made = await rollout_of_a_user(store)
    first = await store.objects.replace_status({**made, "status": {"observedGeneration": 1}})
    again = await store.objects.replace_status({**first, "status": first["status"]})
    assert version(again) == version(first)


# ------------------------------------------------------------------ delete
async def test_only_the_very_object_is_deleted(store: ObjectStore) -> None:
    made = await store.objects.create(route(store))
    with pytest.raises(Conflict):
        await store.objects.delete("HTTPRoute", store.namespace, "a", "00000000-0000-4000-8000-00000000ffff")
    assert await store.objects.get("HTTPRoute", store.namespace, "a") is not None
    await store.objects.delete("HTTPRoute", store.namespace, "a", made["metadata"]["uid"])
    assert await store.objects.get("HTTPRoute", store.namespace, "a") is None
    await store.objects.delete("HTTPRoute", store.namespace, "a", made["metadata"]["uid"])


# ------------------------------------------------------------------ refusals, of a real API server only
async def test_content_that_breaks_a_rule_is_the_users_to_correct(api_server: OnApiServer) -> None:
    with pytest.raises(SpecError, match="weight"):
        await api_server.objects.apply(route(api_server, weights={"one": -1}))
    made = await rollout_of_a_user(api_server)
    split = {"stablePercent": 60, "candidatePercent": 60, "shadowPercent": 0}
    with pytest.raises(SpecError, match="sum to 0 or 100"):
        await api_server.objects.replace_status(
            {**made, "status": {"observedGeneration": 1, "traffic": split}}
        )


async def test_what_the_account_may_not_do_is_tried_again_later(api_server: OnApiServer) -> None:
    await rollout_of_a_user(api_server)
    with pytest.raises(TransientError, match="403"):
        await api_server.objects.delete("Rollout", api_server.namespace, users.NAME, "any")


async def test_an_api_server_that_does_not_answer_is_transient() -> None:
    told: list[tuple[str, str]] = []
    nobody = Connection("http://127.0.0.1:1", tls=False, authorization=lambda: "")
    objects = KubernetesObjects(nobody, lambda verb, code: told.append((verb, code)))
    with pytest.raises(TransientError, match="Cannot connect"):
        await objects.get("Rollout", "shop", "a")
    await objects.close()
    assert told == [("get", "error")]

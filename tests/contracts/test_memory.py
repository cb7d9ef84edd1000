"""What stories rely on in the in-memory ports: preconditions, subresources, generations, events."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.adapters.memory import MemoryMetrics, MemoryObjects
from interlock.core.observation import Unreadable
from interlock.errors import Conflict
from interlock.ports import Samples, Selection

Manifest = dict[str, Any]


def rollout(**spec: Any) -> Manifest:
    return {
        "kind": "Rollout",
        "metadata": {"name": "a", "namespace": "shop"},
        "spec": spec or {"replicas": 1},
    }


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


async def test_what_is_stored_is_a_copy(objects: MemoryObjects) -> None:
    given = rollout(replicas=1)
    made = await objects.create(given)
    given["spec"]["replicas"] = made["spec"]["replicas"] = 9
    found = await objects.get("Rollout", "shop", "a")
    assert found is not None
    assert found["spec"]["replicas"] == 1


async def test_an_old_version_is_refused(objects: MemoryObjects) -> None:
    old = await objects.create(rollout(replicas=1))
    await objects.replace({**old, "spec": {"replicas": 2}})
    for write in (objects.replace, objects.replace_status, objects.apply):
        with pytest.raises(Conflict):
            await write({**old, "spec": {"replicas": 3}})


async def test_a_blind_replace_is_a_mistake_of_the_caller(objects: MemoryObjects) -> None:
    await objects.create(rollout())
    with pytest.raises(ValueError, match="blindly"):
        await objects.replace(rollout(replicas=2))


async def test_what_does_not_exist_cannot_be_replaced_or_applied_by_version(objects: MemoryObjects) -> None:
    gone = rollout() | {"metadata": {"name": "a", "namespace": "shop", "resourceVersion": "1"}}
    for write in (objects.replace, objects.replace_status, objects.apply):
        with pytest.raises(Conflict):
            await write(gone)


async def test_a_name_is_taken_once(objects: MemoryObjects) -> None:
    await objects.create(rollout())
    with pytest.raises(Conflict):
        await objects.create(rollout())


async def test_status_and_spec_are_written_apart(objects: MemoryObjects) -> None:
    made = await objects.create({**rollout(replicas=1), "status": {"phase": "forged"}})
    assert "status" not in made
    told = await objects.replace_status({**made, "spec": {"replicas": 9}, "status": {"phase": "Healthy"}})
    assert (told["spec"], told["status"]) == ({"replicas": 1}, {"phase": "Healthy"})
    edited = await objects.replace({**told, "spec": {"replicas": 2}, "status": {"phase": "forged"}})
    assert (edited["spec"], edited["status"]) == ({"replicas": 2}, {"phase": "Healthy"})
    assert [m["metadata"]["generation"] for m in (made, told, edited)] == [1, 1, 2]


async def test_writing_what_is_there_already_is_no_write(objects: MemoryObjects) -> None:
    made = await objects.create(rollout())
    heard: list[str] = []
    objects.listeners.append(lambda event, _: heard.append(event))
    again = await objects.replace(made)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert heard == []


async def test_apply_merges_maps_and_sets_lists(objects: MemoryObjects) -> None:
    await objects.create(rollout(a={"x": 1, "y": 2}, list=[1, 2]))
    found = await objects.apply(rollout(a={"y": 3}, list=[9]))
    assert found["spec"] == {"a": {"x": 1, "y": 3}, "list": [9]}


async def test_only_the_very_object_is_deleted(objects: MemoryObjects) -> None:
    made = await objects.create(rollout())
    with pytest.raises(Conflict):
        await objects.delete("Rollout", "shop", "a", "another-uid")
    await objects.delete("Rollout", "shop", "a", made["metadata"]["uid"])
    await objects.delete("Rollout", "shop", "a", made["metadata"]["uid"])
    assert await objects.get("Rollout", "shop", "a") is None


async def test_events_come_in_order_with_rising_versions(objects: MemoryObjects) -> None:
    heard: list[tuple[str, int]] = []
    objects.listeners.append(lambda event, m: heard.append((event, int(m["metadata"]["resourceVersion"]))))
    made = await objects.create(rollout())
    edited = await objects.replace({**made, "spec": {"replicas": 5}})
    await objects.delete("Rollout", "shop", "a", edited["metadata"]["uid"])
    assert [event for event, _ in heard] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [version for _, version in heard]
    assert versions == sorted(set(versions))


async def test_lists_are_by_namespace_and_label(objects: MemoryObjects) -> None:
    for name, namespace, labels in (("a", "x", {"k": "1"}), ("b", "x", {"k": "2"}), ("c", "y", {})):
        await objects.create(
            {"kind": "Service", "metadata": {"name": name, "namespace": namespace, "labels": labels}}
        )

    async def names(**by: str) -> list[str]:
        return [m["metadata"]["name"] for m in await objects.list("Service", **by)]

    assert await names() == ["a", "b", "c"]
    assert await names(namespace="x") == ["a", "b"]
    assert await names(selector="k") == ["a", "b"]
    assert await names(selector="k=2") == ["b"]


# ------------------------------------------------------------------ metrics
def selection(at: float, window: float) -> Selection:
    return Selection(frozenset({"tasks"}), "shop", "triage", at, window)


async def test_a_window_is_open_at_its_beginning_and_closed_at_its_end() -> None:
    metrics = MemoryMetrics()
    labels = {"__name__": "tasks", "namespace": "shop", "agent": "triage"}
    for moment in (10.0, 15.0, 20.0, 25.0):
        metrics.scrape(moment, [(labels, moment)])
    found = await metrics.read(selection(20, 10))
    assert isinstance(found, Samples)
    assert [series.points for series in found.series] == [((15.0, 15.0), (20.0, 20.0))]
    assert await metrics.read(selection(9, 5)) == Samples(())


@pytest.mark.parametrize("other", [{"namespace": "x"}, {"agent": "x"}, {"__name__": "x"}])
async def test_only_the_selected_series_are_read(other: dict[str, str]) -> None:
    metrics = MemoryMetrics()
    labels = {"__name__": "tasks", "namespace": "shop", "agent": "triage"} | other
    metrics.scrape(10, [(labels, 1.0)])
    assert await metrics.read(selection(10, 5)) == Samples(())


async def test_broken_metrics_say_why() -> None:
    metrics = MemoryMetrics()
    metrics.broken = "connection refused"
    assert await metrics.read(selection(10, 5)) == Unreadable("connection refused")
    assert metrics.reads == 1

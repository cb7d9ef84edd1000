"""What stories rely on in the in-memory ports beyond the contract: copies, forged fields, events."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.adapters.memory import MemoryMetrics, MemoryObjects
from interlock.core.observation import Unreadable
from interlock.ports import Selection

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


async def test_events_come_in_order_with_rising_versions(objects: MemoryObjects) -> None:
    heard: list[tuple[str, int]] = []
    objects.listeners.append(lambda event, m: heard.append((event, int(m["metadata"]["resourceVersion"]))))
    made = await objects.create(rollout())
    edited = await objects.replace({**made, "spec": {"replicas": 5}})
    await objects.delete("Rollout", "shop", "a", edited["metadata"]["uid"])
    assert [event for event, _ in heard] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [version for _, version in heard]
    assert versions == sorted(set(versions))


# ------------------------------------------------------------------ metrics
def selection(at: float, window: float) -> Selection:
    return Selection(frozenset({"tasks"}), "shop", "triage", at, window)


async def test_broken_metrics_say_why() -> None:
    metrics = MemoryMetrics()
    metrics.broken = "connection refused"
    assert await metrics.read(selection(10, 5)) == Unreadable("connection refused")
    assert metrics.reads == 1

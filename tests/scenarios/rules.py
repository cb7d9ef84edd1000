"""What must hold at every single write of the operator, in every story."""

from __future__ import annotations

import contextlib
from typing import Any

from pydantic import ValidationError

from interlock.core import labels
from interlock.core.workloads import shadow_name
from interlock.model.release import Outcome, Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt, RolloutStatus, TrafficStatus
from interlock.ports import Objects
from interlock.reasons import IN_PLACE

Manifest = dict[str, Any]

FOLLOWS: dict[Stage, frozenset[Stage]] = {
    Stage.PREPARING: frozenset(Stage),
    Stage.RUNNING: frozenset({Stage.PREPARING, Stage.RUNNING, Stage.SOAKING, Stage.REVERTING}),
    Stage.SOAKING: frozenset({Stage.PREPARING, Stage.REVERTING, Stage.DONE}),
    Stage.REVERTING: frozenset({Stage.DONE}),
    Stage.DONE: frozenset(),
}
WALKING = (Stage.RUNNING, Stage.SOAKING)


async def check_write(objects: Objects, verb: str, before: Manifest | None, stored: Manifest) -> None:
    """Judge one write; `before` is the object as it was."""
    match stored["kind"]:
        case "HTTPRoute":
            await _check_route(objects, before, stored)
        case "Rollout":
            assert verb == "replace_status", "a user's spec and metadata are theirs"
            assert before is not None
            _check_unchanged_but_status(before, stored)
            with contextlib.suppress(ValidationError):  # of a newer version, or edited by hand
                remembered = await _last_attempt(objects, stored)
                check_status(Rollout.read(before), Rollout.read(stored), remembered)
        case "AgentVersion" | "MetricTemplate":
            assert verb == "replace_status", "a user's spec and metadata are theirs"
            assert before is not None
            _check_unchanged_but_status(before, stored)
        case "Release":
            _check_release(before, stored)
        case "Deployment":
            assert stored["metadata"]["labels"].get(labels.TEMPLATE) != "true", "templates are only read"
        case "ConfigMap" | "Service" | "Event":
            pass
        case kind:
            raise AssertionError(f"the operator has no business with {kind}")


def _check_unchanged_but_status(before: Manifest, stored: Manifest) -> None:
    volatile = {"resourceVersion"}
    assert before.get("spec") == stored.get("spec")
    assert {k: v for k, v in before["metadata"].items() if k not in volatile} == {
        k: v for k, v in stored["metadata"].items() if k not in volatile
    }


# ------------------------------------------------------------------ route
async def _check_route(objects: Objects, before: Manifest | None, route: Manifest) -> None:
    meta = route["metadata"]
    owner = await objects.get("Rollout", meta["namespace"], meta["name"])
    assert owner is not None
    rollout = Rollout.read(owner)
    status = rollout.status
    weights, mirrors = backends(route)
    closed = status.traffic == TrafficStatus()
    assert sum(weights.values()) == (0 if closed else 100), weights
    assert 0 not in weights.values() or 100 in weights.values(), "an explicit 0 is a revert"
    reverting = status.attempt is not None and status.attempt.stage is Stage.REVERTING
    candidate = status.candidate.workload if status.candidate else ""
    for name, weight in weights.items():
        assert await objects.get("Service", meta["namespace"], name), f"{name} does not exist"
        if weight and not reverting and name == candidate:
            assert await endpoints(objects, meta["namespace"], name), f"{name} has no endpoints"
    for mirror, share in mirrors.items():
        assert share <= mirrored(status).get(mirror, 0), "nothing is mirrored that was not intended first"
        assert await endpoints(objects, meta["namespace"], mirror), f"{mirror} has no endpoints"
    intended = status.traffic.candidate_percent if status.traffic else 0
    assert weights.get(candidate, 0) <= intended, "intent comes first"
    if weights.get(candidate, 0) > (backends(before)[0].get(candidate, 0) if before else 0):
        await _check_size(objects, rollout, candidate)


async def _check_size(objects: Objects, rollout: Rollout, candidate: str) -> None:
    """Before the candidate gets a larger share, as many of its pods are Available as the step asks for."""
    attempt, steps = rollout.status.attempt, rollout.spec.strategy.steps
    if attempt is None or attempt.start_replicas is None or attempt.stage not in WALKING:
        return
    canary = steps[attempt.step_index].canary if attempt.step_index < len(steps) else None
    needed = min(attempt.start_replicas, (canary.replicas if canary else None) or attempt.start_replicas)
    deployment = await objects.get("Deployment", rollout.metadata.namespace, candidate)
    assert deployment is not None
    available = (deployment.get("status") or {}).get("availableReplicas", 0)
    assert available >= needed, f"{available} of {needed} pods are Available"


def backends(route: Manifest) -> tuple[dict[str, int], dict[str, int]]:
    """Weights by Service, and the mirrored share by the Service that gets it."""
    rule = route["spec"]["rules"][0]
    weights = {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}
    mirrors = [item["requestMirror"] for item in rule.get("filters") or []]
    return weights, {mirror["backendRef"]["name"]: mirror.get("percent", 100) for mirror in mirrors}


def mirrored(status: RolloutStatus) -> dict[str, int]:
    """What is to be mirrored, by the Service that is to get it."""
    split = status.traffic or TrafficStatus()
    sides = ((status.candidate, split.shadow_percent), (status.stable, split.control_percent))
    return {shadow_name(version.workload): share for version, share in sides if version and share}


async def endpoints(objects: Objects, namespace: str, service: str) -> int:
    """Ready endpoints of a Service."""
    slices = await objects.list("EndpointSlice", namespace=namespace)
    return sum(
        len(item["endpoints"])
        for item in slices
        if item["metadata"]["labels"]["kubernetes.io/service-name"] == service
    )


# ------------------------------------------------------------------ status
async def _last_attempt(objects: Objects, rollout: Manifest) -> int:
    """The highest number that a Release of this very Rollout has."""
    releases = [release["header"] for release in await objects.list("Release")]
    uid = rollout["metadata"]["uid"]
    return max((header["attempt"] for header in releases if header["rolloutUid"] == uid), default=0)


def check_status(before: Rollout, after: Rollout, remembered: int | None = None) -> None:
    """Rules that the API server holds as CEL, and those of conventions.md. `remembered` is the last attempt
    that Releases of this Rollout tell of; None when that is not known."""
    split = after.status.traffic
    assert split is None or split.stable_percent + split.candidate_percent in (0, 100)
    check_move(before.status.attempt, after.status.attempt, remembered)
    check_conditions(before.status, after.status)
    assert after.status.observed_generation <= after.metadata.generation


def check_move(old: Attempt | None, new: Attempt | None, remembered: int | None = None) -> None:
    """One transition at a time, none skipped, none backwards."""
    if new is None:
        assert old is None, "an attempt is never forgotten"
        return
    if old is None or new.number != old.number:
        assert old is None or old.stage is Stage.DONE
        assert (new.seq, new.stage) == (1, Stage.PREPARING)
        last = max(old.number if old else 0, remembered or 0)
        assert new.number == last + 1 or (remembered is None and new.number > last)
        return
    assert new.seq - old.seq in (0, 1)
    if new.seq == old.seq:
        assert (new.stage, new.step_index) == (old.stage, old.step_index)
        return
    if new.reason in IN_PLACE:
        stays = (new.stage, new.step_index, new.step_started_time, new.outcome)
        assert stays == (old.stage, old.step_index, old.step_started_time, None)
        return
    assert new.stage in FOLLOWS[old.stage], f"{old.stage} → {new.stage}"
    if new.stage in WALKING:
        expected = 0 if old.stage is Stage.PREPARING else old.step_index + 1
        straight = new.fast_path and (old.stage, new.stage) == (Stage.PREPARING, Stage.SOAKING)
        assert new.step_index == expected or straight, "a step was skipped"
    assert (new.outcome is not None) == (new.stage is Stage.DONE)
    if new.outcome is Outcome.PROMOTED:
        assert old.stage in (Stage.SOAKING, Stage.PREPARING)


def check_conditions(before: RolloutStatus, after: RolloutStatus) -> None:
    """conventions.md: kstatus' abnormal-true conditions, and when a transition time may move."""
    found = {c.type: c for c in after.conditions}
    assert len(found) == len(after.conditions)
    assert "Ready" in found
    assert not ("Reconciling" in found and "Stalled" in found)
    for abnormal in ("Reconciling", "Stalled"):
        assert abnormal not in found or found[abnormal].status == "True"
    ready = found["Ready"].status == "True"
    assert ready == ("Reconciling" not in found and "Stalled" not in found)
    known = {c.type: c for c in before.conditions}
    for kind, condition in found.items():
        old = known.get(kind)
        if old is not None and old.status is condition.status:
            assert condition.last_transition_time == old.last_transition_time, kind


# ------------------------------------------------------------------ ledger
def _check_release(before: Manifest | None, stored: Manifest) -> None:
    entries = stored["entries"]
    first = entries[0]["seq"]  # more than 1 where the record was deleted
    assert [entry["seq"] for entry in entries] == list(range(first, first + len(entries))), (
        "gaps in the record"
    )
    if before is not None:
        assert stored["header"] == before["header"]
        assert entries[: len(before["entries"])] == before["entries"], "the record was changed"
        held = before.get("result") or {}
        assert held.items() <= (stored.get("result") or {}).items(), (
            "the record of what came of it was changed"
        )

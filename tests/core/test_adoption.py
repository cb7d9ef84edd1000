"""Whose an object is: owned, left behind for this Rollout, or somebody else's."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable

import pytest

from interlock.core import traffic, workloads
from interlock.core.adoption import adoptable, belongs, is_disowned, is_owned, workload_of
from interlock.core.observation import Manifest, Target
from interlock.model.release import VersionIdentity
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import RolloutStatus, StableVersion
from tests.core import seen as given

ROLLOUT = given.parsed("v1")


def version() -> tuple[Target, VersionIdentity]:
    """What is served, with the true digest of its document, and who that is in a Release."""
    document = '{"prompts":"v1"}'
    served = Target("v1", "uid-v1", hashlib.sha256(document.encode()).hexdigest(), document)
    name = workloads.workload_name("triage", served, given.TEMPLATE)
    return served, VersionIdentity(version="v1", uid="uid-v1", digest=served.digest, workload=name)


SERVED, WHO = version()
EARLIER = ROLLOUT.model_copy(update={"metadata": ROLLOUT.metadata.model_copy(update={"uid": "earlier-life"})})


def child(kind: str, *, owner: Rollout = EARLIER) -> Manifest:
    """An object as the operator made it for `owner`."""
    made = {
        "ConfigMap": workloads.config_map(owner, WHO.workload, SERVED, given.TEMPLATE),
        "Deployment": workloads.deployment(owner, WHO, given.TEMPLATE, mode="live", replicas=2),
        "Service": workloads.service(owner, WHO.workload, mode="shadow"),
        "HTTPRoute": traffic.http_route(
            owner, traffic.ALL_STABLE, stable=WHO.workload, candidate=None, keep_candidate=False
        ),
    }
    return given.stored(made[kind])


def orphan(kind: str) -> Manifest:
    """The same after `kubectl delete rollout --cascade=orphan`."""
    left = child(kind)
    del left["metadata"]["ownerReferences"]
    return left


KINDS = ["ConfigMap", "Deployment", "Service", "HTTPRoute"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_rollout_made_is_its_own(kind: str) -> None:
    mine = child(kind, owner=ROLLOUT)
    assert is_owned(ROLLOUT, mine)
    assert belongs(ROLLOUT, mine)
    assert not adoptable(ROLLOUT, mine, [WHO]), "it need not be adopted"


@pytest.mark.parametrize("kind", KINDS)
def test_an_orphan_is_adopted(kind: str) -> None:
    assert adoptable(ROLLOUT, orphan(kind), [WHO])
    assert belongs(ROLLOUT, orphan(kind), [WHO])
    assert not is_owned(ROLLOUT, orphan(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_earlier_rollout_of_the_name_still_owns_is_not_adopted(kind: str) -> None:
    assert not belongs(ROLLOUT, child(kind), [WHO]), "the garbage collector takes it away"


@pytest.mark.parametrize("kind", KINDS)
def test_what_somebody_else_owns_is_not_adopted(kind: str) -> None:
    theirs = orphan(kind)
    theirs["metadata"]["ownerReferences"] = [{"kind": "Application", "name": "shop", "uid": "app"}]
    assert not belongs(ROLLOUT, theirs, [WHO])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_being_deleted_is_not_adopted(kind: str) -> None:
    going = orphan(kind)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not adoptable(ROLLOUT, going, [WHO])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", ["interlock.dev/rollout", "interlock.dev/agent"])
def test_what_was_made_for_another_rollout_or_agent_is_not_adopted(kind: str, label: str) -> None:
    other = orphan(kind)
    other["metadata"]["labels"][label] = "other"
    assert not adoptable(ROLLOUT, other, [WHO])
    del other["metadata"]["labels"]
    assert not adoptable(ROLLOUT, other, [WHO])


def test_a_route_of_another_name_is_not_adopted() -> None:
    other = orphan("HTTPRoute")
    other["metadata"]["name"] = "triage-2"
    assert not adoptable(ROLLOUT, other)


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_pods_that_another_selector_finds_are_not_ours(kind: str) -> None:
    other = orphan(kind)
    other["spec"]["selector"] = {"app": "triage"}
    assert not adoptable(ROLLOUT, other)
    other["spec"]["selector"] = None
    assert not adoptable(ROLLOUT, other)


CHANGES: dict[str, Callable[[Manifest], object]] = {
    "another document": lambda c: c["data"].update({"agent.json": '{"prompts":"v2"}'}),
    "no document": lambda c: c["data"].pop("agent.json"),
    "another template": lambda c: c["data"].update({"template.json": '{"name":"triage","spec":{}}'}),
    "no template": lambda c: c["data"].pop("template.json"),
    "a template that is no JSON": lambda c: c["data"].update({"template.json": "{"}),
    "a template that is no object": lambda c: c["data"].update({"template.json": "[]"}),
    "no data": lambda c: c.pop("data"),
    "changeable": lambda c: c.update(immutable=False),
    "not guarded by its label": lambda c: c["metadata"]["labels"].pop("interlock.dev/rendered"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_config_map_is_adopted_only_with_the_content_that_was_tested(name: str) -> None:
    changed = copy.deepcopy(orphan("ConfigMap"))
    CHANGES[name](changed)
    assert not adoptable(ROLLOUT, changed, [WHO])


def test_a_config_map_of_a_version_that_is_not_known_is_not_adopted() -> None:
    assert not adoptable(ROLLOUT, orphan("ConfigMap"))
    other = WHO.model_copy(update={"digest": "b" * 64})
    assert not adoptable(ROLLOUT, orphan("ConfigMap"), [other])


def test_other_kinds_are_nobodys() -> None:
    stranger = {**orphan("Service"), "kind": "Secret"}
    assert not adoptable(ROLLOUT, stranger)


def test_a_shadows_objects_are_part_of_the_live_workload() -> None:
    assert workload_of(child("Service")) == WHO.workload
    assert workload_of(child("Deployment")) == WHO.workload


# ------------------------------------------------------------------ labels and owner taken off
STATUS = RolloutStatus(stable=StableVersion(**WHO.model_dump(), since=given.NOW))
RUNNING = ROLLOUT.model_copy(update={"status": STATUS})


def disowned(kind: str, manager: str = "interlock") -> Manifest:
    """What `kubectl patch` leaves without labels and owner; the API server still knows who applied it."""
    left = orphan(kind)
    del left["metadata"]["labels"]
    left["metadata"]["managedFields"] = [
        {"manager": "kubectl-patch", "operation": "Update"},
        {"manager": manager, "operation": "Apply"},
    ]
    return left


@pytest.mark.parametrize("kind", KINDS)
def test_what_lost_labels_and_owner_is_known_by_the_record(kind: str) -> None:
    assert is_disowned(RUNNING, disowned(kind))
    assert belongs(RUNNING, disowned(kind), [WHO])


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_never_wrote_is_not_taken_over_whatever_it_holds(kind: str) -> None:
    assert not belongs(RUNNING, disowned(kind, manager="kubectl"), [WHO])
    unknown = disowned(kind)
    del unknown["metadata"]["managedFields"]
    assert not belongs(RUNNING, unknown, [WHO])


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_status_does_not_name_is_not_taken_back(kind: str) -> None:
    assert not belongs(ROLLOUT, disowned(kind), [WHO])


@pytest.mark.parametrize("kind", KINDS)
def test_what_another_claims_by_now_is_not_taken_back(kind: str) -> None:
    owned, labelled = disowned(kind), disowned(kind)
    owned["metadata"]["ownerReferences"] = [{"kind": "Application", "name": "shop", "uid": "app"}]
    labelled["metadata"]["labels"] = {"interlock.dev/rollout": "another"}
    assert not belongs(RUNNING, owned, [WHO])
    assert not belongs(RUNNING, labelled, [WHO])


def test_a_route_that_sends_requests_elsewhere_by_now_is_not_taken_back() -> None:
    route = disowned("HTTPRoute")
    route["spec"]["rules"][0]["backendRefs"].append({"name": "other", "port": 80, "weight": 1})
    assert not belongs(RUNNING, route, [WHO])


def test_of_a_status_that_was_written_nothing_follows_about_who_made_the_object() -> None:
    route = disowned("HTTPRoute")
    route["metadata"]["managedFields"][1] |= {"operation": "Update", "subresource": "status"}
    assert not belongs(RUNNING, route, [WHO])

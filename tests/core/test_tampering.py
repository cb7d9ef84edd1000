"""Who else has set what in pods of ours: what is told, what is left alone, and what is put back."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core import labels, tampering, workloads
from interlock.core.decide import Decision, decide
from interlock.core.effects import ApplyChild
from interlock.core.observation import Target
from interlock.core.tampering import Foreign
from interlock.model.release import Stage
from interlock.reasons import ConditionType
from tests.core.seen import NOW, V1, V2, after, identity, parsed, template, trying

NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True).map(lambda name: f"X_{name}")
AGENT = 'k:{"name":"agent"}'


def made() -> dict[str, Any]:
    return workloads.deployment(parsed(), identity(V2), template(), mode="live", replicas=2)


def as_served(deployment: dict[str, Any]) -> dict[str, Any]:
    """As the API server gives it back: with defaults that nobody owns, and our own fields."""
    served = copy.deepcopy(deployment)
    served["metadata"] |= {
        "resourceVersion": "7",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [entry("interlock", {"f:containers": {}}, operation="Apply")],
    }
    pod = served["spec"]["template"]["spec"]
    pod |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "securityContext": {}}
    for container in pod["containers"]:
        container |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
    return served


def entry(manager: str, pod: dict[str, Any], **more: Any) -> dict[str, Any]:
    fields = {"f:spec": {"f:template": {"f:spec": pod}}}
    return {"manager": manager, "operation": "Update", "fieldsV1": fields} | more


def in_agent(**fields: Any) -> dict[str, Any]:
    return {"f:containers": {AGENT: {"f:" + name: value for name, value in fields.items()}}}


def agent(deployment: dict[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "agent"
    found: dict[str, Any] = container
    return found


def with_variable(name: str, value: str, manager: str = "kubectl-set") -> dict[str, Any]:
    """After `kubectl set env`."""
    served = as_served(made())
    agent(served)["env"].append({"name": name, "value": value})
    key = "k:" + json.dumps({"name": name})
    owned = in_agent(env={key: {".": {}, "f:name": {}, "f:value": {}}})
    served["metadata"]["managedFields"].append(entry(manager, owned))
    return served


@settings(deadline=None)
@given(NAMES, st.text(max_size=20))
def test_an_added_variable_is_told_by_name_without_its_value_and_goes(name: str, value: str) -> None:
    served = with_variable(name, value)
    (found,) = tampering.foreign(served, made(), NOW)
    assert found == Foreign("kubectl-set", f"spec.template.spec.containers[agent].env[{name}]")
    put = tampering.restored(served, made(), NOW)
    assert put["spec"]["template"]["spec"] == made()["spec"]["template"]["spec"]
    assert put["metadata"]["resourceVersion"] == "7"
    assert "managedFields" not in put["metadata"]
    assert tampering.foreign(put, made(), NOW) == []


def test_nobody_elses_fields_are_nothing() -> None:
    assert tampering.foreign(as_served(made()), made(), NOW) == []


def test_what_an_admission_webhook_adds_to_our_own_request_is_nobodys() -> None:
    served = as_served(made())
    served["spec"]["template"]["spec"]["tolerations"] = [{"key": "gpu", "operator": "Exists"}]
    assert tampering.foreign(served, made(), NOW) == []


def test_who_updates_under_the_name_with_which_we_apply_is_not_us() -> None:
    served = with_variable("X_A", "1", manager="interlock")
    (found,) = tampering.foreign(served, made(), NOW)
    assert found == Foreign("interlock", "spec.template.spec.containers[agent].env[X_A]")


def test_a_variable_under_the_name_with_which_we_put_back_is_not_ours_either() -> None:
    served = with_variable("X_A", "1", manager="interlock-put-back")
    assert [found.manager for found in tampering.foreign(served, made(), NOW)] == ["interlock-put-back"]


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "image": ({"image": "other:1"}, in_agent(image={}), "containers[agent].image"),
    "command": ({"command": ["sh"]}, in_agent(command={}), "containers[agent].command"),
    "envFrom": (
        {"envFrom": [{"secretRef": {"name": "x"}}]},
        in_agent(envFrom={}),
        "containers[agent].envFrom",
    ),
    "port": (
        {"ports": [{"containerPort": 9, "protocol": "UDP"}]},
        in_agent(ports={'k:{"containerPort":9,"protocol":"UDP"}': {".": {}, "f:containerPort": {}}}),
        "containers[agent].ports",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_a_process_is_told(what: str) -> None:
    change, owned, field = CHANGES[what]
    served = as_served(made())
    agent(served).update(change)
    served["metadata"]["managedFields"].append(entry("kubectl-edit", owned))
    (found,) = tampering.foreign(served, made(), NOW)
    assert found.manager == "kubectl-edit"
    assert found.field.startswith(f"spec.template.spec.{field}")


def test_a_container_beside_the_agent_is_told_once() -> None:
    served = as_served(made())
    served["spec"]["template"]["spec"]["containers"].append({"name": "spy", "image": "spy:1"})
    beside: dict[str, Any] = {"f:containers": {'k:{"name":"spy"}': {".": {}, "f:name": {}, "f:image": {}}}}
    served["metadata"]["managedFields"].append(entry("kubectl-patch", beside))
    assert tampering.foreign(served, made(), NOW) == [
        Foreign("kubectl-patch", "spec.template.spec.containers[spy]")
    ]


def test_who_sets_what_we_set_changes_nothing() -> None:
    served = as_served(made())
    owned = in_agent(image={}, env={'k:{"name":"INTERLOCK_MODE"}': {".": {}, "f:name": {}, "f:value": {}}})
    served["metadata"]["managedFields"].append(entry("argocd", owned, operation="Apply"))
    assert tampering.foreign(served, made(), NOW) == []


def test_a_restart_a_size_and_a_revision_change_no_content() -> None:
    served = as_served(made())
    served["spec"]["replicas"] = 5
    served["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "today"}
    note: dict[str, Any] = {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}
    served["metadata"]["managedFields"] += [
        {"manager": "kubectl-rollout", "fieldsV1": {"f:spec": {"f:template": {"f:metadata": note}}}},
        {"manager": "hpa", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "kube-controller-manager", "fieldsV1": {"f:metadata": {"f:annotations": {}}}},
    ]
    assert tampering.telling(served) == []
    assert tampering.foreign(served, made(), NOW) == []


def test_a_restart_that_was_asked_for_is_not_asked_for_again() -> None:
    served = with_variable("X_A", "1")
    noted = {"kubectl.kubernetes.io/restartedAt": "today"}
    served["spec"]["template"]["metadata"]["annotations"] = noted
    assert tampering.restored(served, made(), NOW)["spec"]["template"]["metadata"]["annotations"] == noted


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from([".", "f:containers", "f:env", AGENT, "k:{", "v:1", "x"]), inner
            )
        ),
    )
)
def test_odd_managed_fields_are_passed_over(fields: Any) -> None:
    served = as_served(made())
    served["metadata"]["managedFields"] = [{"manager": "odd", "fieldsV1": fields}, entry("odd", fields)]
    for found in tampering.foreign(served, made(), NOW):
        assert found.field.startswith("spec.template.spec")


# ------------------------------------------------------------------ who brought the whole object
def brought(served: dict[str, Any], manager: str) -> dict[str, Any]:
    """As from a backup, or after the managed fields were wiped: this manager owns defaults as well."""
    pod: dict[str, Any] = {
        "f:restartPolicy": {},
        "f:securityContext": {},
        "f:containers": {AGENT: {".": {}, "f:name": {}, "f:image": {}, "f:terminationMessagePath": {}}},
    }
    fields = {"f:spec": {"f:selector": {}, "f:template": {"f:spec": pod}}}
    served["metadata"]["managedFields"].append({"manager": manager, "fieldsV1": fields})
    return served


@pytest.mark.parametrize("manager", ["before-first-apply", "velero-server"])
def test_defaults_of_who_brought_the_object_change_nothing(manager: str) -> None:
    assert tampering.foreign(brought(as_served(made()), manager), made(), NOW) == []


def test_a_container_from_who_brought_the_object_is_told() -> None:
    served = brought(as_served(made()), "velero-server")
    served["spec"]["template"]["spec"]["containers"].append({"name": "spy", "image": "spy:1"})
    pod = served["metadata"]["managedFields"][-1]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]
    pod["f:containers"]['k:{"name":"spy"}'] = {".": {}, "f:name": {}}
    assert [found.field for found in tampering.foreign(served, made(), NOW)] == [
        "spec.template.spec.containers[spy]"
    ]


# ------------------------------------------------------------------ who sets it again and again
def marked(served: dict[str, Any], mark: str, manager: str = "interlock-put-back") -> dict[str, Any]:
    """With the annotation, as this manager has written it."""
    owned: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{labels.PUT_BACK}": {}}}}
    told = [e for e in served["metadata"]["managedFields"] if "f:metadata" not in e["fieldsV1"]]
    told.append({"manager": manager, "operation": "Update", "fieldsV1": owned})
    served["metadata"] |= {"annotations": {labels.PUT_BACK: mark}, "managedFields": told}
    return served


def put_back(served: dict[str, Any], now: datetime) -> dict[str, Any]:
    """As after we have put it back and somebody has set the same again, without a new generation."""
    mark = tampering.restored(served, made(), now)["metadata"]["annotations"][labels.PUT_BACK]
    return marked(served, mark)


def test_a_put_back_that_changed_nothing_is_not_done_again() -> None:
    """A default that somebody changed and changed back stays theirs."""
    served = as_served(made())
    served["metadata"]["managedFields"].append(entry("kubectl-edit", {"f:restartPolicy": {}}))
    assert tampering.foreign(served, made(), NOW)
    put_back(served, NOW)
    assert tampering.foreign(served, made(), NOW) == []
    served["metadata"] |= {"generation": 4}
    assert tampering.foreign(served, made(), NOW), "somebody has changed it since"


@settings(deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=250), max_size=12))
def test_each_put_back_waits_longer_than_the_one_before_up_to_a_bound(late: list[int]) -> None:
    """`late`: seconds that each comes after its time; the mark has whole seconds."""
    served, now, before = with_variable("X_A", "1"), NOW, timedelta(0)
    assert tampering.due_in(served, now) == timedelta(0)
    for seconds in late:
        put_back(served, now)
        wait = tampering.due_in(served, now)
        assert before <= wait <= tampering.LONGEST_WAIT
        assert wait > timedelta(0)
        now, before = now + wait + timedelta(seconds=seconds), wait
        assert tampering.due_in(served, now) == timedelta(0)
    assert tampering.due_in(served, now + tampering.QUIET + timedelta(seconds=1)) == timedelta(0)


@given(st.integers(min_value=0, max_value=9))
def test_another_size_changes_nothing_else(size: int) -> None:
    served = with_variable("X_A", "1")
    resized = tampering.resized(served, size)
    assert (resized is None) is (size == 2)
    if resized is not None:
        assert resized["spec"] == served["spec"] | {"replicas": size}
        assert resized["metadata"].items() <= served["metadata"].items(), "with the precondition"
        assert "managedFields" not in resized["metadata"]


# ------------------------------------------------------------------ a mark that is none
def is_none(served: dict[str, Any]) -> bool:
    """It neither delays nor hides, and ours comes in its place."""
    assert tampering.due_in(served, NOW) == timedelta(0)
    assert tampering.foreign(served, made(), NOW)
    ours = tampering.restored(served, made(), NOW)["metadata"]["annotations"][labels.PUT_BACK]
    return bool(ours == f"{NOW:%Y-%m-%dT%H:%M:%SZ} 3 1")


@settings(deadline=None)
@given(
    st.text()
    | st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z 1", "9 9 9", f"{NOW:%FT%TZ} 0 1"])
)
def test_an_odd_mark_is_no_mark(mark: str) -> None:
    assert is_none(marked(with_variable("X_A", "1"), mark))


@pytest.mark.parametrize("generation", [2, 3])
def test_a_mark_of_somebody_else_is_no_mark(generation: int) -> None:
    mark = f"{NOW:%FT%TZ} {generation} 9"
    assert tampering.due_in(marked(with_variable("X_A", "1"), mark), NOW) > timedelta(0)
    assert is_none(marked(with_variable("X_A", "1"), mark, "kubectl-annotate"))
    assert is_none(marked(with_variable("X_A", "1"), mark, "interlock"))


def test_a_mark_that_somebody_has_applied_or_written_with_status_is_no_mark() -> None:
    mark = f"{NOW:%FT%TZ} 3 9"
    for how in ({"operation": "Apply"}, {"subresource": "status"}):
        served = marked(with_variable("X_A", "1"), mark)
        served["metadata"]["managedFields"][-1] |= how
        assert is_none(served)


@pytest.mark.parametrize("seconds", [1, 400_000_000])
def test_a_mark_from_the_future_is_no_mark(seconds: int) -> None:
    late = NOW + timedelta(seconds=seconds)
    assert is_none(marked(with_variable("X_A", "1"), f"{late:%FT%TZ} 3 1"))


def test_a_mark_of_another_deployment_of_the_name_is_no_mark() -> None:
    assert is_none(marked(with_variable("X_A", "1"), f"{NOW:%FT%TZ} 4 1")), "a later generation"
    assert is_none(marked(with_variable("X_A", "1"), "2025-12-31T23:59:59Z 3 1")), "older than it"


@given(st.booleans())
def test_what_is_kept_of_managed_fields_says_the_same(ours: bool) -> None:
    served = marked(
        with_variable("X_A", "1"), f"{NOW:%FT%TZ} 3 9", "interlock-put-back" if ours else "kubectl"
    )
    kept = copy.deepcopy(served)
    kept["metadata"]["managedFields"] = tampering.telling(served)
    assert len(tampering.telling(served)) == (2 if ours else 1)
    assert tampering.due_in(kept, NOW) == tampering.due_in(served, NOW)
    assert tampering.foreign(kept, made(), NOW) == tampering.foreign(served, made(), NOW)


def test_of_an_untouched_deployment_nothing_is_kept() -> None:
    assert tampering.telling(as_served(made())) == []


# ------------------------------------------------------------------ what is told of it
CHANGED: list[dict[str, Any]] = [{"image": "other:1"}, {"env": []}, {"command": ["sh"], "volumeMounts": []}]


@pytest.mark.parametrize("change", CHANGED)
@pytest.mark.parametrize("version", [V1, V2])
def test_pods_that_are_not_as_made_are_not_called_intact_whoever_changed_them(
    change: dict[str, Any], version: Target
) -> None:
    seen = trying(Stage.RUNNING, 0)
    name = identity(version).workload
    changed = copy.deepcopy(seen.workloads[name].deployment)
    assert changed is not None
    agent(changed).update(change)
    state = replace(seen.workloads[name], deployment=changed)
    seen = replace(seen, workloads={**seen.workloads, name: state})
    found = decide(seen, NOW)
    said = f"pods of Deployment {name} are not made as they were"
    assert intact(found) == ("False", True)
    (told,) = (c.message for c in found.status.conditions if c.type == ConditionType.IMMUTABLE_INTACT)
    assert told.startswith(said)
    assert intact(decide(after(seen, found.status, found.effects), NOW)) == ("True", False)


def intact(decision: Decision) -> tuple[str, bool]:
    """What is said, and whether something is applied."""
    (said,) = (c.status for c in decision.status.conditions if c.type == ConditionType.IMMUTABLE_INTACT)
    return said.value, any(isinstance(effect, ApplyChild) for effect in decision.effects)


@pytest.mark.parametrize("size", [0, 9])
def test_another_size_says_nothing_against_pods(size: int) -> None:
    seen = trying(Stage.RUNNING, 0)
    name = identity(V2).workload
    changed = copy.deepcopy(seen.workloads[name].deployment)
    assert changed is not None
    changed["spec"]["replicas"] = size
    state = replace(seen.workloads[name], deployment=changed)
    assert intact(decide(replace(seen, workloads={**seen.workloads, name: state}), NOW)) == ("True", True)

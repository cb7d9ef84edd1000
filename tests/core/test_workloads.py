"""What a clone takes over from its template, and what is its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from interlock.core import children, labels, sizes, workloads
from interlock.core.decide import decide
from interlock.core.effects import ApplyChild, DeleteChild
from interlock.core.observation import NOTHING, WorkloadState
from interlock.errors import SpecError
from interlock.model.release import Stage
from tests.core.seen import (
    NOW,
    TEMPLATE,
    V1,
    V2,
    at_rest,
    identity,
    parsed,
    running,
    settled,
    target,
    template,
    trying,
)
from tests.scenarios.objects import template as template_manifest


def clone(mode: str = "live", **pod: Any) -> dict[str, Any]:
    return workloads.deployment(parsed(), identity(V2), template(**pod), mode=mode, replicas=3)


def environment(deployment: dict[str, Any]) -> dict[str, str]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item["value"] for item in container["env"]}


# ------------------------------------------------------------------ template
def test_a_deployment_without_the_mark_is_no_template() -> None:
    manifest = template_manifest()
    manifest["metadata"]["labels"] = {}
    with pytest.raises(SpecError, match=r'`triage` must carry the label interlock.dev/template: "true"'):
        workloads.template_of(manifest)


def test_the_templates_own_selector_keys_are_dropped() -> None:
    pod = clone()["spec"]["template"]["metadata"]["labels"]
    assert "app" not in pod, "the template's Service and Deployment would select the clone"
    assert pod["team"] == "support"


def test_reading_a_template_leaves_it_as_it_is() -> None:
    manifest = template_manifest()
    before = json.dumps(manifest)
    workloads.template_of(manifest)
    clone()
    assert json.dumps(manifest) == before


def test_only_what_makes_pods_other_is_another_template() -> None:
    one = template_manifest()
    scaled = template_manifest()
    scaled["spec"]["replicas"] = 7
    scaled["metadata"]["annotations"] = {"note": "x"}
    assert workloads.template_of(one).hash == workloads.template_of(scaled).hash
    assert workloads.template_of(one).hash != workloads.template_of(template_manifest("other:2")).hash


@pytest.mark.parametrize(
    "other", [target("v3"), target("v2", digest="0" * 64), target("v2", uid="another")], ids=str
)
def test_another_content_object_or_template_has_another_name(other: Any) -> None:
    assert workloads.workload_name("triage", other, TEMPLATE) != identity(V2).workload
    assert workloads.workload_name("triage", V2, template(hostNetwork=True)) != identity(V2).workload


def test_the_longest_rollout_name_gives_a_legal_name() -> None:
    name = workloads.shadow_name(workloads.workload_name("r" * 40, V2, TEMPLATE))
    assert len(name) <= 63
    assert name.startswith("r")


# ------------------------------------------------------------------ clone
@pytest.mark.parametrize("mode", ["live", "shadow"])
def test_a_clone_is_selected_by_us_alone(mode: str) -> None:
    made = clone(mode)
    name = made["metadata"]["name"]
    assert made["spec"]["selector"] == {"matchLabels": {labels.WORKLOAD: name}}
    pod = made["spec"]["template"]["metadata"]["labels"]
    assert pod[labels.WORKLOAD] == name
    assert (pod[labels.AGENT], pod[labels.AGENT_VERSION], pod[labels.MODE]) == ("triage", "v2", mode)
    service = workloads.service(parsed(), identity(V2).workload, mode=mode)
    assert service["spec"]["selector"] == {labels.WORKLOAD: name}
    assert service["metadata"]["name"] == name


def test_live_and_shadow_do_not_select_each_other() -> None:
    live, shadow = clone("live"), clone("shadow")
    assert live["spec"]["selector"] != shadow["spec"]["selector"]
    assert environment(live)["INTERLOCK_MODE"] == "live"
    assert environment(shadow)["INTERLOCK_MODE"] == "shadow"


def test_the_document_is_mounted_read_only_into_every_container() -> None:
    pod = clone(
        containers=[
            {"name": "agent", "image": "a:1", "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]},  # noqa: S108
            {"name": "side", "image": "b:1"},
        ],
        volumes=[{"name": "tmp", "emptyDir": {}}],
    )["spec"]["template"]["spec"]
    assert {v["name"] for v in pod["volumes"]} == {"tmp", "interlock-agent"}
    [ours] = [v for v in pod["volumes"] if v["name"] == "interlock-agent"]
    assert ours["configMap"]["name"] == identity(V2).workload
    for container in pod["containers"]:
        [mount] = [m for m in container["volumeMounts"] if m["name"] == "interlock-agent"]
        assert (mount["mountPath"], mount["readOnly"]) == ("/etc/interlock/agent", True)


def test_shadow_and_live_read_the_same_document() -> None:
    names = {
        v["configMap"]["name"]
        for mode in ("live", "shadow")
        for v in clone(mode)["spec"]["template"]["spec"]["volumes"]
    }
    assert names == {identity(V2).workload}


def test_the_environment_says_who_it_is_and_keeps_the_rest() -> None:
    theirs = [
        {"name": "LOG", "value": "debug"},
        {"name": "INTERLOCK_VERSION", "value": "forged"},
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "team=support"},
    ]
    found = environment(clone(containers=[{"name": "agent", "image": "a:1", "env": theirs}]))
    assert found == {
        "LOG": "debug",
        "INTERLOCK_AGENT": "triage",
        "INTERLOCK_VERSION": "v2",
        "INTERLOCK_DIGEST": V2.digest,
        "INTERLOCK_MODE": "live",
        "OTEL_RESOURCE_ATTRIBUTES": (
            "team=support,service.version=v2,interlock.agent=triage,interlock.mode=live"
        ),
    }


def test_a_pod_that_ends_serves_on_for_a_moment_unless_the_template_says_how() -> None:
    [container] = clone()["spec"]["template"]["spec"]["containers"]
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    own = {"preStop": {"exec": {"command": ["true"]}}}
    [container] = clone(containers=[{"name": "a", "image": "a:1", "lifecycle": own}])["spec"]["template"][
        "spec"
    ]["containers"]
    assert container["lifecycle"] == own
    [container] = clone(terminationGracePeriodSeconds=1)["spec"]["template"]["spec"]["containers"]
    assert "lifecycle" not in container


def test_the_config_map_keeps_the_document_and_the_template() -> None:
    made = workloads.config_map(parsed(), identity(V2).workload, V2, TEMPLATE)
    assert made["immutable"] is True
    assert made["data"]["agent.json"] == V2.document
    assert workloads.stored_template(made).spec == TEMPLATE.spec


def test_shadow_pods_carry_the_largest_mirrored_share() -> None:
    def of(replicas: int, *percents: int) -> int:
        steps = [{"name": f"s{p}", "shadow": {"percent": p}} for p in percents]
        full = {"name": "full", "full": {}}
        return sizes.shadow(parsed(replicas=replicas, strategy={"steps": [*steps, full]}))

    assert [of(3, 20), of(10, 20), of(10, 21), of(10, 5, 100), of(1, 1)] == [1, 2, 3, 10, 1]


# ------------------------------------------------------------------ available, covers
@pytest.mark.parametrize(
    ("changes", "available"),
    [
        ({}, True),
        ({"observedGeneration": 0}, False),
        ({"updatedReplicas": 1}, False),
        ({"availableReplicas": 1}, False),
        ({"unavailableReplicas": 1}, True),
    ],
)
def test_available_means_every_pod_of_the_current_template(changes: dict[str, int], available: bool) -> None:
    state = running(parsed(), identity(V2).workload, "live")
    assert state.deployment is not None
    state.deployment["status"] |= changes
    assert workloads.is_available(state) is available


def test_without_service_or_endpoints_nothing_is_available() -> None:
    state = running(parsed(), identity(V2).workload, "live")
    assert not workloads.is_available(WorkloadState(state.deployment, None, state.config, 2))
    assert not workloads.is_available(WorkloadState(state.deployment, state.service, state.config, 0))
    assert not workloads.is_available(NOTHING)


@pytest.mark.parametrize(
    ("observed", "desired", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": [{"x": 1, "default": True}]}, {"a": [{"x": 1}]}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [2, 1]}, {"a": [1, 2]}, False),
        ({"a": {"left": "over"}}, {"a": {}}, False),
        ({"a": ["left"]}, {"a": []}, False),
        (None, {}, True),
        (None, {"a": 1}, False),
        ({"a": 0}, {"a": False}, True),
        ("x", {"a": 1}, False),
    ],
)
def test_covers_overlooks_what_the_api_server_added(observed: Any, desired: Any, same: bool) -> None:
    assert workloads.covers(observed, desired) is same


# ------------------------------------------------------------------ children
def test_the_stable_version_is_kept_whole_at_rest() -> None:
    seen = at_rest()
    name = identity(V1).workload
    for part, kind in (("deployment", "Deployment"), ("service", "Service")):
        lost: Any = {part: None}
        state = replace(seen.workloads[name], **lost)
        effects = children.applied(_with(seen, name, state), seen.rollout.status, NOW)
        assert [e.manifest["kind"] for e in effects if isinstance(e, ApplyChild)] == [kind]


@pytest.mark.parametrize(
    "edit", [{"type": "ExternalName", "externalName": "elsewhere"}, {"sessionAffinity": "ClientIP"}]
)
def test_a_service_that_somebody_leads_elsewhere_is_applied_again(edit: dict[str, str]) -> None:
    seen = at_rest()
    name = identity(V1).workload
    state = seen.workloads[name]
    assert state.service is not None
    led = replace(state, service={**state.service, "spec": {**state.service["spec"], **edit}})
    assert children.applied(seen, seen.rollout.status, NOW) == []
    [effect] = children.applied(_with(seen, name, led), seen.rollout.status, NOW)
    assert isinstance(effect, ApplyChild)
    assert effect.manifest["spec"]["type"] == "ClusterIP"


def _with(seen: Any, name: str, state: WorkloadState) -> Any:
    return replace(seen, workloads={**seen.workloads, name: state})


def test_what_was_tested_is_what_serves_though_the_template_has_changed() -> None:
    seen = at_rest()
    name = identity(V1).workload
    state = seen.workloads[name]
    bare = _with(seen, name, WorkloadState(None, state.service, state.config, 0))
    changed = replace(bare, template=template(hostNetwork=True))
    [effect] = children.applied(changed, changed.rollout.status, NOW)
    assert isinstance(effect, ApplyChild)
    assert "hostNetwork" not in effect.manifest["spec"]["template"]["spec"]


def test_both_sides_have_full_size_while_two_versions_are_up() -> None:
    wanted = children.wanted_workloads(trying(Stage.RUNNING, 1), trying(Stage.RUNNING, 1).rollout.status)
    assert {name: (w.mode, w.replicas) for name, w in wanted.items()} == {
        identity(V1).workload: ("live", 2),
        identity(V2).workload: ("live", 2),
    }


def test_replicas_are_applied_to_both_sides_in_one_decision() -> None:
    seen = trying(Stage.RUNNING, 1, spec=parsed("v2"))
    scaled = seen.rollout.model_copy(update={"spec": seen.rollout.spec.model_copy(update={"replicas": 8})})
    decision = decide(replace(seen, rollout=scaled), NOW)
    sizes = {
        e.manifest["metadata"]["name"]: e.manifest["spec"]["replicas"]
        for e in decision.effects
        if isinstance(e, ApplyChild) and e.manifest["kind"] == "Deployment"
    }
    assert sizes == {identity(V1).workload: 8, identity(V2).workload: 8}
    assert decision.move is None


def test_leftovers_are_deleted_with_their_uid() -> None:
    seen = at_rest()
    left = running(seen.rollout, identity(V2).workload, "live")
    effects = children.deleted(_with(seen, identity(V2).workload, left), seen.rollout.status)
    deleted = [e for e in effects if isinstance(e, DeleteChild)]
    assert {(e.kind, e.uid) for e in deleted} == {
        (kind, f"uid-{kind}-{identity(V2).workload}") for kind in ("Deployment", "Service", "ConfigMap")
    }


def test_a_leftover_that_is_being_deleted_is_not_deleted_again() -> None:
    seen = at_rest()
    left = running(seen.rollout, identity(V2).workload, "live")
    for part in (left.deployment, left.service, left.config):
        assert part is not None
        part["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert children.deleted(_with(seen, identity(V2).workload, left), seen.rollout.status) == []


def test_no_leftover_is_deleted_while_the_route_names_it() -> None:
    seen = trying(Stage.RUNNING, 1)
    assert settled(seen.rollout).route is not None
    done = at_rest().rollout.status
    assert children.deleted(seen, done) == []

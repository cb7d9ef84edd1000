"""One version's workload: the names, the ConfigMap, the Deployment and the Service made from a template.

Pure: builds manifests and reads their state; never applies anything.
"""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import datetime
from typing import Annotated, Any

import rfc8785
from pydantic import BaseModel, Field, StrictInt, ValidationError

from interlock.core import labels
from interlock.core.observation import Manifest, Target, Template, WorkloadState
from interlock.core.parts import mapping, mappings, whole
from interlock.errors import SpecError
from interlock.model.base import API_VERSION, first_problem, read_time
from interlock.model.release import VersionIdentity
from interlock.model.rollout import Rollout

SHADOW_SUFFIX = "-shadow"
DRAIN_SLEEP_SECONDS = 5
"""A pod that ends serves on while gateways learn of it; without it a rolling restart loses requests."""

_TAKEN_OVER = ("minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit", "strategy", "template")


def template_of(deployment: Manifest) -> Template:
    """Read a Deployment as a template. Raises SpecError when it is not marked as one, or is none."""
    meta, spec = deployment["metadata"], mapping(deployment.get("spec"))
    if (meta.get("labels") or {}).get(labels.TEMPLATE) != "true":
        raise SpecError(
            f'Deployment `{meta["name"]}` must carry the label {labels.TEMPLATE}: "true" to be used as a '
            "template, so that no running Deployment is cloned by mistake"
        )
    kept: Manifest = {key: copy.deepcopy(spec[key]) for key in _TAKEN_OVER if key in spec}
    if problem := _no_template(kept):
        raise SpecError(f"Deployment `{meta['name']}` cannot be used as a template: {problem}")
    own_keys = set(mapping(mapping(spec.get("selector")).get("matchLabels")))
    pod_meta = kept["template"].setdefault("metadata", {})
    pod_meta.pop("creationTimestamp", None)
    pod_meta["labels"] = {k: v for k, v in (pod_meta.get("labels") or {}).items() if k not in own_keys}
    try:
        return Template(meta["name"], kept, template_hash(kept))
    except (ValueError, RecursionError) as error:
        raise SpecError(f"Deployment `{meta['name']}` cannot be used as a template: {error}") from None


class _Named(BaseModel):
    name: str


class _Variable(_Named):
    value: str | None = None


class _Container(_Named):
    """What a clone changes of a container must be what it takes it for; the rest is the API server's."""

    env: list[_Variable] | None = None
    volumeMounts: list[_Named] | None = None  # noqa: N815 - as on the wire
    lifecycle: dict[str, Any] | None = None


class _Pod(BaseModel):
    containers: Annotated[list[_Container], Field(min_length=1)]
    volumes: list[_Named] | None = None
    terminationGracePeriodSeconds: StrictInt = 30  # noqa: N815 - as on the wire


class _PodMeta(BaseModel):
    labels: dict[str, str] | None = None


class _PodTemplate(BaseModel):
    metadata: _PodMeta = _PodMeta()
    spec: _Pod


class _Clonable(BaseModel):
    template: _PodTemplate
    progressDeadlineSeconds: StrictInt = 600  # noqa: N815 - as on the wire


def _no_template(spec: Any) -> str:
    """Why no pods can be made from this part of a Deployment; empty when they can."""
    try:
        _Clonable.model_validate(spec)
    except ValidationError as error:
        return first_problem(error, "spec")
    return ""


def template_hash(spec: Manifest) -> str:
    """Names what a clone takes over of the template; 10 hex."""
    return hashlib.sha256(rfc8785.dumps(spec)).hexdigest()[:10]


def workload_name(rollout: str, target: Target, template: Template) -> str:
    """`<rollout>-<10 hex>`: the same content, object and template give the same name."""
    identity = "\n".join((target.digest, target.uid, template.hash))
    return f"{rollout}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


def shadow_name(workload: str) -> str:
    """The shadow workload beside a live one."""
    return workload + SHADOW_SUFFIX


def owner_reference(rollout: Rollout) -> Manifest:
    """Children go when their Rollout goes (or stay, with --cascade=orphan)."""
    return {
        "apiVersion": API_VERSION,
        "kind": Rollout.KIND,
        "name": rollout.metadata.name,
        "uid": rollout.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _metadata(rollout: Rollout, name: str, workload: str, **more: str) -> Manifest:
    return {
        "name": name,
        "namespace": rollout.metadata.namespace,
        "labels": {
            labels.ROLLOUT: rollout.metadata.name,
            labels.AGENT: rollout.spec.agent,
            labels.WORKLOAD: workload,
            **more,
        },
        "ownerReferences": [owner_reference(rollout)],
    }


def config_map(rollout: Rollout, workload: str, target: Target, template: Template) -> Manifest:
    """The rendered version document and the pod template it was prepared with; immutable."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(rollout, workload, workload, **{labels.RENDERED: "true"}),
        "immutable": True,
        "data": {
            labels.DOCUMENT_KEY: target.document,
            labels.TEMPLATE_KEY: rfc8785.dumps({"name": template.name, "spec": template.spec}).decode(),
        },
    }


def stored_template(config: Manifest) -> Template:
    """The template that a workload was prepared with, out of its ConfigMap. SpecError when it is none."""
    try:
        stored = json.loads(config["data"][labels.TEMPLATE_KEY])
        name, spec = str(stored["name"]), stored["spec"]
        problem = _no_template(spec)
    except (KeyError, TypeError, ValueError, RecursionError):
        problem = "it is missing or no JSON"
    if problem:
        raise SpecError(
            f"ConfigMap {config['metadata']['name']} holds no template of ours: delete it ({problem})"
        )
    return Template(name, spec, "")


def stored_target(identity: VersionIdentity, config: Manifest) -> Target:
    """The document that a workload was prepared with, out of its ConfigMap."""
    return Target(identity.version, identity.uid, identity.digest, config["data"][labels.DOCUMENT_KEY])


def deployment(
    rollout: Rollout, identity: VersionIdentity, template: Template, *, mode: str, replicas: int
) -> Manifest:
    """The clone of the template that runs one version in one mode (`live` or `shadow`)."""
    name = identity.workload if mode == "live" else shadow_name(identity.workload)
    spec = copy.deepcopy(template.spec)
    pod = spec["template"]
    meta = pod.setdefault("metadata", {})
    meta["labels"] = (meta.get("labels") or {}) | {
        labels.ROLLOUT: rollout.metadata.name,
        labels.AGENT: rollout.spec.agent,
        labels.AGENT_VERSION: identity.version,
        labels.MODE: mode,
        labels.WORKLOAD: name,
    }
    _mount_document(pod["spec"], identity.workload)
    _set_environment(pod["spec"], rollout, identity, mode)
    _sleep_before_stop(pod["spec"])
    spec |= {"replicas": replicas, "selector": {"matchLabels": {labels.WORKLOAD: name}}}
    metadata = _metadata(rollout, name, name, **{labels.TEMPLATE: "false", labels.MODE: mode})
    metadata["labels"][labels.AGENT_VERSION] = identity.version
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _mount_document(pod: Manifest, config: str) -> None:
    volume = "interlock-agent"
    pod["volumes"] = [v for v in pod.get("volumes") or [] if v["name"] != volume]
    pod["volumes"].append(
        {
            "name": volume,
            "configMap": {
                "name": config,
                "items": [{"key": labels.DOCUMENT_KEY, "path": labels.DOCUMENT_KEY}],
            },
        }
    )
    for container in pod["containers"]:
        mounts = [m for m in container.get("volumeMounts") or [] if m["name"] != volume]
        container["volumeMounts"] = [
            *mounts,
            {"name": volume, "mountPath": labels.DOCUMENT_MOUNT, "readOnly": True},
        ]


def _set_environment(pod: Manifest, rollout: Rollout, identity: VersionIdentity, mode: str) -> None:
    ours = {
        "INTERLOCK_AGENT": rollout.spec.agent,
        "INTERLOCK_VERSION": identity.version,
        "INTERLOCK_DIGEST": identity.digest,
        "INTERLOCK_MODE": mode,
    }
    attributes = (
        f"service.version={identity.version},interlock.agent={rollout.spec.agent},interlock.mode={mode}"
    )
    for container in pod["containers"]:
        theirs = {e["name"]: e for e in container.get("env") or []}
        otel = theirs.pop("OTEL_RESOURCE_ATTRIBUTES", {}).get("value", "")
        kept = [e for name, e in theirs.items() if name not in ours]
        container["env"] = [
            *kept,
            *({"name": name, "value": value} for name, value in ours.items()),
            {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": ",".join(filter(None, (otel, attributes)))},
        ]


def _sleep_before_stop(pod: Manifest) -> None:
    seconds = min(DRAIN_SLEEP_SECONDS, pod.get("terminationGracePeriodSeconds", 30) - 1)
    if seconds < 1:
        return
    for container in pod["containers"]:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": seconds}}} | (
            container.get("lifecycle") or {}
        )


def service(rollout: Rollout, workload: str, *, mode: str, port: int | None = None) -> Manifest:
    """The Service that the route names; its selector is ours alone. `port`: where not that of the spec."""
    name = workload if mode == "live" else shadow_name(workload)
    port = port or rollout.spec.traffic.gateway_api.port
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(rollout, name, name, **{labels.MODE: mode}),
        "spec": {
            "type": "ClusterIP",  # said: a name elsewhere, or an affinity, would pass by pods and weights
            "sessionAffinity": "None",
            "selector": {labels.WORKLOAD: name},
            "ports": [{"name": "http", "port": port, "targetPort": port, "protocol": "TCP"}],
        },
    }


def is_available(state: WorkloadState, at_least: int = 0) -> bool:
    """Every wanted pod of the current template, `at_least` so many, is Available and the Service has
    endpoints."""
    if state.deployment is None or state.service is None or not state.ready_endpoints:
        return False
    spec, status = mapping(state.deployment.get("spec")), mapping(state.deployment.get("status"))
    wanted = max(at_least, whole(spec.get("replicas"), 1))
    return (
        whole(status.get("observedGeneration")) >= whole(state.deployment["metadata"].get("generation"))
        and whole(status.get("updatedReplicas")) >= wanted
        and whole(status.get("availableReplicas")) >= wanted
    )


def pod_labels(deployment: Manifest) -> dict[str, str]:
    """Labels of the pods that a Deployment makes; empty where it does not say."""
    template = mapping(mapping(deployment.get("spec")).get("template"))
    found = mapping(mapping(template.get("metadata")).get("labels"))
    return {key: value for key, value in found.items() if isinstance(value, str)}


def unavailable_since(state: WorkloadState) -> datetime | None:
    """Since when the Deployment says that it is not Available; None while it does not say so."""
    for condition in mappings(mapping((state.deployment or {}).get("status")).get("conditions")):
        if condition.get("type") == "Available" and condition.get("status") == "False":
            return read_time(condition.get("lastTransitionTime"))
    return None


def covers(observed: Any, desired: Any) -> bool:
    """Does `observed` hold everything in `desired`? Fields that the API server added do not count."""
    match desired:
        case {} | [] if not desired:
            return not observed
        case dict():
            return isinstance(observed, dict) and all(
                covers(observed.get(key), value) for key, value in desired.items()
            )
        case list():
            return (
                isinstance(observed, list)
                and len(observed) == len(desired)
                and all(covers(o, d) for o, d in zip(observed, desired, strict=True))
            )
        case _:
            return bool(observed == desired)

"""One version's workload: the names, the ConfigMap, the Deployment and the Service made from a template.

Pure: builds manifests and reads their state; never applies anything.
"""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import datetime
from typing import Any

import rfc8785

from interlock.core import labels
from interlock.core.observation import Manifest, Target, Template, WorkloadState
from interlock.errors import SpecError
from interlock.model.base import API_VERSION, read_time
from interlock.model.release import VersionIdentity
from interlock.model.rollout import Rollout

SHADOW_SUFFIX = "-shadow"
DRAIN_SLEEP_SECONDS = 5
"""A pod that ends serves on while gateways learn of it; without it a rolling restart loses requests."""

_TAKEN_OVER = ("minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit", "strategy", "template")


def template_of(deployment: Manifest) -> Template:
    """Read a Deployment as a template. Raises SpecError when it is not marked as one."""
    meta, spec = deployment["metadata"], deployment["spec"]
    if (meta.get("labels") or {}).get(labels.TEMPLATE) != "true":
        raise SpecError(
            f'Deployment `{meta["name"]}` must carry the label {labels.TEMPLATE}: "true" to be used as a '
            "template, so that no running Deployment is cloned by mistake"
        )
    kept: Manifest = {key: copy.deepcopy(spec[key]) for key in _TAKEN_OVER if key in spec}
    own_keys = set((spec.get("selector") or {}).get("matchLabels") or {})
    pod_meta = kept["template"].setdefault("metadata", {})
    pod_meta.pop("creationTimestamp", None)
    pod_meta["labels"] = {k: v for k, v in (pod_meta.get("labels") or {}).items() if k not in own_keys}
    return Template(meta["name"], kept, template_hash(kept))


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
        return Template(stored["name"], stored["spec"], "")
    except (KeyError, TypeError, ValueError) as error:
        name = config["metadata"]["name"]
        raise SpecError(f"ConfigMap {name} holds no template of ours: delete it") from error


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
    pod["metadata"]["labels"] |= {
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
        lifecycle = container.setdefault("lifecycle", {})
        lifecycle.setdefault("preStop", {"sleep": {"seconds": seconds}})


def service(rollout: Rollout, workload: str, *, mode: str) -> Manifest:
    """The Service that the route names; its selector is ours alone."""
    name = workload if mode == "live" else shadow_name(workload)
    port = rollout.spec.traffic.gateway_api.port
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(rollout, name, name, **{labels.MODE: mode}),
        "spec": {
            "selector": {labels.WORKLOAD: name},
            "ports": [{"name": "http", "port": port, "targetPort": port, "protocol": "TCP"}],
        },
    }


def is_available(state: WorkloadState) -> bool:
    """Every wanted pod of the current template is Available and the Service has endpoints."""
    if state.deployment is None or state.service is None or not state.ready_endpoints:
        return False
    spec, status = state.deployment["spec"], state.deployment.get("status") or {}
    wanted = spec.get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= state.deployment["metadata"].get("generation", 0)
        and status.get("updatedReplicas", 0) >= wanted
        and status.get("availableReplicas", 0) >= wanted
    )


def unavailable_since(state: WorkloadState) -> datetime | None:
    """Since when the Deployment says that it is not Available; None while it does not say so."""
    for condition in ((state.deployment or {}).get("status") or {}).get("conditions") or []:
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

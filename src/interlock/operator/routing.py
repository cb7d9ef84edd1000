"""Which keys a changed object concerns."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.core import labels
from interlock.core.parts import mapping
from interlock.operator.cache import Cache, Key, Manifest


def concerned(cache: Cache, manifest: Manifest) -> Iterator[Key]:
    """Keys of Rollouts whose decision may depend on the object, and its own where we write its status."""
    meta = manifest["metadata"]
    namespace = meta.get("namespace", "")
    match manifest["kind"]:
        case "Rollout":
            yield ("Rollout", namespace, meta["name"])
        case "AgentVersion":
            yield ("AgentVersion", namespace, meta["name"])
            yield from _of_version(cache, manifest)
        case "MetricTemplate":
            yield ("MetricTemplate", "", meta["name"])
        case "HTTPRoute":
            yield ("Rollout", namespace, meta["name"])
        case _:
            marks = meta.get("labels") or {}
            if labels.EVIDENCE in marks:
                return  # written by the minute, and read by nobody who decides
            if owner := marks.get(labels.ROLLOUT):
                yield ("Rollout", namespace, owner)
            elif marks.get(labels.TEMPLATE) == "true":
                yield from _using_template(cache, namespace, meta["name"])


def _of_version(cache: Cache, version: Manifest) -> Iterator[Key]:
    """Those of its agent: they may wait for it, or remember it. And who names it by mistake."""
    namespace, name = version["metadata"].get("namespace", ""), version["metadata"]["name"]
    agent = mapping(version.get("spec")).get("agent")
    for rollout in cache.all("Rollout", namespace):
        spec, status = mapping(rollout.get("spec")), mapping(rollout.get("status"))
        wanted, tried = mapping(spec.get("versionRef")), mapping(status.get("candidate"))
        if name in (wanted.get("name"), tried.get("version")) or (agent and agent == spec.get("agent")):
            yield ("Rollout", namespace, rollout["metadata"]["name"])


def _using_template(cache: Cache, namespace: str, template: str) -> Iterator[Key]:
    for rollout in cache.all("Rollout", namespace):
        workload = mapping(mapping(rollout.get("spec")).get("workload"))
        if mapping(workload.get("templateRef")).get("name") == template:
            yield ("Rollout", namespace, rollout["metadata"]["name"])

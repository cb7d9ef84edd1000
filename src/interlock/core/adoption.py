"""Which objects are a Rollout's: those it owns, those that `--cascade=orphan` left for it, and those whose
labels and owner somebody took off. Pure.

They are adopted by the server-side apply that would make them, and only under the name of a version that is
known. Never adopts what another object owns; what was not adopted is never deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace

from interlock.core import labels
from interlock.core.observation import Manifest, Target
from interlock.core.parts import mapping, mappings
from interlock.core.traffic import read_route
from interlock.core.workloads import (
    SHADOW_SUFFIX,
    shadow_name,
    stored_template,
    template_hash,
    workload_name,
)
from interlock.errors import SpecError
from interlock.model.release import VersionIdentity
from interlock.model.rollout import Rollout


def is_owned(rollout: Rollout, manifest: Manifest) -> bool:
    """Does the object carry an owner reference to this very Rollout?"""
    return any(owner.get("uid") == rollout.metadata.uid for owner in _owners(manifest))


def belongs(rollout: Rollout, manifest: Manifest, known: Iterable[VersionIdentity] = ()) -> bool:
    """Is the object the Rollout's, or may it become so? A ConfigMap only as that of a version in `known`."""
    return (
        is_owned(rollout, manifest) or adoptable(rollout, manifest, known) or is_disowned(rollout, manifest)
    )


def adoptable(rollout: Rollout, manifest: Manifest, known: Iterable[VersionIdentity] = ()) -> bool:
    """Was the object made for a Rollout of this name and agent, and does nobody own it now?"""
    meta = manifest["metadata"]
    marks = meta.get("labels") or {}
    if _owners(manifest) or "deletionTimestamp" in meta:
        return False
    if (marks.get(labels.ROLLOUT), marks.get(labels.AGENT)) != (rollout.metadata.name, rollout.spec.agent):
        return False
    match manifest.get("kind"):
        case "HTTPRoute":
            return bool(meta["name"] == rollout.metadata.name)
        case "ConfigMap":
            rendered = marks.get(labels.RENDERED) == "true"
            return rendered and any(_renders(manifest, rollout, version) for version in known)
        case "Deployment" | "Service" as kind:
            selector = _SELECTOR[kind](mapping(manifest.get("spec")))
            return bool(marks.get(labels.WORKLOAD) == meta["name"]) and selector == {
                labels.WORKLOAD: meta["name"]
            }
        case _:
            return False


def is_disowned(rollout: Rollout, manifest: Manifest) -> bool:
    """Is it the Rollout's by the record, though somebody took off its labels and owner?

    We wrote it (the API server says so), nobody else claims it, and it still serves what the status names and
    nothing else. Else it is another's now. Who could forge that could as well have put the labels on.
    """
    meta = manifest["metadata"]
    marks = meta.get("labels") or {}
    ours = {labels.ROLLOUT: rollout.metadata.name, labels.AGENT: rollout.spec.agent}
    if _owners(manifest) or "deletionTimestamp" in meta or not is_written_by_us(manifest):
        return False
    if any(marks.get(key, value) != value for key, value in ours.items()):
        return False
    recorded = _recorded(rollout)
    match manifest.get("kind"):
        case "HTTPRoute":
            route = read_route(manifest)
            named = {*route.weights, *route.mirrors}
            return bool(meta["name"] == rollout.metadata.name) and named <= recorded
        case "ConfigMap":
            status = rollout.status
            versions = (version for version in (status.stable, status.candidate) if version)
            return any(_renders(manifest, rollout, version) for version in versions)
        case "Deployment" | "Service" as kind:
            selector = _SELECTOR[kind](mapping(manifest.get("spec")))
            return meta["name"] in recorded and selector == {labels.WORKLOAD: meta["name"]}
        case _:
            return False


def is_written_by_us(manifest: Manifest) -> bool:
    """Does the API server say that the operator applied it? Whoever edits labels or owner leaves that be.

    Source: Kubernetes, Server-Side Apply: `managedFields` names who applied fields that are still there.
    """
    return any(_is_our_apply(entry) for entry in mappings(manifest["metadata"].get("managedFields")))


def written_by_us(manifest: Manifest) -> list[Manifest]:
    """What `is_written_by_us` needs of an object's `managedFields`, which are large."""
    entries = mappings(manifest["metadata"].get("managedFields"))
    return [
        {"manager": labels.FIELD_MANAGER, "operation": "Apply"} for entry in entries if _is_our_apply(entry)
    ][:1]


def _is_our_apply(entry: Manifest) -> bool:
    applied = (entry.get("manager"), entry.get("operation")) == (labels.FIELD_MANAGER, "Apply")
    return applied and not entry.get("subresource")


def _recorded(rollout: Rollout) -> set[str]:
    """Workloads that the status names, and their shadows."""
    status = rollout.status
    live = [version.workload for version in (status.stable, status.candidate) if version]
    live += [item.workload for item in status.draining]
    return {name for workload in live for name in (workload, shadow_name(workload))}


_SELECTOR: dict[str, Callable[[Manifest], object]] = {
    "Deployment": lambda spec: mapping(spec.get("selector")).get("matchLabels"),
    "Service": lambda spec: spec.get("selector"),
}


def workload_of(manifest: Manifest) -> str:
    """The live workload that an object of ours is part of, by its name; a shadow's is that beside it."""
    return str(manifest["metadata"]["name"]).removesuffix(SHADOW_SUFFIX)


def _owners(manifest: Manifest) -> list[Manifest]:
    return manifest["metadata"].get("ownerReferences") or []


def _renders(config: Manifest, rollout: Rollout, version: VersionIdentity) -> bool:
    """Does the ConfigMap hold this very version, unchangeable, and a template that gives it this name?

    What a running version lives on is then what was tested: pods are made from the template in it.
    """
    document = mapping(config.get("data")).get(labels.DOCUMENT_KEY)
    if config["metadata"]["name"] != version.workload or config.get("immutable") is not True:
        return False
    if not isinstance(document, str) or hashlib.sha256(document.encode()).hexdigest() != version.digest:
        return False
    try:
        stored = stored_template(config)
        template = replace(stored, hash=template_hash(stored.spec))
    except (SpecError, KeyError, TypeError, ValueError):
        return False
    target = Target(version.version, version.uid, version.digest, document)
    return workload_name(rollout.metadata.name, target, template) == version.workload

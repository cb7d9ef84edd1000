"""What others have set in the pods of a Deployment of ours: then something else runs than was tested. Pure.

Known by `metadata.managedFields`, so that neither what the API server fills in nor what an admission webhook
adds to our own request counts. Pods' labels and annotations are nobody's content: a restart is told by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from interlock.core import labels
from interlock.core.observation import Manifest
from interlock.core.parts import mapping, mappings, text
from interlock.core.workloads import covers

_PODS = ("f:spec", "f:template", "f:spec")
_ITSELF = "."
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Foreign:
    """A field of a pod template that is not as we made it, and the field manager that set it. No value."""

    manager: str
    field: str


def of_others(deployment: Manifest) -> list[Manifest]:
    """The entries of `managedFields` that say who else owns fields of the pods; empty as a rule."""
    return [
        entry
        for entry in mappings(mapping(deployment.get("metadata")).get("managedFields"))
        if entry.get("manager") != labels.FIELD_MANAGER and _pods(entry)
    ]


def foreign(observed: Manifest, desired: Manifest) -> list[Foreign]:
    """What others have set otherwise than in `desired`, or beside it; in order of the field, each once."""
    entries = of_others(observed)
    if not entries:
        return []
    found, made = _pod_spec(observed), _pod_spec(desired)
    told = {
        path: text(entry.get("manager"))
        for entry in entries
        for path in _otherwise(_pods(entry), found, made, "spec.template.spec")
    }
    return [Foreign(manager, path) for path, manager in sorted(told.items())]


def restored(observed: Manifest, desired: Manifest) -> Manifest:
    """The Deployment as it was made, to replace `observed` with: an apply takes away no field of others.

    Annotations of the pods stay, so that a restart that somebody asked for is not asked for twice.
    """
    meta = {key: value for key, value in observed["metadata"].items() if key != "managedFields"}
    spec = desired["spec"]
    pod_meta = mapping(spec["template"].get("metadata"))
    noted = mapping(mapping(_template(observed).get("metadata")).get("annotations"))
    noted = noted | mapping(pod_meta.get("annotations"))
    template = {**spec["template"], "metadata": {**pod_meta, "annotations": noted}}
    return {**observed, "metadata": meta, "spec": {**spec, "template": template}}


def _pods(entry: Manifest) -> Manifest:
    fields = mapping(entry.get("fieldsV1"))
    for key in _PODS:
        fields = mapping(fields.get(key))
    return fields


def _template(deployment: Manifest) -> Manifest:
    return mapping(mapping(deployment.get("spec")).get("template"))


def _pod_spec(deployment: Manifest) -> Manifest:
    return mapping(_template(deployment).get("spec"))


def _otherwise(fields: Manifest, found: Any, made: Any, path: str) -> Iterator[str]:
    """Paths of the outermost fields that are owned, there, and not as they were made."""
    for key, below in fields.items():
        if key == _ITSELF:
            continue
        there, wanted = _part(found, key), _part(made, key)
        if there is _ABSENT:
            continue
        name = path + _shown(key)
        inner = {k: v for k, v in mapping(below).items() if k != _ITSELF}
        if wanted is _ABSENT:
            yield name
        elif inner:
            yield from _otherwise(inner, there, wanted, name)
        elif not covers(there, wanted):
            yield name


def _part(value: Any, key: str) -> Any:
    """The field, or the item of a list, that a key of `fieldsV1` means."""
    kind, _, name = key.partition(":")
    if kind == "f" and isinstance(value, dict):
        return value.get(name, _ABSENT)
    if kind == "k" and isinstance(value, list):
        marks = _marks(name)
        # what the API server fills in of a key, such as a port's protocol, was not written by us
        same = (item for item in mappings(value) if all(item.get(k, v) == v for k, v in marks.items()))
        return next(same, _ABSENT) if marks else _ABSENT
    if kind == "v" and isinstance(value, list):
        return next((item for item in value if json.dumps(item) == name), _ABSENT)
    return _ABSENT


def _shown(key: str) -> str:
    kind, _, name = key.partition(":")
    if kind == "k":
        return f"[{'/'.join(str(mark) for mark in _marks(name).values())}]"
    return f".{name}" if kind == "f" else f"[{name}]"


def _marks(name: str) -> Manifest:
    try:
        return mapping(json.loads(name))
    except ValueError:
        return {}

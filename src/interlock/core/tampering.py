"""What others have set in the pods of a Deployment of ours: then something else runs than was tested. Pure.

Known by `metadata.managedFields`, so that neither what the API server fills in nor what an admission webhook
adds to our own request counts. Pods' labels and annotations are nobody's content: a restart is told by one.
As `labels.FIELD_MANAGER` we only apply, as `labels.PUT_BACK_MANAGER` only update: else it was somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from interlock.core import labels
from interlock.core.observation import Manifest
from interlock.core.parts import mapping, mappings, text, whole
from interlock.core.workloads import covers
from interlock.model.base import read_time

_PODS = ("f:spec", "f:template", "f:spec")
_ITSELF = "."
_ABSENT = object()
_MARKED = ("f:metadata", "f:annotations", f"f:{labels.PUT_BACK}")
LONGEST_WAIT = timedelta(seconds=300)
QUIET = 2 * LONGEST_WAIT
"""After this long the waits begin anew."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """When the pods were last put back, the Deployment's generation before that, and how often of late."""

    at: datetime
    generation: int
    times: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """A field of a pod template that is not as we made it, and the field manager that set it. No value."""

    manager: str
    field: str


def of_others(deployment: Manifest) -> list[Manifest]:
    """The entries of `managedFields` that say who else owns fields of the pods; empty as a rule."""
    return [entry for entry in _entries(deployment) if not _is_our_apply(entry) and _pods(entry)]


def telling(deployment: Manifest) -> list[Manifest]:
    """What is read here of `managedFields`, which are large: `of_others`, and that the mark is ours."""
    mark: list[Manifest] = [
        {
            "manager": labels.PUT_BACK_MANAGER,
            "operation": "Update",
            "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{labels.PUT_BACK}": {}}}},
        }
    ]
    others = of_others(deployment)
    is_told = any(_is_our_mark(entry) for entry in others)
    return others if is_told or not _is_marked_by_us(deployment) else [*others, *mark]


def foreign(observed: Manifest, desired: Manifest, now: datetime) -> list[Foreign]:
    """What others have set otherwise than in `desired`, or beside it; in order of the field, each once."""
    entries = of_others(observed)
    if not entries or _changed_nothing(observed, now):
        return []
    found, made = _pod_spec(observed), _pod_spec(desired)
    told = {
        path: text(entry.get("manager"))
        for entry in entries
        for path in _otherwise(
            _pods(entry), found, made, "spec.template.spec", defaults=_owns_defaults(entry)
        )
    }
    return [Foreign(manager, path) for path, manager in sorted(told.items())]


def is_as_made(observed: Manifest, desired: Manifest) -> bool:
    """Are all fields of its pods that we make as we make them, whoever has changed them?"""
    return covers(_pod_spec(observed), _pod_spec(desired))


def last_put_back(observed: Manifest, now: datetime) -> PutBack | None:
    """As the Deployment's annotation says; None where that says nothing.

    Whoever may edit the Deployment can write one: what counts is ours by the API server's record, and neither
    from the future nor of another Deployment that had this name.
    """
    meta = mapping(observed.get("metadata"))
    at, *numbers = text(mapping(meta.get("annotations")).get(labels.PUT_BACK)).split(" ")
    found = read_time(at)
    if found is None or len(numbers) != 2 or not all(n.isascii() and n.isdigit() for n in numbers):
        return None
    generation, times = (int(number[:9]) for number in numbers)
    begun = read_time(meta.get("creationTimestamp")) or found
    if not (begun <= found <= now and 0 < generation <= whole(meta.get("generation"))):
        return None
    return PutBack(found, generation, times) if _is_marked_by_us(observed) else None


def due_in(observed: Manifest, now: datetime) -> timedelta:
    """How long until the pods may be put back: 0 the first time, then 2, 4, 8 s and at last `LONGEST_WAIT`: a
    controller that writes the same again and again must not have pods restarted all the time."""
    last = last_put_back(observed, now)
    if last is None or now - last.at > QUIET:
        return timedelta(0)
    wait = min(timedelta(seconds=2 ** min(last.times, 9)), LONGEST_WAIT)
    return min(max(timedelta(0), last.at + wait - now), wait)


def _changed_nothing(observed: Manifest, now: datetime) -> bool:
    """Had the last put-back nothing to change, and was nothing changed since? Then others own what is as we
    make it, such as a default that somebody has changed and changed back."""
    last = last_put_back(observed, now)
    return last is not None and last.generation == whole(observed["metadata"].get("generation"))


def _owns_defaults(entry: Manifest) -> bool:
    """Did this manager bring the whole object, as a restored backup does? The selector is written only then.

    It owns the API server's defaults as well. So do what stands for "before the first apply" and a put-back.
    """
    created = "f:selector" in mapping(mapping(entry.get("fieldsV1")).get("f:spec"))
    return created or entry.get("manager") == labels.PUT_BACK_MANAGER


def restored(observed: Manifest, desired: Manifest, now: datetime) -> Manifest:
    """The Deployment as it was made, to replace `observed` with: an apply takes away no field of others.

    Annotations of the pods stay, so that a restart that somebody asked for is not asked for twice.
    """
    meta = _to_be_written(observed)
    last = last_put_back(observed, now)
    times = 1 if last is None or now - last.at > QUIET else last.times + 1
    mark = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} {whole(meta.get('generation'))} {times}"
    meta["annotations"] = {**mapping(meta.get("annotations")), labels.PUT_BACK: mark}
    spec = desired["spec"]
    pod_meta = mapping(spec["template"].get("metadata"))
    noted = mapping(mapping(_template(observed).get("metadata")).get("annotations"))
    noted = noted | mapping(pod_meta.get("annotations"))
    template = {**spec["template"], "metadata": {**pod_meta, "annotations": noted}}
    return {**observed, "metadata": meta, "spec": {**spec, "template": template}}


def resized(observed: Manifest, replicas: int) -> Manifest | None:
    """The Deployment as it is, but for its size; None where that is right."""
    spec = mapping(observed.get("spec"))
    if spec.get("replicas") == replicas:
        return None
    return {**observed, "metadata": _to_be_written(observed), "spec": {**spec, "replicas": replicas}}


def _to_be_written(observed: Manifest) -> Manifest:
    """Its metadata without the managed fields: who writes them takes them over from the API server."""
    return {key: value for key, value in observed["metadata"].items() if key != "managedFields"}


def _entries(deployment: Manifest) -> list[Manifest]:
    return mappings(mapping(deployment.get("metadata")).get("managedFields"))


def _is_our_apply(entry: Manifest) -> bool:
    return (entry.get("manager"), entry.get("operation")) == (labels.FIELD_MANAGER, "Apply")


def _is_marked_by_us(deployment: Manifest) -> bool:
    """Who changes a value takes it over: ours is what nobody has changed since."""
    return any(_is_our_mark(entry) for entry in _entries(deployment))


def _is_our_mark(entry: Manifest) -> bool:
    updated = (entry.get("manager"), entry.get("operation")) == (labels.PUT_BACK_MANAGER, "Update")
    *above, mark = _MARKED
    return updated and not entry.get("subresource") and mark in _below(entry, above)


def _pods(entry: Manifest) -> Manifest:
    return _below(entry, _PODS)


def _below(entry: Manifest, keys: Iterable[str]) -> Manifest:
    fields = mapping(entry.get("fieldsV1"))
    for key in keys:
        fields = mapping(fields.get(key))
    return fields


def _template(deployment: Manifest) -> Manifest:
    return mapping(mapping(deployment.get("spec")).get("template"))


def _pod_spec(deployment: Manifest) -> Manifest:
    return mapping(_template(deployment).get("spec"))


def _otherwise(fields: Manifest, found: Any, made: Any, path: str, *, defaults: bool) -> Iterator[str]:
    """Paths of the outermost fields that are owned, there, and not as they were made. Where
    `defaults` are owned too, only items of lists count beside what we make: those are never defaults."""
    for key, below in fields.items():
        if key == _ITSELF:
            continue
        there, wanted = _part(found, key), _part(made, key)
        if there is _ABSENT:
            continue
        name = path + _shown(key)
        inner = {k: v for k, v in mapping(below).items() if k != _ITSELF}
        if wanted is _ABSENT and (key.startswith("k:") or not defaults):
            yield name
        elif inner:
            yield from _otherwise(inner, there, wanted, name, defaults=defaults)
        elif wanted is _ABSENT:
            continue
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

"""Objects as last seen, trimmed; the newest resourceVersion wins, whoever delivers it.

Fed by the watch, by relists and by the answers to our own writes. Never a source of truth for a write:
those carry the resourceVersion that was seen here and fail when it is old.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from interlock.core import labels, tampering
from interlock.core.adoption import written_by_us
from interlock.core.parts import mapping, mappings

Manifest = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace, name."""
Observer = Callable[[Manifest | None, Manifest | None], None]
"""Told of each change what was kept before and what is kept now; None where there was or is nothing."""

SERVICE = "kubernetes.io/service-name"
"""On EndpointSlices: whose endpoints they are."""
INDEXED = (labels.ROLLOUT, SERVICE)
"""Labels by which objects are found without a search."""

LONGEST_WORD = 64
"""Characters; longer strings are texts of their own."""
_NOISE = "kubectl.kubernetes.io/last-applied-configuration"
_Mark = tuple[str, str, str, str]
"""Kind, namespace, label, value."""


def key_of(manifest: Manifest) -> Key:
    """Kind, namespace and name of an object."""
    meta = manifest["metadata"]
    return manifest["kind"], meta.get("namespace", ""), meta["name"]


def version_of(manifest: Manifest) -> int:
    """The resourceVersion as a number: comparable within one resource (Kubernetes KEP-5504)."""
    raw = manifest["metadata"].get("resourceVersion", "")
    return int(raw) if raw.isdigit() else 0


class Cache:
    """All objects that decisions read, by kind, namespace and name, and by the labels of `INDEXED`."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, dict[str, Manifest]]] = defaultdict(lambda: defaultdict(dict))
        self._marked: dict[_Mark, dict[str, Manifest]] = defaultdict(dict)
        self._deleted: dict[Key, int] = {}
        self.observers: list[Observer] = []

    def put(self, manifest: Manifest, *, parsed_alone: bool = False) -> bool:
        """Keep the object unless something newer is known. Returns whether anything changed.

        Of one that was `parsed_alone` the words are made those of all others (`shared`).
        """
        key = key_of(manifest)
        version, known = version_of(manifest), self.get(*key)
        if (known and version_of(known) >= version) or self._deleted.get(key, 0) >= version > 0:
            return False
        self._deleted.pop(key, None)
        kept = trimmed(manifest)
        self._replace(key, known, shared(kept) if parsed_alone else kept)
        return True

    def drop(self, manifest: Manifest) -> bool:
        """Forget a deleted object, unless it was created again since. Returns whether anything changed."""
        key = key_of(manifest)
        known = self.get(*key)
        if known and known["metadata"].get("uid") != manifest["metadata"].get("uid"):
            return False
        self._deleted[key] = max(version_of(manifest), version_of(known) if known else 0)
        if known is None:
            return False
        self._replace(key, known, None)
        return True

    def _replace(self, key: Key, old: Manifest | None, new: Manifest | None) -> None:
        kind, namespace, name = key
        if old is not None:
            for mark in _marks(old):
                held = self._marked[mark]
                held.pop(name, None)
                if not held:
                    del self._marked[mark]
        if new is not None:
            self._objects[kind][namespace][name] = new
            for mark in _marks(new):
                self._marked[mark][name] = new
        else:
            del self._objects[kind][namespace][name]
        for observer in self.observers:
            observer(old, new)

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object as last seen."""
        spaces = self._objects.get(kind)
        held = spaces.get(namespace) if spaces is not None else None
        return held.get(name) if held is not None else None

    def all(self, kind: str, namespace: str = "") -> list[Manifest]:
        """Objects of a kind, optionally of one namespace."""
        spaces = self._objects.get(kind, {})
        if namespace:
            return list(spaces.get(namespace, {}).values())
        return [manifest for held in spaces.values() for manifest in held.values()]

    def labelled(self, kind: str, namespace: str, label: str, value: str) -> list[Manifest]:
        """Objects of a kind and namespace that carry a label of `INDEXED`."""
        if label not in INDEXED:
            raise KeyError(f"nothing is found by the label {label}: name it in INDEXED")
        return list(self._marked.get((kind, namespace, label, value), {}).values())

    def learn(self, kind: str, listed: list[Manifest]) -> list[Manifest]:
        """Put a full listing; returns what was new or newer than what the watch had brought."""
        missed = [manifest for manifest in listed if self.put(manifest)]
        # deletions are remembered only until a listing that is younger than they are
        self._deleted = {key: version for key, version in self._deleted.items() if key[0] != kind}
        return missed

    def absent_from(self, kind: str, listed: list[Manifest]) -> list[Manifest]:
        """What is known but not listed: gone, or created since the listing was answered."""
        present = {(m["metadata"].get("namespace", ""), m["metadata"]["name"]) for m in listed}
        return [m for m in self.all(kind) if key_of(m)[1:] not in present]

    def __len__(self) -> int:
        return sum(len(held) for spaces in self._objects.values() for held in spaces.values())


def _marks(manifest: Manifest) -> Iterator[_Mark]:
    kind, namespace, _ = key_of(manifest)
    carried = manifest["metadata"].get("labels") or {}
    for label in INDEXED:
        if label in carried:
            yield kind, namespace, label, carried[label]


def trimmed(manifest: Manifest) -> Manifest:
    """Without what no decision reads: managed fields, but for those that tell of tampering with our pods, and
    kubectl's copy of the object; of endpoints all but whether they are ready. Only while nobody owns the
    object are needed our own mark in the managed fields, and the document of a ConfigMap of ours."""
    meta = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    if not meta.get("ownerReferences") and (mark := written_by_us(manifest)):
        meta["managedFields"] = mark
    if _NOISE in (meta.get("annotations") or {}):
        meta["annotations"] = {k: v for k, v in meta["annotations"].items() if k != _NOISE}
    kept = {**manifest, "metadata": meta}
    match manifest["kind"]:
        case "Deployment" if told := tampering.telling(manifest):
            meta["managedFields"] = [*meta.get("managedFields", ()), *told]
        case "ConfigMap" if meta.get("ownerReferences") and labels.DOCUMENT_KEY in mapping(kept.get("data")):
            kept["data"] = {k: v for k, v in kept["data"].items() if k != labels.DOCUMENT_KEY}
        case "EndpointSlice":
            kept = {key: kept[key] for key in ("apiVersion", "kind", "metadata") if key in kept}
            kept["endpoints"] = [
                {"conditions": {"ready": mapping(endpoint.get("conditions")).get("ready", True)}}
                for endpoint in mappings(manifest.get("endpoints"))
            ]
    return kept


def shared(part: Any) -> Any:
    """The same with each key, and each word that is likely to come again, kept once in the process.

    What the watch brings is parsed object by object; most of an object are words of the API.
    """
    if isinstance(part, dict):
        return {shared(key): shared(value) for key, value in part.items()}
    if isinstance(part, list):
        return [shared(value) for value in part]
    # not a subclass, like an enum's member: only str itself can be interned
    return sys.intern(part) if type(part) is str and len(part) <= LONGEST_WORD else part

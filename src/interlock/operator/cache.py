"""Objects as last seen, trimmed; the newest resourceVersion wins, whoever delivers it.

Fed by the watch, by relists and by the answers to our own writes. Never a source of truth for a write:
those carry the resourceVersion that was seen here and fail when it is old.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace, name."""
Observer = Callable[[Manifest | None, Manifest | None], None]
"""Told of each change what was kept before and what is kept now; None where there was or is nothing."""

_NOISE = "kubectl.kubernetes.io/last-applied-configuration"


def key_of(manifest: Manifest) -> Key:
    """Kind, namespace and name of an object."""
    meta = manifest["metadata"]
    return manifest["kind"], meta.get("namespace", ""), meta["name"]


def version_of(manifest: Manifest) -> int:
    """The resourceVersion as a number: comparable within one resource (Kubernetes KEP-5504)."""
    raw = manifest["metadata"].get("resourceVersion", "")
    return int(raw) if raw.isdigit() else 0


class Cache:
    """All objects that decisions read, by kind and namespace."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[tuple[str, str], Manifest]] = defaultdict(dict)
        self._deleted: dict[Key, int] = {}
        self.observers: list[Observer] = []

    def put(self, manifest: Manifest) -> bool:
        """Keep the object unless something newer is known. Returns whether anything changed."""
        kind, namespace, name = key = key_of(manifest)
        version = version_of(manifest)
        known = self._objects[kind].get((namespace, name))
        if (known and version_of(known) >= version) or self._deleted.get(key, 0) >= version > 0:
            return False
        self._deleted.pop(key, None)
        self._objects[kind][namespace, name] = kept = trimmed(manifest)
        self._tell(known, kept)
        return True

    def drop(self, manifest: Manifest) -> bool:
        """Forget a deleted object, unless it was created again since. Returns whether anything changed."""
        kind, namespace, name = key = key_of(manifest)
        known = self._objects[kind].get((namespace, name))
        if known and known["metadata"].get("uid") != manifest["metadata"].get("uid"):
            return False
        self._deleted[key] = max(version_of(manifest), version_of(known) if known else 0)
        if self._objects[kind].pop((namespace, name), None) is None:
            return False
        self._tell(known, None)
        return True

    def _tell(self, old: Manifest | None, new: Manifest | None) -> None:
        for observer in self.observers:
            observer(old, new)

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object as last seen."""
        return self._objects[kind].get((namespace, name))

    def all(self, kind: str, namespace: str = "") -> list[Manifest]:
        """Objects of a kind, optionally of one namespace."""
        return [
            manifest
            for (where, _), manifest in self._objects[kind].items()
            if not namespace or where == namespace
        ]

    def labelled(self, kind: str, namespace: str, label: str, value: str) -> list[Manifest]:
        """Objects of a kind that carry a label."""
        return [
            m for m in self.all(kind, namespace) if (m["metadata"].get("labels") or {}).get(label) == value
        ]

    def learn(self, kind: str, listed: list[Manifest]) -> list[Manifest]:
        """Put a full listing; returns what was new or newer than what the watch had brought."""
        missed = [manifest for manifest in listed if self.put(manifest)]
        # deletions are remembered only until a listing that is younger than they are
        self._deleted = {key: version for key, version in self._deleted.items() if key[0] != kind}
        return missed

    def absent_from(self, kind: str, listed: list[Manifest]) -> list[Manifest]:
        """What is known but not listed: gone, or created since the listing was answered."""
        present = {(m["metadata"].get("namespace", ""), m["metadata"]["name"]) for m in listed}
        return [m for place, m in self._objects[kind].items() if place not in present]

    def __len__(self) -> int:
        return sum(len(objects) for objects in self._objects.values())


def trimmed(manifest: Manifest) -> Manifest:
    """Without what no decision reads: managed fields and kubectl's copy of the object."""
    meta = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    if _NOISE in (meta.get("annotations") or {}):
        meta["annotations"] = {k: v for k, v in meta["annotations"].items() if k != _NOISE}
    return {**manifest, "metadata": meta}

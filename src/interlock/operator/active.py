"""Which Rollouts are looked after, and have something to read from Prometheus; each parsed once for each
version of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pydantic import ValidationError

from interlock.core.parts import mapping, mappings, texts
from interlock.model.rollout import Rollout
from interlock.ports import Manifest


class Active:
    """`manifests` gives all Rollouts; one that has changed must be another object."""

    def __init__(self, manifests: Callable[[], Iterable[Manifest]]) -> None:
        self._manifests = manifests
        self._parsed: dict[int, tuple[Manifest, Rollout | None]] = {}

    def rollouts(self) -> Iterator[Rollout]:
        """Those that may have something to read; what cannot be parsed is passed over."""
        before, self._parsed = self._parsed, {}
        for manifest in self._manifests():
            if is_worth_reading(manifest):
                # the manifest is kept, so that nothing else can have its number
                known = before.get(id(manifest)) or (manifest, _read(manifest))
                self._parsed[id(manifest)] = known
                if known[1] is not None:
                    yield known[1]


_COLLECTOR = {"foregroundDeletion", "orphan"}
"""Finalizers by which the garbage collector deletes dependents first, or lets go of them."""


def is_going(manifest: Manifest) -> bool:
    """Deleted, so that nothing is to be done any more.

    A Rollout whose end waits for somebody's finalizer still has a route, and is looked after; unless that is
    the garbage collector's, who then has its dependents.
    """
    meta = mapping(manifest.get("metadata"))
    if "deletionTimestamp" not in meta:
        return False
    keepers = set(texts(meta.get("finalizers")))
    return manifest["kind"] != Rollout.KIND or not keepers or bool(keepers & _COLLECTOR)


def is_worth_reading(manifest: Manifest) -> bool:
    """Whether a Rollout may have something to read: a glance at the raw object keeps idle ones free."""
    held = mapping(manifest.get("status"))
    stage = mapping(held.get("attempt")).get("stage")
    gates = mappings(mapping(mapping(manifest.get("spec")).get("analysis")).get("gates"))
    return not is_going(manifest) and bool(
        stage in ("Running", "Soaking")
        or held.get("draining")
        or (stage == "Preparing" and any("alert" in gate for gate in gates))
    )


def _read(manifest: Manifest) -> Rollout | None:
    try:
        return Rollout.read(manifest)
    except ValidationError:
        return None

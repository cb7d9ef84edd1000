"""The API server, kubelet and gateway of a simulation: what the core asks for is there at once.

One Rollout, no other objects, nothing fails. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from interlock.core import labels
from interlock.core.effects import (
    ApplyChild,
    DeleteChild,
    Effect,
    RecordCleared,
    RecordEntries,
    RestoreChild,
    TellEvent,
    WriteRoute,
)
from interlock.core.ledger import release_of
from interlock.core.observation import Manifest, RouteState, WorkloadState
from interlock.core.traffic import read_route
from interlock.model.release import Entry
from interlock.model.rollout import Rollout
from interlock.simulation.conduct import Life
from interlock.simulation.traffic import Workload

_PARTS = {"Deployment": "deployment", "Service": "service", "ConfigMap": "config"}


class Cluster:
    """Objects by kind and name; every Deployment is Available, every route accepted."""

    def __init__(self) -> None:
        self._recorded: dict[str, int] = {}
        self._objects: dict[tuple[str, str], Manifest] = {}

    def perform(self, effects: Iterable[Effect]) -> list[Entry]:
        """All effects, at once. Returns what was taken down in a Release and was not there before."""
        entries: list[Entry] = []
        for effect in effects:
            match effect:
                case ApplyChild(manifest) | WriteRoute(manifest) | RestoreChild(manifest):
                    self._store(manifest)
                case DeleteChild(kind, _, name, _):
                    self._objects.pop((kind, name), None)
                case RecordEntries(release, _, _, new):
                    entries += [entry for entry in new if entry.seq > self._recorded.get(release, 0)]
                    self._recorded[release] = new[-1].seq
                case TellEvent() | RecordCleared():
                    pass
                case _:
                    assert_never(effect)
        return entries

    def recorded(self, rollout: Rollout) -> int:
        """The last transition of its attempt that the Release holds."""
        attempt = rollout.status.attempt
        return self._recorded.get(release_of(rollout, attempt), 0) if attempt else 0

    def running(self, lives: Mapping[str, Life]) -> list[Workload]:
        """What runs: one version in one mode each; `lives` by version."""
        found = []
        for (kind, name), manifest in self._objects.items():
            if kind == "Deployment":
                marks = manifest["metadata"]["labels"]
                version = marks[labels.AGENT_VERSION]
                found.append(Workload(name, version, marks[labels.MODE], lives[version]))
        return found

    def workloads(self) -> dict[str, WorkloadState]:
        """What exists, by name; a Service has the endpoints of its Deployment's pods."""
        found: dict[str, dict[str, Manifest]] = {}
        for (kind, name), manifest in self._objects.items():
            if kind in _PARTS:
                found.setdefault(name, {})[_PARTS[kind]] = manifest
        return {
            name: WorkloadState(
                **parts,
                ready_endpoints=parts["deployment"]["spec"]["replicas"] if "deployment" in parts else 0,
            )
            for name, parts in found.items()
        }

    def route(self) -> RouteState | None:
        """The HTTPRoute, accepted by all its parents."""
        found = [manifest for (kind, _), manifest in self._objects.items() if kind == "HTTPRoute"]
        return read_route(found[0]) if found else None

    def shares(self) -> dict[str, float]:
        """Which part of the requests each workload gets, or a copy of it; 0 to 1."""
        route = self.route()
        if route is None:
            return {}
        total = sum(route.weights.values()) or 1
        shares = {name: weight / total for name, weight in route.weights.items()}
        return shares | {name: percent / 100 for name, percent in route.mirrors.items()}

    def _store(self, manifest: Manifest) -> None:
        kind, meta = manifest["kind"], manifest["metadata"]
        before = self._objects.get((kind, meta["name"]), {}).get("metadata", {})
        generation = before.get("generation", 0) + 1
        uid = f"{kind}/{meta['name']}"
        kept = {**meta, "uid": uid, "generation": generation, "resourceVersion": str(generation)}
        self._objects[kind, meta["name"]] = {**manifest, "metadata": kept} | _status(manifest, generation)


def _status(manifest: Manifest, generation: int) -> Manifest:
    spec = manifest.get("spec") or {}
    match manifest["kind"]:
        case "Deployment":
            replicas = spec["replicas"]
            told = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
            return {"status": {"observedGeneration": generation, **told}}
        case "HTTPRoute":
            conditions = [
                {"type": kind, "status": "True", "reason": kind, "observedGeneration": generation}
                for kind in ("Accepted", "ResolvedRefs")
            ]
            parents = [{"parentRef": parent, "conditions": conditions} for parent in spec["parentRefs"]]
            return {"status": {"parents": parents}}
        case _:
            return {}

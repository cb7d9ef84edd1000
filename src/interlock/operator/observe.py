"""Gathers one Observation from the cache; reads the API server only for what is not watched."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from interlock.core import labels, traffic, versions, workloads
from interlock.core.ledger import release_of
from interlock.core.observation import (
    Manifest,
    Observation,
    Target,
    Template,
    Timing,
    Unusable,
    WorkloadState,
)
from interlock.core.plans import plan_problem
from interlock.core.status import is_ours
from interlock.errors import DependencyError, SpecError
from interlock.model.agentversion import AgentVersion
from interlock.model.base import first_problem
from interlock.model.rollout import Rollout
from interlock.operator.cache import Cache
from interlock.operator.evidence import Evidence
from interlock.ports import Objects
from interlock.reasons import Reason

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Assessed:
    uid: str
    generation: int
    result: versions.Assessment


class Observer:
    """Assesses AgentVersions once per generation: their content cannot change without it."""

    def __init__(
        self, objects: Objects, cache: Cache, evidence: Evidence, timing: Timing, gates_refresh: float
    ) -> None:
        self._objects = objects
        self._cache = cache
        self._evidence = evidence
        self._timing = timing
        self._gates_refresh = timedelta(seconds=gates_refresh)
        self._gates_written: dict[str, datetime] = {}
        self._assessed: dict[tuple[str, str], _Assessed] = {}

    async def observe(self, rollout: Rollout, now: datetime) -> Observation:
        """Everything that a decision about `rollout` may look at."""
        meta, status = rollout.metadata, rollout.status
        target = await self.version(meta.namespace, rollout.spec.version_ref.name)
        candidate: Target | Unusable | None = None
        if status.candidate is not None:
            candidate = await self._tested(meta.namespace, status.candidate.version)
        route = self._cache.get("HTTPRoute", meta.namespace, meta.name)
        return Observation(
            rollout=rollout,
            timing=self._timing,
            target=target,
            candidate=candidate,
            template=self._template(rollout),
            workloads=self._workloads(rollout),
            route=traffic.read_route(route) if route else None,
            recorded_seq=self._recorded(rollout),
            earlier_releases=bool(self._cache.labelled("Release", meta.namespace, labels.ROLLOUT, meta.name)),
            evidence=self._evidence.report(rollout),
            conversations=self._evidence.conversations(rollout),
            gates_due=self._gates_due(meta.uid, now),
            problem=plan_problem(rollout),
        )

    def wrote_status(self, uid: str, now: datetime) -> None:
        """Gates are now as fresh as `now`."""
        self._gates_written[uid] = now

    def forget(self, uid: str) -> None:
        """The Rollout is gone."""
        self._gates_written.pop(uid, None)

    def _gates_due(self, uid: str, now: datetime) -> bool:
        written = self._gates_written.get(uid)
        return written is None or now - written >= self._gates_refresh

    async def version(self, namespace: str, name: str) -> Target | Unusable:
        """An AgentVersion as something that can be served, or why it cannot."""
        manifest = await self._agent_version(namespace, name)
        if manifest is None:
            text = f"AgentVersion {name} does not exist: create it or correct spec.versionRef"
            return Unusable(Reason.DEPENDENCY_NOT_READY, text)
        try:
            found = await self.assess(manifest)
        except SpecError as error:
            return Unusable(Reason.INVALID_SPEC, f"AgentVersion {name}: {error}"[:1024])
        except DependencyError as error:
            return Unusable(Reason.DEPENDENCY_NOT_READY, f"AgentVersion {name}: {error}"[:1024])
        uid = manifest["metadata"]["uid"]
        return Target(name, uid, found.digest, versions.render_json(found.document))

    async def _tested(self, namespace: str, name: str) -> Target | Unusable | None:
        """The AgentVersion under test: gone is a reason to turn back, not assessable says nothing."""
        found = await self.version(namespace, name)
        if isinstance(found, Target) or await self._agent_version(namespace, name) is None:
            return found
        return None

    async def _agent_version(self, namespace: str, name: str) -> Manifest | None:
        cached = self._cache.get("AgentVersion", namespace, name)
        if cached is not None:
            return cached
        # absence decides about traffic: the watch may only be late
        fresh = await self._objects.get("AgentVersion", namespace, name)
        if fresh is not None:
            self._cache.put(fresh)
        return fresh

    async def assess(self, manifest: Manifest) -> versions.Assessment:
        """Digest and document of an AgentVersion. Raises SpecError or DependencyError."""
        meta = manifest["metadata"]
        place = (meta["namespace"], meta["name"])
        known = self._assessed.get(place)
        if known and (known.uid, known.generation) == (meta["uid"], meta.get("generation", 0)):
            return known.result
        try:
            version = AgentVersion.read(manifest)
        except ValidationError as error:
            raise SpecError(first_problem(error)) from error
        referenced = {
            ref.name: await self._objects.get("ConfigMap", meta["namespace"], ref.name)
            for ref in versions.references(version)
        }
        result = versions.assess(version, referenced)
        self._assessed[place] = _Assessed(meta["uid"], meta.get("generation", 0), result)
        return result

    def forget_version(self, namespace: str, name: str) -> None:
        """The AgentVersion is gone."""
        self._assessed.pop((namespace, name), None)

    def _template(self, rollout: Rollout) -> Template | Unusable:
        name = rollout.spec.workload.template_ref.name
        manifest = self._cache.get("Deployment", rollout.metadata.namespace, name)
        if manifest is None:
            return Unusable(
                Reason.DEPENDENCY_NOT_READY,
                f"Deployment {name} (spec.workload.templateRef) must exist in namespace "
                f'{rollout.metadata.namespace} and carry the label {labels.TEMPLATE}: "true"',
            )
        try:
            return workloads.template_of(manifest)
        except SpecError as error:
            return Unusable(Reason.DEPENDENCY_NOT_READY, str(error))

    def _workloads(self, rollout: Rollout) -> dict[str, WorkloadState]:
        meta = rollout.metadata
        found: dict[str, dict[str, Manifest]] = defaultdict(dict)
        for kind in ("Deployment", "Service", "ConfigMap"):
            for manifest in self._cache.labelled(kind, meta.namespace, labels.ROLLOUT, meta.name):
                if is_ours(rollout, manifest):
                    found[manifest["metadata"]["name"]][kind] = manifest
        return {
            name: WorkloadState(
                deployment=parts.get("Deployment"),
                service=parts.get("Service"),
                config=parts.get("ConfigMap"),
                ready_endpoints=self._ready_endpoints(meta.namespace, name),
            )
            for name, parts in found.items()
        }

    def _ready_endpoints(self, namespace: str, service: str) -> int:
        slices = self._cache.labelled("EndpointSlice", namespace, "kubernetes.io/service-name", service)
        return sum(
            bool((endpoint.get("conditions") or {}).get("ready", True))
            for item in slices
            for endpoint in item.get("endpoints") or []
        )

    def _recorded(self, rollout: Rollout) -> int:
        if rollout.status.attempt is None:
            return 0
        release = self._cache.get(
            "Release", rollout.metadata.namespace, release_of(rollout, rollout.status.attempt)
        )
        return max((entry["seq"] for entry in (release or {}).get("entries") or []), default=0)

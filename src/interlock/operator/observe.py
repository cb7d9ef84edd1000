"""Gathers one Observation from the cache; reads the API server only for what is not watched."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from interlock.core import adoption, labels, traffic, workloads
from interlock.core.baseline import is_blank
from interlock.core.ledger import OnRecord, on_record, release_of
from interlock.core.memory import prunable, remember
from interlock.core.observation import (
    NOTHING,
    Manifest,
    Memory,
    Observation,
    Obstacle,
    Target,
    Template,
    Timing,
    Unusable,
    WorkloadState,
)
from interlock.core.obstacles import Pod, Surroundings, claims_of, clone_labels, obstacles, parents
from interlock.core.parts import mapping, mappings
from interlock.core.plans import plan_problem
from interlock.core.wanted import identity_of, is_at_rest, kept_back, serves
from interlock.errors import InterlockError, SpecError
from interlock.model.release import Release, Stage, VersionIdentity
from interlock.model.rollout import Rollout
from interlock.operator.agentversions import AgentVersions
from interlock.operator.cache import SERVICE, Cache
from interlock.operator.evidence import Evidence
from interlock.operator.metrictemplates import MetricTemplates
from interlock.operator.neighbours import Neighbours
from interlock.ports import Objects
from interlock.reasons import Reason

log = logging.getLogger(__name__)

PARTS = ("ConfigMap", "Deployment", "Service")
"""Kinds of a live workload's objects; a shadow has no ConfigMap of its own."""
WORDS_REFRESH = timedelta(seconds=15)
"""At most so often a status is written only because time passes, however often gates are: four writes a
minute, and the evidence's one, keep an attempt within its six requests."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    key: object
    memory: Memory | None
    surplus: tuple[Manifest, ...]


class Observer:
    """Keeps what a look would otherwise have to reckon anew: assessments, and what Releases remember."""

    def __init__(
        self,
        objects: Objects,
        cache: Cache,
        neighbours: Neighbours,
        evidence: Evidence,
        templates: MetricTemplates,
        *,
        timing: Timing,
        gates_refresh: float,
    ) -> None:
        self._objects = objects
        self._cache = cache
        self._neighbours = neighbours
        self._evidence = evidence
        self.templates = templates
        self.versions = AgentVersions(objects, cache, templates)
        self._timing = timing
        self._gates_refresh = timedelta(seconds=gates_refresh)
        self._written: dict[str, datetime] = {}
        self._remembered: dict[str, _Remembered] = {}

    async def observe(self, rollout: Rollout, now: datetime) -> Observation:
        """Everything that a decision about `rollout` may look at."""
        meta, status = rollout.metadata, rollout.status
        target = await self.versions.wanted(rollout)
        candidate: Target | Unusable | None = None
        if status.candidate is not None:
            candidate = await self.versions.tested(meta.namespace, status.candidate.version)
        route = self._cache.get("HTTPRoute", meta.namespace, meta.name)
        remembered = self._memory(rollout, route)
        memory = remembered.memory
        works = await self._workloads(rollout, _known(rollout, memory))
        known = await self.templates.confirmed(rollout)
        baseline: Target | Unusable | None = None
        if memory is not None and memory.stable is not None and is_blank(status):
            baseline = await self.versions.named(meta.namespace, memory.stable.version)
        elif status.stable is not None and works.get(status.stable.workload, NOTHING).config is None:
            baseline = await self.versions.named(meta.namespace, status.stable.version)
        seen = Observation(
            rollout=rollout,
            timing=self._timing,
            target=target,
            candidate=candidate,
            template=self._template(rollout),
            workloads=works,
            route=traffic.read_route(route) if route else None,
            uncleared=self._uncleared(rollout),
            **(await self._recorded(rollout))._asdict(),
            memory=memory,
            surplus=remembered.surplus,
            baseline=baseline,
            gone=self._gone(meta.namespace, memory),
            firing=self._evidence.firing(rollout),
            evidence=self._evidence.report(rollout),
            conversations=self._evidence.conversations(rollout),
            gates_due=self._is_due(meta.uid, now, self._gates_refresh),
            words_due=self._is_due(meta.uid, now, max(self._gates_refresh, WORDS_REFRESH)),
            known=known,
            problem=plan_problem(rollout, known),
        )
        return replace(seen, obstacles=await self._obstacles(seen))

    def wrote_status(self, uid: str, now: datetime) -> None:
        """Gates and messages are now as fresh as `now`."""
        self._written[uid] = now

    def forget(self, uid: str) -> None:
        """The Rollout is gone."""
        self._written.pop(uid, None)
        self._remembered.pop(uid, None)

    def _is_due(self, uid: str, now: datetime, after: timedelta) -> bool:
        written = self._written.get(uid)
        return written is None or not written <= now < written + after

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

    async def _workloads(self, rollout: Rollout, known: list[VersionIdentity]) -> dict[str, WorkloadState]:
        """What the Rollout owns, and of known versions what it adopts as well."""
        meta = rollout.metadata
        names = {version.workload for version in known}
        found: dict[str, dict[str, Manifest]] = defaultdict(dict)
        for kind in PARTS:
            for manifest in self._cache.labelled(kind, meta.namespace, labels.ROLLOUT, meta.name):
                adopts = adoption.workload_of(manifest) in names and adoption.adoptable(
                    rollout, manifest, known
                )
                if _is_of_a_workload(manifest) and (adopts or adoption.is_owned(rollout, manifest)):
                    found[manifest["metadata"]["name"]][kind] = manifest
        for manifest in self._disowned(rollout):
            found[manifest["metadata"]["name"]][manifest["kind"]] = manifest
        return {
            name: WorkloadState(
                deployment=parts.get("Deployment"),
                service=parts.get("Service"),
                config=parts.get("ConfigMap"),
                ready_endpoints=await self._ready_endpoints(meta.namespace, name, parts),
            )
            for name, parts in found.items()
        }

    def _disowned(self, rollout: Rollout) -> Iterator[Manifest]:
        """Parts of the workloads of the status that have lost labels and owner: found by their names."""
        for version in (rollout.status.stable, rollout.status.candidate):
            for name in _names(version) if version else ():
                for kind in PARTS:
                    manifest = self._cache.get(kind, rollout.metadata.namespace, name)
                    if manifest is not None and adoption.is_disowned(rollout, manifest):
                        yield manifest

    async def _ready_endpoints(self, namespace: str, name: str, parts: Collection[str]) -> int:
        slices = self._cache.labelled("EndpointSlice", namespace, SERVICE, name)
        if not slices and "Service" in parts:
            slices = await self._endpoint_slices(namespace, name)
        return sum(
            mapping(endpoint.get("conditions")).get("ready") in (None, True)  # not said means ready
            for item in slices
            for endpoint in mappings(item.get("endpoints"))
        )

    async def _endpoint_slices(self, namespace: str, service: str) -> list[Manifest]:
        """Read anew, and not kept: a Service that has lost our labels takes those of its EndpointSlices
        along, and the watch brings none without. Else every Service has at least one, be it empty."""
        try:
            return await self._objects.list(
                "EndpointSlice", namespace=namespace, selector=f"{SERVICE}={service}"
            )
        except InterlockError as error:  # nobody waits for it: a revert could be what is due
            log.warning("endpoints of Service %s/%s are not known: %s", namespace, service, error)
            return []

    # ------------------------------------------------------------ what is remembered
    def _memory(self, rollout: Rollout, route: Manifest | None) -> _Remembered:
        """Read again only when a Release was written."""
        meta = rollout.metadata
        releases = self._cache.labelled("Release", meta.namespace, labels.ROLLOUT, meta.name)
        serving: list[str] = []
        if is_blank(rollout.status) and route is not None and adoption.belongs(rollout, route):
            serving = [name for name, weight in traffic.read_route(route).weights.items() if weight]
        written = frozenset((m["metadata"]["name"], m["metadata"]["resourceVersion"]) for m in releases)
        key = (written, frozenset(serving))
        known = self._remembered.get(meta.uid)
        if known is None or known.key != key:
            memory = remember(releases, meta.uid, serving, rollout.spec.agent)
            known = _Remembered(key, memory, tuple(prunable(releases, meta.uid)))
            self._remembered[meta.uid] = known
        return known

    def _gone(self, namespace: str, memory: Memory | None) -> frozenset[str]:
        """Uids of remembered versions whose object is gone; the same name may be another object by now."""
        remembered = [memory.stable, *memory.promoted] if memory is not None else []
        found = {v: self._cache.get("AgentVersion", namespace, v.version) for v in remembered if v}
        return frozenset(v.uid for v, m in found.items() if m is None or m["metadata"]["uid"] != v.uid)

    # ------------------------------------------------------------ what is in the way
    async def _obstacles(self, seen: Observation) -> tuple[Obstacle, ...]:
        rollout, near = seen.rollout, self._neighbours
        namespace, wanted = rollout.metadata.namespace, identity_of(seen)
        tried = rollout.status.candidate or wanted
        gateways = near.gateways(parents(rollout))
        around = Surroundings(
            rollouts=near.of_agent(namespace, rollout.spec.agent),
            children=await self._under_our_names(seen, wanted),
            services=near.selecting(namespace, (*_names(tried), *_controls(seen)) if tried else ()),
            routes=[*near.claiming(claims_of(rollout)), *([seen.route.manifest] if seen.route else [])],
            gateways=gateways,
            classes=near.classes(gateways.values()),
            template=None if isinstance(seen.template, Unusable) else seen.template,
        )
        known = _known(rollout, seen.memory) + ([wanted] if wanted else [])
        return obstacles(rollout, _pods(seen, tried) if tried else (), known, around)

    async def _under_our_names(self, seen: Observation, wanted: VersionIdentity | None) -> list[Manifest]:
        """Objects under the names of the route, of what serves, and of what is to be made."""
        namespace, stable = seen.rollout.metadata.namespace, seen.rollout.status.stable
        serving = [(kind, stable.workload) for kind in PARTS] if stable else []
        known = [self._cache.get(kind, namespace, name) for kind, name in serving]
        found = [manifest for manifest in known if manifest is not None]
        found += [seen.route.manifest] if seen.route else []
        for kind, name in _to_be_made(seen, wanted):
            manifest = self._cache.get(kind, namespace, name)
            if manifest is None and kind != "Service":
                # of these kinds only what is labelled is watched, and an apply takes over what it finds
                manifest = await self._objects.get(kind, namespace, name)
            if manifest is not None:
                found.append(manifest)
        return found

    def _uncleared(self, rollout: Rollout) -> frozenset[str]:
        names = {item.release for item in rollout.status.draining}
        known = {name: self._cache.get("Release", rollout.metadata.namespace, name) for name in names}
        return frozenset(
            name for name, m in known.items() if m and "clearedTime" not in mapping(m.get("result"))
        )

    async def _recorded(self, rollout: Rollout) -> OnRecord:
        attempt = rollout.status.attempt
        if attempt is None:
            return OnRecord()
        place = Release.KIND, rollout.metadata.namespace, release_of(rollout, attempt)
        release = self._cache.get(*place)
        if release is None and attempt.unrecorded and attempt.unrecorded[0].seq > 1:
            release = await self._objects.get(*place)  # it would be called lost: the watch may only be late
            if release is not None:
                self._cache.put(release)
        return on_record(release, attempt)


def _known(rollout: Rollout, memory: Memory | None) -> list[VersionIdentity]:
    """Versions whose orphans may be adopted: those of the status; where that is empty, the one remembered."""
    status = rollout.status
    remembered = memory.stable if memory is not None and is_blank(status) else None
    return [version for version in (status.stable, status.candidate, remembered) if version is not None]


def _names(version: VersionIdentity) -> tuple[str, str]:
    """A version's workload, live and shadow."""
    return version.workload, workloads.shadow_name(version.workload)


def _controls(seen: Observation) -> list[str]:
    """The shadow of the version that serves, where a step asks for one."""
    stable, steps = seen.rollout.status.stable, seen.rollout.spec.strategy.steps
    asked = stable is not None and any(step.shadow and step.shadow.control for step in steps)
    return [workloads.shadow_name(stable.workload)] if stable and asked else []


def _pods(seen: Observation, tried: VersionIdentity) -> Sequence[Pod]:
    """Labels of the pods of the version that is tried or comes next, and of the control's."""
    made = [seen.workloads[name].deployment for name in _names(tried) if name in seen.workloads]
    running = [labels_ for m in made if m is not None and (labels_ := workloads.pod_labels(m))]
    if not running and not isinstance(seen.template, Unusable):
        return *clone_labels(seen.rollout, tried.version, tried.workload, seen.template), *_control_pods(seen)
    return *running, *_control_pods(seen)


def _control_pods(seen: Observation) -> list[Pod]:
    """Labels of the pods of stable's shadow: those of its live pods but for mode and workload."""
    stable = seen.rollout.status.stable
    live = seen.workloads.get(stable.workload, NOTHING).deployment if stable else None
    theirs = workloads.pod_labels(live) if live is not None else {}
    return [theirs | {labels.MODE: "shadow", labels.WORKLOAD: name} for name in _controls(seen)]


def _to_be_made(seen: Observation, wanted: VersionIdentity | None) -> Iterator[tuple[str, str]]:
    """Kinds and names that the next apply may make, while they may still be somebody else's."""
    status = seen.rollout.status
    if is_at_rest(status):
        begins = None if serves(seen) or kept_back(seen) else wanted
    else:
        prepares = status.attempt is not None and status.attempt.stage is Stage.PREPARING
        begins = status.candidate if prepares else None
    if begins is None:
        return
    live, shadow = _names(begins)
    yield from ((kind, live) for kind in PARTS)
    if any(step.shadow for step in seen.rollout.spec.strategy.steps):
        yield from ((kind, name) for name in (shadow, *_controls(seen)) for kind in ("Deployment", "Service"))


def _is_of_a_workload(manifest: Manifest) -> bool:
    """ConfigMaps of ours that hold something else (evidence) are no part of a workload."""
    marks = manifest["metadata"].get("labels") or {}
    return manifest["kind"] != "ConfigMap" or marks.get(labels.RENDERED) == "true"

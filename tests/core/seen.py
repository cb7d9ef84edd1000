"""Observations for decisions: what an operator would see at a given place of an attempt."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from interlock.analysis.gates import EvidenceReport, GateReading, Verdict
from interlock.core import plans, sizes, traffic, workloads
from interlock.core.effects import ApplyChild, DeleteChild, Effect, RecordCleared, RecordEntries, WriteRoute
from interlock.core.observation import (
    NOTHING,
    Manifest,
    Observation,
    RouteState,
    Target,
    Template,
    Timing,
    WorkloadState,
)
from interlock.core.route import desired_route
from interlock.core.waits import needed_workloads, steps_hash
from interlock.model.release import Outcome, Stage, VersionIdentity
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt, RolloutStatus, StableVersion
from tests.scenarios.objects import rollout as rollout_manifest
from tests.scenarios.objects import template as template_manifest

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=2)
TIMING = Timing(tick=5, settle=10, route_margin=1, freshness=20)


def target(name: str, digest: str = "", uid: str = "") -> Target:
    """A version whose content differs by its name unless a digest is given."""
    content = digest or (name.encode().hex() * 64)[:64]
    return Target(name, uid or f"uid-{name}", content, f'{{"prompts":"{name}"}}')


V1, V2, V3 = target("v1"), target("v2"), target("v3")


def template(**pod: Any) -> Template:
    """The user's Deployment as a template."""
    manifest = template_manifest()
    manifest["spec"]["template"]["spec"] |= pod
    return workloads.template_of(manifest)


TEMPLATE = template()


def parsed(version: str = "v1", status: RolloutStatus | None = None, **spec: Any) -> Rollout:
    """A Rollout as the API server would hand it over."""
    manifest = rollout_manifest(version, **spec)
    manifest["metadata"] |= {
        "uid": "0f0e0d0c-0000-4000-8000-000000000001",
        "generation": 3,
        "resourceVersion": "7",
    }
    return Rollout.read(manifest).model_copy(update={"status": status or RolloutStatus()})


def identity(version: Target) -> VersionIdentity:
    """Who a version is in a status."""
    name = workloads.workload_name("triage", version, TEMPLATE)
    return VersionIdentity(version=version.version, uid=version.uid, digest=version.digest, workload=name)


def stable(version: Target = V1) -> StableVersion:
    """The version that is trusted since long ago."""
    return StableVersion(**identity(version).model_dump(), since=LONG_AGO)


def attempt(stage: Stage, index: int = 0, *, clock: bool = True, rollout: Rollout | None = None) -> Attempt:
    """The second attempt at a place it could have walked to; its moves are recorded."""
    walks = stage in (Stage.RUNNING, Stage.SOAKING)
    seq = {Stage.PREPARING: 1, Stage.REVERTING: index + 3, Stage.DONE: index + 4}.get(stage, index + 2)
    traffic_since = None if stage is Stage.PREPARING else LONG_AGO
    return Attempt(
        number=2,
        seq=seq,
        stage=stage,
        step_index=index,
        started_time=LONG_AGO,
        stage_started_time=LONG_AGO,
        walk_started_time=LONG_AGO,
        traffic_started_time=traffic_since,
        step_started_time=LONG_AGO if walks and clock else None,
        reason="GateFailed" if stage is Stage.REVERTING else "StepStarted",
        message="said before",
        strategy_hash=steps_hash((rollout or parsed()).spec),
        gate_starts=plans.gate_starts(rollout or parsed(), (), LONG_AGO),
    )


def trying(stage: Stage, index: int = 0, *, clock: bool = True, spec: Rollout | None = None) -> Observation:
    """v1 serves, v2 is tried and has come to this place; everything is as intended and settled."""
    base = spec or parsed("v2")
    walks = stage in (Stage.RUNNING, Stage.SOAKING)
    split = traffic.intended(base.spec.strategy.steps[index]) if walks else traffic.ALL_STABLE
    status = RolloutStatus(
        observed_generation=3,
        stable=stable(),
        candidate=identity(V2),
        attempt=attempt(stage, index, clock=clock, rollout=base),
        traffic=split,
    )
    return settled(base.model_copy(update={"status": status}))


def at_rest(spec: Rollout | None = None) -> Observation:
    """v1 serves, nothing else is wanted."""
    base = spec or parsed("v1")
    done = attempt(Stage.DONE, 2, rollout=base).model_copy(
        update={"outcome": Outcome.PROMOTED, "reason": "SoakPassed"}
    )
    status = RolloutStatus(
        observed_generation=3,
        stable=stable(),
        attempt=done,
        traffic=traffic.ALL_STABLE,
    )
    return settled(base.model_copy(update={"status": status}))


def settled(rollout: Rollout) -> Observation:
    """All that the status intends exists, is Available, accepted and recorded."""
    versions = {v.version: v for v in (V1, V2, V3)}
    wanted = versions[rollout.spec.version_ref.name]
    seen = Observation(
        rollout=rollout,
        timing=TIMING,
        target=wanted,
        candidate=versions.get(rollout.status.candidate.version) if rollout.status.candidate else None,
        template=TEMPLATE,
        recorded_seq=rollout.status.attempt.seq if rollout.status.attempt else 0,
        gates_due=False,
        words_due=False,
    )
    names = {name: needed.mode for name, needed in needed_workloads(seen, rollout.status).items()}
    if rollout.status.stable:
        names[rollout.status.stable.workload] = "live"
    seen = replace(seen, workloads={name: running(rollout, name, mode) for name, mode in names.items()})
    desired = desired_route(seen, rollout.status)
    return replace(seen, route=accepted(desired) if desired else None)


def running(rollout: Rollout, name: str, mode: str, *, available: bool = True) -> WorkloadState:
    """A workload with all its pods up."""
    base = name.removesuffix(workloads.SHADOW_SUFFIX)
    who = next(identity(v) for v in (V1, V2, V3) if identity(v).workload == base)
    size = rollout.spec.replicas if mode == "live" else sizes.shadow(rollout)
    version = next(v for v in (V1, V2, V3) if v.version == who.version)
    deployment = stored(workloads.deployment(rollout, who, TEMPLATE, mode=mode, replicas=size))
    deployment["status"] = {
        "observedGeneration": 1,
        "replicas": size,
        "updatedReplicas": size,
        "availableReplicas": size if available else 0,
    }
    config = workloads.config_map(rollout, base, version, TEMPLATE) if mode == "live" else None
    return WorkloadState(
        deployment=deployment,
        service=stored(workloads.service(rollout, base, mode=mode)),
        config=stored(config) if config else None,
        ready_endpoints=size if available else 0,
    )


def stored(manifest: Manifest) -> Manifest:
    """With what the API server adds."""
    made = copy.deepcopy(manifest)
    made["metadata"] |= {
        "uid": f"uid-{made['kind']}-{made['metadata']['name']}",
        "generation": 1,
        "resourceVersion": "11",
    }
    return made


def accepted(manifest: Manifest) -> RouteState:
    """A route that its gateway's controller has taken up."""
    route = stored(manifest) if "uid" not in manifest["metadata"] else copy.deepcopy(manifest)
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": kind,
            "observedGeneration": route["metadata"]["generation"],
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    route["status"] = {
        "parents": [{"parentRef": ref, "conditions": conditions} for ref in route["spec"]["parentRefs"]]
    }
    return traffic.read_route(route)


# ------------------------------------------------------------------ evidence
def with_status(seen: Observation, **changes: Any) -> Observation:
    """The same with another status."""
    status = seen.rollout.status.model_copy(update=changes)
    return replace(seen, rollout=seen.rollout.model_copy(update={"status": status}))


def gate(
    name: str = "violations", verdict: Verdict = Verdict.PASS, *, judged: bool = True, safety: bool = False
) -> GateReading:
    """One gate's reading."""
    return GateReading(name, verdict, 0.0, "1:5", "0.01 (n=90)", "", "said so", safety, judged)


def report(*gates: GateReading, age: float | None = 1.0, **changes: Any) -> EvidenceReport:
    """A report that lets everything pass unless a gate or a change says otherwise."""
    readings = gates or (gate(),)
    facts: dict[str, Any] = {
        "gates": readings,
        "failed": tuple(g.name for g in readings if g.verdict is Verdict.FAIL),
        "combined": False,
        "combined_log_evidence": 0.0,
        "threshold": 3.0,
        "candidate_tasks": 1000,
        "stable_tasks": 1000,
        "candidate_started": 1000,
        "stable_started": 1000,
        "last_sample": None if age is None else NOW.timestamp() - age,
        "warmed_up": True,
        "warnings": (),
    } | changes
    return EvidenceReport(**facts)


FAILING = report(gate("success", Verdict.FAIL))
HARMFUL = report(gate("violations", Verdict.FAIL, safety=True))
"""A safety gate fails."""


# ------------------------------------------------------------------ afterwards
def after(seen: Observation, status: RolloutStatus, effects: Iterable[Effect]) -> Observation:
    """The world when a decision's status is stored and its effects are done; nobody else has moved yet."""
    meta = seen.rollout.metadata.model_copy(update={"resource_version": "8"})
    before = seen.rollout.status.candidate
    if status.candidate and (before is None or before.uid != status.candidate.uid):
        seen = replace(seen, candidate=seen.target)  # the operator reads whom it tries now
    found = replace(
        seen,
        rollout=seen.rollout.model_copy(update={"status": status, "metadata": meta}),
        gates_due=False,
        words_due=False,
    )
    for effect in effects:
        found = _done(found, effect)
    return found


def _done(seen: Observation, effect: Effect) -> Observation:
    match effect:
        case WriteRoute(manifest):
            before = seen.route.manifest if seen.route else None
            written = stored(manifest)
            if before is not None:
                written["metadata"]["generation"] = before["metadata"]["generation"] + 1
                written["status"] = before.get("status", {})
            return replace(seen, route=traffic.read_route(written))
        case ApplyChild(manifest):
            return _with_child(seen, manifest)
        case DeleteChild(kind, _, name, _):
            part = {"Deployment": "deployment", "Service": "service", "ConfigMap": "config"}[kind]
            gone: Any = {part: None}
            state = replace(seen.workloads[name], **gone)
            kept = {**seen.workloads, name: state}
            if not (state.deployment or state.service or state.config):
                del kept[name]
            return replace(seen, workloads=kept)
        case RecordEntries(entries=entries):
            return replace(seen, recorded_seq=max(seen.recorded_seq, *(e.seq for e in entries)))
        case RecordCleared(release=release):
            return replace(seen, uncleared=seen.uncleared - {release})
        case _:
            return seen


def _with_child(seen: Observation, manifest: Manifest) -> Observation:
    name = manifest["metadata"]["name"]
    part = {"Deployment": "deployment", "Service": "service", "ConfigMap": "config"}[manifest["kind"]]
    before = getattr(seen.workloads.get(name, NOTHING), part)
    written = stored(manifest) | ({"status": before["status"]} if before and "status" in before else {})
    made: Any = {part: written}
    state = replace(seen.workloads.get(name, NOTHING), **made)
    return replace(seen, workloads={**seen.workloads, name: state})


def kinds(effects: Iterable[Effect]) -> list[str]:
    """Names of effects, in order."""
    return [type(effect).__name__ for effect in effects]

"""Which workloads must exist for the stored intent, and what is to be applied or deleted for that. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from interlock.core import adoption, workloads
from interlock.core.effects import ApplyChild, DeleteChild, Effect
from interlock.core.observation import (
    NOTHING,
    Manifest,
    Observation,
    RouteState,
    Target,
    Template,
    WorkloadState,
)
from interlock.core.steps import ACTIVE, identity_of, needed_workloads
from interlock.model.release import VersionIdentity
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import RolloutStatus


@dataclass(frozen=True, slots=True)
class Wanted:
    """One workload that must exist: whose, in which mode, how large."""

    identity: VersionIdentity
    mode: str
    replicas: int


def wanted_workloads(seen: Observation, status: RolloutStatus) -> dict[str, Wanted]:
    """By name. The previous stable stays warm at full size until the soak has passed."""
    size = seen.rollout.spec.replicas
    wanted: dict[str, Wanted] = {}
    if status.stable:
        wanted[status.stable.workload] = Wanted(status.stable, "live", size)
    if status.candidate:
        for name, mode in needed_workloads(seen, status).items():
            replicas = size if mode == "live" else workloads.shadow_replicas(seen.rollout)
            wanted[name] = Wanted(status.candidate, mode, replicas)
    return wanted


def applied(seen: Observation, status: RolloutStatus) -> list[Effect]:
    """Server-side applies for everything that is missing or was changed by hand."""
    effects: list[Effect] = []
    for name, want in wanted_workloads(seen, status).items():
        state = seen.workloads.get(name, NOTHING)
        config = seen.workloads.get(want.identity.workload, NOTHING).config
        desired = list(_desired(seen, want, config))
        found = {"ConfigMap": config, "Deployment": state.deployment, "Service": state.service}
        effects += [
            ApplyChild(manifest)
            for manifest in desired
            if not workloads.covers(found[manifest["kind"]], manifest)
        ]
    return effects


def _desired(seen: Observation, want: Wanted, config: Manifest | None) -> Iterator[Manifest]:
    template = _template(seen, want, config)
    if template is not None:
        if config is None and isinstance(seen.target, Target):
            yield workloads.config_map(seen.rollout, want.identity.workload, seen.target, template)
        yield workloads.deployment(
            seen.rollout, want.identity, template, mode=want.mode, replicas=want.replicas
        )
    yield workloads.service(seen.rollout, want.identity.workload, mode=want.mode)


def _template(seen: Observation, want: Wanted, config: Manifest | None) -> Template | None:
    """The template that the workload was prepared with; a lost ConfigMap is made again only when the
    AgentVersion and the template still give the same name, so what was tested stays what serves."""
    if config is not None:
        return workloads.stored_template(config)
    current = identity_of(seen)
    same = current is not None and current.workload == want.identity.workload
    return seen.template if same and isinstance(seen.template, Template) else None


def deleted(seen: Observation, status: RolloutStatus) -> list[Effect]:
    """Objects of workloads that nothing needs any more; never one that the route still names."""
    keep = set(wanted_workloads(seen, status)) | {d.workload for d in status.draining}
    keep |= _kept_for_attempt(status)
    named = _named_by(seen.route)
    effects: list[Effect] = []
    for name, state in seen.workloads.items():
        if name not in keep and name not in named:
            effects += _delete_all(seen.rollout, state)
    return effects


def _kept_for_attempt(status: RolloutStatus) -> set[str]:
    """The candidate's workloads while the attempt is active. A shadow is done with when the gateway has
    accepted a route without the mirror: a mirror to a missing Service fails the live requests."""
    attempt = status.attempt
    if attempt is None or status.candidate is None or attempt.stage not in ACTIVE:
        return set()
    accepted = attempt.step_started_time is not None
    live = status.candidate.workload
    return {live} if accepted else {live, workloads.shadow_name(live)}


def _named_by(route: RouteState | None) -> set[str]:
    if route is None:
        return set()
    return set(route.weights) | ({route.mirror[0]} if route.mirror else set())


def _delete_all(rollout: Rollout, state: WorkloadState) -> Iterator[Effect]:
    """Never what is not adopted yet: the apply that adopts comes first."""
    for manifest in (state.deployment, state.service, state.config):
        if manifest is None or not adoption.is_owned(rollout, manifest):
            continue
        if "deletionTimestamp" not in manifest["metadata"]:
            meta = manifest["metadata"]
            yield DeleteChild(manifest["kind"], meta["namespace"], meta["name"], meta["uid"])

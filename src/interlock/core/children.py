"""Which workloads must exist for the stored intent, and what is to be applied or deleted for that. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from interlock.core import adoption, labels, sizes, tampering, workloads
from interlock.core.effects import ApplyChild, DeleteChild, Effect, RestoreChild, TellEvent
from interlock.core.listening import port_of
from interlock.core.observation import (
    NOTHING,
    Manifest,
    Observation,
    RouteState,
    Target,
    Template,
    WorkloadState,
)
from interlock.core.tampering import Foreign
from interlock.core.waits import ACTIVE, needed_workloads
from interlock.core.wanted import identify, same_content
from interlock.errors import SpecError
from interlock.model.release import VersionIdentity
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import RolloutStatus
from interlock.reasons import Reason, Told


@dataclass(frozen=True, slots=True)
class Wanted:
    """One workload that must exist: whose, in which mode, how large."""

    identity: VersionIdentity
    mode: str
    replicas: int

    @property
    def name(self) -> str:
        """Of its Deployment and its Service."""
        workload = self.identity.workload
        return workload if self.mode == "live" else workloads.shadow_name(workload)


def wanted_workloads(seen: Observation, status: RolloutStatus) -> dict[str, Wanted]:
    """By name. The previous stable stays warm at full size until the soak has passed."""
    rollout = seen.rollout.model_copy(update={"status": status})
    wanted: dict[str, Wanted] = {}
    if status.stable:
        wanted[status.stable.workload] = Wanted(status.stable, "live", sizes.serving(rollout))
    for name, needed in needed_workloads(seen, status).items():
        wanted[name] = Wanted(needed.identity, needed.mode, needed.replicas)
    return wanted


def applied(seen: Observation, status: RolloutStatus, now: datetime) -> list[Effect]:
    """Server-side applies for everything that is missing or was changed by hand."""
    effects: list[Effect] = []
    taken = any(obstacle.reason is Reason.NAME_TAKEN for obstacle in seen.obstacles)
    for name, want in wanted_workloads(seen, status).items():
        state = seen.workloads.get(name, NOTHING)
        config = seen.workloads.get(want.identity.workload, NOTHING).config
        desired = list(_desired(seen, want, config))
        found = {"ConfigMap": config, "Deployment": state.deployment, "Service": state.service}
        for manifest in desired:
            there = found[manifest["kind"]]
            if there is not None and (others := tampering.foreign(there, manifest, now)):
                effects += _put_back(there, manifest, others, now)
            elif not _is_as(there, manifest) and not (taken and there is None):
                effects.append(ApplyChild(manifest))
    return effects


def _is_as(there: Manifest | None, desired: Manifest) -> bool:
    """A Service that asks for more than ours finds no pods."""
    if there is None or not workloads.covers(there, desired):
        return False
    return desired["kind"] != "Service" or bool(there["spec"]["selector"] == desired["spec"]["selector"])


def _put_back(there: Manifest, desired: Manifest, others: list[Foreign], now: datetime) -> list[Effect]:
    """Told first, and once: by whom and what, never the value. Until its time has come only the size is
    written: it is not content, and an apply would put back with it what of ours was set otherwise."""
    if tampering.due_in(there, now):
        resized = tampering.resized(there, desired["spec"]["replicas"])
        return [RestoreChild(resized)] if resized else []
    what = _told(there["metadata"]["name"], others)
    mark = hashlib.sha256(what.encode()).hexdigest()[:10]
    remedy = "it is taken away again, for it was not tested: change the AgentVersion or the template instead"
    event = TellEvent(
        f"{there['metadata']['name']}.{mark}", Told.CONTENT_PUT_BACK, f"{what}: {remedy}"[:1024], warning=True
    )
    return [event, RestoreChild(tampering.restored(there, desired, now))]


def _told(name: str, others: list[Foreign]) -> str:
    if not others:
        return f"pods of Deployment {name} are not made as they were"
    first, more = others[0], len(others) - 1
    beside = f" and {more} more field{'s' if more > 1 else ''}" if more else ""
    ours = first.manager in (labels.FIELD_MANAGER, labels.PUT_BACK_MANAGER)
    who = f"somebody who writes as {first.manager}" if ours else first.manager
    return f"{who} has set {first.field}{beside} of Deployment {name}"


def put_back_in(seen: Observation, status: RolloutStatus, now: datetime) -> timedelta | None:
    """How long until pods that others changed are put back; None where there are none."""
    made = [state.deployment for state in seen.workloads.values() if state.deployment]
    if not any(tampering.of_others(one) for one in made):
        return None
    found = [there for there, others in _changed(seen, status, now) if others]
    return min((tampering.due_in(one, now) for one in found), default=None)


def tampered(seen: Observation, status: RolloutStatus, now: datetime) -> str:
    """What is not as it was made in pods of the workloads that must exist; empty as a rule."""
    return "; ".join(
        _told(there["metadata"]["name"], others) for there, others in _changed(seen, status, now)
    )


def _changed(
    seen: Observation, status: RolloutStatus, now: datetime
) -> Iterator[tuple[Manifest, list[Foreign]]]:
    """Deployments whose pods are not as we made them, and what of that others own."""
    for name, want in wanted_workloads(seen, status).items():
        there = seen.workloads.get(name, NOTHING).deployment
        made = _desired_deployment(seen, want)
        if there is None or made is None:
            continue
        others = tampering.foreign(there, made, now)
        if others or not tampering.is_as_made(there, made):
            yield there, others


def _desired_deployment(seen: Observation, want: Wanted) -> Manifest | None:
    config = seen.workloads.get(want.identity.workload, NOTHING).config
    source = _source(seen, want, config)
    return None if source is None else _deployment(seen, want, source[1])


def _desired(seen: Observation, want: Wanted, config: Manifest | None) -> Iterator[Manifest]:
    source = _source(seen, want, config)
    if source is not None:
        target, template = source
        if target is not None:
            yield workloads.config_map(seen.rollout, want.identity.workload, target, template)
        yield _deployment(seen, want, template)
    port = port_of(seen.rollout, seen.workloads.get(want.name, NOTHING))
    yield workloads.service(seen.rollout, want.identity.workload, mode=want.mode, port=port)


def _deployment(seen: Observation, want: Wanted, template: Template) -> Manifest:
    return workloads.deployment(seen.rollout, want.identity, template, mode=want.mode, replicas=want.replicas)


def _source(
    seen: Observation, want: Wanted, config: Manifest | None
) -> tuple[Target | None, Template] | None:
    """The document and the template that the workload is made from; no document where it has its ConfigMap.

    A lost ConfigMap is made again only when an AgentVersion and the template still give the same name, so
    what was tested stays what serves. One without our owner reference is adopted as it is.
    """
    if config is not None:
        try:
            kept = workloads.stored_template(config)
        except SpecError:
            return None  # what runs goes on as it is; `unreadable` says so
        return (workloads.stored_target(want.identity, config), kept) if _is_orphan(config) else (None, kept)
    for target in (seen.target, seen.candidate, seen.baseline):
        if isinstance(target, Target) and isinstance(seen.template, Template):
            same = identify(seen, target, seen.template).workload == want.identity.workload
            if same and same_content(target, want.identity):
                return target, seen.template
    return None


def unreadable(seen: Observation) -> str:
    """Which needed workload cannot be made again, and what to do; empty when each can.

    It is made from its ConfigMap; without that, only from the same version and template as before.
    """
    for want in wanted_workloads(seen, seen.rollout.status).values():
        state = seen.workloads.get(want.identity.workload, NOTHING)
        config = state.config
        serves = want.identity == seen.rollout.status.stable
        if serves and state.deployment is None and config is None and _is_lost(seen, want):
            return (
                f"workload {want.identity.workload} of {want.identity.version}, which serves, is gone and "
                "cannot be made again: its ConfigMap is gone too, and the version or the template Deployment "
                "is another now: put them back, or create the Rollout again"
            )
        try:
            if config is not None:
                workloads.stored_template(config)
        except SpecError as error:
            return str(error)
    return ""


def _is_lost(seen: Observation, want: Wanted) -> bool:
    """All that it could be made from was looked at."""
    looked = isinstance(seen.baseline, Target) and isinstance(seen.template, Template)
    return looked and _source(seen, want, None) is None


def _is_orphan(manifest: Manifest) -> bool:
    return not manifest["metadata"].get("ownerReferences")


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
    """The candidate's workloads while the attempt is active. Shadows are done with when the gateway has
    accepted a route without the mirror: a mirror to a missing Service fails the live requests."""
    attempt, candidate, stable = status.attempt, status.candidate, status.stable
    if attempt is None or candidate is None or attempt.stage not in ACTIVE:
        return set()
    accepted = attempt.step_started_time is not None
    mirrored = () if accepted else (candidate, *([stable] if stable else []))
    return {candidate.workload, *(workloads.shadow_name(version.workload) for version in mirrored)}


def _named_by(route: RouteState | None) -> set[str]:
    return set() if route is None else set(route.weights) | set(route.mirrors)


def _delete_all(rollout: Rollout, state: WorkloadState) -> Iterator[Effect]:
    """Never what is not adopted yet: the apply that adopts comes first."""
    for manifest in (state.deployment, state.service, state.config):
        if manifest is None or not adoption.is_owned(rollout, manifest):
            continue
        if "deletionTimestamp" not in manifest["metadata"]:
            meta = manifest["metadata"]
            yield DeleteChild(manifest["kind"], meta["namespace"], meta["name"], meta["uid"])

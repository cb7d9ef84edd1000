"""What a Rollout's status says to people and machines: conditions, phase, columns. Pure.

Never moves an attempt: stage, weights and quarantine come from `ledger`.
"""

from __future__ import annotations

from datetime import datetime

from interlock.analysis.gates import EvidenceReport
from interlock.core import adoption, labels, traffic
from interlock.core.observation import NOTHING, Manifest, Observation, Unusable
from interlock.core.steps import (
    ACTIVE,
    baseline_unknown,
    desired_route,
    identity_of,
    is_quarantined,
    metrics_problem,
    running_step,
    waiting_for,
)
from interlock.core.workloads import is_available
from interlock.model.base import format_time
from interlock.model.conditions import Condition, ConditionStatus
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import MAX_QUARANTINE, Attempt, GateStatus, RolloutStatus
from interlock.reasons import Cause, ConditionType, Reason

_AT_REST = {
    Reason.PROMOTED: "Healthy",
    Reason.REVERTED: "Reverted",
    Reason.ROUTE_NOT_ACCEPTED: "Full",  # promoted, on its way to all of the traffic
}
Verdictish = tuple[ConditionStatus, Reason, str]

_PHASES = {
    Stage.PREPARING: "Preparing",
    Stage.SOAKING: "Full",
    Stage.REVERTING: "Reverting",
}


def is_ours(rollout: Rollout, manifest: Manifest) -> bool:
    """Is the object this very Rollout's, or an orphan that it adopts?"""
    return adoption.belongs(rollout, manifest)


def describe(seen: Observation, before: RolloutStatus, now: datetime) -> RolloutStatus:
    """`seen.rollout.status` holds the intent; `before` the conditions and gates last written."""
    current, meta = seen.rollout.status, seen.rollout.metadata
    attempt = current.attempt
    ready, stalled = _ready(seen, now)
    wanted: dict[ConditionType, Verdictish] = {ConditionType.READY: ready}
    if stalled:
        wanted[ConditionType.STALLED] = (ConditionStatus.TRUE, ready[1], ready[2])
    elif ready[0] is not ConditionStatus.TRUE:
        wanted[ConditionType.RECONCILING] = (ConditionStatus.TRUE, ready[1], ready[2])
    same_seq = before.attempt is not None and attempt is not None and before.attempt.seq == attempt.seq
    active = attempt is not None and attempt.stage in ACTIVE
    same_spec = before.observed_generation == meta.generation
    steady = same_seq and same_spec and active and not seen.gates_due
    wanted |= _traffic_shifted(seen) | _metrics(seen, now) | _intact(seen)
    return current.model_copy(
        update={
            "observed_generation": meta.generation,
            "phase": _phase(seen, stalled, ready[1]),
            "step": _step(seen, attempt),
            "weight": f"{_live_share(current)}%",
            "replicas": _serving(seen)[0],
            "selector": _serving(seen)[1],
            "gates": _gates(seen, before),
            "conditions": _merged(wanted, before.conditions, meta.generation, now, steady=steady),
        }
    )


def _merged(
    wanted: dict[ConditionType, Verdictish],
    before: tuple[Condition, ...],
    generation: int,
    now: datetime,
    *,
    steady: bool,
) -> tuple[Condition, ...]:
    """Conditions in a stable order; `lastTransitionTime` moves only when `status` does.

    While `steady`, a message whose reason is unchanged is kept: a countdown must not cost a write a tick.
    """
    known = {c.type: c for c in before}
    merged = []
    for kind in ConditionType:
        if kind not in wanted:
            continue
        value, reason, message = wanted[kind]
        old = known.get(kind)
        since = old.last_transition_time if old and old.status is value else now
        if steady and old and (old.status, old.reason) == (value, reason):
            message = old.message
        merged.append(
            Condition(
                type=kind,
                status=value,
                reason=reason,
                message=message[:4096],
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return tuple(merged)


# ------------------------------------------------------------------ conditions
def _ready(seen: Observation, now: datetime) -> tuple[Verdictish, bool]:
    """The Ready condition, and whether a person must act (Stalled)."""
    current = seen.rollout.status
    active = current.attempt is not None and current.attempt.stage in ACTIVE
    if problem := _spec_problem(seen):
        return (ConditionStatus.FALSE, *problem), True
    if active:
        return (ConditionStatus.FALSE, *_progress(seen, now)), False
    return _at_rest(seen)


def _spec_problem(seen: Observation) -> tuple[Reason, str] | None:
    if seen.problem:
        return Reason.INVALID_SPEC, seen.problem
    for part in (seen.target, seen.template):
        if isinstance(part, Unusable):
            return Reason(part.reason), part.message
    if seen.route and not is_ours(seen.rollout, seen.route.manifest):
        return Reason.NAME_TAKEN, (
            f"HTTPRoute {seen.rollout.metadata.name} exists and is not this Rollout's: rename or delete it"
        )
    if baseline_unknown(seen):
        return Reason.BASELINE_UNKNOWN, (
            f"Releases labelled {labels.ROLLOUT}={seen.rollout.metadata.name} tell of an earlier Rollout of "
            "this name, so what was stable is not known: restore its status from a backup, or give this "
            "Rollout another name to start without a baseline"
        )
    return None


def _progress(seen: Observation, now: datetime) -> tuple[Reason, str]:
    current = seen.rollout.status
    attempt, candidate = current.attempt, current.candidate
    if attempt is None or candidate is None:
        return Reason.PROGRESSING, "starting"
    if attempt.stage is Stage.REVERTING:
        return Reason.PROGRESSING, f"{candidate.version} is taken back ({attempt.reason}: {attempt.message})"
    waits = "; ".join(waiting_for(seen, now)[:6]) or "nothing"
    where = f"{candidate.version} at {_step_name(seen, attempt)}"
    reason = (
        Reason.METRICS_UNAVAILABLE
        if _measures(attempt) and metrics_problem(seen, now)
        else Reason.PROGRESSING
    )
    return reason, f"{where}: waiting for {waits}"


def _measures(attempt: Attempt) -> bool:
    return attempt.stage in (Stage.RUNNING, Stage.SOAKING) and attempt.step_started_time is not None


def _at_rest(seen: Observation) -> tuple[Verdictish, bool]:
    current = seen.rollout.status
    wanted = identity_of(seen)
    serves = wanted is not None and current.stable is not None and wanted.workload == current.stable.workload
    # the stable version may share its content with one that was taken back: another template, an A/A test
    if wanted and not serves and is_quarantined(current, wanted.digest):
        return (ConditionStatus.FALSE, Reason.REVERTED, _reverted(seen, wanted.version, wanted.digest)), True
    if len(current.quarantine) >= MAX_QUARANTINE:
        text = f"the quarantine holds {MAX_QUARANTINE} versions, nothing new is started: create a new Rollout"
        return (ConditionStatus.FALSE, Reason.QUARANTINE_FULL, text), True
    if current.stable is None or not wanted or wanted.workload != current.stable.workload:
        return (ConditionStatus.FALSE, Reason.PROGRESSING, "a new attempt is about to start"), False
    if not traffic.shows(seen.route, desired_route(seen, current) or {}):
        problem = (seen.route.problem if seen.route else "") or "not yet accepted at its current generation"
        return (ConditionStatus.FALSE, Reason.ROUTE_NOT_ACCEPTED, f"the route: {problem}"), False
    if not is_available(seen.workloads.get(current.stable.workload, NOTHING)):
        text = f"workload {current.stable.workload} is not fully Available"
        return (ConditionStatus.FALSE, Reason.WORKLOAD_UNAVAILABLE, text), False
    return (ConditionStatus.TRUE, Reason.PROMOTED, f"{current.stable.version} serves all traffic"), False


def _reverted(seen: Observation, version: str, digest: str) -> str:
    current = seen.rollout.status
    item = next(q for q in current.quarantine if q.digest == digest)
    serves = f"{current.stable.version} serves" if current.stable else "nothing serves"
    return (
        f"{version} was taken back in attempt {item.attempt} ({item.reason}: {item.message}); {serves}; "
        "the same content stays back: set spec.versionRef to a version with other content"
    )


def _traffic_shifted(seen: Observation) -> dict[ConditionType, Verdictish]:
    current = seen.rollout.status
    desired = desired_route(seen, current)
    if desired is None or current.traffic is None:
        return {}
    split = current.traffic
    text = f"stable {split.stable_percent} %, candidate {split.candidate_percent} %"
    text += f", mirrored {split.shadow_percent} %" if split.shadow_percent else ""
    if traffic.shows(seen.route, desired):
        return {ConditionType.TRAFFIC_SHIFTED: (ConditionStatus.TRUE, Reason.ROUTE_ACCEPTED, text)}
    problem = (seen.route.problem if seen.route else "") or "the gateway has not accepted the route yet"
    verdict = (ConditionStatus.FALSE, Reason.ROUTE_NOT_ACCEPTED, f"intended: {text}; {problem}")
    return {ConditionType.TRAFFIC_SHIFTED: verdict}


def _metrics(seen: Observation, now: datetime) -> dict[ConditionType, Verdictish]:
    attempt = seen.rollout.status.attempt
    if attempt is None or not _measures(attempt):
        return {}
    if problem := metrics_problem(seen, now):
        verdict = (ConditionStatus.FALSE, Reason.METRICS_UNAVAILABLE, f"holding: {problem}")
    else:
        verdict = (ConditionStatus.TRUE, Reason.METRICS_READABLE, "samples of the candidate are fresh")
    return {ConditionType.METRICS_AVAILABLE: verdict}


def _intact(seen: Observation) -> dict[ConditionType, Verdictish]:
    attempt = seen.rollout.status.attempt
    if attempt is None:
        return {}
    if attempt.reason == Cause.CONTENT_CHANGED:
        text = "the candidate's content was changed after its test began"
        return {ConditionType.IMMUTABLE_INTACT: (ConditionStatus.FALSE, Reason.CONTENT_CHANGED, text)}
    text = "what runs is what was tested"
    return {ConditionType.IMMUTABLE_INTACT: (ConditionStatus.TRUE, Reason.CONTENT_UNCHANGED, text)}


# ------------------------------------------------------------------ columns
def _phase(seen: Observation, stalled: bool, reason: Reason) -> str:
    current = seen.rollout.status
    attempt = current.attempt
    if attempt is not None and attempt.stage in ACTIVE:
        if stalled and attempt.stage is not Stage.REVERTING:
            return "Stalled"
        if attempt.stage is Stage.RUNNING:
            step = running_step(seen.rollout, attempt)
            return step.kind.capitalize() if step else "Preparing"
        return _PHASES[attempt.stage]
    return _AT_REST.get(reason, "Stalled" if stalled else "Pending")


def _step_name(seen: Observation, attempt: Attempt) -> str:
    if attempt.stage is Stage.PREPARING:
        return "preparation"
    step = running_step(seen.rollout, attempt)
    return f"step {step.name if step else attempt.step_index + 1}"


def _step(seen: Observation, attempt: Attempt | None) -> str:
    total = len(seen.rollout.spec.strategy.steps)
    if attempt is None or attempt.stage is Stage.PREPARING:
        return f"0/{total}"
    if attempt.outcome is not None and attempt.outcome.value == "Promoted":
        return f"{total}/{total}"
    return f"{attempt.step_index + 1}/{total}"


def _live_share(current: RolloutStatus) -> int:
    """The share of the version in the VERSION column: the candidate's while one is tried."""
    if current.traffic is None:
        return 0
    trying = current.attempt is not None and current.attempt.stage in ACTIVE
    promoted = current.attempt is not None and str(current.attempt.outcome) == "Promoted"
    return current.traffic.stable_percent if promoted and not trying else current.traffic.candidate_percent


def _serving(seen: Observation) -> tuple[int, str]:
    """Pods and selector of the version with the most live weight: what an autoscaler looks at."""
    current = seen.rollout.status
    split = current.traffic
    most = current.stable
    if split and current.candidate and split.candidate_percent > split.stable_percent:
        name = current.candidate.workload
    elif most is not None:
        name = most.workload
    elif current.candidate is not None:
        name = current.candidate.workload
    else:
        return 0, ""
    deployment = seen.workloads.get(name, NOTHING).deployment
    pods = ((deployment or {}).get("status") or {}).get("replicas", 0)
    return pods, f"{labels.WORKLOAD}={name}"


def _gates(seen: Observation, before: RolloutStatus) -> tuple[GateStatus, ...]:
    """Written when a verdict changes, else only when enough time has passed."""
    current = seen.rollout.status
    if not isinstance(seen.evidence, EvidenceReport):
        return current.gates
    fresh = tuple(
        GateStatus(
            name=gate.name,
            verdict=gate.verdict,
            odds=gate.odds[:32],
            candidate=gate.candidate[:64],
            stable=gate.stable[:64],
            message=gate.message[:512],
        )
        for gate in seen.evidence.gates
    )
    verdicts = [(g.name, g.verdict) for g in fresh]
    changed = verdicts != [(g.name, g.verdict) for g in before.gates]
    moved = before.attempt is None or current.attempt is None or before.attempt.seq != current.attempt.seq
    return fresh if changed or moved or seen.gates_due else before.gates


def unreadable(manifest: Manifest, problem: str, now: datetime) -> Manifest:
    """The status of a Rollout that cannot be parsed (a newer version's, or edited by hand): all that it
    holds stays, Ready and Stalled say what is wrong."""
    held: Manifest = dict(manifest.get("status") or {})
    since = {
        c.get("type"): c.get("lastTransitionTime")
        for c in held.get("conditions") or []
        if c.get("type") == "Stalled" or c.get("status") == "False"
    }
    generation = manifest["metadata"].get("generation", 0)

    def condition(kind: ConditionType, value: ConditionStatus) -> Manifest:
        return {
            "type": kind.value,
            "status": value.value,
            "reason": Reason.INVALID_SPEC.value,
            "message": problem[:1024],
            "lastTransitionTime": since.get(kind.value) or format_time(now),
            "observedGeneration": generation,
        }

    return held | {
        "observedGeneration": generation,
        "phase": "Stalled",
        "conditions": [
            condition(ConditionType.READY, ConditionStatus.FALSE),
            condition(ConditionType.STALLED, ConditionStatus.TRUE),
        ],
    }

"""What a Rollout's status says to people and machines: conditions, phase, columns. Pure.

Never moves an attempt: stage, weights and quarantine come from `transitions`.
"""

from __future__ import annotations

from datetime import datetime

from interlock.analysis.gates import EvidenceReport
from interlock.core import labels, results, traffic
from interlock.core.conditions import Said, conditions
from interlock.core.observation import NOTHING, Manifest, Observation, Target
from interlock.core.parts import mapping, mappings, whole
from interlock.core.waits import ACTIVE, WALKING, running_step
from interlock.model.base import format_time
from interlock.model.conditions import Condition, ConditionStatus
from interlock.model.release import Outcome, Stage
from interlock.model.rolloutstatus import Attempt, GateStatus, RolloutStatus
from interlock.reasons import ConditionType, Reason

_AT_REST = {
    Reason.PROMOTED: "Healthy",
    Reason.REVERTED: "Reverted",
    Reason.PAUSED: "Paused",
    Reason.BEING_DELETED: "Paused",
    Reason.ROUTE_NOT_ACCEPTED: "Full",  # promoted, on its way to all of the traffic
}
_PHASES = {
    Stage.PREPARING: "Preparing",
    Stage.SOAKING: "Full",
    Stage.REVERTING: "Reverting",
}


def describe(seen: Observation, before: RolloutStatus, now: datetime) -> RolloutStatus:
    """`seen.rollout.status` holds the intent; `before` the conditions and gates last written."""
    current, meta = seen.rollout.status, seen.rollout.metadata
    attempt = current.attempt
    said = conditions(seen, now)
    stalled, reason = ConditionType.STALLED in said, said[ConditionType.READY][1]
    measured, gates = _measured(seen, before), _gates(seen, before)
    is_written_anyway = (measured, gates) != (before.attempt, before.gates)
    steady = _is_steady(seen, before) and not seen.words_due and not is_written_anyway
    return current.model_copy(
        update={
            "attempt": measured,
            "observed_generation": meta.generation,
            "phase": _phase(seen, stalled, reason),
            "step": _step(seen, attempt),
            "weight": f"{_live_share(seen)}%",
            "replicas": _serving(seen)[0],
            "selector": _serving(seen)[1],
            "gates": gates,
            "conditions": _merged(said, before.conditions, meta.generation, now, steady=steady),
        }
    )


def _is_steady(seen: Observation, before: RolloutStatus) -> bool:
    """Has nothing happened since the last write but that time has passed?"""
    old, new = before.attempt, seen.rollout.status.attempt
    if old is None or new is None or new.stage not in ACTIVE:
        return False
    same_spec = before.observed_generation == seen.rollout.metadata.generation
    return same_spec and (old.seq, old.step_started_time) == (new.seq, new.step_started_time)


def _merged(
    wanted: dict[ConditionType, Said],
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


# ------------------------------------------------------------------ columns
def _phase(seen: Observation, stalled: bool, reason: Reason) -> str:
    current = seen.rollout.status
    attempt = current.attempt
    if attempt is not None and attempt.stage in ACTIVE:
        if stalled and attempt.stage is not Stage.REVERTING:
            return "Stalled"
        if reason in (Reason.PAUSED, Reason.BEING_DELETED):
            return "Paused"
        if attempt.stage is Stage.RUNNING:
            step = running_step(seen.rollout, attempt)
            return step.kind.capitalize() if step else "Preparing"
        return _PHASES[attempt.stage]
    return _AT_REST.get(reason, "Stalled" if stalled else "Pending")


def _step(seen: Observation, attempt: Attempt | None) -> str:
    total = len(seen.rollout.spec.strategy.steps)
    if _at_rest_as_named(seen):
        return f"{total}/{total}"
    if attempt is None or attempt.stage is Stage.PREPARING or attempt.outcome is Outcome.PROMOTED:
        return f"0/{total}"
    return f"{attempt.step_index + 1}/{total}"


def _live_share(seen: Observation) -> int:
    """The share of the version in the VERSION column."""
    split = traffic.at_present(seen.rollout.status)
    return split.stable_percent if _at_rest_as_named(seen) else split.candidate_percent


def _at_rest_as_named(seen: Observation) -> bool:
    """Is the version that `spec.versionRef` names stable: promoted, gone back to, or taken over? As far as
    its content is known, that counts as well."""
    attempt, stable, target = seen.rollout.status.attempt, seen.rollout.status.stable, seen.target
    if stable is None or (attempt is not None and attempt.stage in ACTIVE):
        return False
    named = seen.rollout.spec.version_ref.name == stable.version
    return named and (not isinstance(target, Target) or target.digest == stable.digest)


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
    pods = whole(mapping((deployment or {}).get("status")).get("replicas"))
    return max(0, pods), f"{labels.WORKLOAD}={name}"


def _gates(seen: Observation, before: RolloutStatus) -> tuple[GateStatus, ...]:
    """Written when a verdict changes, else only when enough time has passed."""
    current = seen.rollout.status
    if current.attempt is not None and current.attempt.stage is Stage.PREPARING:
        return ()  # what was read when the attempt began is about the candidate before it
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


def _measured(seen: Observation, before: RolloutStatus) -> Attempt | None:
    """The attempt with what is measured so far: refreshed with the gates, for people to see and so that it
    outlives the evidence."""
    attempt = seen.rollout.status.attempt
    if attempt is None or attempt.stage not in WALKING or not isinstance(seen.evidence, EvidenceReport):
        return attempt
    moved = before.attempt is None or before.attempt.seq != attempt.seq
    if not (moved or seen.gates_due):
        return attempt
    return attempt.model_copy(update={"result": results.measured(seen, attempt.result)})


def unreadable(manifest: Manifest, problem: str, now: datetime) -> Manifest:
    """The status of an object that cannot be parsed (a newer version's, or edited by hand): all that it
    holds stays, Ready and Stalled say what is wrong."""
    held: Manifest = dict(mapping(manifest.get("status")))
    since = {
        str(c.get("type")): c.get("lastTransitionTime")
        for c in mappings(held.get("conditions"))
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
        "conditions": [
            condition(ConditionType.READY, ConditionStatus.FALSE),
            condition(ConditionType.STALLED, ConditionStatus.TRUE),
        ],
    }

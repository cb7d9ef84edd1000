"""What a Rollout's conditions say, and why: kstatus' Ready, Reconciling and Stalled, and our own. Pure.

Ready=True excludes Reconciling and Stalled; of those there is at most one; abnormal-true conditions are
absent while they are not true.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from interlock.analysis.gates import EvidenceReport
from interlock.analysis.silence import Silence
from interlock.core import (
    baseline,
    children,
    clock,
    happened,
    ledger,
    silence,
    traffic,
    waits,
    wanted,
    workloads,
)
from interlock.core.adoption import belongs
from interlock.core.observation import NOTHING, Observation, Unusable
from interlock.core.route import awaited, desired_route, is_closed, put_off
from interlock.core.steps import Held, what_happens
from interlock.core.table import Event
from interlock.model.conditions import ConditionStatus
from interlock.model.release import Stage, VersionIdentity
from interlock.model.rolloutstatus import MAX_DRAINING, MAX_QUARANTINE, Attempt
from interlock.reasons import Cause, ConditionType, Reason

Said = tuple[ConditionStatus, Reason, str]
"""Status, reason and message of one condition."""

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def conditions(seen: Observation, now: datetime) -> dict[ConditionType, Said]:
    """All conditions that are to be shown."""
    verdict, stalled = ready(seen, now)
    said = {ConditionType.READY: verdict}
    if stalled:
        said[ConditionType.STALLED] = (TRUE, verdict[1], verdict[2])
    elif verdict[0] is not TRUE:
        said[ConditionType.RECONCILING] = (TRUE, verdict[1], verdict[2])
    return said | _traffic_shifted(seen) | _metrics(seen, now) | _intact(seen, now) | _steering(seen, now)


# ------------------------------------------------------------------ Ready
def ready(seen: Observation, now: datetime) -> tuple[Said, bool]:
    """The Ready condition, and whether somebody must act (Stalled)."""
    if problem := _spec_problem(seen):
        return (FALSE, *problem), True
    attempt = seen.rollout.status.attempt
    if attempt is not None and attempt.stage in waits.ACTIVE:
        return _under_way(seen, attempt, now)
    return _at_rest(seen, now)


def _spec_problem(seen: Observation) -> tuple[Reason, str] | None:
    gravest = {
        Reason.INVALID_SPEC: seen.problem,
        Reason.RECORD_DIFFERS: ledger.differs(seen),
        Reason.BASELINE_UNKNOWN: baseline.unknown(seen),
        Reason.DEPENDENCY_NOT_READY: children.unreadable(seen),
    }
    for reason, problem in gravest.items():
        if problem:
            return reason, problem
    for part in (seen.target, seen.template):
        if isinstance(part, Unusable):
            return Reason(part.reason), part.message
    if seen.route and not belongs(seen.rollout, seen.route.manifest):
        return Reason.NAME_TAKEN, (
            f"HTTPRoute {seen.rollout.metadata.name} exists and is not this Rollout's: rename or delete it"
        )
    return (seen.obstacles[0].reason, seen.obstacles[0].message) if seen.obstacles else None


def _under_way(seen: Observation, attempt: Attempt, now: datetime) -> tuple[Said, bool]:
    tested = seen.rollout.status.candidate
    if tested is None:
        return (FALSE, Reason.PROGRESSING, "starting"), False
    if attempt.stage is Stage.REVERTING:
        said = f"{tested.version} is taken back ({attempt.reason}: {attempt.message})"
        return (FALSE, Reason.PROGRESSING, said), False
    dead = waits.dead_share(seen)
    where = f"{tested.version} at {_step_name(seen, attempt)}{f' ({dead})' if dead else ''}"
    if held := _held(seen, where, now):
        return held
    left = "; ".join(waits.waiting_for(seen, now)[:6]) or "nothing"
    if stuck := _stuck(seen, attempt, left, now):
        return (FALSE, stuck[0], f"{where}: {stuck[1]}"), True
    reason = Reason.STABLE_UNAVAILABLE if dead else Reason.PROGRESSING
    reason = Reason.METRICS_UNAVAILABLE if _is_silent(seen, now) else reason
    return (FALSE, reason, f"{where}: waiting for {left}"), False


def _stuck(seen: Observation, attempt: Attempt, left: str, now: datetime) -> tuple[Reason, str] | None:
    """What lasts for too long to go on waiting unsaid: somebody must act."""
    down = happened.not_available(seen, attempt, now) if seen.rollout.status.stable is None else None
    if down:
        return Reason.FIRST_VERSION_FAILING, f"{down}; it serves once it is Available"
    blind = _blind_gates(seen, attempt, now)
    if waits.dead_share(seen) and (blind or silence.is_idle(seen, attempt, now)):
        return Reason.STABLE_UNAVAILABLE, f"bring back the pods of the stable version; waiting for {left}"
    if blind:
        return Reason.GATE_BLIND, blind
    if late := waits.overdue_step(seen, attempt, now):
        return Reason.STEP_DEADLINE, f"{late}; weights stay; waiting for {left}"
    return None


def _blind_gates(seen: Observation, attempt: Attempt, now: datetime) -> str:
    """Gates that have had nothing to judge by for too long, though all else is known; empty without any."""
    quiet = silence.no_data(seen, attempt, now)
    if quiet is None or not silence.is_by_gates(seen, attempt, now):
        return ""
    limit = seen.rollout.spec.analysis.no_data.revert_after_seconds
    return f"{silence.in_words(seen, quiet, now)}; it is taken off after {limit} s (revertAfterSeconds)"


def _is_silent(seen: Observation, now: datetime) -> bool:
    """Has too little been known of the candidate for too long? Then that is what is told first."""
    attempt = seen.rollout.status.attempt
    quiet = silence.no_data(seen, attempt, now) if attempt else None
    return quiet is not None and quiet.kind != Silence.IDLE and silence.lasts(seen, quiet, now)


def _held(seen: Observation, where: str, now: datetime) -> tuple[Said, bool] | None:
    """What is said where one event keeps the attempt where it is."""
    held = what_happens(seen, now)
    if not isinstance(held, Held):
        return None
    if held.blocked:
        return (FALSE, Reason.STABLE_UNAVAILABLE, f"{where}: {_blocked(seen, held)}"), False
    match held.event:
        case Event.PAUSED:
            return (FALSE, _halt(seen), f"{where}: {held.message}"), False
        case Event.SPLIT_AWAITED if not _is_silent(seen, now):
            return (FALSE, Reason.SAMPLE_RATIO_MISMATCH, f"{where}: {held.message}"), True
        case _:
            return None


def _blocked(seen: Observation, held: Held) -> str:
    stable = seen.rollout.status.stable
    return f"{held.message}; held, because {stable.version if stable else 'stable'} has no ready endpoint"


def _step_name(seen: Observation, attempt: Attempt) -> str:
    if attempt.stage is Stage.PREPARING:
        return "preparation"
    step = waits.running_step(seen.rollout, attempt)
    return f"step {step.name if step else attempt.step_index + 1}"


def _at_rest(seen: Observation, now: datetime) -> tuple[Said, bool]:
    stable = seen.rollout.status.stable
    failing = first_version_fails(seen, now)
    if stable is None or not wanted.serves(seen):
        (value, reason, message), stalled = _not_serving(seen)
        return (value, reason, f"{message}; {failing}" if failing else message), stalled
    if failing:
        return (FALSE, Reason.FIRST_VERSION_FAILING, failing), True
    if not traffic.shows(seen.route, desired_route(seen, seen.rollout.status) or {}):
        return (FALSE, Reason.ROUTE_NOT_ACCEPTED, f"the route: {awaited(seen)}"), False
    if not workloads.is_available(seen.workloads.get(stable.workload, NOTHING)):
        text = f"workload {stable.workload} is not fully Available"
        return (FALSE, Reason.WORKLOAD_UNAVAILABLE, text), False
    return (TRUE, Reason.PROMOTED, f"{stable.version} serves all traffic"), False


def _not_serving(seen: Observation) -> tuple[Said, bool]:
    if held := wanted.kept_back(seen):
        return (FALSE, Reason.REVERTED, held), True
    if len(seen.rollout.status.quarantine) >= MAX_QUARANTINE:
        text = f"the quarantine holds {MAX_QUARANTINE} versions, nothing new is started: create a new Rollout"
        return (FALSE, Reason.QUARANTINE_FULL, text), True
    if halted := clock.halted(seen.rollout):
        return (FALSE, _halt(seen), f"nothing new is started: {halted}"), False
    return (FALSE, Reason.PROGRESSING, _about_to_start(seen)), False


def _about_to_start(seen: Observation) -> str:
    if wanted.must_wait_for_a_drain(seen):
        return f"a new attempt starts when one of {MAX_DRAINING} workloads has ended its conversations"
    attempt = seen.rollout.status.attempt
    if attempt is not None and not waits.is_recorded(seen, attempt):
        return f"a new attempt starts when the end of attempt {attempt.number} is recorded in its Release"
    return "a new attempt is about to start"


def first_version_fails(seen: Observation, now: datetime) -> str:
    """Why the first version, with nothing to go back to, fails where it serves; empty while it does not."""
    current = seen.rollout.status
    stable = current.stable
    if stable is None or not _is_alone(seen, stable):
        return ""
    state = seen.workloads.get(stable.workload, NOTHING)
    since = waits.unavailable_since(seen, stable.workload, now)
    limit = waits.progress_deadline(seen, stable.workload)
    if since is None or now - since < limit or workloads.is_available(state):
        return ""
    closed = "its route is closed until it is" if is_closed(current) else "it keeps its route"
    return (
        f"{stable.version}, the first version, has not been Available for {limit.total_seconds():.0f} s or "
        f"more and there is nothing to go back to: {closed}; look at Deployment {stable.workload}"
    )


def _is_alone(seen: Observation, stable: VersionIdentity) -> bool:
    """Is it at rest the only version that was ever promoted, whatever was tried and taken back since?"""
    return wanted.is_at_rest(seen.rollout.status) and not _promoted(seen, stable)


def first_version_deadline(seen: Observation, now: datetime) -> timedelta | None:
    """How long until an unavailable first version counts as failing; None while it does not run."""
    stable = seen.rollout.status.stable
    if stable is None or not _is_alone(seen, stable):
        return None
    since = waits.unavailable_since(seen, stable.workload, now)
    left = None if since is None else since + waits.progress_deadline(seen, stable.workload) - now
    return left if left is not None and left > timedelta(0) else None


# ------------------------------------------------------------------ the others
def _traffic_shifted(seen: Observation) -> dict[ConditionType, Said]:
    current = seen.rollout.status
    desired = desired_route(seen, current)
    if desired is None or current.traffic is None:
        return {}
    split = current.traffic
    text = f"stable {split.stable_percent} %, candidate {split.candidate_percent} %"
    text += f", mirrored {split.shadow_percent} %" if split.shadow_percent else ""
    text += f" and to stable's shadow {split.control_percent} %" if split.control_percent else ""
    text = "the route is closed" if is_closed(current) or current.stable is None else text
    if waits_for := put_off(seen):
        text += f"; the former {', '.join(waits_for)} of spec.traffic, while something is in the way"
    found = current.attempt.split_mismatch if current.attempt else None
    if found is not None:
        told = f"intended: {text}; {found.message}"
        return {ConditionType.TRAFFIC_SHIFTED: (FALSE, Reason.SAMPLE_RATIO_MISMATCH, told)}
    if traffic.shows(seen.route, desired):
        return {ConditionType.TRAFFIC_SHIFTED: (TRUE, Reason.ROUTE_ACCEPTED, text)}
    verdict = (FALSE, Reason.ROUTE_NOT_ACCEPTED, f"intended: {text}; {awaited(seen)}")
    return {ConditionType.TRAFFIC_SHIFTED: verdict}


def _metrics(seen: Observation, now: datetime) -> dict[ConditionType, Said]:
    attempt = seen.rollout.status.attempt
    if attempt is None or not silence.measures(attempt):
        return {}
    quiet = silence.no_data(seen, attempt, now)
    if quiet is None or not silence.lasts(seen, quiet, now):
        verdict = _not_silent(seen, now)
    elif quiet.kind == Silence.IDLE:
        why = waits.dead_share(seen) or "no version has any traffic"
        verdict = (TRUE, Reason.METRICS_READABLE, f"{why}: the step's clock stands still")
    else:
        by_gates = silence.is_by_gates(seen, attempt, now)
        reason = Reason.GATE_BLIND if by_gates else Reason.METRICS_UNAVAILABLE
        verdict = (FALSE, reason, f"holding: {silence.in_words(seen, quiet, now)}")
    return {ConditionType.METRICS_AVAILABLE: verdict}


def _not_silent(seen: Observation, now: datetime) -> Said:
    """What is known of the metrics while silence, if there is any, does not count yet."""
    if seen.evidence is None:
        return UNKNOWN, Reason.METRICS_AWAITED, silence.metrics_problem(seen, now)
    noted = seen.evidence.warnings[:3] if isinstance(seen.evidence, EvidenceReport) else ()
    return TRUE, Reason.METRICS_READABLE, "; ".join((_lately(seen, now), *noted))


def _lately(seen: Observation, now: datetime) -> str:
    if problem := silence.metrics_problem(seen, now):
        hold = seen.rollout.spec.analysis.no_data.hold_after_seconds
        return f"no longer than holdAfterSeconds ({hold}) yet: {problem}"
    return "samples of the candidate are fresh"


def _intact(seen: Observation, now: datetime) -> dict[ConditionType, Said]:
    attempt = seen.rollout.status.attempt
    if attempt is None:
        return {}
    if attempt.reason == Cause.CONTENT_CHANGED:
        text = "the candidate's content was changed after its test began"
        return {ConditionType.IMMUTABLE_INTACT: (FALSE, Reason.CONTENT_CHANGED, text)}
    if tampered := children.tampered(seen, seen.rollout.status, now):
        text = f"{tampered}: it is being put back, ever more seldom while it is set again: stop who sets it"
        return {ConditionType.IMMUTABLE_INTACT: (FALSE, Reason.CONTENT_CHANGED, text[:1024])}
    if missing := waits.missing(seen):
        text = f"nothing runs of {', '.join(missing)}: it is made again from what was tested"
        return {ConditionType.IMMUTABLE_INTACT: (UNKNOWN, Reason.WORKLOAD_UNAVAILABLE, text)}
    text = "what runs is what was tested"
    return {ConditionType.IMMUTABLE_INTACT: (TRUE, Reason.CONTENT_UNCHANGED, text)}


def _steering(seen: Observation, now: datetime) -> dict[ConditionType, Said]:
    """What people want to know before they act: paused, queued, blocked, and whether there is a way back."""
    said: dict[ConditionType, Said] = {}
    attempt = seen.rollout.status.attempt
    if halted := clock.halted(seen.rollout):
        said[ConditionType.PAUSED] = (TRUE, _halt(seen), halted)
    held = what_happens(seen, now)
    if isinstance(held, Held) and held.blocked:
        said[ConditionType.REVERT_BLOCKED] = (TRUE, Reason.STABLE_UNAVAILABLE, _blocked(seen, held))
    if attempt is not None and (queued := _next_queued(seen, attempt, now)) is not None:
        said[ConditionType.NEXT_QUEUED] = queued
    if attempt is not None and attempt.stage in waits.WALKING and (newer := _newer_rules(seen, attempt)):
        said[ConditionType.GATES_CHANGED] = (TRUE, Reason.RULES_ARE_NEWER, newer)
    if attempt is not None and seen.recorded_from > 1:
        gone = ledger.lost(seen.rollout, attempt, seen.recorded_from)
        said[ConditionType.RECORD_BROKEN] = (TRUE, Reason.RECORD_LOST, gone)
    if (stable := seen.rollout.status.stable) is not None:
        said[ConditionType.ROLLBACK_READY] = _way_back(seen, stable, attempt)
    return said


def _next_queued(seen: Observation, attempt: Attempt, now: datetime) -> Said | None:
    """What waits for the running attempt, or for a person."""
    next_one = happened.other_wanted(seen, attempt, now)
    if next_one is None or attempt.stage not in waits.ACTIVE or attempt.stage is Stage.REVERTING:
        return None
    held = wanted.kept_back(seen)
    if attempt.stage is Stage.SOAKING:
        then = f"nothing starts when the soak is over: {held}" if held else "it starts when the soak is over"
        return TRUE, Reason.SOAK_GOES_FIRST, f"{next_one}; {then}"
    if halted := clock.halted(seen.rollout):
        then = f"; nothing starts then: {held}" if held else ""
        return TRUE, _halt(seen), f"{next_one}; it supersedes the running one, but not while {halted}{then}"
    return None


def _halt(seen: Observation) -> Reason:
    return Reason.BEING_DELETED if seen.rollout.metadata.deletion_timestamp else Reason.PAUSED


def _newer_rules(seen: Observation, attempt: Attempt) -> str:
    """Gates that began afresh since the attempt walks; empty when none did."""
    since = {start.name: start.since for start in attempt.gate_starts}
    newer = [
        (f"spec.analysis.gates[{index}] ({gate.name})", gate.metric or "", since[gate.name])
        for index, gate in enumerate(seen.rollout.spec.analysis.gates)
        if since.get(gate.name, attempt.walk_started_time) > attempt.walk_started_time
    ]
    if not newer:
        return ""
    fields = ", ".join(f"{field} at {at:%H:%M:%S} UTC" for field, _, at in newer)
    templates = sorted({metric for _, metric, _ in newer} & seen.known.keys())
    where = f" or MetricTemplate {', '.join(templates)}" if templates else ""
    return (
        f"changed in mid-rollout, here{where}: {fields}; what was gathered before does not count, and the "
        "step ends only when its minTasks have been judged anew; to walk all steps by the new rules, set "
        "spec.versionRef back and again"
    )


def _way_back(seen: Observation, stable: VersionIdentity, attempt: Attempt | None) -> Said:
    if attempt is not None and attempt.stage in waits.ACTIVE:
        if waits.stable_can_serve(seen):
            return TRUE, Reason.STABLE_IS_WARM, f"{stable.version} runs and can take all traffic at once"
        return FALSE, Reason.STABLE_UNAVAILABLE, f"{stable.version} has no ready endpoint"
    held = seen.rollout.status
    before = _promoted(seen, stable)[: seen.rollout.spec.history_limit]
    trusted = [version for version in before if not wanted.is_quarantined(held, version.digest)]
    there = next((version for version in trusted if version.uid not in seen.gone), None)
    if there is not None:
        text = f"spec.versionRef {there.version} goes straight to full: it was promoted before"
        return TRUE, Reason.PROMOTED_BEFORE, text
    if trusted:
        names = ", ".join(dict.fromkeys(version.version for version in trusted))
        text = f"{names}, promoted before, is gone as an AgentVersion: created again, it walks all steps"
        return FALSE, Reason.NOTHING_BEFORE, text
    return FALSE, Reason.NOTHING_BEFORE, f"no version but {stable.version} was promoted within the history"


def _promoted(seen: Observation, stable: VersionIdentity) -> list[VersionIdentity]:
    """Versions promoted before this one, newest first. A promotion that its Release has not taken down yet is
    not remembered: whom it followed is still remembered as stable."""
    if seen.memory is None:
        return []
    known = [seen.memory.stable, *seen.memory.promoted]
    return [v for v in known if v is not None and not wanted.same_content(v, stable)]

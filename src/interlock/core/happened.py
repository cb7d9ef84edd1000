"""Which events of the table have happened: one question each, answered with a sentence or None. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from interlock.analysis.gates import EvidenceReport, SplitReading
from interlock.analysis.silence import Silence
from interlock.core import baseline, clock, plans, silence, sizes, waits, wanted
from interlock.core.observation import NOTHING, Holds, Observation, Obstacle, Target, Template, Unusable
from interlock.core.route import is_applied
from interlock.core.table import Event
from interlock.model.release import Stage
from interlock.model.rollout import Step
from interlock.model.rolloutstatus import MAX_QUARANTINE, Attempt

Question = Callable[[Observation, Attempt, datetime], str | None]
Wish = Callable[[Observation], str | None]


# ------------------------------------------------------------------ harm
def _failed(seen: Observation, *, safety: bool, alerts: bool | None = None) -> str | None:
    report = seen.evidence
    if not isinstance(report, EvidenceReport) or not report.failed:
        return None
    rules = {gate.name: gate for gate in seen.rollout.spec.analysis.gates}
    found = [
        gate
        for gate in report.gates
        if gate.name in report.failed
        and gate.safety is safety
        and (alerts is None or (gate.name in rules and rules[gate.name].alert is not None) is alerts)
    ]
    if not found:
        return None
    names = ", ".join(gate.name for gate in found)
    return f"{names}: {'; '.join(gate.message for gate in found)}"[:1024]


def safety_gate_fails(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    return _failed(seen, safety=True, alerts=False)


def alert_fires(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    return _failed(seen, safety=True, alerts=True)


def gate_fails(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    return _failed(seen, safety=False)


def all_gates_together(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    report = seen.evidence
    if not isinstance(report, EvidenceReport) or not report.reverts or report.failed:
        return None
    return "all gates together say that the candidate is worse"


def content_changed(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    tested, found = seen.rollout.status.candidate, seen.candidate
    if tested is None or not isinstance(found, Target) or found.uid != tested.uid:
        return None
    if found.digest == tested.digest:
        return None
    return (
        f"AgentVersion {tested.version} now has digest {found.digest[:12]}, "
        f"but {tested.digest[:12]} was tested"
    )


def route_at_zero(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    """Only a revert lists the candidate with weight 0: one whose record was lost, in whichever step."""
    tested = seen.rollout.status.candidate
    if tested is None or seen.route is None or seen.route.weights.get(tested.workload) != 0:
        return None
    return "the route lists the candidate with weight 0, as only a revert does"


# ------------------------------------------------------------------ trouble
def candidate_gone(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    tested, found = seen.rollout.status.candidate, seen.candidate
    if tested is None:
        return "the status does not say which version is tried"
    if isinstance(found, Unusable):
        return f"AgentVersion {tested.version} was deleted"
    if isinstance(found, Target) and found.uid != tested.uid:
        return f"AgentVersion {tested.version} was deleted and created again"
    return None


def not_available(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    """In preparation: since it began. Later: since the Deployment says so; without any ready endpoint already
    after `noData.holdAfterSeconds`, for then its whole share gets errors."""
    names = waits.unavailable(seen)
    tested = seen.rollout.status.candidate
    if not names or tested is None:
        return None
    limit = waits.progress_deadline(seen, tested.workload)
    if attempt.stage is Stage.PREPARING:
        if clock.elapsed(attempt, now) < limit:
            return None
        return f"workload {', '.join(names)} did not become Available within {limit.total_seconds():.0f} s"
    state = seen.workloads.get(tested.workload, NOTHING)
    since = waits.unavailable_since(seen, tested.workload, now)
    if since is None or _is_excused(seen, attempt, now):
        return None
    if not state.ready_endpoints:
        hold = timedelta(seconds=seen.rollout.spec.analysis.no_data.hold_after_seconds)
        limit = min(limit, hold)
    waited = now - max(since, attempt.stage_started_time)
    if state.ready_endpoints:
        waited -= timedelta(seconds=attempt.clock_stopped_seconds or 0)
    if waited < limit:
        return None
    return (
        f"workload {tested.workload} has not been Available for {(now - since).total_seconds():.0f} s "
        f"({state.ready_endpoints} endpoints are ready)"
    )


def _is_excused(seen: Observation, attempt: Attempt, now: datetime) -> bool:
    """Whether the clock stands still and nobody gets errors meanwhile: without traffic, or in a pause while
    the candidate has endpoints left or no live requests.

    A wrong split stops the clock as well, but its requests do get errors.
    """
    if attempt.clock_stopped_time is None:
        return False
    if not clock.halted(seen.rollout):
        return attempt.split_mismatch is None
    return silence.is_idle(seen, attempt, now) or not _answers_nobody(seen)


def _answers_nobody(seen: Observation) -> bool:
    """Do live requests go to a candidate without a ready endpoint?"""
    tested, split = seen.rollout.status.candidate, seen.rollout.status.traffic
    if tested is None or split is None or not split.candidate_percent:
        return False
    return not seen.workloads.get(tested.workload, NOTHING).ready_endpoints


def step_overdue(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    if seen.rollout.spec.strategy.on_deadline != "Revert":
        return None
    return waits.overdue_step(seen, attempt, now)


def starved(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    return silence.overdue(seen, attempt, Silence.STARVED, now)


def blind(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    return silence.overdue(seen, attempt, Silence.BLIND, now)


# ------------------------------------------------------------------ wishes
def stable_wanted(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    target, status = seen.target, seen.rollout.status
    if not isinstance(target, Target) or wanted.same_content(target, status.candidate):
        return None
    if not wanted.same_content(target, status.stable):
        return None
    return f"spec.versionRef names {target.version} again, which is stable"


def other_wanted(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    target, status = seen.target, seen.rollout.status
    if not isinstance(target, Target) or status.candidate is None:
        return None
    if wanted.same_content(target, status.candidate) or wanted.same_content(target, status.stable):
        return None
    return f"spec.versionRef names {target.version} now"


def gates_edited(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    if seen.problem or not waits.is_recorded(seen, attempt):
        return None
    old = {start.name: start.hash for start in attempt.gate_starts}
    starts = plans.gate_starts(seen.rollout, attempt.gate_starts, now, seen.known)
    new = {start.name: start.hash for start in starts}
    if old == new:
        return None
    fresh = [name for name, hash_ in new.items() if old.get(name) != hash_]
    gone = [name for name in old if name not in new]
    told = []
    if fresh:
        told.append(f"{', '.join(fresh)} gather evidence afresh, with an error bound of their own")
    if gone:
        told.append(f"{', '.join(gone)} no longer judge")
    return "gates changed: " + "; ".join(told)


def steps_edited(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    if not waits.is_recorded(seen, attempt):
        return None
    if seen.problem and attempt.stage in waits.WALKING:
        return f"the gates cannot be followed any more, traffic goes to stable: {seen.problem}"
    same_steps = attempt.strategy_hash == waits.steps_hash(seen.rollout.spec)
    if same_steps and waits.is_on_its_step(seen, attempt):
        return None
    return "spec.strategy.steps changed: traffic goes to stable, the steps start from the first"


def split_wrong(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    """A mismatch that is not on record yet."""
    found = _split(seen, attempt)
    waits_for_record = not waits.is_recorded(seen, attempt)
    return None if not found or attempt.split_mismatch or waits_for_record else found.mismatch or None


def split_right(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    """The mismatch on record is over. A restarted operator that has read nothing yet does not say so."""
    found = _split(seen, attempt)
    if found is None or found.mismatch or attempt.split_mismatch is None:
        return None
    if not waits.is_recorded(seen, attempt):
        return None
    return "the candidate gets its share of the tasks again"


def split_awaited(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    if attempt.split_mismatch is None:
        return None
    return (
        f"{attempt.split_mismatch.message}; look for requests that go past the gateway, for sticky clients "
        "and for pods that are not scraped; it goes on by itself once the share is right, or edit the steps"
    )


def _split(seen: Observation, attempt: Attempt) -> SplitReading | None:
    """What is known of the split of the running step."""
    report = seen.evidence
    found = report.split if isinstance(report, EvidenceReport) else None
    return found if found is not None and found.step == attempt.step_index else None


def paused(seen: Observation) -> str | None:
    why = clock.halted(seen.rollout)
    return f"{why}: weights stay, clocks stand still" if why else None


def obstructed(seen: Observation) -> str | None:
    if seen.problem:
        return f"the spec to be corrected ({seen.problem})"
    if found := baseline.unknown(seen):
        return found
    if isinstance(seen.target, Unusable):
        return f"spec.versionRef to be usable ({seen.target.message})"
    if isinstance(seen.template, Unusable):
        return f"the template to be usable ({seen.template.message})"
    obstacle = in_the_way(seen)
    return obstacle.message if obstacle else None


def in_the_way(seen: Observation) -> Obstacle | None:
    """The gravest obstacle that holds what would come next: to begin, only those that say so."""
    running = not wanted.is_at_rest(seen.rollout.status)
    return next((o for o in seen.obstacles if running or o.holds is Holds.START), None)


# ------------------------------------------------------------------ progress
def traffic_stopped(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    if not (waits.is_recorded(seen, attempt) and is_applied(seen)):
        return None
    tested = seen.rollout.status.candidate
    return f"the gateway sends {tested.version if tested else 'the candidate'} nothing new"


def first_available(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    if waits.waiting_for(seen, now):
        return None
    return f"{_candidate(seen)} serves as the first version, compared with nothing"


def step_due(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    step = waits.next_step(seen.rollout, attempt)
    return None if step is None or step.kind == "full" else _entering(seen, attempt, step, now)


def full_due(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    step = waits.next_step(seen.rollout, attempt)
    return None if step is None or step.kind != "full" else _entering(seen, attempt, step, now)


def _entering(seen: Observation, attempt: Attempt, step: Step, now: datetime) -> str | None:
    grows = sizes.must_grow(seen.rollout, waits.next_index(seen.rollout, attempt))
    if waits.waiting_for(seen, now) or grows:
        return None
    return f"{_candidate(seen)} enters {step.name}: {waits.share_in_words(step)}"


def soak_passed(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    if waits.waiting_for(seen, now):
        return None
    return f"{_candidate(seen)} passed the soak and is stable now"


def _candidate(seen: Observation) -> str:
    tested = seen.rollout.status.candidate
    return tested.version if tested else ""


# ------------------------------------------------------------------ starting
def earlier_wanted(seen: Observation) -> str | None:
    found, earlier = wanted.identity_of(seen), wanted.promoted_before(seen)
    stable = seen.rollout.status.stable
    if found is None or earlier is None or stable is None or not _may_begin(seen):
        return None
    return f"preparing {found.version} beside {stable.version}: it was promoted before, so it goes to full"


def new_wanted(seen: Observation) -> str | None:
    found, stable = wanted.identity_of(seen), seen.rollout.status.stable
    if found is None or wanted.same_content(found, stable) or not _may_begin(seen):
        return None
    if stable is None:
        return f"preparing {found.version}, the first version"
    return f"preparing {found.version} beside {stable.version}{_judged_by_nothing(seen)}"


def _judged_by_nothing(seen: Observation) -> str:
    """Who watches the attempt should not learn afterwards that a gate never looked."""
    idle = () if seen.problem else plans.idle_gates(seen.rollout, seen.known)
    if not idle:
        return ""
    verb = "judges" if len(idle) == 1 else "judge"
    return f"; {', '.join(idle)} {verb} in no step: add a canary step, or a hold-out to the full step"


def template_edited(seen: Observation) -> str | None:
    found, stable = wanted.identity_of(seen), seen.rollout.status.stable
    if found is None or not wanted.same_content(found, stable) or not _may_begin(seen):
        return None
    template = seen.template.name if isinstance(seen.template, Template) else ""
    return f"preparing {found.version} from the changed template {template} beside the one that serves"


def _may_begin(seen: Observation) -> bool:
    status = seen.rollout.status
    return not (
        wanted.serves(seen)
        or len(status.quarantine) >= MAX_QUARANTINE
        or wanted.must_wait_for_a_drain(seen)
        or (status.attempt is not None and not waits.is_recorded(seen, status.attempt))
    )


WISHES: Mapping[Event, Wish] = {
    Event.PAUSED: paused,
    Event.OBSTRUCTED: obstructed,
    Event.KEPT_BACK: wanted.kept_back,
    Event.EARLIER_WANTED: earlier_wanted,
    Event.NEW_WANTED: new_wanted,
    Event.TEMPLATE_EDITED: template_edited,
}
"""Events that need no attempt."""

QUESTIONS: Mapping[Event, Question] = {
    Event.SAFETY_GATE_FAILS: safety_gate_fails,
    Event.ALERT_FIRES: alert_fires,
    Event.GATE_FAILS: gate_fails,
    Event.ALL_GATES_TOGETHER: all_gates_together,
    Event.CONTENT_CHANGED: content_changed,
    Event.ROUTE_AT_ZERO: route_at_zero,
    Event.CANDIDATE_GONE: candidate_gone,
    Event.NOT_AVAILABLE: not_available,
    Event.STEP_OVERDUE: step_overdue,
    Event.STARVED: starved,
    Event.BLIND: blind,
    Event.STABLE_WANTED: stable_wanted,
    Event.TRAFFIC_STOPPED: traffic_stopped,
    Event.GATES_EDITED: gates_edited,
    Event.SPLIT_WRONG: split_wrong,
    Event.SPLIT_RIGHT: split_right,
    Event.SPLIT_AWAITED: split_awaited,
    Event.OTHER_WANTED: other_wanted,
    Event.STEPS_EDITED: steps_edited,
    Event.FIRST_AVAILABLE: first_available,
    Event.STEP_DUE: step_due,
    Event.FULL_DUE: full_due,
    Event.SOAK_PASSED: soak_passed,
}
"""Events of a running attempt."""


def has_happened(event: Event, seen: Observation, now: datetime) -> str | None:
    """What there is to say about the event, or None when it is not there."""
    if event in WISHES:
        return WISHES[event](seen)
    attempt = seen.rollout.status.attempt
    return None if attempt is None else QUESTIONS[event](seen, attempt, now)

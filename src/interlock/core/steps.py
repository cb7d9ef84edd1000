"""Where an attempt may go next: turn back, start over, or walk on. Pure.

Turning back outranks everything and waits for nothing. Walking on waits until the last transition is
applied and recorded, and until every gate passes on fresh data.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import rfc8785

from interlock.analysis.gates import EvidenceReport, Verdict
from interlock.core import traffic, workloads
from interlock.core.observation import NOTHING, Manifest, Observation, Target, Template, Unreadable, Unusable
from interlock.model.release import Outcome, Stage, VersionIdentity
from interlock.model.rollout import Rollout, RolloutSpec, Step
from interlock.model.rolloutstatus import MAX_DRAINING, MAX_QUARANTINE, Attempt, RolloutStatus
from interlock.reasons import QUARANTINING, Cause

ACTIVE = frozenset({Stage.PREPARING, Stage.RUNNING, Stage.SOAKING, Stage.REVERTING})


@dataclass(frozen=True, slots=True)
class Transition:
    """One move of the attempt, not yet written."""

    stage: Stage
    cause: Cause
    message: str
    step_index: int = 0
    outcome: Outcome | None = None
    begins: VersionIdentity | None = None
    """Set when a new attempt starts: who its candidate is."""


def strategy_hash(spec: RolloutSpec) -> str:
    """Names the rules that evidence is gathered under, steps and gates; 16 hex.

    Without defaults: a newer operator that knows a further field must not start running attempts over.
    """
    rules = {
        name: part.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
        for name, part in (("strategy", spec.strategy), ("analysis", spec.analysis))
    }
    return hashlib.sha256(rfc8785.dumps(rules)).hexdigest()[:16]


def next_transition(seen: Observation, now: datetime) -> Transition | None:
    """The one move that is due, if any."""
    attempt = seen.rollout.status.attempt
    if attempt is None or attempt.stage is Stage.DONE:
        return _begin(seen)
    if attempt.stage is Stage.REVERTING:
        return _stopped(seen, attempt)
    return turn_back(seen, attempt) or _start_over(seen, attempt) or _walk_on(seen, attempt, now)


# ------------------------------------------------------------------ starting
def identity_of(seen: Observation) -> VersionIdentity | None:
    """What `spec.versionRef` and the template ask for now, or None when they cannot be followed."""
    if not isinstance(seen.target, Target) or not isinstance(seen.template, Template):
        return None
    name = workloads.workload_name(seen.rollout.metadata.name, seen.target, seen.template)
    return VersionIdentity(
        version=seen.target.version, uid=seen.target.uid, digest=seen.target.digest, workload=name
    )


def is_quarantined(status: RolloutStatus, digest: str) -> bool:
    """Was this content taken back before, so that it does not go out again by itself?"""
    return any(item.digest == digest for item in status.quarantine)


def baseline_unknown(seen: Observation) -> bool:
    """The status is empty but an earlier life left Releases: what serves now cannot be known from it."""
    status = seen.rollout.status
    return status.attempt is None and status.stable is None and seen.earlier_releases


def _begin(seen: Observation) -> Transition | None:
    status = seen.rollout.status
    wanted = identity_of(seen)
    if (
        wanted is None
        or seen.problem
        or baseline_unknown(seen)
        or is_quarantined(status, wanted.digest)
        or len(status.quarantine) >= MAX_QUARANTINE
        or len(status.draining) >= MAX_DRAINING
        or (status.attempt and not is_recorded(seen, status.attempt))
        or (status.stable and status.stable.workload == wanted.workload)
    ):
        return None
    stable = status.stable
    same_content = stable is not None and (stable.uid, stable.digest) == (wanted.uid, wanted.digest)
    cause = Cause.TEMPLATE_CHANGED if same_content else Cause.ATTEMPT_STARTED
    message = f"preparing {wanted.version}" + (
        f" beside {stable.version}" if stable else ", the first version"
    )
    return Transition(Stage.PREPARING, cause, message, begins=wanted)


# ------------------------------------------------------------------ turning back
def turn_back(seen: Observation, attempt: Attempt) -> Transition | None:
    """Is there a reason to take the candidate off? Asked in every pass, before anything else."""
    # harm before a newer version: what did harm is not only taken off, it stays back
    found = _broken_candidate(seen) or _evidence_of_harm(seen, attempt)
    found = found or _zero_on_route(seen, attempt) or _other_version_wanted(seen, attempt)
    if found is None:
        return None
    cause, message = found
    if seen.rollout.status.stable is None:
        # nothing to go back to: the first version is given up before it ever served
        return Transition(Stage.DONE, cause, message, attempt.step_index, outcome=outcome_of(cause))
    return Transition(Stage.REVERTING, cause, message, attempt.step_index)


def outcome_of(cause: str) -> Outcome:
    """How an attempt that is taken off for `cause`, perhaps a newer version's, is remembered."""
    match cause:
        case Cause.SUPERSEDED:
            return Outcome.SUPERSEDED
        case Cause.ROLLED_BACK:
            return Outcome.ROLLED_BACK
        case _:
            return Outcome.REVERTED


def _broken_candidate(seen: Observation) -> tuple[Cause, str] | None:
    tested = seen.rollout.status.candidate
    if tested is None:
        return Cause.CANDIDATE_GONE, "the status does not say which version is tried"
    if seen.candidate is None:
        return None
    if isinstance(seen.candidate, Unusable):
        return Cause.CANDIDATE_GONE, f"AgentVersion {tested.version}: {seen.candidate.message}"
    if seen.candidate.uid != tested.uid:
        return Cause.CANDIDATE_GONE, f"AgentVersion {tested.version} was deleted and created again"
    if seen.candidate.digest != tested.digest:
        return Cause.CONTENT_CHANGED, (
            f"AgentVersion {tested.version} now has digest {seen.candidate.digest[:12]}, "
            f"but {tested.digest[:12]} was tested"
        )
    return None


def _other_version_wanted(seen: Observation, attempt: Attempt) -> tuple[Cause, str] | None:
    status, target = seen.rollout.status, seen.target
    if not isinstance(target, Target) or status.candidate is None:
        return None
    if (target.uid, target.digest) == (status.candidate.uid, status.candidate.digest):
        return None
    if status.stable and (target.uid, target.digest) == (status.stable.uid, status.stable.digest):
        return Cause.ROLLED_BACK, f"spec.versionRef names {target.version} again, which is stable"
    if attempt.stage is Stage.SOAKING:
        return None  # the next version waits until the soak is over
    return Cause.SUPERSEDED, f"spec.versionRef names {target.version} now"


def _zero_on_route(seen: Observation, attempt: Attempt) -> tuple[Cause, str] | None:
    """Only a revert lists the candidate with weight 0: one whose record was lost, in whichever step."""
    candidate = seen.rollout.status.candidate
    if candidate is None or seen.route is None or attempt.stage not in (Stage.RUNNING, Stage.SOAKING):
        return None
    if seen.route.weights.get(candidate.workload) != 0:
        return None
    return Cause.ROUTE_AT_ZERO, "the route lists the candidate with weight 0, as only a revert does"


def _evidence_of_harm(seen: Observation, attempt: Attempt) -> tuple[Cause, str] | None:
    report = seen.evidence
    if attempt.traffic_started_time is None or not isinstance(report, EvidenceReport) or not report.reverts:
        return None
    if not report.failed:
        return Cause.COMBINED_EVIDENCE, "all gates together say that the candidate is worse"
    said = [gate.message for gate in report.gates if gate.name in report.failed]
    return Cause.GATE_FAILED, f"{', '.join(report.failed)}: {'; '.join(said)}"[:1024]


def _stopped(seen: Observation, attempt: Attempt) -> Transition | None:
    if not (is_recorded(seen, attempt) and is_applied(seen)):
        return None
    outcome = outcome_of(attempt.reason)
    version = seen.rollout.status.candidate.version if seen.rollout.status.candidate else "the candidate"
    message = f"the gateway sends {version} nothing new"
    return Transition(Stage.DONE, Cause.TRAFFIC_STOPPED, message, attempt.step_index, outcome=outcome)


# ------------------------------------------------------------------ walking on
def is_recorded(seen: Observation, attempt: Attempt) -> bool:
    """Has the Release taken down the attempt's last transition?"""
    return seen.recorded_seq >= attempt.seq


def desired_route(seen: Observation, status: RolloutStatus) -> Manifest | None:
    """The HTTPRoute for the stored intent; None while no version serves."""
    attempt, candidate, split = status.attempt, status.candidate, status.traffic
    if status.stable is None or split is None:
        return None
    if split.stable_percent + (split.candidate_percent if candidate else 0) != 100:
        return None  # not ours; a route that lacks a backend would answer requests with errors
    reverting = attempt is not None and attempt.stage is Stage.REVERTING
    listed = candidate.workload if candidate else None
    exists = listed is not None and seen.workloads.get(listed, NOTHING).service is not None
    return traffic.http_route(
        seen.rollout,
        split,
        stable=status.stable.workload,
        candidate=listed,
        keep_candidate=reverting
        and exists
        and attempt is not None
        and attempt.traffic_started_time is not None,
    )


def is_applied(seen: Observation) -> bool:
    """Does the gateway accept the route that the stored intent asks for? True while there is none."""
    desired = desired_route(seen, seen.rollout.status)
    return desired is None or traffic.shows(seen.route, desired)


def _start_over(seen: Observation, attempt: Attempt) -> Transition | None:
    same_rules = attempt.strategy_hash == strategy_hash(seen.rollout.spec) and _is_on_its_step(seen, attempt)
    if same_rules or not is_recorded(seen, attempt):
        return None
    return Transition(
        Stage.PREPARING,
        Cause.STRATEGY_CHANGED,
        "spec.strategy or spec.analysis changed: traffic goes to stable, the steps start from the first",
    )


def _is_on_its_step(seen: Observation, attempt: Attempt) -> bool:
    """Is the attempt where the strategy has a step for it? A status edited by hand may not be."""
    if attempt.stage is Stage.PREPARING:
        return True
    step = running_step(seen.rollout, attempt)
    return step is not None and (step.kind == "full") == (attempt.stage is Stage.SOAKING)


def running_step(rollout: Rollout, attempt: Attempt) -> Step | None:
    """The step that the attempt is in; None while the strategy, edited, has none of that number."""
    steps = rollout.spec.strategy.steps
    return steps[attempt.step_index] if attempt.step_index < len(steps) else None


def _walk_on(seen: Observation, attempt: Attempt, now: datetime) -> Transition | None:
    if waiting_for(seen, now):
        return None
    steps = seen.rollout.spec.strategy.steps
    version = seen.rollout.status.candidate.version if seen.rollout.status.candidate else ""
    if attempt.stage is Stage.SOAKING:
        message = f"{version} passed the soak and is stable now"
        return Transition(
            Stage.DONE, Cause.SOAK_PASSED, message, attempt.step_index, outcome=Outcome.PROMOTED
        )
    if seen.rollout.status.stable is None:
        message = f"{version} serves as the first version, compared with nothing"
        return Transition(Stage.DONE, Cause.FIRST_VERSION_SERVING, message, outcome=Outcome.PROMOTED)
    index = 0 if attempt.stage is Stage.PREPARING else attempt.step_index + 1
    step = steps[index]
    share = traffic.intended(step)
    split = f"{share.candidate_percent} % of requests"
    if share.shadow_percent:
        split = f"{share.shadow_percent} % of requests, mirrored"
    where = f"{version} enters {step.name}: {split}"
    if step.kind == "full":
        return Transition(Stage.SOAKING, Cause.SOAK_STARTED, where, index)
    return Transition(Stage.RUNNING, Cause.STEP_STARTED, where, index)


def needed_workloads(seen: Observation, status: RolloutStatus) -> dict[str, str]:
    """The candidate's workloads that the attempt needs now, by name to mode.

    The shadow is needed until the last shadow step is over. The live one is prepared from the start, so
    that a canary never waits for pods.
    """
    attempt, candidate = status.attempt, status.candidate
    if attempt is None or candidate is None or attempt.stage not in ACTIVE:
        return {}
    needed = {candidate.workload: "live"}
    steps = seen.rollout.spec.strategy.steps
    begun = attempt.step_index if attempt.stage is Stage.RUNNING else 0
    shadows_ahead = any(step.kind == "shadow" for step in steps[begun:])
    first_version = status.stable is None
    if shadows_ahead and attempt.stage in (Stage.PREPARING, Stage.RUNNING) and not first_version:
        needed[workloads.shadow_name(candidate.workload)] = "shadow"
    return needed


def waiting_for(seen: Observation, now: datetime) -> list[str]:
    """What keeps the attempt from walking on, in words for a person; empty when nothing does."""
    status = seen.rollout.status
    attempt = status.attempt
    if attempt is None:
        return []
    waits = [f"the spec to be corrected ({seen.problem})"] if seen.problem else []
    if isinstance(seen.target, Unusable):
        waits.append(f"spec.versionRef to be usable ({seen.target.message})")
    waits += [
        f"workload {name} to become Available"
        for name in needed_workloads(seen, status)
        if not workloads.is_available(seen.workloads.get(name, NOTHING))
    ]
    if not is_recorded(seen, attempt):
        waits.append("the last transition to be recorded in its Release")
    if not is_applied(seen):
        problem = seen.route.problem if seen.route else ""
        waits.append("the gateway to accept the route" + (f" ({problem})" if problem else ""))
    if attempt.stage in (Stage.RUNNING, Stage.SOAKING):
        waits += _step_waits(seen, attempt, now)
    return waits


def _step_waits(seen: Observation, attempt: Attempt, now: datetime) -> list[str]:
    step = running_step(seen.rollout, attempt)
    if step is None or not _is_on_its_step(seen, attempt):
        return ["the steps to start over"]
    if attempt.step_started_time is None:
        return ["the step's clock to start"]
    waits = []
    left = attempt.step_started_time + timedelta(seconds=step.duration_seconds) - now
    if left > timedelta(0):
        waits.append(f"{left.total_seconds():.0f} s of the step")
    return waits + _evidence_waits(seen, step.min_tasks, now)


def metrics_problem(seen: Observation, now: datetime) -> str:
    """Why nothing can be concluded from metrics at the moment; empty when something can."""
    match seen.evidence:
        case None:
            return "metrics have not been read yet"
        case Unreadable(reason=reason):
            return f"metrics cannot be read: {reason}"
        case report if report.last_sample is None:
            return "no samples of the candidate have been scraped"
        case report:
            age = now.timestamp() - report.last_sample
            return f"the newest sample is {age:.0f} s old" if age > seen.timing.freshness else ""


def _evidence_waits(seen: Observation, min_tasks: int, now: datetime) -> list[str]:
    if problem := metrics_problem(seen, now):
        return [f"fresh data: {problem}"]
    report = seen.evidence
    if not isinstance(report, EvidenceReport):
        return ["evidence"]
    waits = []
    if not report.warmed_up:
        waits.append("the warm-up to end")
    if report.candidate_tasks < min_tasks:
        waits.append(f"{min_tasks - report.candidate_tasks} more tasks of the candidate")
    waits += [
        f"gate {gate.name}: {gate.message or gate.verdict}"
        for gate in report.gates
        if gate.judged and gate.verdict is not Verdict.PASS
    ]
    return waits


def quarantines(cause: str) -> bool:
    """Does content taken back for `cause` stay back until somebody retries it? A cause that only a newer
    version knows does: it may mean harm."""
    return cause in QUARANTINING or cause not in tuple(Cause)

"""What keeps an attempt from walking on, in words for a person, and what the next step is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from interlock.analysis.gates import EvidenceReport, Verdict
from interlock.core import clock, silence, sizes, traffic, workloads
from interlock.core.fingerprint import fingerprint
from interlock.core.observation import NOTHING, Observation, Template
from interlock.core.route import as_if_first_serves, is_applied, unready
from interlock.errors import SpecError
from interlock.model.release import Stage, VersionIdentity
from interlock.model.rollout import Rollout, RolloutSpec, Shadow, Step
from interlock.model.rolloutstatus import Attempt, RolloutStatus

ACTIVE = frozenset({Stage.PREPARING, Stage.RUNNING, Stage.SOAKING, Stage.REVERTING})
WALKING = frozenset({Stage.RUNNING, Stage.SOAKING})
PROGRESS_DEADLINE_SECONDS = 600
"""Of a Deployment that does not say: apps/v1's default."""


def steps_hash(spec: RolloutSpec) -> str:
    """Names the steps that evidence is gathered in; 16 hex.

    Without defaults: a newer operator that knows a further field must not start running attempts over.
    """
    steps = [
        step.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
        for step in spec.strategy.steps
    ]
    return fingerprint(steps)


# ------------------------------------------------------------------ where the attempt is
def running_step(rollout: Rollout, attempt: Attempt) -> Step | None:
    """The step that the attempt is in; None while the strategy, edited, has none of that number."""
    steps = rollout.spec.strategy.steps
    return steps[attempt.step_index] if attempt.step_index < len(steps) else None


def is_on_its_step(seen: Observation, attempt: Attempt) -> bool:
    """Is the attempt where the strategy has a step for it? A status edited by hand may not be."""
    if attempt.stage is Stage.PREPARING:
        return True
    step = running_step(seen.rollout, attempt)
    return step is not None and (step.kind == "full") == (attempt.stage is Stage.SOAKING)


def next_index(rollout: Rollout, attempt: Attempt) -> int:
    """Which step comes next; the number of steps when none does."""
    if attempt.stage is not Stage.PREPARING:
        return attempt.step_index + 1
    return len(rollout.spec.strategy.steps) - 1 if attempt.fast_path else 0


def next_step(rollout: Rollout, attempt: Attempt) -> Step | None:
    """The step after the present one; None in the last."""
    steps, index = rollout.spec.strategy.steps, next_index(rollout, attempt)
    return steps[index] if index < len(steps) else None


def share_in_words(step: Step) -> str:
    """How much traffic a step gives the candidate."""
    split = traffic.intended(step)
    if split.shadow_percent:
        either = ", and the same share to a shadow of stable" if split.control_percent else ""
        return f"{split.shadow_percent} % of requests, mirrored{either}"
    return f"{split.candidate_percent} % of requests"


# ------------------------------------------------------------------ workloads
@dataclass(frozen=True, slots=True)
class Needed:
    """One workload that an attempt needs beside the one that serves: whose, in which mode, how many pods."""

    identity: VersionIdentity
    mode: str
    replicas: int


def needed_workloads(seen: Observation, status: RolloutStatus) -> dict[str, Needed]:
    """The workloads that the attempt needs now, by name.

    A shadow is needed until the last step that mirrors to it is over, stable's as the candidate's. The live
    one is prepared from the start, so that a canary never waits for pods.
    """
    attempt, candidate, stable = status.attempt, status.candidate, status.stable
    if attempt is None or candidate is None or attempt.stage not in ACTIVE:
        return {}
    rollout = seen.rollout.model_copy(update={"status": status})
    shadow = sizes.shadow(rollout)
    needed = {candidate.workload: Needed(candidate, "live", sizes.candidate(rollout))}
    ahead = _shadows_ahead(seen, attempt)
    if stable is not None and ahead:
        needed[workloads.shadow_name(candidate.workload)] = Needed(candidate, "shadow", shadow)
        if any(shadow.control for shadow in ahead):
            needed[workloads.shadow_name(stable.workload)] = Needed(stable, "shadow", shadow)
    return needed


def _shadows_ahead(seen: Observation, attempt: Attempt) -> list[Shadow]:
    """What is still mirrored, from the present step on."""
    if attempt.fast_path or attempt.stage not in (Stage.PREPARING, Stage.RUNNING):
        return []
    begun = attempt.step_index if attempt.stage is Stage.RUNNING else 0
    return [step.shadow for step in seen.rollout.spec.strategy.steps[begun:] if step.shadow]


def unavailable(seen: Observation) -> list[str]:
    """Needed workloads that are not Available with as many pods as they must have.

    A Deployment that is smaller is Available all the same: perhaps nobody may make it larger.
    """
    return [
        name
        for name, needed in needed_workloads(seen, seen.rollout.status).items()
        if not workloads.is_available(seen.workloads.get(name, NOTHING), at_least=needed.replicas)
    ]


def missing(seen: Observation) -> list[str]:
    """Workloads that serve, or are needed after the preparation, and have no Deployment."""
    status = seen.rollout.status
    walks = status.attempt is not None and status.attempt.stage in WALKING
    names = [status.stable.workload] if status.stable else []
    names += needed_workloads(seen, status) if walks else ()
    return [name for name in dict.fromkeys(names) if seen.workloads.get(name, NOTHING).deployment is None]


def progress_deadline(seen: Observation, workload: str) -> timedelta:
    """How long a workload's pods may take, as its template's Deployment says."""
    config = seen.workloads.get(workload, NOTHING).config
    template = seen.template if isinstance(seen.template, Template) else None
    if config is not None:
        try:
            template = workloads.stored_template(config)
        except SpecError:
            template = None
    spec = template.spec if template else {}
    return timedelta(seconds=spec.get("progressDeadlineSeconds", PROGRESS_DEADLINE_SECONDS))


def unavailable_since(seen: Observation, workload: str, now: datetime) -> datetime | None:
    """Since when a workload has not been Available; None while its Deployment does not say so.

    Whoever wrote that may have a clock that is ahead of ours. Then it counts from when we first saw it: to
    wait for their time to come would be to wait for as long as their clock is wrong.
    """
    told = workloads.unavailable_since(seen.workloads.get(workload, NOTHING))
    attempt = seen.rollout.status.attempt
    if told is None or attempt is None:
        return told
    return min(told, attempt.unavailable_since or now)


def stable_can_serve(seen: Observation) -> bool:
    """Has the stable version a ready endpoint? True while there is no stable version."""
    stable = seen.rollout.status.stable
    return stable is None or traffic.can_receive(seen.workloads.get(stable.workload, NOTHING))


def dead_share(seen: Observation) -> str:
    """A share of the requests that nobody answers, in words; empty without one."""
    stable, split = seen.rollout.status.stable, seen.rollout.status.traffic
    if stable is None or split is None or not split.stable_percent or stable_can_serve(seen):
        return ""
    return (
        f"{stable.version} gets {split.stable_percent} % of requests and has no ready endpoint: look at "
        f"Deployment {stable.workload}"
    )


# ------------------------------------------------------------------ waiting
def is_recorded(seen: Observation, attempt: Attempt) -> bool:
    """Has the Release taken down the attempt's last transition, and nothing that did not happen?"""
    return seen.recorded_seq >= attempt.seq and not seen.misrecorded


def overdue_step(seen: Observation, attempt: Attempt, now: datetime) -> str | None:
    """A sentence when the step has lasted longer than its deadline allows."""
    limit = seen.rollout.spec.strategy.step_deadline_seconds
    step = running_step(seen.rollout, attempt)
    if limit is None or step is None or attempt.stage not in WALKING:
        return None
    lasted = clock.elapsed(attempt, now)
    if lasted < timedelta(seconds=limit):
        return None
    return f"step {step.name} has lasted {lasted.total_seconds():.0f} s (stepDeadlineSeconds: {limit})"


def waiting_for(seen: Observation, now: datetime) -> list[str]:
    """What keeps the attempt from walking on; empty when nothing does."""
    first = first_to_open(seen, now)
    if first is not None and not is_applied(first):
        return [_route_awaited(first)]
    return _waiting_for(seen, now)


def first_to_open(seen: Observation, now: datetime) -> Observation | None:
    """As if the first version served already, once only the gateway keeps it from that.

    It counts as stable when the gateway has its route: whom nobody can reach is nothing to go back to.
    """
    return None if _waiting_for(seen, now) else as_if_first_serves(seen)


def _waiting_for(seen: Observation, now: datetime) -> list[str]:
    attempt = seen.rollout.status.attempt
    if attempt is None:
        return []
    waits = [_pods_awaited(seen, name) for name in unavailable(seen)]
    if not is_recorded(seen, attempt):
        waits.append("the last transition to be recorded in its Release")
    if not is_applied(seen):
        waits.append(_route_awaited(seen))
    if attempt.stage is Stage.PREPARING and seen.firing:
        waits.append(f"an alert that would take it back at once: {seen.firing}")
    if attempt.stage in WALKING:
        waits += _step_waits(seen, attempt, now)
    return waits


def _pods_awaited(seen: Observation, name: str) -> str:
    if not workloads.is_available(seen.workloads.get(name, NOTHING)):
        return f"workload {name} to become Available"
    size = needed_workloads(seen, seen.rollout.status)[name].replicas
    return f"workload {name} to have {size} pods that are Available"


def _route_awaited(seen: Observation) -> str:
    if waited := unready(seen, seen.rollout.status):
        return f"a ready endpoint of {', '.join(waited)}, which the route is to name"
    problem = seen.route.problem if seen.route else ""
    return "the gateway to accept the route" + (f" ({problem})" if problem else "")


def _step_waits(seen: Observation, attempt: Attempt, now: datetime) -> list[str]:
    step = running_step(seen.rollout, attempt)
    if step is None or not is_on_its_step(seen, attempt):
        return ["the steps to start over"]
    if attempt.step_started_time is None:
        return ["the step's clock to start"]
    duration = timedelta(seconds=step.duration_seconds)
    if now < attempt.step_started_time:  # it is known when: in a moment
        return [f"{(duration + (attempt.step_started_time - now)).total_seconds():.0f} s of the step"]
    waits = []
    left = duration - clock.elapsed(attempt, now)
    if left > timedelta(0):
        waits.append(f"{left.total_seconds():.0f} s of the step")
    return waits + _evidence_waits(seen, attempt, step.min_tasks, now)


def _evidence_waits(seen: Observation, attempt: Attempt, min_tasks: int, now: datetime) -> list[str]:
    if problem := silence.metrics_problem(seen, now):
        return [f"fresh data: {problem}"]
    report = seen.evidence
    if not isinstance(report, EvidenceReport):
        return ["evidence"]
    waits = []
    if attempt.split_mismatch:
        waits.append(f"a right split of the tasks: {attempt.split_mismatch.message}")
    if silence.is_idle(seen, attempt, now):
        waits.append(f"traffic: there is none at all, the clock stands still{_nobody_answers(seen)}")
    return waits + evidence_waits(report, min_tasks)


def _nobody_answers(seen: Observation) -> str:
    """Why there is no traffic, where that is known."""
    stable = seen.rollout.status.stable
    return f" until {stable.version} has a ready endpoint" if stable and dead_share(seen) else ""


def evidence_waits(report: EvidenceReport, min_tasks: int) -> list[str]:
    """What a step still awaits of its evidence; empty when there is enough, and all of it is good."""
    waits = [] if report.warmed_up else ["the warm-up to end"]
    if report.candidate_tasks < min_tasks:
        # gates without a warm-up count more: those of it, of earlier steps, and of a gap that began in it
        counted = f"{report.candidate_tasks} of {min_tasks} in this step, after its warm-up"
        missing = min_tasks - report.candidate_tasks
        waits.append(f"{missing} more task{'s' * (missing > 1)} of the candidate ({counted})")
    if report.restarts:
        waits.append(f"processes that stay up: {report.restarts}")
    waits += [
        f"gate {gate.name}: {gate.message or gate.verdict}"
        for gate in report.gates
        if gate.judged and gate.verdict is not Verdict.PASS
    ]
    return waits


def must_grow(seen: Observation, attempt: Attempt, now: datetime) -> int | None:
    """The next step, if all that it still needs is a larger candidate."""
    index = next_index(seen.rollout, attempt)
    walks_on = next_step(seen.rollout, attempt) is not None and attempt.stage is Stage.RUNNING
    if not walks_on or not sizes.must_grow(seen.rollout, index) or waiting_for(seen, now):
        return None
    return index

"""`decide(observation, now)`: one move at the most, the status that stores it, and the effects it asks for.

Pure and total. Fed its own output it does nothing. Intent comes first: the shell writes the status, then
performs the effects, which are derived from the status and can be performed again after a crash.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from interlock.core import children, ledger, status, traffic, workloads
from interlock.core.effects import Effect, WriteRoute
from interlock.core.observation import NOTHING, Observation
from interlock.core.steps import Transition, desired_route, is_applied, next_transition
from interlock.model.release import Stage
from interlock.model.rolloutstatus import Attempt, RolloutStatus, StepTime

IDLE_POLL = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to store and what to do."""

    status: RolloutStatus
    effects: tuple[Effect, ...]
    move: Transition | None
    wake: timedelta | None
    """Look again after this long even if nothing changes; None: only when something does."""

    @property
    def reverts(self) -> bool:
        """Takes traffic off the candidate: written to the route even when the status write fails."""
        return self.move is not None and self.move.stage is Stage.REVERTING


def decide(seen: Observation, now: datetime) -> Decision:
    """Everything that follows from one look. `now` is aware, UTC."""
    move = next_transition(seen, now)
    if move is not None:
        intent = ledger.follow(seen, move, now)
    else:
        intent = _drained(seen, _clock_started(seen, now), now)
    after = replace(seen, rollout=seen.rollout.model_copy(update={"status": intent}))
    described = status.describe(after, seen.rollout.status, now)
    return Decision(described, tuple(_effects(after, seen, intent)), move, _wake(after))


def _clock_started(seen: Observation, now: datetime) -> RolloutStatus:
    """A step's clock starts when the gateway has accepted the route, plus a margin; on a whole second."""
    current = seen.rollout.status
    attempt = current.attempt
    runs = attempt is not None and attempt.stage in (Stage.RUNNING, Stage.SOAKING)
    if attempt is None or not runs or attempt.step_started_time or not is_applied(seen):
        return current
    start = datetime.fromtimestamp(math.ceil(now.timestamp() + seen.timing.route_margin), UTC)
    times = (*attempt.step_times, StepTime(index=attempt.step_index, started_time=start))
    started = attempt.model_copy(update={"step_started_time": start, "step_times": times})
    return current.model_copy(update={"attempt": started})


def _drained(seen: Observation, current: RolloutStatus, now: datetime) -> RolloutStatus:
    """Forget workloads whose conversations have ended or whose deadline is over: they may be deleted."""
    settled = timedelta(seconds=max(seen.timing.settle, seen.timing.route_margin))
    left = tuple(
        item
        for item in current.draining
        if now < item.deadline
        and not (now >= item.since + settled and seen.conversations.get(item.workload) == 0)
    )
    return current if len(left) == len(current.draining) else current.model_copy(update={"draining": left})


def _effects(after: Observation, seen: Observation, intent: RolloutStatus) -> list[Effect]:
    """Traffic first: a revert waits for nothing else."""
    effects: list[Effect] = [*_route(after, intent)]
    effects += children.applied(after, intent)
    effects += ledger.recording(replace(after, rollout=seen.rollout), intent)
    effects += children.deleted(after, intent)
    return effects


def _route(after: Observation, intent: RolloutStatus) -> list[Effect]:
    desired = desired_route(after, intent)
    if desired is None or intent.stable is None or intent.traffic is None:
        return []
    if after.route is not None:
        if not status.is_ours(after.rollout, after.route.manifest):
            return []
        if workloads.covers(after.route.manifest, desired):
            return []
        meta = after.route.manifest["metadata"]
        desired = {**desired, "metadata": {**desired["metadata"], "resourceVersion": meta["resourceVersion"]}}
    return [WriteRoute(desired)] if _may_name(after, intent) else []


def _may_name(after: Observation, intent: RolloutStatus) -> bool:
    """Services exist and have endpoints before a weight or a mirror names them, except in a revert."""
    attempt, split = intent.attempt, intent.traffic
    if intent.stable is None or split is None:
        return False
    if attempt and attempt.stage is Stage.REVERTING:
        return after.workloads.get(intent.stable.workload, NOTHING).service is not None
    named = [intent.stable.workload] if split.stable_percent else []
    if intent.candidate and split.candidate_percent:
        named.append(intent.candidate.workload)
    if intent.candidate and split.shadow_percent:
        named.append(workloads.shadow_name(intent.candidate.workload))
    return all(traffic.can_receive(after.workloads.get(name, NOTHING)) for name in named)


def _wake(after: Observation) -> timedelta | None:
    current = after.rollout.status
    attempt: Attempt | None = current.attempt
    if attempt and attempt.stage in (Stage.RUNNING, Stage.SOAKING, Stage.REVERTING):
        return timedelta(seconds=after.timing.tick)
    if (attempt and attempt.stage is Stage.PREPARING) or current.draining:
        return min(IDLE_POLL, timedelta(seconds=max(1.0, after.timing.tick)))
    return None

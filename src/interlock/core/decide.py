"""`decide(observation, now)`: one move at the most, the status that stores it, and the effects it asks for.

Pure and total. Fed its own output it does nothing. Intent comes first: the shell writes the status, then
performs the effects, which are derived from the status and can be performed again after a crash.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from interlock.core import (
    baseline,
    children,
    clock,
    ledger,
    silence,
    status,
    traffic,
    transitions,
    waits,
    wanted,
    workloads,
)
from interlock.core.adoption import belongs
from interlock.core.conditions import first_version_deadline, first_version_fails
from interlock.core.effects import Effect, RestoreChild, WriteRoute
from interlock.core.observation import NOTHING, Holds, Observation
from interlock.core.route import allowed_route, is_applied, is_closed
from interlock.core.steps import Transition, next_transition, what_happens
from interlock.model.release import Stage, VersionIdentity
from interlock.model.rolloutstatus import Attempt, RolloutStatus, TrafficStatus
from interlock.reasons import UNDESIRED, Reason

IDLE_POLL = timedelta(seconds=5)
NAME_POLL = timedelta(seconds=10)
"""Whoever has taken a name need not carry a label of ours, and is then not watched."""


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
        """Takes traffic off the candidate."""
        return self.move is not None and self.move.stage is Stage.REVERTING

    @property
    def cannot_wait(self) -> bool:
        """Takes it off for harm or trouble: written to the route even when the status write fails.

        A wish can wait: its route at 0 without a record would be read as harm, and quarantine good content.
        """
        return self.move is not None and self.reverts and self.move.cause in UNDESIRED


def decide(seen: Observation, now: datetime) -> Decision:
    """Everything that follows from one look. `now` is aware, UTC."""
    # who serves comes first: a Rollout that has forgotten it would take what it is given for a first version
    remembered = baseline.rebuilt(seen, now)
    move = None if remembered else next_transition(seen, now)
    if move is not None:
        intent = transitions.follow(seen, move, now)
    else:
        intent = remembered or _drained(seen, _kept_up(seen, now), now)
    after = replace(seen, rollout=seen.rollout.model_copy(update={"status": intent}))
    described = status.describe(after, seen.rollout.status, now)
    effects = (*_effects(after, seen, intent, now), *ledger.clearing(seen, now))
    if move is None and (opening := _opening(seen, now)):
        effects = (*opening, *effects)
        before = seen.rollout.status
        is_told = before.observed_generation == seen.rollout.metadata.generation
        described = before if is_told else described
    again = remembered or any(isinstance(effect, RestoreChild) for effect in effects)
    wake = timedelta(0) if again else _wake(after, now)  # our own writes wake nobody
    if (left := children.put_back_in(after, intent, now)) is not None:
        wake = left if wake is None else min(wake, left)
    return Decision(described, effects, move, wake)


def _kept_up(seen: Observation, now: datetime) -> RolloutStatus:
    """What is stored between two moves: clocks, silences, sizes, and what follows from rest."""
    current = seen.rollout.status
    attempt = current.attempt
    if attempt is None or attempt.stage is Stage.DONE:
        return _at_rest(seen, current, now)
    kept = clock.set_back(attempt, now, seen.timing.route_margin)
    kept = _noticed(seen, _clock_started(seen, kept, now), current.candidate, now)
    quiet = silence.stored(seen, kept, now)
    if quiet != kept.no_data:
        kept = kept.model_copy(update={"no_data": quiet})
    if kept.stage is not Stage.REVERTING:
        stands = bool(clock.halted(seen.rollout)) or silence.is_idle(seen, kept, now)
        stands = stands or kept.split_mismatch is not None
        kept = clock.turned(kept, now, stands=stands)
    grows = None if clock.halted(seen.rollout) else waits.must_grow(seen, attempt, now)
    if grows is not None:
        kept = kept.model_copy(update={"sized_step": grows})
    return current if kept is attempt else current.model_copy(update={"attempt": kept})


def _at_rest(seen: Observation, current: RolloutStatus, now: datetime) -> RolloutStatus:
    attempt = current.attempt
    if current.candidate and wanted.serves(seen) and attempt and waits.is_recorded(seen, attempt):
        # what was tried last is told until the stable version is asked for again: then it may be tried anew
        current = current.model_copy(update={"candidate": None})
    if attempt is not None and (kept := _noticed(seen, attempt, current.stable, now)) is not attempt:
        current = current.model_copy(update={"attempt": kept})
    fails = bool(first_version_fails(seen, now))
    if fails and seen.rollout.spec.on_first_version_failure == "CloseRoute":
        return current.model_copy(update={"traffic": TrafficStatus()})
    if is_closed(current) and not fails:
        return current.model_copy(update={"traffic": traffic.ALL_STABLE})
    return current


def _noticed(seen: Observation, attempt: Attempt, whose: VersionIdentity | None, now: datetime) -> Attempt:
    """Keeps since when a workload that has a deadline is down."""
    state = seen.workloads.get(whose.workload, NOTHING) if whose else NOTHING
    return clock.noticed(attempt, workloads.unavailable_since(state), now)


def _clock_started(seen: Observation, attempt: Attempt, now: datetime) -> Attempt:
    """A step's clock starts when the gateway has accepted the route, plus a margin."""
    runs = attempt.stage in waits.WALKING
    if not runs or attempt.step_started_time or not is_applied(seen):
        return attempt
    return clock.started(attempt, now, seen.timing.route_margin)


def _drained(seen: Observation, current: RolloutStatus, now: datetime) -> RolloutStatus:
    """Forget workloads that are cleared, once their Releases say so: they may be deleted."""
    left = tuple(
        item
        for item in current.draining
        if ledger.cleared(seen, item, now) is None or item.release in seen.uncleared
    )
    return current if len(left) == len(current.draining) else current.model_copy(update={"draining": left})


def _effects(after: Observation, seen: Observation, intent: RolloutStatus, now: datetime) -> list[Effect]:
    """Traffic first: a revert waits for nothing else."""
    effects: list[Effect] = [*_route(after, intent)]
    effects += children.applied(after, intent, now)
    effects += ledger.recording(replace(after, rollout=seen.rollout), intent)
    effects += children.deleted(after, intent)
    effects += ledger.pruned(after)
    return effects


def _route(after: Observation, intent: RolloutStatus) -> list[Effect]:
    desired = allowed_route(after, intent)
    if desired is None:
        return []
    if after.route is not None:
        if not belongs(after.rollout, after.route.manifest):
            return []
        if traffic.is_written(after.route.manifest, desired):
            return []
        meta = after.route.manifest["metadata"]
        desired = {**desired, "metadata": {**desired["metadata"], "resourceVersion": meta["resourceVersion"]}}
    elif any(obstacle.holds is Holds.ROUTE for obstacle in after.obstacles):
        return []  # another route would win silently, or there is no gateway to take it
    return [WriteRoute(desired)]


def _opening(seen: Observation, now: datetime) -> list[Effect]:
    """The route of a first version, once it is Available and nothing holds it.

    Nothing is told meanwhile: in a moment the gateway has it, and one write says that it serves.
    """
    first = waits.first_to_open(seen, now)
    if first is None or what_happens(seen, now) is not None:
        return []
    return _route(first, first.rollout.status)


def _wake(after: Observation, now: datetime) -> timedelta | None:
    current = after.rollout.status
    attempt: Attempt | None = current.attempt
    if attempt and attempt.stage in (Stage.RUNNING, Stage.SOAKING, Stage.REVERTING):
        return timedelta(seconds=after.timing.tick)
    if (attempt and attempt.stage is Stage.PREPARING) or current.draining:
        return min(IDLE_POLL, timedelta(seconds=max(1.0, after.timing.tick)))
    if any(obstacle.reason is Reason.NAME_TAKEN for obstacle in after.obstacles):
        return NAME_POLL
    return first_version_deadline(after, now)

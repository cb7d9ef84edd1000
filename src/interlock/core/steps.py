"""The one move that is due: the table's first event that is there. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from interlock.core import waits, wanted
from interlock.core.happened import has_happened
from interlock.core.observation import Observation
from interlock.core.table import ANSWERS, BLOCKABLE, Event, Hold, Move, Pass, Place
from interlock.model.release import Outcome, Stage, VersionIdentity
from interlock.model.rolloutstatus import RolloutStatus
from interlock.reasons import QUARANTINING, Cause


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
    in_place: bool = False
    """The attempt stays where it is, its clock goes on: only the record says what happened."""


@dataclass(frozen=True, slots=True)
class Held:
    """An event that keeps everything below it from happening."""

    event: Event
    message: str
    blocked: bool = False
    """It would take the candidate off, but stable has no ready endpoint."""


def place_of(status: RolloutStatus) -> Place:
    """Where the Rollout is in the table."""
    attempt = status.attempt
    if attempt is None:
        return Place.NEW
    if attempt.stage is Stage.PREPARING and status.stable is None:
        return Place.PREPARING_FIRST
    return Place(attempt.stage.value)


def next_transition(seen: Observation, now: datetime) -> Transition | None:
    """The one move that is due, if any."""
    found = what_happens(seen, now)
    return found if isinstance(found, Transition) else None


def what_happens(seen: Observation, now: datetime) -> Transition | Held | None:
    """The table, walked from the top."""
    place = place_of(seen.rollout.status)
    for event in Event:
        answer = ANSWERS[event][place]
        if isinstance(answer, Pass):
            continue
        message = has_happened(event, seen, now)
        if message is None:
            continue
        if isinstance(answer, Hold):
            return Held(event, message)
        if event in BLOCKABLE and _would_strand(seen, place):
            return Held(event, message, blocked=True)
        return _transition(seen, answer, message)
    return None


def _would_strand(seen: Observation, place: Place) -> bool:
    """Would taking the candidate's live traffic away send it to a version without a ready endpoint? Not where
    the route has it at 0 already: held, its share would be given back to it."""
    split, tested = seen.rollout.status.traffic, seen.rollout.status.candidate
    serves = split is not None and split.candidate_percent > 0
    gone = seen.route is not None and tested is not None and seen.route.weights.get(tested.workload) == 0
    stands = place in (Place.RUNNING, Place.SOAKING) and serves and not gone
    return stands and not waits.stable_can_serve(seen)


def _transition(seen: Observation, move: Move, message: str) -> Transition:
    rollout, attempt = seen.rollout, seen.rollout.status.attempt
    if attempt is None or wanted.is_at_rest(rollout.status):
        return Transition(Stage.PREPARING, move.cause, message, begins=wanted.identity_of(seen))
    index = attempt.step_index
    match move.to:
        case None:
            return Transition(attempt.stage, move.cause, message, index, in_place=True)
        case Stage.PREPARING:
            return Transition(Stage.PREPARING, move.cause, message)
        case Stage.RUNNING | Stage.SOAKING:
            return Transition(move.to, move.cause, message, waits.next_index(rollout, attempt))
        case Stage.REVERTING:
            return Transition(Stage.REVERTING, move.cause, message, index)
        case Stage.DONE:
            outcome = move.outcome or outcome_of(attempt.reason)
            return Transition(Stage.DONE, move.cause, message, index, outcome=outcome)
        case _:
            assert_never(move.to)


def outcome_of(cause: str) -> Outcome:
    """How an attempt that is taken off for `cause`, perhaps a newer version's, is remembered."""
    match cause:
        case Cause.SUPERSEDED:
            return Outcome.SUPERSEDED
        case Cause.ROLLED_BACK:
            return Outcome.ROLLED_BACK
        case _:
            return Outcome.REVERTED


def quarantines(cause: str) -> bool:
    """Does content taken back for `cause` stay back until somebody retries it? A cause that only a newer
    version knows does: it may mean harm."""
    return cause in QUARANTINING or cause not in tuple(Cause)

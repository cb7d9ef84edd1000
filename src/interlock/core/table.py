"""The machine as data: every event that can befall an attempt, and the answer to it at every place.

`steps.next_transition` walks this table from the top: the first event that is there and has a move is the
move. docs/lifecycle.md is generated from it. Never looks at anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from interlock.model.release import Outcome, Stage
from interlock.reasons import Cause


class Place(StrEnum):
    """Where a Rollout is: the stage of its attempt, told apart where the first version has nothing to go
    back to."""

    NEW = "no attempt yet"
    PREPARING_FIRST = "Preparing, first version"
    PREPARING = "Preparing"
    RUNNING = "Running"
    SOAKING = "Soaking"
    REVERTING = "Reverting"
    DONE = "Done"


class Event(StrEnum):
    """What can happen, in order of precedence: harm first, then trouble, then wishes, then progress."""

    SAFETY_GATE_FAILS = "a safety gate fails"
    ALERT_FIRES = "an alert that reverts fires"
    GATE_FAILS = "a gate fails"
    ALL_GATES_TOGETHER = "no gate fails alone, all together say harm"
    CONTENT_CHANGED = "the candidate's content is not what was tested"
    CANDIDATE_GONE = "the candidate AgentVersion is gone or another object"
    NOT_AVAILABLE = "the candidate is not Available within progressDeadlineSeconds"
    STEP_OVERDUE = "the step takes longer than stepDeadlineSeconds"
    STARVED = "stable has tasks, the candidate none, for revertAfterSeconds"
    BLIND = "nothing is known of the candidate, or of what a gate asks, for revertAfterSeconds"
    ROUTE_AT_ZERO = "the route lists the candidate with weight 0"
    STABLE_WANTED = "spec.versionRef names the stable version again"
    TRAFFIC_STOPPED = "the gateway has accepted weight 0"
    GATES_EDITED = "spec.analysis changes what a gate asks"
    SPLIT_WRONG = "tasks are not split by the weights"
    SPLIT_RIGHT = "tasks are split by the weights again"
    PAUSED = "spec.paused is true"
    OTHER_WANTED = "spec.versionRef names another version"
    STEPS_EDITED = "spec.strategy.steps changes, or the gates can no longer be followed"
    SPLIT_AWAITED = "on record: tasks are not split by the weights"
    OBSTRUCTED = "the spec cannot be followed, or another object is in the way"
    FIRST_AVAILABLE = "the first version is Available, and the gateway has its route"
    STEP_DUE = "every gate passes; the next step is a shadow or a canary"
    FULL_DUE = "every gate passes; the next step is full"
    SOAK_PASSED = "every gate passes and the soak is over"
    KEPT_BACK = "the wanted content is quarantined, or was taken off and has not changed"
    EARLIER_WANTED = "a version that was promoted before is wanted"
    NEW_WANTED = "a version is wanted that does not serve"
    TEMPLATE_EDITED = "the template Deployment is another than the stable version's"


@dataclass(frozen=True, slots=True)
class Move:
    """The attempt moves. `to` None: it stays in its stage, and the record says what happened."""

    to: Stage | None
    cause: Cause
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing that stands below this event happens while it lasts."""

    shown: str
    """How people are told."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The event has no meaning at this place, or its time comes later."""

    because: str


Answer = Move | Hold | Pass

_NOT_TRIED = Pass("nothing is under test")
_TAKEN_OFF = Pass("it is being taken off already")
_NO_TRAFFIC = Pass("the candidate has no traffic")
_NOT_NOW = Pass("an attempt is under way")
_NOT_SPLIT = Pass("live requests do not go to two versions by weight")
_SPLIT_HELD = "Stalled/SampleRatioMismatch: weights stay, clocks stop, until the shares are right again"


def _turns_back(cause: Cause, **others: Answer) -> dict[Place, Answer]:
    back = Move(Stage.REVERTING, cause)
    answers: dict[Place, Answer] = {
        Place.NEW: _NOT_TRIED,
        Place.PREPARING_FIRST: _NO_TRAFFIC,
        Place.PREPARING: back,
        Place.RUNNING: back,
        Place.SOAKING: back,
        Place.REVERTING: _TAKEN_OFF,
        Place.DONE: _NOT_TRIED,
    }
    return answers | {Place[name]: answer for name, answer in others.items()}


def _only(otherwise: Answer, **answers: Answer) -> dict[Place, Answer]:
    return dict.fromkeys(Place, otherwise) | {Place[name]: answer for name, answer in answers.items()}


def _given_up(cause: Cause) -> Move:
    return Move(Stage.DONE, cause, Outcome.REVERTED)


_PROMOTED = Outcome.PROMOTED
_LATER = Hold("Stalled, with the field or the object that is in the way")

ANSWERS: Mapping[Event, Mapping[Place, Answer]] = {
    Event.SAFETY_GATE_FAILS: _turns_back(Cause.GATE_FAILED, PREPARING=_NO_TRAFFIC),
    Event.ALERT_FIRES: _turns_back(Cause.ALERT_FIRING, PREPARING=Pass("it gets no traffic while that fires")),
    Event.GATE_FAILS: _turns_back(Cause.GATE_FAILED, PREPARING=_NO_TRAFFIC),
    Event.ALL_GATES_TOGETHER: _turns_back(Cause.COMBINED_EVIDENCE, PREPARING=_NO_TRAFFIC),
    Event.CONTENT_CHANGED: _turns_back(
        Cause.CONTENT_CHANGED, PREPARING_FIRST=_given_up(Cause.CONTENT_CHANGED)
    ),
    Event.CANDIDATE_GONE: _turns_back(Cause.CANDIDATE_GONE, PREPARING_FIRST=_given_up(Cause.CANDIDATE_GONE)),
    Event.NOT_AVAILABLE: _turns_back(
        Cause.PROGRESS_DEADLINE, PREPARING_FIRST=Pass("Stalled/FirstVersionFailing; it serves once Available")
    ),
    Event.STEP_OVERDUE: _turns_back(
        Cause.STEP_DEADLINE, PREPARING=Pass("progressDeadlineSeconds counts here")
    ),
    Event.STARVED: _turns_back(Cause.STARVED, PREPARING=_NO_TRAFFIC),
    Event.BLIND: _turns_back(Cause.BLIND, PREPARING=_NO_TRAFFIC),
    Event.ROUTE_AT_ZERO: _turns_back(Cause.ROUTE_AT_ZERO, PREPARING=_NO_TRAFFIC),
    Event.STABLE_WANTED: _turns_back(Cause.ROLLED_BACK),
    Event.TRAFFIC_STOPPED: _only(
        Pass("nothing is being taken off"), REVERTING=Move(Stage.DONE, Cause.TRAFFIC_STOPPED)
    ),
    Event.GATES_EDITED: _only(
        Pass("the next attempt takes the gates as they are then"),
        PREPARING=Move(None, Cause.GATES_CHANGED),
        RUNNING=Move(None, Cause.GATES_CHANGED),
        SOAKING=Move(None, Cause.GATES_CHANGED),
    ),
    Event.SPLIT_WRONG: _only(
        _NOT_SPLIT,
        RUNNING=Move(None, Cause.SAMPLE_RATIO_MISMATCH),
        SOAKING=Move(None, Cause.SAMPLE_RATIO_MISMATCH),
    ),
    Event.SPLIT_RIGHT: _only(
        _NOT_SPLIT,
        RUNNING=Move(None, Cause.SAMPLE_RATIO_RESTORED),
        SOAKING=Move(None, Cause.SAMPLE_RATIO_RESTORED),
    ),
    Event.PAUSED: _only(Hold("Paused: weights stay, clocks stop"), REVERTING=_TAKEN_OFF),
    Event.OTHER_WANTED: _turns_back(
        Cause.SUPERSEDED,
        PREPARING_FIRST=Move(Stage.DONE, Cause.SUPERSEDED, Outcome.SUPERSEDED),
        SOAKING=Pass("NextQueued: the soak goes first, then the newest one starts"),
        DONE=Pass("it starts as a new attempt"),
    ),
    Event.STEPS_EDITED: _only(
        Pass("the next attempt walks the steps as they are then"),
        PREPARING=Move(Stage.PREPARING, Cause.STRATEGY_CHANGED),
        RUNNING=Move(Stage.PREPARING, Cause.STRATEGY_CHANGED),
        SOAKING=Move(Stage.PREPARING, Cause.STRATEGY_CHANGED),
    ),
    Event.SPLIT_AWAITED: _only(
        _NOT_SPLIT,
        RUNNING=Hold(_SPLIT_HELD),
        SOAKING=Hold(_SPLIT_HELD),
    ),
    Event.OBSTRUCTED: _only(_LATER, REVERTING=_TAKEN_OFF),
    Event.FIRST_AVAILABLE: _only(
        Pass("there is a stable version"),
        PREPARING_FIRST=Move(Stage.DONE, Cause.FIRST_VERSION_SERVING, _PROMOTED),
    ),
    Event.STEP_DUE: _only(
        Pass("there is no next step"),
        PREPARING=Move(Stage.RUNNING, Cause.STEP_STARTED),
        RUNNING=Move(Stage.RUNNING, Cause.STEP_STARTED),
    ),
    Event.FULL_DUE: _only(
        Pass("there is no next step"),
        PREPARING=Move(Stage.SOAKING, Cause.SOAK_STARTED),
        RUNNING=Move(Stage.SOAKING, Cause.SOAK_STARTED),
    ),
    Event.SOAK_PASSED: _only(
        Pass("there is no soak"), SOAKING=Move(Stage.DONE, Cause.SOAK_PASSED, _PROMOTED)
    ),
    Event.KEPT_BACK: _only(_NOT_NOW, NEW=Hold("Reverted, Stalled"), DONE=Hold("Reverted, Stalled")),
    Event.EARLIER_WANTED: _only(
        _NOT_NOW,
        NEW=Move(Stage.PREPARING, Cause.FAST_PATH_STARTED),
        DONE=Move(Stage.PREPARING, Cause.FAST_PATH_STARTED),
    ),
    Event.NEW_WANTED: _only(
        _NOT_NOW,
        NEW=Move(Stage.PREPARING, Cause.ATTEMPT_STARTED),
        DONE=Move(Stage.PREPARING, Cause.ATTEMPT_STARTED),
    ),
    Event.TEMPLATE_EDITED: _only(
        Pass("each workload keeps the template it was prepared with until the attempt is done"),
        NEW=Move(Stage.PREPARING, Cause.TEMPLATE_CHANGED),
        DONE=Move(Stage.PREPARING, Cause.TEMPLATE_CHANGED),
    ),
}

BLOCKABLE = frozenset(
    {
        Event.GATE_FAILS,
        Event.ALL_GATES_TOGETHER,
        Event.CONTENT_CHANGED,
        Event.CANDIDATE_GONE,
        Event.NOT_AVAILABLE,
        Event.STEP_OVERDUE,
        Event.STARVED,
        Event.BLIND,
        Event.STABLE_WANTED,
        Event.OTHER_WANTED,
        Event.STEPS_EDITED,
    }
)
"""Moves that wait, with RevertBlocked, while the candidate has live traffic and stable has no ready
endpoint: they would send everybody to nobody."""

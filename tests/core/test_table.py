"""Every event at every place has an answer, and `decide` gives that answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from interlock.analysis.gates import GateReading, SplitReading, Verdict
from interlock.core import plans
from interlock.core.decide import decide
from interlock.core.observation import NOTHING, Holds, Memory, Observation, Obstacle, Unreadable
from interlock.core.route import as_if_first_serves, desired_route
from interlock.core.steps import Held, Transition, place_of, what_happens
from interlock.core.table import ANSWERS, BLOCKABLE, Event, Hold, Move, Pass, Place
from interlock.core.traffic import ALL_FIRST
from interlock.model.release import Stage
from interlock.model.rolloutstatus import (
    NoData,
    Quarantined,
    RolloutStatus,
    SplitMismatch,
)
from interlock.reasons import Reason
from tests.core.seen import (
    FAILING,
    HARMFUL,
    LONG_AGO,
    NOW,
    V1,
    V2,
    V3,
    accepted,
    at_rest,
    gate,
    identity,
    parsed,
    report,
    target,
    template,
    trying,
)

ALERT = {"name": "page", "alert": {"matchLabels": {"interlock_action": "revert"}}}
Happening = Callable[[Observation], Observation]


def new() -> Observation:
    """Nothing has been tried; a version serves all the same (rebuilt), and is what is wanted."""
    seen = at_rest()
    status = seen.rollout.status.model_copy(update={"attempt": None})
    return replace(seen, rollout=seen.rollout.model_copy(update={"status": status}), recorded_seq=0)


def first() -> Observation:
    """The first version is prepared and not yet Available."""
    seen = trying(Stage.PREPARING)
    status = seen.rollout.status.model_copy(update={"stable": None, "traffic": ALL_FIRST})
    unserved = replace(seen, rollout=seen.rollout.model_copy(update={"status": status}), route=None)
    return just_begun(not_ready(unserved))


def just_begun(seen: Observation) -> Observation:
    return with_attempt(seen, stage_started_time=NOW)


def not_ready(seen: Observation) -> Observation:
    """The candidate's pods are not up: nothing walks on by itself."""
    name = identity(V2).workload
    down = replace(seen.workloads.get(name, NOTHING), ready_endpoints=0)
    return replace(seen, workloads={**seen.workloads, name: down})


PLACES: dict[Place, Callable[[], Observation]] = {
    Place.NEW: new,
    Place.PREPARING_FIRST: first,
    Place.PREPARING: lambda: just_begun(not_ready(trying(Stage.PREPARING))),
    Place.RUNNING: lambda: replace(trying(Stage.RUNNING, 1), evidence=waiting()),
    Place.SOAKING: lambda: replace(trying(Stage.SOAKING, 2), evidence=waiting()),
    Place.REVERTING: lambda: unaccepted(trying(Stage.REVERTING, 1)),
    Place.DONE: at_rest,
}
"""Each place, at a moment at which nothing happens."""


def waiting() -> Any:
    return report(inconclusive())


def inconclusive() -> GateReading:
    return gate(verdict=Verdict.INCONCLUSIVE)


WRONG = "the candidate got 15.0 % of 1,000 tasks instead of 10 %"


def split(seen: Observation, mismatch: str = "") -> SplitReading:
    """Of the running step."""
    attempt = seen.rollout.status.attempt
    return SplitReading(attempt.step_index if attempt else 0, 9.8 if mismatch else -1.0, mismatch)


def with_mismatch(seen: Observation) -> Observation:
    return with_attempt(seen, split_mismatch=SplitMismatch(since=NOW, message=WRONG))


def unaccepted(seen: Observation) -> Observation:
    assert seen.route is not None
    return replace(seen, route=replace(seen.route, accepted=False))


# ------------------------------------------------------------------ events
def with_spec(seen: Observation, **spec: Any) -> Observation:
    """The spec edited; the status as it was."""
    name = seen.rollout.spec.version_ref.name
    return replace(seen, rollout=seen.rollout.model_copy(update={"spec": parsed(name, **spec).spec}))


def with_attempt(seen: Observation, **changes: Any) -> Observation:
    attempt = seen.rollout.status.attempt
    if attempt is None:
        return seen
    status = seen.rollout.status.model_copy(update={"attempt": attempt.model_copy(update=changes)})
    return replace(seen, rollout=seen.rollout.model_copy(update={"status": status}))


def ready(seen: Observation) -> Observation:
    """All pods are up, every gate passes."""
    name = identity(V2).workload
    up = {**seen.workloads}
    if name in up:
        up[name] = replace(up[name], ready_endpoints=2)
    accepted = replace(seen.route, accepted=True) if seen.route else None
    return replace(seen, workloads=up, evidence=report(), route=accepted)


def first_routed(seen: Observation) -> Observation:
    """The first version is Available, and the gateway has its route."""
    up = ready(seen)
    serving = as_if_first_serves(up)
    route = desired_route(serving, serving.rollout.status) if serving else None
    return replace(up, route=accepted(route)) if route else up


def alert_fires(seen: Observation) -> Observation:
    rules = [*[g.to_wire() for g in seen.rollout.spec.analysis.gates], ALERT]
    edited = with_spec(seen, analysis={"warmupSeconds": 5, "gates": rules})
    started = with_attempt(edited, gate_starts=gate_starts(edited))
    fires = report(gate("page", Verdict.FAIL, safety=True))
    return replace(started, evidence=fires, firing="alert HighErrorRate fires")


def gate_starts(seen: Observation) -> Any:
    return plans.gate_starts(seen.rollout, (), LONG_AGO)


def route_at_zero(seen: Observation) -> Observation:
    if seen.route is None:
        return seen
    return replace(seen, route=replace(seen.route, weights={**seen.route.weights, identity(V2).workload: 0}))


def silent(kind: str) -> Happening:
    def happening(seen: Observation) -> Observation:
        found = with_attempt(seen, no_data=NoData(kind=kind, since=LONG_AGO))
        return replace(found, evidence=None)

    return happening


def steps_changed(seen: Observation) -> Observation:
    full = {"name": "full", "full": {"soakSeconds": 61}}
    index = seen.rollout.status.attempt.step_index if seen.rollout.status.attempt else 0
    canaries = [{"name": f"c{n}", "canary": {"percent": n + 1}} for n in range(index)]
    return with_spec(seen, strategy={"steps": [*canaries, full]})


def kept_back(seen: Observation) -> Observation:
    item = Quarantined(digest=V3.digest, version="v3", attempt=1, reason="GateFailed", time=NOW)
    status = seen.rollout.status.model_copy(update={"quarantine": (item,)})
    changed = replace(seen, rollout=seen.rollout.model_copy(update={"status": status}))
    return replace(changed, target=V3) if at_rest_place(seen) else changed


def at_rest_place(seen: Observation) -> bool:
    return place_of(seen.rollout.status) in (Place.NEW, Place.DONE)


def late(seen: Observation) -> Observation:
    strategy = {"steps": [s.to_wire() for s in seen.rollout.spec.strategy.steps]}
    return with_spec(seen, strategy={**strategy, "stepDeadlineSeconds": 3600, "onDeadline": "Revert"})


HAPPENINGS: dict[Event, Happening] = {
    Event.SAFETY_GATE_FAILS: lambda seen: replace(seen, evidence=HARMFUL),
    Event.ALERT_FIRES: alert_fires,
    Event.GATE_FAILS: lambda seen: replace(seen, evidence=FAILING),
    Event.ALL_GATES_TOGETHER: lambda seen: replace(seen, evidence=report(combined=True)),
    Event.CONTENT_CHANGED: lambda seen: replace(seen, candidate=target("v2", digest="0" * 64)),
    Event.ROUTE_AT_ZERO: route_at_zero,
    Event.CANDIDATE_GONE: lambda seen: replace(seen, candidate=target("v2", uid="another")),
    Event.NOT_AVAILABLE: lambda seen: with_attempt(
        unavailable_for(seen, hours=1), stage_started_time=LONG_AGO
    ),
    Event.STEP_OVERDUE: late,
    Event.STARVED: silent("Starved"),
    Event.BLIND: silent("Blind"),
    Event.STABLE_WANTED: lambda seen: replace(seen, target=V1),
    Event.TRAFFIC_STOPPED: lambda seen: (
        ready(seen) if place_of(seen.rollout.status) is Place.REVERTING else seen
    ),
    Event.GATES_EDITED: lambda seen: with_spec(seen, analysis={"warmupSeconds": 6, "gates": []}),
    Event.SPLIT_WRONG: lambda seen: replace(seen, evidence=report(inconclusive(), split=split(seen, WRONG))),
    Event.SPLIT_RIGHT: lambda seen: replace(
        with_mismatch(seen), evidence=report(inconclusive(), split=split(seen))
    ),
    Event.SPLIT_AWAITED: lambda seen: replace(with_mismatch(seen), evidence=report(split=split(seen, WRONG))),
    Event.PAUSED: lambda seen: with_spec(seen, paused=True),
    Event.OTHER_WANTED: lambda seen: seen if at_rest_place(seen) else replace(seen, target=V3),
    Event.STEPS_EDITED: steps_changed,
    Event.OBSTRUCTED: lambda seen: replace(
        seen, obstacles=(Obstacle(Reason.AGENT_TAKEN, "Rollout other has it", Holds.START),)
    ),
    Event.FIRST_AVAILABLE: first_routed,
    Event.STEP_DUE: ready,
    Event.FULL_DUE: ready,
    Event.SOAK_PASSED: ready,
    Event.KEPT_BACK: kept_back,
    Event.EARLIER_WANTED: lambda seen: (
        replace(seen, target=V3, memory=Memory(stable=identity(V1), promoted=(identity(V3),)))
        if at_rest_place(seen)
        else seen
    ),
    Event.NEW_WANTED: lambda seen: replace(seen, target=V3) if at_rest_place(seen) else seen,
    Event.TEMPLATE_EDITED: lambda seen: replace(seen, template=template(hostNetwork=True)),
}


def unavailable_for(seen: Observation, hours: int) -> Observation:
    """Pods that have been down for so long, and a Deployment that says so."""
    name = identity(V2).workload
    state = seen.workloads.get(name)
    if state is None or state.deployment is None:
        return seen
    since = (NOW - timedelta(hours=hours)).isoformat()
    gone = {"type": "Available", "status": "False", "lastTransitionTime": since}
    deployment = {**state.deployment, "status": {**state.deployment["status"], "conditions": [gone]}}
    down = replace(state, deployment=deployment, ready_endpoints=0)
    return replace(seen, workloads={**seen.workloads, name: down})


EITHER = {
    (Event.STEP_DUE, Place.RUNNING): Event.FULL_DUE,  # the step after the canary is full
    (Event.FULL_DUE, Place.PREPARING): Event.STEP_DUE,  # the first step is a shadow
}
"""What happens at a place where the two kinds of a next step exclude each other."""


def test_the_table_is_whole() -> None:
    assert set(ANSWERS) == set(Event)
    assert all(set(answers) == set(Place) for answers in ANSWERS.values())
    assert set(HAPPENINGS) == set(Event), "a new event is tried at every place"


@pytest.mark.parametrize("place", Place)
def test_at_a_quiet_moment_nothing_happens(place: Place) -> None:
    seen = PLACES[place]()
    assert place_of(seen.rollout.status) is place
    assert what_happens(seen, NOW) is None


@pytest.mark.parametrize("place", Place)
@pytest.mark.parametrize("event", Event)
def test_each_event_at_each_place(event: Event, place: Place) -> None:
    seen = HAPPENINGS[event](PLACES[place]())
    answer, found = ANSWERS[EITHER.get((event, place), event)][place], what_happens(seen, NOW)
    match answer:
        case Pass():
            assert found is None or not _is(found, event)
        case Hold():
            assert isinstance(found, Held)
            assert found.event is event
            assert not found.blocked
        case Move():
            assert isinstance(found, Transition), found
            assert found.cause is answer.cause
            assert found.stage is (answer.to or Stage(place.value))
            assert answer.outcome in (None, found.outcome)


def _is(found: Transition | Held, event: Event) -> bool:
    if isinstance(found, Held):
        return found.event is event
    causes = {a.cause for a in ANSWERS[event].values() if isinstance(a, Move)}
    return found.cause in causes


@pytest.mark.parametrize("event", sorted(BLOCKABLE))
def test_what_waits_for_a_ready_stable_says_so(event: Event) -> None:
    seen = HAPPENINGS[event](PLACES[Place.RUNNING]())
    name = identity(V1).workload
    down = {**seen.workloads, name: replace(seen.workloads[name], ready_endpoints=0)}
    found = what_happens(replace(seen, workloads=down), NOW)
    assert isinstance(found, Held)
    assert (found.event, found.blocked) == (event, True)


def test_silence_while_prometheus_is_unreadable_counts_from_its_first_moment() -> None:
    seen = replace(trying(Stage.RUNNING, 1), evidence=Unreadable("gone"))
    late_ = with_attempt(seen, no_data=NoData(kind="Starved", since=NOW - timedelta(seconds=1800)))
    found = what_happens(late_, NOW)
    assert isinstance(found, Transition)
    assert found.cause == "Blind"


def test_a_time_yet_to_come_does_not_keep_a_deadline_from_running() -> None:
    """The controller manager's clock is ahead: it counts from when it was first seen."""
    seen = unavailable_for(PLACES[Place.RUNNING](), hours=-3)
    kept = decide(seen, NOW).status.attempt
    assert kept is not None
    assert kept.unavailable_since == NOW
    later = with_attempt(seen, unavailable_since=NOW)
    assert what_happens(later, NOW + timedelta(seconds=119)) is None
    found = what_happens(later, NOW + timedelta(seconds=120))
    assert isinstance(found, Transition)
    assert found.cause == "ProgressDeadline"
    again = with_attempt(PLACES[Place.RUNNING](), unavailable_since=NOW)
    up = decide(again, NOW + timedelta(seconds=5)).status.attempt
    assert up is not None
    assert up.unavailable_since is None, "it is forgotten when it is Available again"


def test_a_wrong_split_keeps_the_attempt_from_walking_on_though_all_gates_pass() -> None:
    seen = HAPPENINGS[Event.SPLIT_AWAITED](PLACES[Place.RUNNING]())
    assert isinstance(what_happens(replace(seen, evidence=report()), NOW), Held)
    assert isinstance(what_happens(with_attempt(seen, split_mismatch=None), NOW), Transition)


def test_what_was_said_of_the_step_before_is_not_held_against_this_one() -> None:
    seen = PLACES[Place.RUNNING]()
    told = replace(split(seen, WRONG), step=0)
    assert what_happens(replace(seen, evidence=report(inconclusive(), split=told)), NOW) is None


def test_harm_goes_before_a_wrong_split() -> None:
    seen = HAPPENINGS[Event.SPLIT_AWAITED](PLACES[Place.RUNNING]())
    found = what_happens(replace(seen, evidence=FAILING), NOW)
    assert isinstance(found, Transition)
    assert found.cause == "GateFailed"


def test_an_empty_status_is_new() -> None:
    assert place_of(RolloutStatus()) is Place.NEW

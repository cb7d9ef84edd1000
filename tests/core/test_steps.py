"""Where an attempt goes, move by move, and what each move leaves in the status and in the record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from interlock.analysis.gates import Verdict
from interlock.core import ledger
from interlock.core.decide import decide
from interlock.core.effects import RecordEntries, TellEvent, WriteRoute
from interlock.core.observation import Holds, Memory, Observation, Obstacle, Unreadable, Unusable
from interlock.core.waits import steps_hash
from interlock.model.release import Outcome, Release, Stage
from interlock.model.rolloutstatus import MAX_DRAINING, MAX_QUARANTINE, Draining, Quarantined, RolloutStatus
from interlock.reasons import Cause, Reason
from tests.core.seen import (
    FAILING,
    LONG_AGO,
    NOW,
    TEMPLATE,
    V1,
    V2,
    V3,
    after,
    at_rest,
    gate,
    identity,
    kinds,
    parsed,
    report,
    settled,
    target,
    template,
    trying,
    with_status,
)

IN_THE_WAY = Obstacle(Reason.AGENT_TAKEN, "Rollout other has the agent triage", Holds.START)
MISSING = Unusable(Reason.DEPENDENCY_NOT_READY, "AgentVersion v2 does not exist")


def moved(seen: Observation) -> tuple[str, str, str] | None:
    """Stage, cause and outcome of the move that is due."""
    decision = decide(seen, NOW)
    if decision.move is None:
        return None
    return decision.move.stage.value, decision.move.cause.value, (decision.move.outcome or "")


def wanting(version: str) -> Observation:
    """v1 serves and another version is named."""
    seen = at_rest(parsed(version))
    return replace(seen, target={"v1": V1, "v2": V2, "v3": V3}[version])


# ------------------------------------------------------------------ beginning
def test_a_new_version_begins_an_attempt() -> None:
    decision = decide(wanting("v2"), NOW)
    attempt = decision.status.attempt
    assert attempt is not None
    assert (attempt.number, attempt.seq, attempt.stage) == (3, 1, Stage.PREPARING)
    assert decision.status.candidate == identity(V2)
    assert decision.status.phase == "Preparing"
    assert decision.status.step == "0/3"
    names = [e.manifest["metadata"]["name"] for e in decision.effects if hasattr(e, "manifest")]
    assert identity(V2).workload in names
    assert identity(V2).workload + "-shadow" in names


def unserved(**changes: Any) -> Observation:
    """Nothing serves yet, v1 is wanted."""
    seen = Observation(
        rollout=parsed("v1"), timing=at_rest().timing, target=V1, candidate=None, template=TEMPLATE
    )
    return replace(seen, **changes)


def test_the_first_version_needs_no_shadow() -> None:
    seen = Observation(
        rollout=parsed("v1"), timing=at_rest().timing, target=V1, candidate=None, template=TEMPLATE
    )
    decision = decide(seen, NOW)
    assert {e.manifest["metadata"]["name"] for e in decision.effects if hasattr(e, "manifest")} == {
        identity(V1).workload
    }
    assert not [e for e in decision.effects if isinstance(e, WriteRoute)]
    assert decision.status.traffic is not None
    assert decision.status.traffic.stable_percent == 0


def blocked(**changes: Any) -> Observation:
    return replace(wanting("v2"), **changes)


def held_back(digest: str, count: int = 1) -> tuple[Quarantined, ...]:
    return tuple(
        Quarantined(
            digest=digest if n == 0 else f"{n:064d}",
            version="v2",
            attempt=1,
            reason="GateFailed",
            time=LONG_AGO,
        )
        for n in range(count)
    )


DRAINING = tuple(
    Draining(workload=f"triage-{n}", version="v0", release="r", since=NOW, deadline=NOW + timedelta(hours=1))
    for n in range(MAX_DRAINING)
)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (blocked(target=MISSING), "the version is missing"),
        (blocked(template=MISSING), "the template is missing"),
        (blocked(problem="spec.analysis.gates[0]: no such metric"), "the spec cannot be followed"),
        (blocked(recorded_seq=1), "the last attempt is not recorded"),
        (with_status(wanting("v2"), quarantine=held_back(V2.digest)), "the content was taken back"),
        (with_status(wanting("v2"), quarantine=held_back("f" * 64, MAX_QUARANTINE)), "quarantine is full"),
        (with_status(wanting("v2"), draining=DRAINING), "too much is draining"),
        (wanting("v1"), "it serves already"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_begins_when(seen: Observation, why: str) -> None:
    assert moved(seen) is None, why


def test_an_empty_status_with_earlier_releases_begins_nothing() -> None:
    decision = decide(unserved(memory=Memory(problem="Release triage-1 cannot be read")), NOW)
    assert decision.move is None
    assert [c.reason for c in decision.status.conditions if c.type == "Stalled"] == ["BaselineUnknown"]


def test_a_changed_template_begins_an_attempt_of_the_same_version() -> None:
    changed = replace(at_rest(), template=template(hostNetwork=True))
    assert moved(changed) == ("Preparing", "TemplateChanged", "")


# ------------------------------------------------------------------ walking
@pytest.mark.parametrize(
    ("stage", "index", "leads_to"),
    [
        (Stage.PREPARING, 0, ("Running", "StepStarted", "")),
        (Stage.RUNNING, 0, ("Running", "StepStarted", "")),
        (Stage.RUNNING, 1, ("Soaking", "SoakStarted", "")),
        (Stage.SOAKING, 2, ("Done", "SoakPassed", "Promoted")),
        (Stage.REVERTING, 1, ("Done", "TrafficStopped", "Reverted")),
    ],
)
def test_the_way_of_a_good_candidate(stage: Stage, index: int, leads_to: tuple[str, str, str]) -> None:
    assert moved(replace(trying(stage, index), evidence=report())) == leads_to


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"evidence": None}, "metrics have not been read yet"),
        ({"evidence": Unreadable("connection refused")}, "connection refused"),
        ({"evidence": report(age=None)}, "no samples of the candidate"),
        ({"evidence": report(age=21)}, "the newest sample is 21 s old"),
        ({"evidence": report(warmed_up=False)}, "the warm-up"),
        ({"evidence": report(restarts="12 times")}, "processes that stay up: 12 times"),
        (
            {"evidence": report(candidate_tasks=19)},
            "1 more task of the candidate (19 of 20 in this step, after its warm-up)",
        ),
        ({"evidence": report(gate(verdict=Verdict.INCONCLUSIVE))}, "gate violations: said so"),
        ({"evidence": report(gate(verdict=Verdict.NO_DATA))}, "gate violations: said so"),
        ({"recorded_seq": 1}, "recorded in its Release"),
        ({"target": MISSING}, "AgentVersion v2 does not exist"),
        ({"obstacles": (IN_THE_WAY,)}, "Rollout other has the agent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_step_waits_for_is_said(changes: dict[str, Any], words: str) -> None:
    seen = replace(trying(Stage.RUNNING, 1), evidence=report())
    attempt = seen.rollout.status.attempt
    assert attempt is not None
    begun = attempt.model_copy(update={"step_started_time": NOW - timedelta(seconds=100)})
    seen = replace(with_status(seen, attempt=begun), **changes)
    assert moved(seen) is None
    [ready] = [c for c in decide(seen, NOW).status.conditions if c.type == "Ready"]
    assert words in ready.message


@pytest.mark.parametrize("place", [(Stage.RUNNING, 1), (Stage.SOAKING, 2)])
def test_gates_that_cannot_be_followed_take_the_traffic_off(place: tuple[Stage, int]) -> None:
    seen = replace(trying(*place), evidence=report(), problem="spec.analysis.gates[0] (mood): no such metric")
    decision = decide(seen, NOW)
    assert decision.move is not None
    assert (decision.move.stage, decision.move.cause) == (Stage.PREPARING, Cause.STRATEGY_CHANGED)
    assert decision.status.phase == "Stalled"
    held = settled_after(seen, decision.status)
    assert moved(replace(held, problem=seen.problem)) is None, "nothing goes on before it is corrected"
    assert moved(held) is not None


def test_a_gate_that_is_not_judged_in_this_step_holds_nothing() -> None:
    found = report(gate(), gate("success", Verdict.INCONCLUSIVE, judged=False))
    assert moved(replace(trying(Stage.RUNNING, 0), evidence=found)) is not None


def test_the_clock_starts_once_the_route_is_accepted_and_on_a_whole_second() -> None:
    seen = trying(Stage.RUNNING, 1, clock=False)
    waiting = replace(seen, route=replace(seen.route, accepted=False)) if seen.route else seen
    assert decide(waiting, NOW).status.attempt.step_started_time is None  # type: ignore[union-attr]
    started = decide(seen, NOW + timedelta(milliseconds=300)).status.attempt
    assert started is not None
    assert started.step_started_time == NOW + timedelta(seconds=2)
    assert [t.index for t in started.step_times] == [1]
    again = decide(after(seen, decide(seen, NOW).status, ()), NOW + timedelta(seconds=9)).status.attempt
    assert again is not None
    assert again.step_started_time == NOW + timedelta(seconds=1)


def test_the_duration_of_a_step_is_counted_from_its_clock() -> None:
    seen = replace(trying(Stage.RUNNING, 1), evidence=report())
    attempt = seen.rollout.status.attempt
    assert attempt is not None
    early = attempt.model_copy(update={"step_started_time": NOW - timedelta(seconds=59)})
    assert moved(with_status(seen, attempt=early)) is None
    due = attempt.model_copy(update={"step_started_time": NOW - timedelta(seconds=60)})
    assert moved(with_status(seen, attempt=due)) == ("Soaking", "SoakStarted", "")


# ------------------------------------------------------------------ turning back
@pytest.mark.parametrize(
    ("changes", "cause", "quarantined"),
    [
        ({"evidence": FAILING}, Cause.GATE_FAILED, True),
        ({"evidence": report(combined=True)}, Cause.COMBINED_EVIDENCE, True),
        ({"candidate": target("v2", digest="0" * 64)}, Cause.CONTENT_CHANGED, True),
        ({"candidate": target("v2", uid="another")}, Cause.CANDIDATE_GONE, False),
        ({"candidate": MISSING}, Cause.CANDIDATE_GONE, False),
        ({"target": V3}, Cause.SUPERSEDED, False),
        ({"target": V1}, Cause.ROLLED_BACK, False),
    ],
)
def test_each_reason_to_turn_back(changes: dict[str, Any], cause: Cause, quarantined: bool) -> None:
    seen = replace(trying(Stage.RUNNING, 1), evidence=report())
    first = decide(replace(seen, **changes), NOW)
    assert first.move is not None
    assert (first.move.stage, first.move.cause) == (Stage.REVERTING, cause)
    second = decide(settled_after(replace(seen, **changes), first.status), NOW)
    assert second.move is not None
    assert second.move.stage is Stage.DONE
    digests = [item.digest for item in second.status.quarantine]
    assert (V2.digest in digests) == quarantined
    assert [item.workload for item in second.status.draining] == [identity(V2).workload]
    outcomes = {Cause.SUPERSEDED: Outcome.SUPERSEDED, Cause.ROLLED_BACK: Outcome.ROLLED_BACK}
    assert second.move.outcome is outcomes.get(cause, Outcome.REVERTED)


def settled_after(seen: Observation, status: RolloutStatus) -> Observation:
    """The gateway has taken up what a decision wrote, and the record holds it."""
    whole = settled(seen.rollout.model_copy(update={"status": status}))
    return replace(whole, target=seen.target, candidate=seen.candidate)


def test_content_that_was_changed_under_test_is_kept_back_twice() -> None:
    seen = replace(trying(Stage.RUNNING, 1), candidate=target("v2", digest="0" * 64))
    done = decide(settled_after(seen, decide(seen, NOW).status), NOW)
    assert [item.digest for item in done.status.quarantine] == [V2.digest, "0" * 64]


def test_an_attempt_that_nobody_has_served_is_given_up_in_one_move() -> None:
    base = trying(Stage.PREPARING)
    seen = with_status(base, stable=None)
    assert moved(replace(seen, target=V3)) == ("Done", "Superseded", "Superseded")


@pytest.mark.parametrize("accepted", [True, False])
def test_a_revert_is_over_when_the_gateway_has_accepted_it(accepted: bool) -> None:
    seen = trying(Stage.REVERTING, 1)
    assert seen.route is not None
    decision = decide(replace(seen, route=replace(seen.route, accepted=accepted)), NOW)
    assert (decision.move is not None) == accepted


# ------------------------------------------------------------------ draining
@pytest.mark.parametrize(
    ("open_", "age", "left"),
    [(0.0, 20, 0), (0.0, 5, 1), (2.0, 20, 1), (None, 20, 1), (2.0, 3600, 0), (None, 3600, 0)],
)
def test_a_workload_drains_until_its_conversations_or_its_deadline_end(
    open_: float | None, age: int, left: int
) -> None:
    since = NOW - timedelta(seconds=age)
    item = Draining(
        workload="triage-old", version="v0", release="r", since=since, deadline=since + timedelta(minutes=30)
    )
    seen = with_status(replace(at_rest(), conversations={"triage-old": open_}), draining=(item,))
    decision = decide(seen, NOW)
    assert len(decision.status.draining) == left
    assert (decision.wake is not None) == bool(left)


def test_a_workload_that_is_tried_again_does_not_drain_any_more() -> None:
    item = Draining(
        workload=identity(V2).workload,
        version="v2",
        release="r",
        since=NOW,
        deadline=NOW + timedelta(hours=1),
    )
    decision = decide(with_status(wanting("v2"), draining=(item,)), NOW)
    assert decision.status.draining == ()


# ------------------------------------------------------------------ the record
def test_each_move_is_told_and_recorded_under_a_name_of_its_own() -> None:
    decision = decide(replace(trying(Stage.RUNNING, 1), evidence=FAILING), NOW)
    [record] = [e for e in decision.effects if isinstance(e, RecordEntries)]
    [event] = [e for e in decision.effects if isinstance(e, TellEvent)]
    assert record.release == "triage-0f0e0d-2"
    assert [entry.seq for entry in record.entries] == [4]
    assert (event.name, event.reason, event.warning) == ("triage-0f0e0d-2.4", "GateFailed", True)


def test_what_is_recorded_is_not_recorded_again() -> None:
    seen = trying(Stage.RUNNING, 1)
    decision = decide(replace(seen, evidence=FAILING), NOW)
    later = decide(after(seen, decision.status, decision.effects), NOW)
    assert "RecordEntries" not in kinds(later.effects)
    assert "TellEvent" not in kinds(later.effects)


def test_what_the_ledger_refused_is_offered_again_in_order() -> None:
    seen = replace(trying(Stage.RUNNING, 1), recorded_seq=2)
    entry = decide(wanting("v2"), NOW).status.attempt.unrecorded[0].model_copy(update={"seq": 3})  # type: ignore[union-attr]
    attempt = seen.rollout.status.attempt
    assert attempt is not None
    behind = with_status(seen, attempt=attempt.model_copy(update={"unrecorded": (entry,)}))
    decision = decide(replace(behind, evidence=FAILING), NOW)
    [record] = [e for e in decision.effects if isinstance(e, RecordEntries)]
    assert [e.seq for e in record.entries] == [3, 4]


def test_a_release_is_appended_to_and_never_changed() -> None:
    [effect] = [e for e in decide(wanting("v2"), NOW).effects if isinstance(e, RecordEntries)]
    release = ledger.new_release(effect)
    assert Release.read(release).header.candidate == identity(V2)
    assert ledger.appended(release, effect) is None
    more = replace(effect, entries=(*effect.entries, effect.entries[0].model_copy(update={"seq": 2})))
    longer = ledger.appended(release, more)
    assert longer is not None
    assert [e["seq"] for e in longer["entries"]] == [1, 2]
    assert longer["entries"][0] == release["entries"][0]


def test_the_header_names_both_versions() -> None:
    [effect] = [e for e in decide(wanting("v2"), NOW).effects if isinstance(e, RecordEntries)]
    assert effect.header.stable is not None
    assert (effect.header.candidate.version, effect.header.stable.version) == ("v2", "v1")
    done = decide(replace(trying(Stage.SOAKING, 2), evidence=report()), NOW)
    [last] = [e for e in done.effects if isinstance(e, RecordEntries)]
    assert last.header.stable is not None
    assert (last.header.candidate.version, last.header.stable.version) == ("v2", "v1")


# ------------------------------------------------------------------ rules
def test_every_rule_that_evidence_is_gathered_under_is_in_the_hash() -> None:
    base = parsed("v2")
    assert steps_hash(base.spec) == steps_hash(parsed("v1", replicas=9).spec)
    fewer = parsed("v2", analysis={"warmupSeconds": 5, "gates": []})
    slower = parsed("v2", strategy={"steps": [{"name": "full", "full": {"soakSeconds": 61}}]})
    assert steps_hash(base.spec) == steps_hash(fewer.spec), "each gate has a start of its own"
    assert steps_hash(base.spec) != steps_hash(slower.spec)


def test_a_strategy_edit_goes_to_stable_first() -> None:
    seen = trying(Stage.RUNNING, 1)
    edited = parsed("v2", strategy={"steps": [{"name": "full", "full": {"soakSeconds": 61}}]})
    changed = seen.rollout.model_copy(update={"spec": edited.spec})
    decision = decide(replace(seen, rollout=changed), NOW)
    assert decision.move is not None
    assert (decision.move.stage, decision.move.cause) == (Stage.PREPARING, Cause.STRATEGY_CHANGED)
    [route] = [e for e in decision.effects if isinstance(e, WriteRoute)]
    assert [b["weight"] for b in route.manifest["spec"]["rules"][0]["backendRefs"]] == [100]
    assert decision.status.attempt is not None
    assert decision.status.attempt.step_times == ()

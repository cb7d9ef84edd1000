"""conventions.md's table, row by row, and the columns people read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from interlock.analysis.gates import EvidenceReport, NoDataReading, Silence, Verdict
from interlock.core.decide import decide
from interlock.core.observation import Memory, Observation, Unreadable, Unusable
from interlock.core.status import unreadable
from interlock.model.release import Outcome, Stage
from interlock.model.rolloutstatus import NoData, Quarantined, RolloutStatus
from interlock.reasons import Reason
from tests.core.seen import (
    FAILING,
    LONG_AGO,
    NOW,
    V1,
    V2,
    after,
    at_rest,
    gate,
    identity,
    parsed,
    report,
    target,
    trying,
)

MISSING = Unusable(Reason.DEPENDENCY_NOT_READY, "AgentVersion v9 does not exist")


def conditions(status: RolloutStatus) -> dict[str, str]:
    return {c.type: f"{c.status}/{c.reason}" for c in status.conditions}


def reverted() -> Observation:
    """v2 was taken back, and is still what the spec names."""
    rest = at_rest(parsed("v2"))
    item = Quarantined(digest=V2.digest, version="v2", attempt=2, reason="GateFailed", time=LONG_AGO)
    status = rest.rollout.status.model_copy(update={"quarantine": (item,)})
    return replace(rest, target=V2, rollout=rest.rollout.model_copy(update={"status": status}))


CANARY = replace(trying(Stage.RUNNING, 1), evidence=report(gate(verdict=Verdict.INCONCLUSIVE)))


def blinded() -> Observation:
    """Prometheus has not answered for longer than it may before that counts."""
    found = replace(CANARY, evidence=Unreadable("connection refused"))
    attempt = found.rollout.status.attempt
    assert attempt is not None
    since = NoData(kind="Blind", since=NOW - timedelta(seconds=120))
    status = found.rollout.status.model_copy(
        update={"attempt": attempt.model_copy(update={"no_data": since})}
    )
    return replace(found, rollout=found.rollout.model_copy(update={"status": status}))


def half_blind(seconds: float = 120, **changes: Any) -> Observation:
    """One gate has seen nothing, though the candidate works."""
    since = (NOW - timedelta(seconds=seconds)).timestamp()
    lacking = replace(gate(verdict=Verdict.NO_DATA), blind_since=since)
    return replace(CANARY, evidence=report(lacking, **changes))


def orphaned(step: int, evidence: EvidenceReport | Unreadable | None) -> Observation:
    """Stable has no ready endpoint in this step."""
    seen = replace(trying(Stage.RUNNING, step), evidence=evidence)
    name = identity(V1).workload
    down = replace(seen.workloads[name], ready_endpoints=0)
    return replace(seen, workloads={**seen.workloads, name: down})


LULL = report(candidate_tasks=0, no_data=NoDataReading(Silence.IDLE, LONG_AGO.timestamp()))

TABLE: dict[str, tuple[Observation, str, str, str, str]] = {
    "progressing": (CANARY, "False/Progressing", "True/Progressing", "", "Canary"),
    "a step begins": (trying(Stage.PREPARING), "False/Progressing", "True/Progressing", "", "Shadow"),
    "promoted": (at_rest(), "True/Promoted", "", "", "Healthy"),
    "reverted": (reverted(), "False/Reverted", "", "True/Reverted", "Reverted"),
    "reverting": (
        replace(CANARY, evidence=FAILING),
        "False/Progressing",
        "True/Progressing",
        "",
        "Reverting",
    ),
    "invalid spec": (
        replace(at_rest(), problem="spec.x must be y"),
        "False/InvalidSpec",
        "",
        "True/InvalidSpec",
        "Stalled",
    ),
    "a version is missing": (
        replace(at_rest(), target=MISSING),
        "False/DependencyNotReady",
        "",
        "True/DependencyNotReady",
        "Stalled",
    ),
    "a template is missing": (
        replace(at_rest(), template=MISSING),
        "False/DependencyNotReady",
        "",
        "True/DependencyNotReady",
        "Stalled",
    ),
    "a gate sees nothing": (half_blind(), "False/GateBlind", "", "True/GateBlind", "Stalled"),
    "a gate sees nothing yet": (half_blind(119), "False/Progressing", "True/Progressing", "", "Canary"),
    "a shadow without stable": (
        orphaned(0, LULL),
        "False/StableUnavailable",
        "",
        "True/StableUnavailable",
        "Stalled",
    ),
    "a gate sees nothing without stable": (
        orphaned(1, half_blind().evidence),
        "False/StableUnavailable",
        "",
        "True/StableUnavailable",
        "Stalled",
    ),
    "a canary without stable": (
        orphaned(1, report(gate(verdict=Verdict.INCONCLUSIVE))),
        "False/StableUnavailable",
        "True/StableUnavailable",
        "",
        "Canary",
    ),
    "metrics unreadable": (
        blinded(),
        "False/MetricsUnavailable",
        "True/MetricsUnavailable",
        "",
        "Canary",
    ),
}


@pytest.mark.parametrize("situation", TABLE)
def test_each_row_of_the_table(situation: str) -> None:
    seen, ready, reconciling, stalled, phase = TABLE[situation]
    status = decide(seen, NOW).status
    found = conditions(status)
    assert found["Ready"] == ready
    assert found.get("Reconciling", "") == reconciling
    assert found.get("Stalled", "") == stalled
    assert status.phase == phase
    assert status.observed_generation == 3


def test_a_route_of_somebody_else_is_named() -> None:
    seen = at_rest()
    assert seen.route is not None
    theirs = {**seen.route.manifest, "metadata": {"name": "triage", "namespace": "shop"}}
    status = decide(replace(seen, route=replace(seen.route, manifest=theirs)), NOW).status
    assert conditions(status)["Stalled"] == "True/NameTaken"


def message(status: RolloutStatus, kind: str) -> str:
    return next(c.message for c in status.conditions if c.type == kind)


def test_messages_say_what_is_awaited() -> None:
    assert (
        message(decide(CANARY, NOW).status, "Ready")
        == "v2 at step canary: waiting for gate violations: said so"
    )


def test_who_is_to_make_a_gate_see_is_told_what() -> None:
    status = decide(half_blind(), NOW).status
    assert message(status, "Stalled") == (
        "v2 at step canary: gate violations (metric policy-violation-rate) has had nothing to judge by for "
        "120 s: said so; correct what the agent exports, or change or remove spec.analysis.gates[1]; it is "
        "taken off after 1800 s (revertAfterSeconds)"
    )
    assert conditions(status)["MetricsAvailable"] == "False/GateBlind"


def test_a_gate_that_sees_nothing_takes_the_candidate_off_in_the_end() -> None:
    assert decide(half_blind(1799), NOW).move is None
    move = decide(half_blind(1800), NOW).move
    assert move is not None
    assert (move.cause, "gate violations" in move.message) == ("Blind", True)


@pytest.mark.parametrize("kind", ["Idle", "Starved"])
def test_without_traffic_no_gate_need_see(kind: str) -> None:
    silent = NoDataReading(Silence(kind), (NOW - timedelta(seconds=300)).timestamp())
    status = decide(half_blind(1800, no_data=silent), NOW).status
    assert "Stalled" not in conditions(status)
    assert status.attempt is not None
    assert status.attempt.no_data is not None
    assert status.attempt.no_data.kind == kind


def test_after_a_lull_it_has_as_long_again() -> None:
    """From the first look with traffic on, also where later looks see tasks as rarely as before."""
    attempt = CANARY.rollout.status.attempt
    assert attempt is not None
    quiet = attempt.model_copy(update={"no_data": NoData(kind="Idle", since=LONG_AGO)})
    status = CANARY.rollout.status.model_copy(update={"attempt": quiet})
    seen = replace(half_blind(5000), rollout=CANARY.rollout.model_copy(update={"status": status}))
    woken = decide(seen, NOW)
    assert woken.move is None
    assert woken.status.attempt is not None
    assert woken.status.attempt.no_data == NoData(kind="Blind", since=NOW)
    later = replace(after(seen, woken.status, ()), evidence=half_blind(5000, age=-1800).evidence)
    assert decide(later, NOW + timedelta(seconds=1799)).move is None
    gone = decide(later, NOW + timedelta(seconds=1800)).move
    assert gone is not None
    assert gone.cause == "Blind"


def test_a_new_attempt_that_waits_for_the_record_of_the_last_one_says_so() -> None:
    rest = at_rest(parsed("v2"))
    waiting = decide(replace(rest, target=V2, recorded_seq=rest.recorded_seq - 1), NOW)
    assert waiting.move is None
    assert message(waiting.status, "Ready") == (
        "a new attempt starts when the end of attempt 2 is recorded in its Release"
    )


def test_a_transition_time_moves_only_with_the_status() -> None:
    first = decide(CANARY, NOW).status
    later = after(CANARY, first, ())
    later = replace(later, evidence=Unreadable("gone"), gates_due=True, words_due=True)
    second = decide(later, NOW + timedelta(seconds=5)).status
    held = decide(after(later, second, ()), NOW + timedelta(seconds=125)).status
    times = {c.type: c.last_transition_time for c in held.conditions}
    assert times["Ready"] == NOW, "False before and after, though the reason is another"
    assert times["MetricsAvailable"] == NOW + timedelta(seconds=125), "silence counts once it has lasted"


def test_a_countdown_costs_no_write_before_it_is_due() -> None:
    early = replace(CANARY, evidence=report(candidate_tasks=3))
    first = decide(early, NOW).status
    later = replace(after(early, first, ()), evidence=report(candidate_tasks=4))
    assert decide(later, NOW + timedelta(seconds=5)).status == first
    due = replace(later, gates_due=True, words_due=True)
    assert decide(due, NOW + timedelta(seconds=20)).status != first


def test_a_countdown_costs_no_write_however_often_gates_are_written() -> None:
    seen = blinded()
    first = decide(seen, NOW).status
    later = replace(after(seen, first, ()), gates_due=True)
    assert decide(later, NOW + timedelta(seconds=5)).status == first
    told = decide(replace(later, words_due=True), NOW + timedelta(seconds=20)).status
    assert message(told, "MetricsAvailable") != message(first, "MetricsAvailable")


def test_what_is_written_anyway_takes_the_newest_words_along() -> None:
    early = replace(CANARY, evidence=report(candidate_tasks=3))
    ill = report(gate(verdict=Verdict.NO_DATA), candidate_tasks=4)
    later = replace(after(early, decide(early, NOW).status, ()), evidence=ill)
    at = NOW + timedelta(seconds=5)
    newest = decide(replace(later, words_due=True), at).status
    assert message(decide(later, at).status, "Ready") == message(newest, "Ready")


def test_a_changed_verdict_is_written_at_once() -> None:
    first = decide(CANARY, NOW).status
    later = replace(
        after(CANARY, first, ()), evidence=report(gate(verdict=Verdict.NO_DATA), candidate_tasks=3)
    )
    assert [g.verdict for g in decide(later, NOW).status.gates] == ["NoData"]


def rested(outcome: Outcome | None, named: str = "v1") -> Observation:
    """v1 serves after an attempt that came so far as its second step; `None`: it was taken over."""
    seen = at_rest(parsed(named))
    status, done = seen.rollout.status, seen.rollout.status.attempt
    assert done is not None
    last = done.model_copy(update={"outcome": outcome, "step_index": 1}) if outcome else None
    status = status.model_copy(update={"attempt": last})
    known = (
        target(named) if outcome is not Outcome.PROMOTED else Unusable(Reason.DEPENDENCY_NOT_READY, "gone")
    )
    return replace(seen, rollout=seen.rollout.model_copy(update={"status": status}), target=known)


@pytest.mark.parametrize(
    ("seen", "step", "weight"),
    [
        (at_rest(), "3/3", "100%"),
        (rested(Outcome.ROLLED_BACK), "3/3", "100%"),
        (rested(None), "3/3", "100%"),
        (rested(Outcome.PROMOTED, "v2"), "0/3", "0%"),
        (trying(Stage.RUNNING, 0), "1/3", "0%"),
        (CANARY, "2/3", "20%"),
        (trying(Stage.SOAKING, 2), "3/3", "90%"),
    ],
)
def test_the_columns(seen: Observation, step: str, weight: str) -> None:
    status = decide(seen, NOW).status
    assert (status.step, status.weight) == (step, weight)


def test_the_selector_is_of_the_version_with_the_most_live_weight() -> None:
    stable, candidate = decide(CANARY, NOW).status, decide(trying(Stage.SOAKING, 2), NOW).status
    assert stable.stable is not None
    assert stable.selector == f"interlock.dev/workload={stable.stable.workload}"
    assert candidate.candidate is not None
    assert candidate.selector == f"interlock.dev/workload={candidate.candidate.workload}"
    assert candidate.replicas == 2


def test_changed_content_is_told_as_long_as_its_attempt_is_the_last() -> None:
    tampered = replace(CANARY, candidate=target("v2", digest="0" * 64))
    assert conditions(decide(tampered, NOW).status)["ImmutableIntact"] == "False/ContentChanged"
    assert conditions(decide(CANARY, NOW).status)["ImmutableIntact"] == "True/ContentUnchanged"


# ------------------------------------------------------------------ what cannot be parsed
def test_an_unreadable_status_keeps_all_that_it_holds() -> None:
    manifest: dict[str, Any] = {
        "metadata": {"generation": 4},
        "status": {"stable": {"version": "v1"}, "attempt": {"stage": "Hovering"}, "phase": "Canary"},
    }
    first = unreadable(manifest, "status.attempt.stage: not known", NOW)
    assert first["stable"] == {"version": "v1"}
    assert first["attempt"] == {"stage": "Hovering"}
    again = unreadable({**manifest, "status": first}, "status.attempt.stage: not known", LONG_AGO)
    assert again == first, "the second time changes nothing"


@pytest.mark.parametrize("status", [None, {}, {"conditions": None}, {"conditions": []}])
def test_an_unreadable_status_may_be_empty(status: Any) -> None:
    found = unreadable({"metadata": {}, "status": status}, "x" * 5000, NOW)
    assert [c["type"] for c in found["conditions"]] == ["Ready", "Stalled"]
    assert all(len(c["message"]) <= 1024 for c in found["conditions"])


# ------------------------------------------------------------------ the way back
@pytest.mark.parametrize(
    ("memory", "said"),
    [
        (None, "False/NothingBefore"),
        (Memory(stable=identity(V1)), "False/NothingBefore"),
        (Memory(stable=identity(V1), promoted=(identity(V2),)), "True/PromotedBefore"),
        (Memory(stable=identity(V2)), "True/PromotedBefore"),
    ],
    ids=["nothing is remembered", "it alone", "one before it", "its own promotion is not yet recorded"],
)
def test_at_rest_the_way_back_is_the_fast_path(memory: Memory | None, said: str) -> None:
    assert conditions(decide(replace(at_rest(), memory=memory), NOW).status)["RollbackReady"] == said

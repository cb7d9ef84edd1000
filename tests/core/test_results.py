"""What came of an attempt: measured last, judged once, and dated from what is stored."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.gates import EvidenceReport, Verdict
from interlock.analysis.intervals import Interval
from interlock.analysis.lift import Lift, NoLift
from interlock.core import ledger, results
from interlock.core.decide import decide
from interlock.core.effects import RecordCleared, RecordEntries, TellEvent
from interlock.core.observation import Observation, Unreadable
from interlock.model.agentversion import Expectation
from interlock.model.release import Release, Stage
from interlock.model.result import Cleared, Result
from interlock.model.rolloutstatus import Draining
from tests.core.seen import (
    LONG_AGO,
    NOW,
    V1,
    V2,
    V3,
    after,
    at_rest,
    attempt,
    gate,
    report,
    trying,
    with_status,
)

KPI = "verified-success-rate"
BETTER = Lift(KPI, "points", 0.92, 0.85, 400, 3600, 7.0, Interval(3.1, 10.9), Interval(0.036, 0.129))
UNKNOWN = NoLift("cost-per-task", "too little to compare means")
PROMISE = Expectation(metric=KPI, direction="Increase", by_percent="5")
FAILS = gate("success", Verdict.FAIL)


def measuring(stage: Stage, index: int, *promises: Expectation, **facts: object) -> Observation:
    """v2 has been measured; its author expects something."""
    seen = trying(stage, index)
    found = replace(report(), lifts=(BETTER, UNKNOWN), cost_usd=12.3456, **facts)  # type: ignore[arg-type]
    return replace(seen, candidate=replace(V2, expected=promises), evidence=found)


def failing(*promises: Expectation) -> Observation:
    seen = measuring(Stage.RUNNING, 1, *promises)
    assert isinstance(seen.evidence, EvidenceReport)
    harm = replace(
        seen.evidence,
        gates=(FAILS,),
        failed=("success",),
        harm_since=(NOW - timedelta(minutes=5)).timestamp(),
    )
    return replace(seen, evidence=harm)


def came(seen: Observation) -> Result:
    found = decide(seen, NOW).status.attempt
    assert found is not None
    assert found.result is not None
    return found.result


class TestTheEnd:
    def test_a_revert_keeps_what_was_measured_and_says_when_it_was_found_out(self) -> None:
        result = came(failing(PROMISE))
        lift, unknown = result.lifts
        assert (lift.metric, lift.unit, lift.lift, lift.low, lift.high) == (KPI, "Points", "7", "3.1", "10.9")
        assert (lift.candidate_outcomes, lift.confidence_percent, lift.asymptotic) == (400, 95, True)
        assert unknown.message == "not known: too little to compare means"
        assert unknown.lift is None
        assert result.cost_usd == "12.35"
        assert (result.traffic_started_time, result.detected_time) == (LONG_AGO, NOW)
        assert result.harm_since_time == NOW - timedelta(minutes=5)
        assert result.stopped_time is None

    def test_a_promotion_is_judged_and_has_nothing_to_restore(self) -> None:
        result = came(measuring(Stage.SOAKING, 2, PROMISE))
        (judgement,) = result.expected
        assert (judgement.verdict, judgement.by_percent) == ("Confirmed", "5")
        assert judgement.message.startswith(
            "expected verified-success-rate +5 %: Confirmed, +7 points (3.1 to 10.9)"
        )
        assert (result.detected_time, result.stopped_time, result.harm_since_time) == (None, None, None)

    def test_the_gateway_has_stopped_it(self) -> None:
        known = Result(detected_time=LONG_AGO, lifts=(results.recorded(BETTER),))
        reverting = attempt(Stage.REVERTING, 1).model_copy(update={"result": known})
        result = came(with_status(trying(Stage.REVERTING, 1), attempt=reverting))
        assert result == known.model_copy(update={"stopped_time": NOW})

    def test_metrics_that_cannot_be_read_at_the_end_leave_what_was_stored(self) -> None:
        known = Result(lifts=(results.recorded(BETTER),), cost_usd="3")
        running = attempt(Stage.RUNNING, 1).model_copy(update={"result": known})
        seen = with_status(measuring(Stage.RUNNING, 1, PROMISE), attempt=running)
        result = came(replace(seen, evidence=Unreadable("down"), target=V1))  # back to stable
        assert (result.lifts, result.cost_usd) == (known.lifts, "3")
        assert result.expected[0].verdict == "Confirmed"
        assert result.detected_time is None

    def test_another_attempt_begins_with_nothing(self) -> None:
        seen = replace(at_rest(), target=V2)
        done = seen.rollout.status.attempt
        assert done is not None
        spec = seen.rollout.spec.model_copy(
            update={"version_ref": seen.rollout.spec.version_ref.model_copy(update={"name": "v2"})}
        )
        held = done.model_copy(update={"result": Result(lifts=(results.recorded(BETTER),))})
        seen = with_status(
            replace(seen, rollout=seen.rollout.model_copy(update={"spec": spec})), attempt=held
        )
        begun = decide(seen, NOW).status.attempt
        assert begun is not None
        assert begun.number == done.number + 1
        assert begun.result is None

    def test_without_traffic_there_is_nothing_to_say(self) -> None:
        found = decide(replace(trying(Stage.PREPARING), target=V3), NOW).status.attempt
        assert found is not None
        assert found.stage is Stage.REVERTING
        assert found.result is None


class TestPromises:
    @pytest.mark.parametrize(
        ("metric", "says"),
        [
            ("no-such", "must be a built-in metric or the name of a MetricTemplate"),
            ("critical-policy-violations", "must be a rate or a mean: nothing else has a lift"),
            ("task-success-rate", "it was not measured"),
            ("cost-per-task", "too little to compare means"),
        ],
    )
    def test_what_cannot_be_judged_is_inconclusive_and_stops_nothing(self, metric: str, says: str) -> None:
        seen = measuring(Stage.SOAKING, 2, Expectation(metric=metric, direction="Decrease"))
        decision = decide(seen, NOW)
        (judgement,) = came(seen).expected
        assert judgement.verdict == "Inconclusive"
        assert says in judgement.message
        assert decision.move is not None
        assert decision.move.stage is Stage.DONE

    def test_of_another_object_under_the_name_nothing_is_said(self) -> None:
        seen = measuring(Stage.SOAKING, 2, PROMISE)
        another = replace(V2, uid="another", expected=(PROMISE,))
        assert came(replace(seen, candidate=another)).expected == ()

    def test_they_are_told_once(self) -> None:
        seen = measuring(Stage.SOAKING, 2, PROMISE)
        decision = decide(seen, NOW)
        (told,) = [e for e in decision.effects if isinstance(e, TellEvent) and e.name.endswith(".expected")]
        assert told.reason == "ExpectationsJudged"
        assert "+7 points (3.1 to 10.9)" in told.message
        later = decide(after(seen, decision.status, decision.effects), NOW)
        assert not [e for e in later.effects if isinstance(e, TellEvent)]


class TestWhileItRuns:
    def test_it_is_stored_with_the_gates(self) -> None:
        seen = replace(measuring(Stage.RUNNING, 1), gates_due=True)
        assert came(seen).lifts[0].lift == "7"

    def test_and_costs_no_write_of_its_own(self) -> None:
        seen = measuring(Stage.RUNNING, 1)
        settled = decide(replace(seen, gates_due=True), NOW).status
        moved = replace(BETTER, estimate=7.1)
        assert isinstance(seen.evidence, EvidenceReport)
        newer = replace(
            seen,
            rollout=seen.rollout.model_copy(update={"status": settled}),
            evidence=replace(seen.evidence, lifts=(moved,)),
            gates_due=False,
        )
        assert decide(newer, NOW).status == settled


class TestTheRecord:
    def test_the_release_has_it_when_it_ends_and_not_before(self) -> None:
        walks = decide(measuring(Stage.RUNNING, 1), NOW)
        assert {e.result for e in walks.effects if isinstance(e, RecordEntries)} == {None}
        (ends,) = [e for e in decide(failing(PROMISE), NOW).effects if isinstance(e, RecordEntries)]
        release = Release.read(ledger.new_release(ends))
        assert release.result == ends.result
        assert release.result is not None
        assert release.result.lifts[0].lift == "7"

    def test_what_it_says_already_stays(self) -> None:
        (ends,) = [e for e in decide(failing(), NOW).effects if isinstance(e, RecordEntries)]
        release = ledger.new_release(ends)
        last = ends.entries[-1].model_copy(update={"seq": ends.entries[-1].seq + 1})
        assert ends.result is not None
        other = ends.result.model_copy(update={"detected_time": LONG_AGO, "stopped_time": NOW})
        longer = ledger.appended(release, replace(ends, entries=(last,), result=other))
        assert longer is not None
        found = Release.read(longer).result
        assert found == ends.result.model_copy(update={"stopped_time": NOW})

    def test_a_workload_stays_until_its_release_says_that_it_is_cleared(self) -> None:
        item = Draining(
            workload="triage-old",
            version="v0",
            release="triage-1",
            since=LONG_AGO,
            deadline=NOW + timedelta(hours=1),
        )
        seen = with_status(
            replace(at_rest(), conversations={"triage-old": 0.0}, uncleared=frozenset({"triage-1"})),
            draining=(item,),
        )
        decision = decide(seen, NOW)
        assert decision.status.draining == (item,)
        (said,) = [e for e in decision.effects if isinstance(e, RecordCleared)]
        assert (said.release, said.time, said.reason) == ("triage-1", NOW, Cleared.CONVERSATIONS_ENDED)
        later = decide(after(seen, decision.status, decision.effects), NOW)
        assert later.status.draining == ()
        assert not [e for e in later.effects if isinstance(e, RecordCleared)]

    def test_cleared_is_said_once(self) -> None:
        (ends,) = [e for e in decide(failing(), NOW).effects if isinstance(e, RecordEntries)]
        said = RecordCleared(ends.release, ends.namespace, NOW, Cleared.DRAIN_DEADLINE)
        release = ledger.with_cleared(ledger.new_release(ends), said)
        assert release is not None
        assert release["result"]["clearedTime"] == "2026-01-01T12:00:00Z"
        assert release["result"]["clearedReason"] == "DrainDeadline"
        assert release["result"]["detectedTime"] == "2026-01-01T12:00:00Z"
        assert ledger.with_cleared(release, replace(said, time=NOW + timedelta(hours=1))) is None


number = st.floats(-1e9, 1e9)


@given(number, number, number, st.floats(0, 1), st.booleans())
def test_a_record_is_read_as_it_was_measured(
    low: float, middle: float, high: float, share: float, unbounded: bool
) -> None:
    low, middle, high = sorted((low, middle, high))
    relative = Interval(low / 100, math.inf if unbounded else high / 100)
    lift = Lift(KPI, "points", share, share, 4, 40, middle, Interval(low, high), relative)
    record = results.recorded(lift)
    again = results.read(record)
    assert isinstance(again, Lift)
    assert results.recorded(again) == record
    found = (again.estimate, again.interval.low, again.interval.high, again.candidate)
    assert found == pytest.approx((middle, low, high, share), rel=1e-3, abs=1e-3)
    assert (again.relative.high == math.inf) is unbounded


def test_harm_is_dated_in_utc() -> None:
    found = came(failing()).harm_since_time
    assert found is not None
    assert found.tzinfo is UTC
    assert isinstance(found, datetime)

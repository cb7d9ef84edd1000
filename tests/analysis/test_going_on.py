"""Evidence goes on: in another process, and under gates of which some were edited."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interlock.analysis.gates import (
    Alert,
    AttemptEvidence,
    Compare,
    Events,
    EvidenceReport,
    Gate,
    GateReading,
    Limit,
    Mean,
    Tail,
    Verdict,
)
from interlock.analysis.plan import Advance
from interlock.analysis.presets import metric
from tests.analysis.attempt import (
    BUCKETS,
    CANARY,
    CRITICAL,
    SINCE,
    SUCCESS,
    VIOLATION,
    VIOLATIONS,
    Attempt,
    plan,
)
from tests.analysis.stories import looks, moved, samples, story, walk

VERIFIED_GATE = Gate("verified", metric("verified-success-rate"), Compare(0.02))
PAGE = Gate("page", None, Alert({"interlock_action": "revert"}))
SLOW = Gate("slow", metric("task-duration"), Tail(20.0, 0.2), advance=Advance.CERTIFIED)
DEAR = Gate("dear", metric("cost-per-task"), Mean(0.1), advance=Advance.SUPERIOR)
DEAR_SUCCESS = Gate("dear-success", metric("cost-per-verified-success"), Mean(0.1))
GATES = (SUCCESS, VIOLATION, CRITICAL, VERIFIED_GATE, PAGE, SLOW, DEAR, DEAR_SUCCESS)
seeds = st.integers(0, 10**6)


def drawn_cut(data: st.DataObject, attempt: Attempt) -> int:
    return data.draw(st.integers(0, len(list(looks(attempt))) - 1), label="cut")


class TestInAnotherProcess:
    @settings(max_examples=40)
    @given(seeds, st.data())
    def test_it_says_the_same_though_all_before_is_lost(self, seed: int, data: st.DataObject) -> None:
        attempt = story(seed, *GATES)
        moments = list(looks(attempt))
        cut = drawn_cut(data, attempt)
        expected = list(walk(AttemptEvidence(attempt.plan, SINCE), attempt, moments))
        before = AttemptEvidence(attempt.plan, SINCE)
        list(walk(before, attempt, moments[: cut + 1]))
        after = moved(before, attempt.plan)
        assert not after.unprimed
        found = list(walk(after, attempt, moments[cut + 1 :], lost=moments[cut]))
        assert repr(found) == repr(expected[cut + 1 :])

    @settings(max_examples=20)
    @given(seeds)
    def test_however_often_it_is_moved(self, seed: int) -> None:
        attempt = story(seed, *GATES)
        moments = list(looks(attempt))
        expected = list(walk(AttemptEvidence(attempt.plan, SINCE), attempt, moments))
        evidence = AttemptEvidence(attempt.plan, SINCE)
        found: list[EvidenceReport] = []
        for place, now in enumerate(moments):
            found += walk(evidence, attempt, [now], lost=evidence.now if place else -1.0)
            evidence = moved(evidence, attempt.plan)
        assert repr(found) == repr(expected)

    @settings(max_examples=20)
    @given(seeds, st.data())
    def test_baselines_may_be_read_again_instead(self, seed: int, data: st.DataObject) -> None:
        attempt = story(seed, *GATES, warmup=3.0, twins=False)  # of a twin seen before, nothing is kept
        moments = list(looks(attempt))
        cut = drawn_cut(data, attempt)
        expected = list(walk(AttemptEvidence(attempt.plan, SINCE), attempt, moments))
        before = AttemptEvidence(attempt.plan, SINCE)
        list(walk(before, attempt, moments[: cut + 1]))
        after = moved(before, attempt.plan, baselines=False)
        assert after.unprimed
        after.prime(samples(attempt, moments[cut] - 60, moments[cut]))
        assert not after.unprimed
        found = list(walk(after, attempt, moments[cut + 1 :], lost=moments[cut]))
        assert [one.gates for one in found] == [one.gates for one in expected[cut + 1 :]]

    def test_a_gap_in_the_samples_is_no_data_and_loses_nothing(self) -> None:
        attempt = Attempt(plan(*GATES)).run(100, candidate=0.8)
        evidence = moved(attempt.evidence, attempt.plan)
        attempt.run(600, candidate=0.8)
        evidence.advance(attempt.times, (), attempt.now - 1.0)
        report = evidence.report()
        assert {gate.verdict for gate in report.gates} <= {Verdict.NO_DATA, Verdict.FAIL, Verdict.PASS}
        assert report.no_data is not None
        before = report.combined_log_evidence
        attempt.run(30, candidate=0.8)
        evidence.advance(attempt.times, samples(attempt, attempt.now - 10, attempt.now), float(attempt.now))
        assert evidence.report().no_data is None
        assert evidence.report().combined_log_evidence > before

    def test_another_tick_goes_on_from_there(self) -> None:
        """The grid of looks is an operator's setting; it is not what evidence is about."""
        attempt = Attempt(plan(*GATES)).run(100)
        faster = replace(attempt.plan, tick=2.0, settle=4.0)
        evidence = moved(attempt.evidence, faster)
        before = evidence.report().combined_log_evidence
        assert before == attempt.report().combined_log_evidence
        attempt.run(100, candidate=0.5)
        evidence.advance(attempt.times, attempt.series(), float(attempt.now))
        assert evidence.report().reverts


class TestUnderEditedGates:
    """Edits come between two looks, on the grid: so a run that begins then has the same grid."""

    @settings(max_examples=25)
    @given(seeds, st.data())
    def test_only_the_edited_gate_begins_afresh(self, seed: int, data: st.DataObject) -> None:
        attempt = story(seed, *GATES)
        moments = list(looks(attempt))
        cut = drawn_cut(data, attempt)
        at, edited = data.draw(st.integers(0, len(GATES) - 1), label="gate"), moments[cut]
        unedited = list(walk(AttemptEvidence(attempt.plan, SINCE), attempt, moments))
        fresh = replace(GATES[at], since=edited)
        to = replace(attempt.plan, gates=(*GATES[:at], fresh, *GATES[at + 1 :]))
        evidence = AttemptEvidence(attempt.plan, SINCE)
        *_, last = walk(evidence, attempt, moments[: cut + 1])
        assume(not last.reverts)  # it would not be edited any more
        found = list(walk(moved(evidence, to), attempt, moments[cut + 1 :]))
        replayed = list(walk(AttemptEvidence(to, SINCE), attempt, moments))
        assert repr(found) == repr(replayed[cut + 1 :]), "a replay knows of no edit, only of its time"
        for one, other in zip(found, unedited[cut + 1 :], strict=True):
            assert others(one, at) == others(other, at)

    @pytest.mark.parametrize("gate", [SUCCESS, VIOLATION, CRITICAL], ids=lambda gate: gate.name)
    def test_the_edited_gate_is_as_one_that_begins_then(self, gate: Gate) -> None:
        steady = Attempt(plan(gate, warmup=0.0, steps=(CANARY,))).run(100, candidate=0.7)
        steady.candidate.do(VIOLATIONS, 3, rule="pii", severity="critical")
        steady.run(5)
        edited = replace(gate, since=float(steady.now))
        evidence = moved(steady.evidence, replace(steady.plan, gates=(edited,)))
        begun = AttemptEvidence(replace(steady.plan, gates=(gate,)), float(steady.now))
        begins = (replace(steady.times[0], started=float(steady.now)),)
        begun.advance(begins, samples(steady, steady.now - 10, steady.now), float(steady.now))
        for _ in range(20):
            steady.run(5, candidate=0.85)
            for each, times in ((evidence, steady.times), (begun, begins)):
                each.advance(times, samples(steady, steady.now - 10, steady.now), float(steady.now))
            assert said(evidence) == said(begun)

    def test_it_does_not_pass_before_it_has_seen_as_many_tasks_as_the_step_asks_for(self) -> None:
        step = replace(CANARY, min_tasks=40)
        attempt = Attempt(plan(VIOLATION, steps=(step,))).run(60)
        edited = replace(VIOLATION, test=Limit(0.01), since=float(attempt.now))
        attempt.plan = replace(attempt.plan, gates=(edited,))
        attempt.evidence = moved(attempt.evidence, attempt.plan)
        attempt.run(5)
        gate = attempt.gate("violations")
        assert gate.verdict is Verdict.INCONCLUSIVE
        assert "more tasks of the candidate under its new rules" in gate.message
        assert attempt.report().candidate_tasks > 40
        assert attempt.run(40).gate("violations").verdict is Verdict.PASS

    def test_rules_that_are_not_in_force_yet_hold(self) -> None:
        waiting = replace(VIOLATION, since=float("inf"))
        attempt = Attempt(plan(SUCCESS, waiting)).run(100, candidate=0.5)
        gate = attempt.gate("violations")
        assert (gate.verdict, gate.judged) == (Verdict.INCONCLUSIVE, True)
        assert gate.message == "the gate was changed: its evidence has not begun"
        assert attempt.report().failed == ("success",), "and keep no other gate from its say"

    def test_a_gate_on_a_metric_not_read_before_finds_its_baselines(self) -> None:
        """Else the violations of all time would be births."""
        attempt = Attempt(plan(SUCCESS))
        attempt.candidate.do(VIOLATIONS, 50, rule="pii", severity="critical")
        attempt.run(60)
        added = replace(CRITICAL, test=Events(0), since=float(attempt.now))
        attempt.plan = replace(attempt.plan, gates=(SUCCESS, added))
        attempt.evidence = moved(attempt.evidence, attempt.plan)
        assert attempt.evidence.unprimed
        attempt.evidence.prime(attempt.series(attempt.now - 30))
        assert not attempt.run(10).report().reverts
        attempt.candidate.do(VIOLATIONS, rule="refund", severity="critical")
        assert attempt.run(5).report().failed == ("critical",)

    def test_another_bound_finds_its_baselines(self) -> None:
        """Else the tasks of all time within it would be births."""
        attempt = Attempt(plan(SLOW), bounds=("20", "60", "+Inf"))
        for pod in attempt.pods:
            pod.do(BUCKETS, 10**6, le="60")
            pod.do(BUCKETS, 10**6, le="+Inf")
        attempt.run(100)
        farther = replace(SLOW, test=Tail(60.0, 0.01), since=float(attempt.now))
        attempt.plan = replace(attempt.plan, gates=(farther,))
        attempt.evidence = moved(attempt.evidence, attempt.plan)
        assert attempt.evidence.unprimed
        attempt.evidence.prime(attempt.series(attempt.now - 30))
        assert attempt.run(100, slow=(0.1, 0.6)).report().failed == ("slow",)

    def test_a_removed_gate_is_gone(self) -> None:
        attempt = Attempt(plan(SUCCESS, VIOLATION)).run(100)
        fewer = replace(attempt.plan, gates=(SUCCESS,))
        evidence = moved(attempt.evidence, fewer)
        evidence.advance(attempt.times, (), float(attempt.now))
        alone = Attempt(fewer).run(100).report()
        assert evidence.report().gates == alone.gates


class TestNotEvidence:
    """What is not this attempt's own writing never becomes evidence, and never more than a ValueError."""

    def test_of_another_plan(self) -> None:
        attempt = Attempt(plan(*GATES)).run(50)
        for other in (
            replace(attempt.plan, alpha=0.1),
            replace(attempt.plan, warmup=1.0),
            replace(attempt.plan, steps=(replace(CANARY, kind="full"),)),
            replace(attempt.plan, gates=(*GATES[1:], replace(SUCCESS, weight=2))),
        ):
            with pytest.raises(ValueError, match=r"another plan|edited"):
                moved(attempt.evidence, other)
        with pytest.raises(ValueError, match="another plan"):
            AttemptEvidence.resumed(attempt.plan, SINCE + 1, attempt.evidence.state())

    @settings(max_examples=100)
    @given(st.data())
    def test_malformed(self, data: st.DataObject) -> None:
        attempt = Attempt(plan(*GATES, warmup=None)).run(20)
        state: Any = json.loads(json.dumps(attempt.evidence.state()))
        spoil(state, data)
        try:
            AttemptEvidence.resumed(attempt.plan, SINCE, state).report()
        except ValueError:
            return


def said(evidence: AttemptEvidence) -> tuple[object, ...]:
    """What the first gate's evidence is, without how it is put."""
    gate = evidence.report().gates[0]
    return gate.log_evidence, gate.odds, gate.candidate, gate.stable, gate.p_value


def spoil(state: Any, data: st.DataObject) -> None:
    """Somewhere in it, something else stands."""
    while True:
        keys = list(state) if isinstance(state, dict) else list(range(len(state)))
        key = data.draw(st.sampled_from(keys))
        inner = state[key]
        if isinstance(inner, dict | list) and inner and data.draw(st.integers(0, 3)):
            state = inner
            continue
        state[key] = data.draw(
            st.sampled_from([None, "x", -1, 10**400, [], {}, [None], {"x": 1}, "inf", True]) | st.integers()
        )
        return


def others(report: EvidenceReport, at: int) -> list[GateReading]:
    """The readings of the other gates; whether the merge names one depends on them all."""
    return [
        replace(gate, verdict=Verdict.PASS, message="", odds="", log_evidence=0.0, candidate="", stable="")
        if gate.verdict is Verdict.FAIL
        else gate
        for place, gate in enumerate(report.gates)
        if place != at
    ]


def test_a_gap_that_began_in_the_warm_up_counts_for_limits_and_not_for_what_the_step_awaits() -> None:
    """The operator was killed in the warm-up, and Prometheus has lost what was scraped meanwhile."""
    rules = plan(SUCCESS, VIOLATION, warmup=10.0)
    attempt = Attempt(rules).run(8, share=0.5)
    state = attempt.evidence.state()
    attempt.run(60, share=0.5)
    for pod in attempt.pods:
        pod.stored.clear()
    attempt.evidence = AttemptEvidence.resumed(rules, SINCE, state)
    attempt.run(10, share=0.5)
    after = attempt.report().candidate_tasks
    seen = int(attempt.gate("violations").candidate.partition("n=")[2].rstrip(")"))
    assert 0 < after < 10 * 20
    assert seen > 60 * 20 / 2 - 100 > after

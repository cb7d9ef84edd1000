"""What the evidence of an attempt says, from raw samples to verdicts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from interlock.analysis.gates import (
    AttemptEvidence,
    Compare,
    Events,
    Gate,
    Limit,
    PlannedStep,
    StepTime,
    Verdict,
)
from interlock.analysis.presets import metric
from interlock.analysis.series import Series
from tests.analysis.attempt import (
    BUCKETS,
    CANARY,
    CRITICAL,
    SINCE,
    SUCCESS,
    TASKS,
    VERIFIED,
    VIOLATION,
    VIOLATIONS,
    Attempt,
    agent,
    plan,
    work,
)
from tests.analysis.world import window

ALL = (SUCCESS, VIOLATION, CRITICAL)
SHADOW_FIRST = (PlannedStep(0, "shadow"), PlannedStep(1, "canary"), PlannedStep(2, "full"))
VERIFIED_GATE = Gate("verified", metric("verified-success-rate"), Compare(0.0))


class TestVerdicts:
    def test_a_healthy_candidate_passes(self) -> None:
        attempt = Attempt(plan(*ALL)).run(120)
        assert [gate.verdict for gate in attempt.report().gates] == [Verdict.PASS] * 3
        assert not attempt.report().reverts
        assert attempt.gate("success").message.startswith("no evidence of harm: 0.9")

    def test_a_worse_candidate_fails_by_name(self) -> None:
        attempt = Attempt(plan(*ALL)).run(200, candidate=0.75)
        report, gate = attempt.report(), attempt.gate("success")
        assert report.reverts
        assert report.failed == ("success",)
        assert not report.combined
        assert gate.verdict is Verdict.FAIL
        assert gate.p_value <= 0.05
        assert (
            f"{gate.odds} that the candidate fails more often: {gate.candidate} against {gate.stable}"
            == gate.message
        )

    def test_a_difference_that_is_allowed_passes(self) -> None:
        tolerant = Gate("success", metric("task-success-rate"), Compare(0.2))
        assert Attempt(plan(tolerant)).run(200, candidate=0.75).gate("success").verdict is Verdict.PASS

    def test_a_rate_above_its_limit_fails(self) -> None:
        attempt = Attempt(plan(*ALL))
        while attempt.now < SINCE + 60:
            attempt.candidate.do(VIOLATIONS, rule="pii", severity="low")
            attempt.run(1)
        assert attempt.report().failed == ("violations",)
        assert "violates policy in more than 0.5 % of its tasks" in attempt.gate("violations").message
        assert attempt.gate("violations").safety

    def test_violations_beyond_the_tasks_are_capped_and_told(self) -> None:
        attempt = Attempt(plan(VIOLATION))
        attempt.candidate.do(VIOLATIONS, 50, rule="pii", severity="low")
        work(attempt.candidate, good=True, times=20)
        attempt.run(20, share=0.0)
        assert attempt.gate("violations").candidate == "1 (n=20)"
        assert "; 30 more than there were tasks, left out" in attempt.gate("violations").message

    def test_evidence_once_given_stays(self) -> None:
        attempt = Attempt(plan(SUCCESS)).run(100, candidate=0.5).run(600, candidate=1.0)
        assert attempt.report().failed == ("success",)
        assert attempt.gate("success").verdict is Verdict.FAIL
        assert attempt.report().combined_log_evidence < attempt.report().threshold
        assert attempt.report().p_value <= 0.05

    def test_many_small_suspicions_revert_together(self) -> None:
        suspicious = [Gate(name, metric("task-success-rate"), Compare(0.0)) for name in "abc"]
        quiet = [Gate(name, metric("policy-violation-rate"), Limit(0.5)) for name in "def"]
        attempt = Attempt(plan(*suspicious, *quiet))
        while not attempt.report().reverts:
            attempt.run(1, candidate=0.85)
        assert attempt.report().failed == ()
        assert attempt.report().combined

    def test_a_heavy_gate_has_the_greater_share(self) -> None:
        heavy = Gate("success", metric("task-success-rate"), Compare(0.0), weight=3)
        attempt = Attempt(plan(heavy, VIOLATION))
        assert [gate.odds for gate in attempt.report().gates] == ["1:1", "1:4"]

    def test_a_limit_of_nothing_fails_on_the_first(self) -> None:
        attempt = Attempt(plan(SUCCESS, Gate("violations", metric("policy-violation-rate"), Limit(0.0))))
        work(attempt.candidate, good=True)
        attempt.candidate.do(VIOLATIONS, rule="pii", severity="low")
        attempt.run(5, share=0.0)
        assert attempt.report().failed == ("violations",)
        assert attempt.gate("violations").odds == "over 1000000:1"


class TestWithoutData:
    def test_silence_is_no_data(self) -> None:
        evidence = AttemptEvidence(plan(*ALL), SINCE)
        evidence.advance((StepTime(0, SINCE),), (), SINCE + 60)
        report = evidence.report()
        assert {gate.verdict for gate in report.gates} == {Verdict.NO_DATA}
        assert report.last_sample is None
        assert not report.reverts

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_what_is_not_a_number_is_no_data(self, value: float) -> None:
        labels = {
            "__name__": TASKS,
            "pod": "triage-b-1",
            "version": "v2",
            "mode": "live",
            "outcome": "success",
        }
        evidence = AttemptEvidence(plan(CRITICAL), SINCE)
        evidence.advance((StepTime(0, SINCE),), [Series(labels, ((SINCE + 1, value),))], SINCE + 60)
        assert evidence.report().gates[0].verdict is Verdict.NO_DATA

    def test_a_series_without_samples_is_no_data(self) -> None:
        attempt = Attempt(plan(CRITICAL))
        attempt.evidence.advance(attempt.times, [Series(attempt.series()[0].labels, ())], SINCE + 600)
        assert attempt.report().gates[0].verdict is Verdict.NO_DATA

    def test_what_has_gone_stale_is_no_data(self) -> None:
        attempt = Attempt(plan(*ALL)).run(60)
        attempt.evidence.advance(attempt.times, (), attempt.now + 121.0)
        assert {gate.verdict for gate in attempt.report().gates} == {Verdict.NO_DATA}
        assert attempt.report().last_sample == attempt.now

    def test_no_task_yet_is_inconclusive(self) -> None:
        attempt = Attempt(plan(*ALL)).run(60, share=0.0)
        assert {gate.verdict for gate in attempt.report().gates} == {Verdict.INCONCLUSIVE}

    def test_a_silent_stable_version_leaves_limits_only(self) -> None:
        attempt = Attempt(plan(*ALL), stable=agent("elsewhere", "v1", 10.0)).run(60)
        verdicts = [gate.verdict for gate in attempt.report().gates]
        assert verdicts == [Verdict.NO_DATA, Verdict.PASS, Verdict.PASS]
        assert "stable" in attempt.gate("success").message

    def test_a_few_outcomes_are_not_compared(self) -> None:
        attempt = Attempt(plan(SUCCESS)).run(30, share=0.0)
        work(attempt.candidate, good=False, times=3)
        attempt.run(30, share=0.0)
        assert attempt.gate("success").verdict is Verdict.INCONCLUSIVE
        assert "3 of the candidate" in attempt.gate("success").message


class TestNeverWaiting:
    def test_a_critical_violation_born_at_one_fails_at_once(self) -> None:
        attempt = Attempt(plan(*ALL), look=1).run(1)
        attempt.candidate.do(VIOLATIONS, rule="refund", severity="critical")
        attempt.second()
        assert attempt.report().failed == ("critical",)
        assert attempt.gate("critical").message == "1 critical policy violation of the candidate, 0 allowed"

    def test_events_up_to_the_maximum_are_allowed(self) -> None:
        attempt = Attempt(plan(Gate("critical", metric("critical-policy-violations"), Events(1))))
        for _ in range(2):
            attempt.candidate.do(VIOLATIONS, rule="refund", severity="critical")
            assert not attempt.report().reverts
            attempt.run(20)
        assert attempt.report().reverts

    def test_what_stable_does_is_no_event(self) -> None:
        attempt = Attempt(plan(CRITICAL))
        attempt.stable.do(VIOLATIONS, rule="refund", severity="critical")
        assert not attempt.run(30).report().reverts

    def test_before_the_first_clock_and_between_steps(self) -> None:
        steps = (CANARY, PlannedStep(1, "full"))
        early = Attempt(plan(CRITICAL, steps=steps), times=())
        early.candidate.do(VIOLATIONS, rule="refund", severity="critical")
        assert early.run(5).report().failed == ("critical",)
        between = Attempt(plan(CRITICAL, steps=steps)).run(30)
        between.end()
        between.run(10)
        between.candidate.do(VIOLATIONS, rule="refund", severity="critical")
        assert between.run(5).report().failed == ("critical",)

    def test_history_before_the_attempt_does_not_count(self) -> None:
        pod = agent("triage-b-1", "v2", 10.0)
        pod.do(VIOLATIONS, 3, rule="refund", severity="critical")
        pod.scrape(SINCE - 1)
        assert not Attempt(plan(CRITICAL), candidate=pod).run(10).report().reverts


class TestSteps:
    def test_a_shadow_step_reads_the_shadow_only(self) -> None:
        attempt = Attempt(plan(*ALL, steps=SHADOW_FIRST))
        attempt.candidate.do(VIOLATIONS, rule="refund", severity="critical")
        work(attempt.shadow, good=False, times=50)
        attempt.run(20, share=0.0)
        report = attempt.report()
        assert report.candidate_tasks == 50
        assert report.stable_tasks == 400
        assert report.warmed_up
        assert not report.reverts
        assert [gate.verdict for gate in report.gates] == [Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.PASS]
        assert [gate.judged for gate in report.gates] == [False, True, True]
        assert attempt.gate("success").message == "not judged in shadow"

    def test_a_canary_reads_live_only(self) -> None:
        attempt = Attempt(plan(*ALL))
        attempt.shadow.do(VIOLATIONS, rule="refund", severity="critical")
        work(attempt.shadow, good=False, times=500)
        assert not attempt.run(60).report().reverts

    def test_the_shadow_counts_until_live_traffic_starts(self) -> None:
        attempt = Attempt(plan(CRITICAL, steps=SHADOW_FIRST)).run(20, share=0.0)
        attempt.end()
        attempt.run(10, share=0.0)
        attempt.shadow.do(VIOLATIONS, rule="refund", severity="critical")
        assert attempt.run(5, share=0.0).report().failed == ("critical",)

    def test_evidence_of_the_shadow_freezes(self) -> None:
        attempt = Attempt(plan(VIOLATION, steps=SHADOW_FIRST)).run(20, share=0.0)
        attempt.start(1)
        attempt.run(10)
        before = attempt.gate("violations").log_evidence
        work(attempt.shadow, good=True, times=100)
        attempt.shadow.do(VIOLATIONS, 100, rule="pii", severity="low")
        attempt.run(5, share=0.0)
        assert attempt.gate("violations").log_evidence == pytest.approx(before)

    def test_a_regression_that_starts_in_a_later_step_is_found(self) -> None:
        steps = (CANARY, PlannedStep(1, "canary"), PlannedStep(2, "full"))
        attempt = Attempt(plan(SUCCESS, steps=steps)).run(600)
        attempt.start(1)
        assert attempt.run(90, share=0.5, candidate=0.8).report().reverts

    def test_counts_begin_afresh_with_each_step(self) -> None:
        attempt = Attempt(plan(SUCCESS, steps=(CANARY, PlannedStep(1, "full")))).run(60)
        attempt.start(1)
        attempt.run(10)
        assert attempt.report().candidate_tasks == 0
        assert 0 < attempt.report().candidate_started < 60
        assert attempt.gate("success").verdict is Verdict.INCONCLUSIVE

    def test_an_approval_continues_the_step_before_it(self) -> None:
        attempt = Attempt(plan(*ALL, steps=(CANARY, PlannedStep(2, "full")))).run(60)
        before = attempt.report().candidate_tasks
        attempt.start(1)
        attempt.run(60)
        assert attempt.report().candidate_tasks > before
        assert {gate.verdict for gate in attempt.report().gates} == {Verdict.PASS}

    def test_a_step_whose_clock_has_not_started_is_not_judged_yet(self) -> None:
        attempt = Attempt(plan(*ALL, steps=(CANARY, PlannedStep(1, "full")))).run(60)
        attempt.end()
        attempt.run(5)
        assert {gate.verdict for gate in attempt.report().gates} == {Verdict.INCONCLUSIVE}
        assert attempt.report().candidate_tasks == 0
        assert not attempt.report().warmed_up

    def test_full_without_a_holdout_compares_nothing(self) -> None:
        steps = (CANARY, PlannedStep(1, "full", compares=False))
        attempt = Attempt(plan(*ALL, steps=steps)).run(60)
        attempt.start(1)
        attempt.run(60, share=1.0, candidate=0.5)
        assert not attempt.gate("success").judged
        assert attempt.gate("violations").verdict is Verdict.PASS
        assert not attempt.report().reverts

    def test_a_gate_judges_only_in_its_kinds_of_step(self) -> None:
        late = Gate("violations", metric("policy-violation-rate"), Limit(0.005), during=("full",))
        attempt = Attempt(plan(late, steps=(CANARY, PlannedStep(1, "full"))))
        attempt.candidate.do(VIOLATIONS, 30, rule="pii", severity="low")
        assert not attempt.run(60).report().reverts
        assert not attempt.gate("violations").judged

    def test_a_comparison_may_wait_for_full(self) -> None:
        late = replace(SUCCESS, during=("full",))
        attempt = Attempt(plan(late, steps=(CANARY, PlannedStep(1, "full")))).run(60, candidate=0.2)
        assert attempt.gate("success").message == "not judged in canary"
        attempt.start(1)
        attempt.run(120, candidate=0.2)
        assert attempt.report().failed == ("success",)


class TestWarmUp:
    def test_the_fast_failures_of_a_new_step_are_not_compared(self) -> None:
        attempt = Attempt(plan(SUCCESS, warmup=30.0)).run(30, candidate=0.3)
        assert "warming up for another" in attempt.gate("success").message or attempt.report().warmed_up
        assert not attempt.run(60).report().reverts

    def test_by_default_it_is_the_slowest_percent_of_stable(self) -> None:
        stable = agent("triage-a-1", "v1", 10.0)
        for bound, count in (("5.0", 900), ("30", 995), ("60.0", 1000), ("+Inf", 1000)):
            stable.do(BUCKETS, count, le=bound)
        attempt = Attempt(plan(SUCCESS, warmup=None), stable=stable).run(29)
        attempt.advance()
        assert not attempt.report().warmed_up
        attempt.run(1)
        assert attempt.report().warmed_up

    def test_without_durations_it_is_the_settling_time(self) -> None:
        attempt = Attempt(plan(SUCCESS, warmup=None, settle=4.0), look=1).run(3)
        assert not attempt.report().warmed_up
        assert attempt.run(1).report().warmed_up

    def test_tasks_count_after_it(self) -> None:
        attempt = Attempt(plan(SUCCESS, warmup=10.0)).run(20)
        assert attempt.report().stable_started + attempt.report().candidate_started == 400
        assert attempt.report().stable_tasks + attempt.report().candidate_tasks == 200


class TestVerifiers:
    def test_the_most_trusted_one_counts_alone(self) -> None:
        attempt = Attempt(plan(VERIFIED_GATE))
        self.verify(attempt, 60, postcondition=0.9, judge=0.1)
        assert attempt.gate("verified").verdict is Verdict.PASS
        assert "verified by postcondition" in attempt.gate("verified").message
        assert "(n=96)" in attempt.gate("verified").candidate

    def test_one_that_is_exported_but_idle_is_passed_over(self) -> None:
        attempt = Attempt(plan(VERIFIED_GATE))
        attempt.stable.do(VERIFIED, 0, result="pass", verifier="postcondition")
        self.verify(attempt, 60, judge=0.9)
        assert "verified by judge" in attempt.gate("verified").message

    def test_a_setting_chooses(self) -> None:
        attempt = Attempt(plan(VERIFIED_GATE, verifier="judge"))
        self.verify(attempt, 60, postcondition=0.9, judge=0.2)
        assert "verified by judge" in attempt.gate("verified").message

    def test_nobody_verifies(self) -> None:
        attempt = Attempt(plan(VERIFIED_GATE)).run(60)
        assert attempt.gate("verified").verdict is Verdict.NO_DATA

    @staticmethod
    def verify(attempt: Attempt, seconds: int, **rates: float) -> None:
        for _ in range(seconds):
            for pod in (attempt.candidate, attempt.stable):
                for verifier, rate in rates.items():
                    for result, share in (("pass", rate), ("fail", 1 - rate)):
                        pod.do(VERIFIED, 2 * share, result=result, verifier=verifier)
            attempt.run(1)


class TestDoubles:
    def test_a_target_scraped_twice_decides_nothing(self) -> None:
        attempt = Attempt(plan(*ALL))
        twin = [
            Series({**one.labels, "job": "second-monitor"}, tuple((at + 0.3, v) for at, v in one.points))
            for one in attempt.run(100, candidate=0.5).series()
            if one.labels["pod"] == "triage-b-1"
        ]
        evidence = AttemptEvidence(attempt.plan, SINCE)
        evidence.advance(attempt.times, [*attempt.series(), *twin], float(attempt.now))
        report = evidence.report()
        assert {gate.verdict for gate in report.gates} == {Verdict.NO_DATA}
        assert not report.reverts
        assert "triage-b-1 is scraped twice" in report.warnings[0]

    @pytest.mark.parametrize("label", ["prometheus_replica", "monitor"])
    def test_stable_scraped_twice_leaves_the_limits(self, label: str) -> None:
        attempt = Attempt(plan(*ALL)).run(60)
        twin = [
            Series({**one.labels, label: "b"}, one.points)
            for one in attempt.series()
            if one.labels["pod"] == "triage-a-1"
        ]
        evidence = AttemptEvidence(attempt.plan, SINCE)
        evidence.advance(attempt.times, [*attempt.series(), *twin], float(attempt.now))
        verdicts = [gate.verdict for gate in evidence.report().gates]
        assert verdicts == [Verdict.NO_DATA, Verdict.PASS, Verdict.PASS]


def test_a_process_of_unknown_age_is_told() -> None:
    attempt = Attempt(plan(CRITICAL))
    late = agent("triage-b-2", "v2", SINCE + 5)
    late.exports_start = False
    work(late, good=True)
    late.scrape(SINCE + 7)
    attempt.now += 10
    attempt.evidence.advance(
        attempt.times, [*attempt.series(), *window([late], 0, SINCE + 10)], float(attempt.now)
    )
    assert "triage-b-2" in attempt.report().warnings[0]


def test_a_counter_that_is_not_exported_is_told() -> None:
    silent = agent("triage-b-1", "v2", SINCE - 5)
    silent.values = {key: 0.0 for key in silent.values if ("__name__", VIOLATIONS) not in key}
    attempt = Attempt(plan(CRITICAL), candidate=silent).run(30)
    assert attempt.gate("critical").verdict is Verdict.PASS
    assert attempt.report().warnings == (
        f"the candidate exports no {VIOLATIONS}: counted as none so far; export it at 0 from the start",
    )


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("task-success-rate", Limit(0.5)),
        ("task-success-rate", Events(0)),
        ("critical-policy-violations", Compare(0.0)),
        ("no-such-metric", Compare(0.0)),
    ],
)
def test_a_test_that_does_not_fit_its_metric_is_refused(name: str, test: Compare | Limit | Events) -> None:
    with pytest.raises(ValueError, match="must"):
        Gate("odd", metric(name), test)

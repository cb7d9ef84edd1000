"""What the usual traffic says of a Rollout, and what its series do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.evidence import Tally
from interlock.analysis.means import Amount
from interlock.analysis.plan import Side
from interlock.analysis.questions import Worsening
from interlock.analysis.sightings import sighted
from interlock.analysis.usual import Usage, Usual, UsualEvents, UsualMean, UsualRate
from interlock.core.lint.findings import Finding, Severity
from interlock.core.lint.forecast import planned
from interlock.core.lint.report import Lint, Traffic, by_hand, linted
from interlock.core.lint.series import looked_at
from interlock.core.lint.traffic import poisson
from interlock.core.observation import Timing
from tests.analysis.attempt import TASKS, agent, last
from tests.analysis.attempt import VIOLATIONS as VIOLATED
from tests.analysis.world import Pod, window
from tests.core.lint.test_written import CERTAIN, CLEAN, COST, COVERAGE, about, rollout
from tests.scenarios.objects import CANARY, CRITICAL, FULL, SUCCESS, VIOLATIONS, Manifest

TIMING = Timing(5.0, 30.0)
REPORTED: Manifest = {**SUCCESS, "metric": "task-success-rate"}


def usual(tasks: float = 1.0, slow: float | None = None, **gates: Usage) -> Usual:
    return Usual(tasks, gates, 86400.0, 86400.0 * tasks, None, slow)


def rate(good: float, effect: float = 1.0) -> UsualRate:
    return UsualRate(Tally(good * 1e6, 1e6), 1.0, effect)


def lint(*gates: Manifest, known: Usual, **spec: Any) -> Lint:
    return linted(rollout(*gates, **spec), TIMING, known, Worsening())


def told(*gates: Manifest, known: Usual, **spec: Any) -> tuple[Finding, ...]:
    return lint(*gates, known=known, **spec).findings


class TestSteps:
    def test_tasks_that_do_not_come_before_the_deadline(self) -> None:
        many = {**CANARY, "minTasks": 1000}
        found = told(SUCCESS, known=usual(), steps=(many, FULL), stepDeadlineSeconds=3600)
        error = about(found, "1000 tasks")
        assert (error.severity, error.field) == (Severity.ERROR, "spec.strategy.steps[0].minTasks")
        assert "about 1h24m" in error.what  # 1000 of .2 a second, and 30 s

    def test_tasks_that_take_days_where_there_is_no_deadline(self) -> None:
        warned = about(told(SUCCESS, known=usual(0.001)), "step canary: 20 tasks")
        assert warned.severity is Severity.WARNING

    def test_no_traffic_at_all(self) -> None:
        assert about(told(SUCCESS, known=usual(0.0)), "no task").severity is Severity.ERROR

    def test_a_warm_up_that_outlasts_the_step(self) -> None:
        warned = about(told(SUCCESS, known=usual(slow=90.0)), "step canary: comparisons wait 90s")
        assert (warned.severity, warned.field) == (
            Severity.WARNING,
            "spec.strategy.steps[0].minDurationSeconds",
        )

    def test_a_warm_up_that_is_only_reckoned(self) -> None:
        known = replace(usual(slow=100.0), beyond=20.0)
        warned = about(told(SUCCESS, known=known), "longer than 20s, the last bound")
        assert (warned.severity, warned.field) == (Severity.WARNING, "spec.analysis.warmupSeconds")

    def test_a_warm_up_that_outlasts_the_deadline(self) -> None:
        (first, _) = [
            one
            for one in told(SUCCESS, known=usual(slow=300.0), stepDeadlineSeconds=120)
            if "longer than the deadline" in one.what
        ]
        assert (first.severity, first.field) == (Severity.ERROR, "spec.strategy.stepDeadlineSeconds")

    def test_steps_last_as_long_as_their_tasks_take(self) -> None:
        canary, full = lint(SUCCESS, known=usual(slow=40.0)).legs
        assert canary.warmup == 40.0
        assert canary.lasts == pytest.approx(140.0)  # 20 of .2 a second
        assert full.lasts == pytest.approx(40 + 20 / 0.9)


class TestStableItself:
    def test_is_over_the_limit(self) -> None:
        error = about(told(VIOLATIONS, known=usual(violations=rate(0.9))), "stable itself is at 10 %")
        assert (error.severity, error.field) == (Severity.ERROR, "spec.analysis.gates[0].limit.maxPercent")
        assert not [f for f in told(VIOLATIONS, known=usual(violations=rate(0.96))) if "itself" in f.what]

    @pytest.mark.parametrize(
        ("per_task", "severity"), [(0.0001, None), (0.001, Severity.WARNING), (0.1, Severity.ERROR)]
    )
    def test_has_events_that_would_take_a_candidate_back(
        self, per_task: float, severity: Severity | None
    ) -> None:
        known = usual(critical=UsualEvents(86400 * per_task, per_task))
        found = [one.severity for one in told(CRITICAL, known=known) if "stable has had" in one.what]
        assert found == ([severity] if severity else [])

    def test_has_outcomes_in_clumps(self) -> None:
        assert (
            about(told(SUCCESS, known=usual(success=rate(0.9, 2.5))), "2.5 are worth one").severity == "Note"
        )

    def test_has_violations_in_clumps_which_a_safety_limit_counts_one_by_one(self) -> None:
        safety = {**VIOLATIONS, "safety": True}
        known = usual(violations=rate(0.99, 2.5))
        noted = about(told(safety, known=known), "outside the bound of 5 %")
        assert (noted.severity, noted.field) == (Severity.NOTE, "spec.analysis.gates[0].limit")
        assert "2.5 are worth one" in noted.what
        divided = told({**VIOLATIONS, "safety": False}, known=known)
        independent = told(safety, known=usual(violations=rate(0.99)))
        assert not [one for one in (*divided, *independent) if "outside the bound" in one.what]

    @given(st.integers(0, 30), st.floats(0, 30))
    def test_poisson(self, most: int, expected: float) -> None:
        assert 0 <= poisson(most, expected) <= poisson(most + 1, expected) <= 1
        assert poisson(most, 0.0) == 1.0

    def test_poisson_worked(self) -> None:
        assert poisson(1, 2.0) == pytest.approx(0.406006, abs=1e-6)


class TestAnswers:
    def test_harm_that_no_step_sees(self) -> None:
        found = told(SUCCESS, COVERAGE, known=usual(success=rate(0.92)), stepDeadlineSeconds=600)
        late = about(found, "gate success does not see 92 % turning into 88 % inside the deadline of 10m")
        assert late.severity is Severity.WARNING
        assert "canary (median" in late.what
        assert about(found, "is promoted before that is seen").severity is Severity.WARNING

    def test_harm_that_is_seen_in_time_is_no_finding(self) -> None:
        busy = usual(1000.0, success=rate(0.92), covered=rate(0.9))
        found = told(SUCCESS, COVERAGE, known=busy)
        # coverage is compared like a mean, and verification may be slow: said of the object alone
        assert {one.field for one in found} == {
            "spec.analysis.warmupSeconds",
            "spec.analysis.gates[1].compare",
        }

    def test_a_certificate_that_never_comes(self) -> None:
        error = about(
            told(CLEAN, known=usual(violations=rate(0.995))),
            "step canary: to be Certified, one like stable never",
        )
        assert "stable itself" not in error.what
        assert (error.severity, error.field) == (Severity.ERROR, "spec.analysis.gates[0].advance")

    def test_a_certificate_after_the_deadline(self) -> None:
        margin = {**CERTAIN, "compare": {"worseByPoints": "2"}}
        found = told(margin, COVERAGE, known=usual(success=rate(0.92)), stepDeadlineSeconds=900)
        late = [one for one in found if "to be Certified" in one.what]
        assert [one.severity for one in late] == [Severity.ERROR, Severity.ERROR]
        assert "step canary: to be Certified, one that is as good as stable takes median" in late[0].what

    def test_a_mean_that_needs_more_looks_than_the_step_has(self) -> None:
        known = usual(0.5, cost=UsualMean(Amount(30.0, 1000.0), 0.03))
        warned = about(told(COST, known=known), "gate cost needs 20 looks, about 14m in step canary")
        assert warned.severity is Severity.WARNING
        error = about(told(COST, known=known, stepDeadlineSeconds=800), "in step canary, the deadline is 13m")
        assert error.severity is Severity.ERROR


class TestByHand:
    def test_tasks_and_success(self) -> None:
        subject = rollout(SUCCESS, VIOLATIONS)
        known = by_hand(subject, 2.0, 0.92)
        assert known.tasks_per_second == 2.0
        found = linted(subject, TIMING, known, Worsening())
        assert {answer.gate for answer in found.answers} == {"success", "violations"}
        assert all(answer.merged.seconds is not None for answer in found.answers)

    def test_strict_fails_on_warnings(self) -> None:
        quiet = lint(SUCCESS, known=by_hand(rollout(SUCCESS), None, None))
        assert not quiet.fails(strict=False)
        assert quiet.fails(strict=True)
        assert lint(SUCCESS, known=usual(0.0)).fails(strict=False)


class TestSeries:
    """What stable's series of the last minutes look like."""

    now = 1000.0

    def pod(self, name: str = "triage-a-1", **known: Any) -> Pod:
        pod = agent(name, "v1", 10.0, **known)
        pod.do(TASKS, 5, outcome="success")
        return pod

    def look(self, *pods: Pod, gates: tuple[Manifest, ...], scrape: float = 15.0) -> tuple[Finding, ...]:
        for at in range(int(self.now) - 300, int(self.now) + 1, 15):
            for pod in pods:
                pod.scrape(at)
        plan = planned(rollout(*gates), Timing.of(5.0, scrape), Side("v1", "triage-a-"))
        return looked_at(plan, sighted(plan, window(pods, 0.0, self.now), self.now))

    def test_all_is_there(self) -> None:
        assert self.look(self.pod(), gates=(REPORTED, VIOLATIONS)) == ()

    def test_a_family_is_missing(self) -> None:
        (error,) = self.look(self.pod(), gates=(SUCCESS,))
        assert (error.severity, error.field) == (Severity.ERROR, "spec.analysis.gates[0].metric")
        assert "exports no ai_agent_tasks_verified_total" in error.what

    def test_a_counter_that_is_not_there_at_0(self) -> None:
        (warned,) = self.look(self.pod(), gates=(CRITICAL,))
        assert warned.severity is Severity.WARNING
        assert 'triage-a-1 export no ai_agent_policy_violations_total{severity="critical"}' in warned.what
        whole = self.pod()
        whole.do(VIOLATED, 0, severity="critical", rule="any")
        assert self.look(whole, gates=(CRITICAL,)) == ()

    def test_a_process_without_an_age(self) -> None:
        pod = self.pod()
        pod.exports_start = False
        (warned,) = self.look(pod, gates=(REPORTED,))
        assert "process_start_time_seconds is not exported by triage-a-1" in warned.what

    def test_a_pod_that_is_scraped_twice(self) -> None:
        twin = self.pod()
        twin.instance = "elsewhere"
        twin.do(TASKS, 5, outcome="success")
        found = self.look(self.pod(), twin, gates=(REPORTED,))
        assert [one.severity for one in found] == [Severity.ERROR]
        assert "scraped twice" in found[0].what
        assert "deduplicate" in found[0].remedy

    def test_a_bound_that_is_none(self) -> None:
        slow: Manifest = {
            "name": "slow",
            "metric": "task-duration",
            "tail": {"aboveSeconds": "30", "worseByPoints": "1"},
        }
        pod = self.pod()
        last(pod, 3.0, ("1", "5", "60", "+Inf"))
        (error,) = self.look(pod, gates=(slow,))
        assert (error.severity, error.field) == (Severity.ERROR, "spec.analysis.gates[0].tail.aboveSeconds")
        assert error.remedy == "choose one of 1, 5, 60"

    def test_scrapes_are_rarer_than_the_operator_thinks(self) -> None:
        (warned,) = self.look(self.pod(), gates=(REPORTED,), scrape=5.0)
        assert "every 15 s" in warned.what

    def test_another_version_only(self) -> None:
        (error,) = self.look(self.pod("triage-b-1"), gates=(REPORTED,))
        assert "no live series of version v1, pods triage-a-*" in error.what

    def test_no_labels(self) -> None:
        pod = self.pod()
        bare = Pod("triage-a-2", 10.0, {"agent": "triage"})
        bare.do(TASKS, 1, outcome="success")
        found = self.look(pod, bare, gates=(REPORTED,))
        assert [one.what for one in found if one.severity is Severity.ERROR] == [
            "some series of the agent have no label `mode`",
            "some series of the agent have no label `version`",
        ]

    def test_a_lint_with_all_of_it(self) -> None:
        pods = [self.pod()]
        for at in range(700, 1001, 15):
            pods[0].scrape(at)
        subject = rollout(REPORTED, COVERAGE)
        plan = planned(subject, TIMING, Side("v1", "triage-a-"))
        ground = Traffic(
            plan.stable, usual(success=rate(0.92)), sighted(plan, window(pods, 0.0, self.now), self.now)
        )
        found = linted(subject, TIMING, ground, Worsening())
        severities = [one.severity for one in found.findings]
        assert severities == sorted(severities, key=list(Severity).index)
        assert found.plan is not None
        assert found.plan.stable.version == "v1"

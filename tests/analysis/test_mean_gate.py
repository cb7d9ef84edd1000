"""Means as a gate: what a task costs in two versions, compared from sums and counts."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.analysis.gates import AttemptEvidence, Compare, Gate, Mean, PlannedStep, Verdict
from interlock.analysis.presets import metric
from tests.analysis.attempt import CANARY, COST, SINCE, SUCCESS, VERIFIED, Attempt, plan
from tests.analysis.stories import looks, moved, samples, walk

DEAR = Gate("dear", metric("cost-per-task"), Mean(0.1))
VERIFIED_COST = Gate("dear", metric("cost-per-verified-success"), Mean(0.1))
HUMAN = Gate("human", metric("human-minutes-per-task"), Mean(0.0))
HUMAN_SECONDS = "ai_agent_human_seconds_total"
BEGUN = 20 * 5 + 12  # seconds: 20 blocks after the warm-up and two scrapes


def attempt(*gates: Gate, seed: int = 1) -> Attempt:
    return Attempt(plan(*(gates or (DEAR,))), seed=seed, costs=True)


class TestJudging:
    def test_as_dear_as_stable_passes(self) -> None:
        gate = attempt().run(400).gate("dear")
        assert gate.verdict is Verdict.PASS
        assert gate.message.startswith("no evidence of harm: 0.0")
        assert gate.message.endswith("that the candidate costs over 10 % more a task")
        cost, unit, count = gate.candidate.split(" ")
        assert float(cost) == pytest.approx(0.03, rel=0.15)
        assert (unit, count[:3]) == ("USD", "(n=")

    def test_dearer_fails_and_says_how_much(self) -> None:
        found = attempt().run(400, cost=(0.03, 0.06))
        gate = found.gate("dear")
        assert (gate.verdict, found.report().failed) == (Verdict.FAIL, ("dear",))
        assert ":1 that the candidate costs over 10 % more a task: 0.0" in gate.message
        assert float(gate.candidate.split(" ")[0]) == pytest.approx(0.06, rel=0.15)

    def test_cheaper_passes(self) -> None:
        assert attempt().run(400, cost=(0.06, 0.03)).gate("dear").verdict is Verdict.PASS

    def test_what_is_within_the_margin_passes(self) -> None:
        wide = replace(DEAR, test=Mean(1.0))
        assert attempt(wide).run(400, cost=(0.03, 0.045)).gate("dear").verdict is Verdict.PASS

    def test_before_twenty_blocks_it_says_how_many_there_are(self) -> None:
        found = attempt().run(60, cost=(0.03, 9.0))
        gate = found.gate("dear")
        assert gate.verdict is Verdict.INCONCLUSIVE
        assert "too little to compare means" in gate.message
        assert gate.message.endswith("of 20 so far")
        assert not found.report().reverts
        assert found.run(BEGUN, cost=(0.03, 9.0)).report().failed == ("dear",)

    def test_a_later_step_needs_its_own(self) -> None:
        """What a version costs may depend on how much it has to do."""
        steps = (CANARY, replace(CANARY, index=1, kind="full"))
        found = Attempt(plan(DEAR, steps=steps), costs=True).run(300)
        assert found.gate("dear").verdict is Verdict.PASS
        found.start(1)
        assert found.run(60).gate("dear").verdict is Verdict.INCONCLUSIVE
        assert found.run(BEGUN).gate("dear").verdict is Verdict.PASS

    def test_it_weighs_in_the_merge(self) -> None:
        alone = attempt().run(200, cost=(0.03, 0.045)).report()
        among = attempt(DEAR, SUCCESS).run(200, cost=(0.03, 0.045)).report()
        assert 0 < among.combined_log_evidence < alone.combined_log_evidence

    @pytest.mark.parametrize(
        "step", [PlannedStep(0, "shadow", share=0.5), PlannedStep(0, "full", compares=False)]
    )
    def test_where_nothing_can_be_compared_it_has_no_say(self, step: PlannedStep) -> None:
        found = Attempt(plan(DEAR, steps=(step,)), costs=True).run(200, cost=(0.03, 9.0))
        gate = found.gate("dear")
        assert (gate.verdict, gate.judged) == (Verdict.INCONCLUSIVE, False)
        assert not found.report().reverts

    def test_equals_are_rarely_blamed(self) -> None:
        blamed = [attempt(seed=seed).run(300).report().reverts for seed in range(40)]
        assert fmean(blamed) <= 0.05


class TestCounters:
    def test_costs_are_shared_by_the_successes_of_one_verifier(self) -> None:
        """The candidate's tasks cost as much, but half of them are of no use."""
        found = attempt(VERIFIED_COST, replace(DEAR, name="task"))
        for _ in range(400):
            found.run(1)
            for pod, good in ((found.stable, 18), (found.candidate, 1)):
                pod.do(VERIFIED, good, verifier="postcondition", result="pass")
                pod.do(VERIFIED, 2 * good, verifier="judge", result="pass")
                pod.do(VERIFIED, 1, verifier="postcondition", result="fail")
        gate = found.gate("dear")
        assert gate.verdict is Verdict.FAIL
        assert gate.message.endswith("verified by postcondition")
        assert float(gate.candidate.split(" ")[0]) == pytest.approx(0.06, rel=0.2)
        assert found.gate("task").verdict is Verdict.PASS

    def test_seconds_of_people_are_told_in_minutes(self) -> None:
        found = attempt(HUMAN)
        for _ in range(300):
            found.run(1)
            found.stable.do(HUMAN_SECONDS, 18 * 30 * found.chance.random(), activity="approve")
            found.candidate.do(HUMAN_SECONDS, 2 * 90 * found.chance.random(), activity="takeover")
        gate = found.gate("human")
        assert gate.verdict is Verdict.FAIL
        assert "that the candidate takes more of people's time a task: 0." in gate.message
        assert float(gate.candidate.split(" ")[0]) == pytest.approx(0.75, rel=0.2)
        assert float(gate.stable.split(" ")[0]) == pytest.approx(0.25, rel=0.2)

    def test_nobody_at_work_in_either_version_is_no_harm(self) -> None:
        found = attempt(HUMAN)
        for pod in (found.stable, found.candidate):
            pod.do(HUMAN_SECONDS, 0, activity="approve")
        assert found.run(300).gate("human").verdict is Verdict.PASS

    @pytest.mark.parametrize("silent", ["candidate", "stable"])
    def test_what_is_not_exported_is_not_0(self, silent: str) -> None:
        """A candidate that costs nothing would pass, and one beside a stable version that does would fail."""
        found = Attempt(plan(DEAR))
        for _ in range(300):
            found.run(1)
            found.__getattribute__({"candidate": "stable", "stable": "candidate"}[silent]).do(
                COST, 1, kind="tool"
            )
        gate = found.gate("dear")
        assert gate.verdict is Verdict.NO_DATA
        assert COST in gate.message
        assert not found.report().reverts

    def test_what_was_done_before_it_was_exported_is_not_compared(self) -> None:
        found = Attempt(plan(DEAR)).run(300)
        found.costs = True
        found.run(200)
        assert found.gate("dear").verdict is Verdict.PASS
        assert float(found.gate("dear").stable.split(" ")[0]) == pytest.approx(0.03, rel=0.1)


class TestGoingOn:
    @settings(max_examples=10)
    @given(st.integers(0, 10**6), st.integers(0, 59))
    def test_in_another_process_it_says_the_same(self, seed: int, cut: int) -> None:
        """Long enough for evidence, unlike the stories at random."""
        told = Attempt(plan(DEAR), seed=seed, costs=True).run(300, tasks=8, share=0.5, cost=(0.03, 0.045))
        moments = list(looks(told))
        expected = list(walk(AttemptEvidence(told.plan, SINCE), told, moments))
        assert expected[-1].combined_log_evidence != 0
        before = AttemptEvidence(told.plan, SINCE)
        list(walk(before, told, moments[: cut + 1]))
        found = list(walk(moved(before, told.plan), told, moments[cut + 1 :], lost=moments[cut]))
        assert repr(found) == repr(expected[cut + 1 :])

    def test_it_looks_the_same_however_often_one_looks(self) -> None:
        often = attempt().run(300, cost=(0.03, 0.05))
        once = AttemptEvidence(often.plan, SINCE)
        once.advance(often.times, samples(often, 0, often.now), float(often.now))
        assert repr(once.report()) == repr(often.report())


@pytest.mark.parametrize(
    ("name", "test"), [("task-success-rate", Mean(0.1)), ("cost-per-task", Compare(0.0))]
)
def test_only_an_average_has_a_mean(name: str, test: Mean | Compare) -> None:
    with pytest.raises(ValueError, match=f"must not be used with the metric {name}"):
        Gate("dear", metric(name), test)


def test_a_margin_is_not_negative() -> None:
    with pytest.raises(ValueError, match="mean: worse_by must be at least 0"):
        Mean(-0.1)

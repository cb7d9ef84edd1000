"""The tail of the task durations as a gate: one bound, told apart from all outcomes, in both versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.analysis.gates import AttemptEvidence, Compare, Gate, PlannedStep, Tail, Verdict
from interlock.analysis.presets import metric
from tests.analysis.attempt import CANARY, SINCE, SUCCESS, Attempt, plan

SLOW = Gate("slow", metric("task-duration"), Tail(30.0, 0.01))
BOUNDS = ("10.0", "30.0", "+Inf")


def attempt(*gates: Gate, bounds: tuple[str, ...] = BOUNDS) -> Attempt:
    return Attempt(plan(*(gates or (SLOW,))), bounds=bounds)


class TestJudging:
    def test_as_slow_as_stable_passes(self) -> None:
        gate = attempt().run(300).gate("slow")
        assert gate.verdict is Verdict.PASS
        assert gate.message.startswith("no evidence of harm: 0.")
        assert gate.message.endswith("that the candidate takes over 30 s more often by over 1 point")

    def test_slower_fails_and_says_how_much(self) -> None:
        gate = attempt().run(300, slow=(0.1, 0.4)).gate("slow")
        assert gate.verdict is Verdict.FAIL
        assert float(gate.candidate.split(" ")[0]) == pytest.approx(0.4, abs=0.05)
        assert float(gate.stable.split(" ")[0]) == pytest.approx(0.1, abs=0.02)
        assert "that the candidate takes over 30 s more often by over 1 point: 0." in gate.message

    def test_faster_passes(self) -> None:
        assert attempt().run(300, slow=(0.4, 0.05)).gate("slow").verdict is Verdict.PASS

    def test_it_is_judged_as_an_outcome_of_two_kinds_is(self) -> None:
        """The same evidence, to the last digit, as if the slow ones had failed."""
        compared = replace(SUCCESS, test=Compare(0.01))
        both = attempt(SLOW, compared)
        for length in (5, 60, 5, 200):
            for _ in range(length):
                good = both.chance.random() < 0.8
                slow = (0.0, 0.0) if good else (1.0, 1.0)
                both.run(1, stable=float(good), candidate=float(good), tasks=3, share=0.3, slow=slow)
        assert both.gate("slow").log_evidence == both.gate("success").log_evidence != 0

    def test_it_weighs_in_the_merge(self) -> None:
        alone = attempt().run(200, slow=(0.1, 0.25)).report()
        among = attempt(SLOW, SUCCESS).run(200, slow=(0.1, 0.25)).report()
        assert 0 < among.combined_log_evidence < alone.combined_log_evidence

    @pytest.mark.parametrize(
        "step", [PlannedStep(0, "shadow", share=0.5), PlannedStep(0, "full", compares=False)]
    )
    def test_where_nothing_can_be_compared_it_has_no_say(self, step: PlannedStep) -> None:
        gate = Attempt(plan(SLOW, steps=(step,)), bounds=BOUNDS).run(60, slow=(0.1, 1.0)).gate("slow")
        assert (gate.verdict, gate.judged) == (Verdict.INCONCLUSIVE, False)

    def test_it_waits_for_the_warm_up(self) -> None:
        cold = Attempt(plan(SLOW, warmup=100.0), bounds=BOUNDS).run(99, slow=(0.1, 0.9))
        assert cold.gate("slow").verdict is Verdict.INCONCLUSIVE
        assert "warming up" in cold.gate("slow").message
        assert cold.run(60).report().failed == ()


class TestBounds:
    @pytest.mark.parametrize("bounds", [("10", "30", "+Inf"), ("10.0", "3e1", "Inf")])
    def test_they_are_numbers_however_they_are_written(self, bounds: tuple[str, ...]) -> None:
        assert attempt(bounds=bounds).run(300, slow=(0.1, 0.5)).report().failed == ("slow",)

    @pytest.mark.parametrize("slow", [(0.1, 0.1), (0.0, 1.0)])
    def test_one_that_is_none_is_never_pass_and_names_those_there_are(
        self, slow: tuple[float, float]
    ) -> None:
        found = attempt(bounds=("10", "60", "+Inf")).run(300, slow=slow)
        gate = found.gate("slow")
        assert (gate.verdict, gate.judged) == (Verdict.NO_DATA, True)
        assert gate.message == (
            "not decided: 30 is not a bound of the histogram's buckets; there are: 10, 60"
        )
        assert not found.report().reverts

    def test_both_versions_must_have_it(self) -> None:
        """All of the candidate's would else seem to lie beyond."""
        found = attempt()
        for _ in range(300):
            found.bounds = ("10", "30", "+Inf")
            found.run(1, share=0.0, tasks=5)
            found.bounds = ("10", "60", "+Inf")
            found.run(1, share=1.0, tasks=5)
        gate = found.gate("slow")
        assert gate.verdict is Verdict.NO_DATA
        assert gate.message.endswith("there are: 10")
        assert not found.report().reverts

    def test_a_gate_with_its_bound_does_not_suffer_from_one_without(self) -> None:
        other = replace(SLOW, name="other", test=Tail(45.0, 0.01))
        found = attempt(SLOW, other).run(300, slow=(0.1, 0.5))
        assert found.report().failed == ("slow",)
        assert found.gate("other").verdict is Verdict.NO_DATA

    def test_no_histogram_is_no_data(self) -> None:
        gate = attempt(bounds=()).run(60).gate("slow")
        assert gate.verdict is Verdict.NO_DATA
        assert gate.message == "no sample of ai_agent_task_duration_seconds_bucket from the candidate"

    def test_it_looks_the_same_however_often_one_looks(self) -> None:
        often = attempt(SLOW, replace(SLOW, name="other", test=Tail(45.0, 0.01))).run(200, slow=(0.1, 0.3))
        once = AttemptEvidence(often.plan, SINCE)
        once.advance(often.times, often.series(), float(often.now))
        assert repr(once.report()) == repr(often.report())


@pytest.mark.parametrize(
    ("name", "test"),
    [("task-success-rate", Tail(30.0)), ("task-duration", Compare(0.0))],
)
def test_only_a_histogram_has_a_tail(name: str, test: Tail | Compare) -> None:
    with pytest.raises(ValueError, match=f"must not be used with the metric {name}"):
        Gate("slow", metric(name), test)


@pytest.mark.parametrize(("above", "worse"), [(0.0, 0.1), (-1.0, 0.1), (float("inf"), 0.1), (30.0, 1.0)])
def test_what_can_be_no_tail_is_refused(above: float, worse: float) -> None:
    with pytest.raises(ValueError, match="tail: "):
        Tail(above, worse)


def test_the_steps_share_the_evidence() -> None:
    """As a comparison: the mean over the planned steps."""
    later = replace(CANARY, index=1, kind="full")
    one = attempt().run(200, slow=(0.1, 0.3)).gate("slow").log_evidence
    two = Attempt(plan(SLOW, steps=(CANARY, later)), bounds=BOUNDS).run(200, slow=(0.1, 0.3)).gate("slow")
    assert 0 < two.log_evidence < one

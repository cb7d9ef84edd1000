"""Comparisons in shadow: the candidate's shadow against stable's; nothing is carried into live steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.analysis.evidence import HarmProcess, Tally, log_mean
from interlock.analysis.gates import (
    AttemptEvidence,
    Compare,
    Gate,
    Mean,
    Mode,
    PlannedStep,
    StepKind,
    Tail,
    Verdict,
)
from interlock.analysis.presets import metric
from tests.analysis.attempt import SINCE, SUCCESS, VERIFIED, Attempt, plan
from tests.analysis.chance import refutes, world
from tests.analysis.stories import looks, moved, walk
from tests.analysis.world import Pod

EVERYWHERE: tuple[StepKind, ...] = ("shadow", "canary", "full")
COMPARED = replace(SUCCESS, during=EVERYWHERE)
STEPS = (
    PlannedStep(0, "shadow", min_tasks=5, share=0.5),
    PlannedStep(1, "canary", min_tasks=5, share=0.1),
    PlannedStep(2, "full", compares=False),
)


def attempt(
    *gates: Gate, steps: Sequence[PlannedStep] = STEPS, warmup: float | None = 10.0, **more: Any
) -> Attempt:
    """Both versions have a shadow."""
    return Attempt(plan(*(gates or (COMPARED,)), steps=steps, warmup=warmup), controlled=True, **more)


class TestInShadow:
    def test_a_worse_candidate_is_found_before_it_has_any_live_task(self) -> None:
        found = attempt().mirror(100, shadow=0.6)
        gate = found.gate("success")
        assert (gate.verdict, found.report().failed) == (Verdict.FAIL, ("success",))
        assert ":1 that the candidate fails more often: 0." in gate.message
        assert not any(value for key, value in found.candidate.values.items() if ("mode", "live") in key)

    def test_its_like_passes_however_badly_both_do_with_stubbed_tools(self) -> None:
        found = attempt().mirror(100, control=0.3, shadow=0.3, live=0.99)
        gate = found.gate("success")
        assert gate.verdict is Verdict.PASS
        assert gate.stable.startswith("0.3"), "stable's shadow is shown, not what it does live"

    def test_live_stable_never_stands_in_for_its_shadow(self) -> None:
        alone = Attempt(plan(COMPARED, steps=STEPS)).mirror(100, shadow=0.2)
        gate = alone.gate("success")
        assert gate.verdict is Verdict.NO_DATA
        assert gate.message.endswith("from the stable version's shadow: nothing to compare with")
        assert not alone.report().reverts

    def test_a_shadow_of_stable_that_dies_lets_nothing_pass(self) -> None:
        found = attempt().mirror(60)
        assert found.gate("success").verdict is Verdict.PASS
        found.controlled = False
        found.control.stored.clear()
        found.mirror(130, shadow=0.2)
        gate = found.gate("success")
        assert (gate.verdict, found.report().reverts) == (Verdict.NO_DATA, False)

    def test_a_shadow_of_stable_without_copies_lets_nothing_pass(self) -> None:
        """A gateway that honours the first mirror only."""
        found = attempt()
        for _ in range(60):
            found.shadow.do("ai_agent_tasks_total", 10, outcome="success")
            found.run(1, share=0.0)
        gate = found.gate("success")
        assert gate.verdict is Verdict.INCONCLUSIVE
        assert gate.message.endswith("so far")
        assert "0 of stable" in gate.message

    def test_without_a_like_it_is_not_judged(self) -> None:
        alone = (replace(STEPS[0], compares=False), *STEPS[1:])
        found = attempt(steps=alone).mirror(60, shadow=0.2)
        assert not found.gate("success").judged
        assert not found.report().reverts

    def test_it_compares_in_shadow_only_where_that_is_named(self) -> None:
        found = attempt(SUCCESS).mirror(60, shadow=0.2)
        assert found.gate("success").message == "not judged in shadow"
        assert not found.report().reverts

    @pytest.mark.parametrize(
        ("gate", "worse"),
        [
            (Gate("slow", metric("task-duration"), Tail(30.0), during=EVERYWHERE), {"slow": (0.1, 0.6)}),
            (Gate("dear", metric("cost-per-task"), Mean(0.1), during=EVERYWHERE), {"cost": (0.03, 0.09)}),
        ],
        ids=["tail", "mean"],
    )
    def test_tails_and_means_are_compared_alike(self, gate: Gate, worse: dict[str, Any]) -> None:
        well, badly = (attempt(gate, bounds=("30.0", "+Inf"), costs=True) for _ in range(2))
        assert well.mirror(160).gate(gate.name).verdict is Verdict.PASS
        assert badly.mirror(160, **worse).report().failed == (gate.name,)

    def test_a_bound_that_only_live_tasks_lack_does_not_trouble_a_shadow(self) -> None:
        slow = Gate("slow", metric("task-duration"), Tail(30.0), during=("shadow",))
        found = attempt(slow, bounds=("30.0", "+Inf"))
        for _ in range(60):
            found.stable.do("ai_agent_task_duration_seconds_bucket", 1, le="7.0")
            found.mirror(1)
        assert found.gate("slow").verdict is Verdict.PASS


class TestWarmUp:
    def test_a_compared_shadow_warms_up_and_counts_tasks_from_then_on(self) -> None:
        found = attempt(warmup=30.0).mirror(25)
        assert (found.report().warmed_up, found.report().candidate_tasks) == (False, 0)
        assert "warming up" in found.gate("success").message
        found.mirror(30)
        assert found.report().warmed_up
        assert 0 < found.report().candidate_tasks < found.report().candidate_started

    def test_one_in_which_nothing_is_compared_does_not(self) -> None:
        found = attempt(SUCCESS, warmup=30.0).mirror(10)
        assert found.report().warmed_up
        assert found.report().candidate_tasks == found.report().candidate_started


class TestVerifiers:
    def test_a_shadow_may_be_verified_by_another(self) -> None:
        """A post-condition needs effects, and stubbed tools have none: there only the judge is at work."""
        verified = Gate("verified", metric("verified-success-rate"), Compare(0.0), during=EVERYWHERE)
        found = attempt(verified)
        for _ in range(100):
            found.mirror(1)
            found.stable.do(VERIFIED, 20, result="pass", verifier="postcondition")
            for pod, good in ((found.control, 9), (found.shadow, 4)):
                pod.do(VERIFIED, good, result="pass", verifier="judge")
                pod.do(VERIFIED, 10 - good, result="fail", verifier="judge")
        gate = found.gate("verified")
        assert gate.verdict is Verdict.FAIL
        assert gate.message.endswith("verified by judge")


class TestNothingIsCarried:
    def test_live_begins_at_nothing(self) -> None:
        found = attempt().mirror(60, control=0.3, shadow=0.3)
        found.start(1)
        assert found.run(5).gate("success").verdict is Verdict.INCONCLUSIVE
        gate = found.run(60).gate("success")
        assert gate.verdict is Verdict.PASS
        assert float(gate.candidate.split(" ")[0]) > 0.8, "of live tasks alone"
        assert float(gate.stable.split("=")[1].strip(")")) < 60 * 20

    def test_what_a_shadow_found_stays_found(self) -> None:
        found = attempt().mirror(100, shadow=0.6)
        found.start(1)
        found.run(60)
        gate = found.gate("success")
        assert (gate.verdict, found.report().reverts) == (Verdict.FAIL, True)
        assert " since step 1, in shadow" in gate.message

    @settings(deadline=None, max_examples=8)
    @given(
        seed=st.integers(0, 10_000),
        shadow=st.sampled_from([0.3, 0.85, 0.92, 1.0]),
        live=st.sampled_from([0.3, 0.85, 0.92, 1.0]),
        lengths=st.lists(st.integers(0, 60), min_size=3, max_size=3),
    )
    def test_evidence_is_the_mean_of_processes_each_of_its_own_mode(
        self, seed: int, shadow: float, live: float, lengths: list[int]
    ) -> None:
        """A process begun in shadow keeps what it has, and live outcomes leave it as it is."""
        steps = (
            PlannedStep(0, "shadow", share=0.5),
            PlannedStep(1, "shadow", share=0.7),
            PlannedStep(2, "canary", share=0.2),
            PlannedStep(3, "full", share=0.6),
        )
        found = attempt(steps=steps, seed=seed)
        kept: dict[str, Any] = {}
        for index, seconds in enumerate(lengths):
            if index:
                found.start(index)
            if index < 2:
                found.mirror(10 + seconds, shadow=shadow)
            else:
                found.run(10 + seconds, candidate=live, share=0.2)
            held = found.evidence.state()["judges"]["success"]["processes"]
            if index == 1:
                found.end()  # what has not settled still belongs to the shadow
                found.mirror(10, share=0.0)
                kept = found.evidence.state()["judges"]["success"]["processes"]
            if index == 2:
                assert {step: held[step] for step in kept} == kept
        processes = [HarmProcess.restored(held[step], 0.0).log_e for step in sorted(held)]
        assert found.report().combined_log_evidence == pytest.approx(
            log_mean([*processes, *[0.0] * (len(steps) - len(processes))])
        )

    def test_neither_is_the_verdict_of_a_step_in_another_mode(self) -> None:
        """A candidate that is better in shadow has no credit to lose live."""
        lucky, plain = attempt(seed=3), attempt(seed=3)
        lucky.mirror(100, control=0.5, shadow=0.9)
        plain.mirror(100, control=0.5, shadow=0.5)
        for found in (lucky, plain):
            found.start(1)
            found.run(60, candidate=0.5)
            assert found.report().failed == ("success",)


def test_a_healthy_candidate_is_rarely_blamed_over_shadow_and_canary() -> None:
    """The bound holds over both modes together, though what shadows can do differs much from live tasks."""
    gates = (
        COMPARED,
        Gate("slow", metric("task-duration"), Tail(30.0), during=EVERYWHERE),
    )
    blamed, runs = 0, 120
    for seed in range(runs):
        found = attempt(*gates, seed=seed, bounds=("30.0", "+Inf"))
        found.mirror(60, control=0.6, shadow=0.6, tasks=8, share=0.5)
        found.start(1)
        found.run(90, tasks=12, share=0.3)
        blamed += found.report().reverts
    assert not refutes(blamed, runs, 0.05)


def test_copies_of_the_same_requests_are_no_worse_for_it() -> None:
    """Envoy draws once for all mirrors of a route: what is hard for the one is hard for the other."""
    chance, runs, worth, blamed = world(), 1000, 0.0, 0
    for _ in range(runs):
        process, highest = HarmProcess(0.7, 0.0), 0.0
        for _ in range(40):
            hard = [chance.random() < 0.4 for _ in range(5)]
            done = [sum(chance.random() < (0.2 if one else 0.95) for one in hard) for _ in range(2)]
            process.add(Tally(done[0], 5), Tally(done[1], 5))
            highest = max(highest, process.log_e)
        worth += math.exp(process.log_e) / runs
        blamed += highest >= -math.log(0.05)
    assert worth < 1
    assert not refutes(blamed, runs, 0.05)


class TestGoingOn:
    GATES = (
        COMPARED,
        Gate("slow", metric("task-duration"), Tail(20.0), during=EVERYWHERE),
        Gate("dear", metric("cost-per-task"), Mean(0.1), during=EVERYWHERE),
        Gate("verified", metric("verified-success-rate"), Compare(0.02), during=EVERYWHERE),
    )

    def story(self, seed: int) -> Attempt:
        """Shadow and canary at changing rates, with restarts of either shadow."""
        found = attempt(*self.GATES, seed=seed, bounds=("20.0", "+Inf"), costs=True, warmup=None)
        for index in range(2):
            if index:
                found.start(index)
            for _ in range(4):
                rate = found.chance.choice([0.9, 0.5])
                if index:
                    found.run(5, candidate=rate, share=0.3, tasks=6)
                else:
                    found.mirror(5, shadow=rate, tasks=6)
                self._mishap(found)
        found.run(5 - found.now % 5)
        return found

    def _mishap(self, found: Attempt) -> None:
        pod: Pod = found.chance.choice(found.pods)
        for verifier in ("judge", "postcondition"):
            pod.do(VERIFIED, 6, result=found.chance.choice(["pass", "fail"]), verifier=verifier)
        if found.chance.random() < 0.3:
            pod.restart(found.now + 0.5)

    @settings(deadline=None, max_examples=10)
    @given(seed=st.integers(0, 10_000), cut=st.floats(0, 1))
    def test_it_goes_on_elsewhere_as_if_nothing_had_been(self, seed: int, cut: float) -> None:
        told = self.story(seed)
        moments = list(looks(told))
        whole = list(walk(AttemptEvidence(told.plan, SINCE), told, moments))
        at = int(cut * (len(moments) - 1))
        evidence = AttemptEvidence(told.plan, SINCE)
        before = list(walk(evidence, told, moments[:at]))
        after = list(walk(moved(evidence, told.plan), told, moments[at:], lost=evidence.now - 20))
        assert [*before, *after] == whole

    def test_a_state_of_a_step_in_which_it_does_not_judge_is_refused(self) -> None:
        found = attempt().mirror(60)
        state = found.evidence.state()
        judge = state["judges"]["success"]
        judge["processes"] = {"2": judge["processes"]["0"]}
        with pytest.raises(ValueError, match="a step in which the gate does not judge"):
            AttemptEvidence.resumed(found.plan, SINCE, state)


def test_a_mode_that_no_comparison_asks_for_is_not_kept_waiting() -> None:
    found = attempt(SUCCESS).mirror(5)
    assert not any(row[4] == Mode.SHADOW for row in found.evidence.state()["settling"]["waiting"])
    compared = attempt().mirror(5)
    assert any(row[4] == Mode.SHADOW for row in compared.evidence.state()["settling"]["waiting"])

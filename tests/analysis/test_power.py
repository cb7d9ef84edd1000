"""What the gates will be able to tell and when, held against the contract's figures and the processes."""

from __future__ import annotations

import math
from statistics import median, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.evidence import Tally
from interlock.analysis.means import Amount, MeanProcess
from interlock.analysis.plan import Advance, Compare, Gate, Limit, Mean, PlannedStep, Tail
from interlock.analysis.power import Answer, Leg, answers, merged_threshold
from interlock.analysis.presets import metric
from interlock.analysis.questions import Aim, Worsening
from interlock.analysis.usual import Usage, Usual, UsualMean, UsualRate
from tests.analysis.attempt import CRITICAL, SUCCESS, VIOLATION, plan
from tests.analysis.chance import world

TEN = PlannedStep(0, "canary", share=0.1)
HALF = PlannedStep(1, "canary", share=0.5)
USUAL = Worsening()
SHADOW = PlannedStep(0, "shadow", share=0.1)


def rate(good: float, per_task: float = 1.0, effect: float = 1.0) -> UsualRate:
    return UsualRate(Tally(good * 1e9, 1e9), per_task, effect)


def usual(tasks: float | None = 1.0, **gates: Usage) -> Usual:
    return Usual(tasks, gates)


def leg(step: PlannedStep, lasts: float = 600.0, warmup: float = 0.0, deadline: float = math.inf) -> Leg:
    return Leg(step, f"step-{step.index}", lasts, warmup, deadline)


def ask(
    gate: Gate, known: Usual, *legs: Leg, worsening: Worsening = USUAL, others: tuple[Gate, ...] = ()
) -> tuple[Answer, ...]:
    steps = [leg.step for leg in legs]
    found = answers(plan(gate, *others, steps=steps), legs, known, worsening)
    return tuple(answer for answer in found if answer.gate == gate.name)


class TestTheContractsFigures:
    """One gate, one step, 10 % share (statistics.md "What must hold" and "Planning")."""

    @pytest.mark.parametrize(
        ("good", "after", "tasks"), [(0.92, 0.88, 471.894), (0.998, 0.99, 596.191)], ids=["-4", "fivefold"]
    )
    def test_comparison(self, good: float, after: float, tasks: float) -> None:
        (answer,) = ask(SUCCESS, usual(10.0, success=rate(good)), leg(TEN))
        assert (answer.question.before, answer.question.after) == pytest.approx((good, after))
        assert answer.alone.tasks.median == pytest.approx(tasks, rel=1e-5)
        assert answer.alone.tasks.p95 == pytest.approx(3 * tasks, rel=1e-5)
        assert answer.alone.seconds is not None
        assert answer.alone.seconds.median == pytest.approx(tasks, rel=1e-5)  # 1 of 10 tasks a second
        assert answer.merged == answer.alone

    def test_limit(self) -> None:
        gate = Gate("violations", metric("policy-violation-rate"), Limit(0.002))
        (answer,) = ask(gate, usual(violations=rate(0.9995)), leg(TEN))
        assert (answer.question.before, answer.question.after) == pytest.approx((0.002, 0.01))
        growth = 0.01 * math.log(5) + 0.99 * math.log(0.99 / 0.998)
        assert answer.alone.tasks.median == pytest.approx((math.log(20) + 1) / growth)

    def test_half_a_percent_needs_755_clean_tasks(self) -> None:
        gate = Gate("violations", metric("policy-violation-rate"), Limit(0.005), advance=Advance.CERTIFIED)
        found = ask(gate, usual(violations=rate(1.0)), leg(TEN))
        assert found[1].question.aim is Aim.CERTIFICATE
        assert found[1].alone.tasks.median == pytest.approx(797, abs=1)  # ln 20 + 1 nats; never below 755

    def test_gates_and_steps_share_alpha(self) -> None:
        others = (VIOLATION, CRITICAL)
        both = plan(SUCCESS, *others, steps=(TEN, HALF))
        assert merged_threshold(both, SUCCESS) == pytest.approx(math.log(2 * 2 / 0.05))  # events: outside
        first = ask(SUCCESS, usual(success=rate(0.92)), leg(TEN), leg(HALF), others=others)[0]
        grown = (math.log(80) + 1) / (math.log(20) + 1)
        assert first.merged.tasks.median == pytest.approx(grown * first.alone.tasks.median)

    def test_weights_share_it_too(self) -> None:
        heavy = Gate("success", metric("task-success-rate"), Compare(), weight=3)
        assert merged_threshold(plan(heavy, VIOLATION, steps=(TEN,)), heavy) == pytest.approx(
            math.log(4 / 3 / 0.05)
        )


class TestTime:
    def test_comparisons_wait_for_the_warm_up_and_limits_do_not(self) -> None:
        known = usual(success=rate(0.92), violations=rate(0.999))
        for gate, wait in ((SUCCESS, 120.0), (VIOLATION, 0.0)):
            (late,) = ask(gate, known, leg(TEN, warmup=120.0))
            (soon,) = ask(gate, known, leg(TEN))
            assert late.alone.tasks == soon.alone.tasks
            assert late.alone.seconds is not None
            assert soon.alone.seconds is not None
            assert late.alone.seconds.median == pytest.approx(soon.alone.seconds.median + wait)

    def test_outcomes_that_tasks_have_more_of_come_sooner(self) -> None:
        (few,) = ask(SUCCESS, usual(success=rate(0.92)), leg(TEN))
        (many,) = ask(SUCCESS, usual(success=rate(0.92, per_task=3.0)), leg(TEN))
        assert many.alone.tasks.median == pytest.approx(few.alone.tasks.median / 3)

    def test_correlated_outcomes_are_worth_less(self) -> None:
        (alone,) = ask(SUCCESS, usual(success=rate(0.92)), leg(TEN))
        (together,) = ask(SUCCESS, usual(success=rate(0.92, effect=2.5)), leg(TEN))
        assert together.alone.tasks.median == pytest.approx(2.5 * alone.alone.tasks.median)

    def test_inside_the_deadline_or_not(self) -> None:
        known = usual(10.0, success=rate(0.92))  # median 472 s, 95 % 1416 s
        told = [ask(SUCCESS, known, leg(TEN, deadline=d))[0] for d in (1500.0, 500.0, 400.0)]
        assert [one.in_time for one in told] == [True, False, False]
        assert [one.improbable for one in told] == [False, False, True]

    def test_without_traffic_there_are_tasks_but_no_times(self) -> None:
        (answer,) = ask(SUCCESS, usual(None, success=rate(0.92)), leg(TEN))
        assert answer.alone.tasks.median == pytest.approx(471.894, rel=1e-5)
        assert (answer.alone.seconds, answer.in_time, answer.reach) == (None, None, None)


class TestTheWholeWay:
    def test_evidence_goes_on_from_step_to_step(self) -> None:
        known = usual(success=rate(0.92))
        first, second, whole = ask(SUCCESS, known, leg(TEN, 3600.0, 60.0), leg(HALF, 3600.0, 60.0))
        assert whole.step is None
        assert first.merged.seconds is not None
        assert second.merged.seconds is not None
        assert whole.merged.seconds is not None
        assert first.merged.seconds.median > 3600  # not in the first step alone
        assert 3600 < whole.merged.seconds.median < 3600 + second.merged.seconds.median

    def test_what_the_steps_do_not_deliver_is_promoted(self) -> None:
        whole = ask(SUCCESS, usual(0.01, success=rate(0.92)), leg(TEN), leg(HALF))[-1]
        assert whole.merged.tasks.median == math.inf

    def test_nothing_is_carried_from_shadow_to_live(self) -> None:
        known = usual(violations=rate(0.999))
        live = ask(VIOLATION, known, leg(HALF, 1e6))[0]
        shadow, canary, whole = ask(VIOLATION, known, leg(SHADOW, 100.0), leg(HALF, 1e6))
        assert shadow.merged.seconds is not None
        assert whole.merged.seconds is not None
        assert canary.merged.seconds is not None
        assert canary.merged.tasks.median > live.merged.tasks.median  # two steps
        assert whole.merged.seconds.median == pytest.approx(100 + canary.merged.seconds.median)


class TestCertificates:
    def test_an_equal_candidate_within_a_margin(self) -> None:
        gate = Gate("success", metric("task-success-rate"), Compare(0.02), advance=Advance.CERTIFIED)
        _, told = ask(gate, usual(success=rate(0.92)), leg(TEN))
        assert told.question.before == told.question.after
        assert told.alone == told.merged  # certificates need no correction
        assert told.alone.tasks.median < math.inf

    @pytest.mark.parametrize("advance", [Advance.CERTIFIED, Advance.SUPERIOR])
    def test_without_a_margin_only_a_better_one(self, advance: Advance) -> None:
        gate = Gate("success", metric("task-success-rate"), Compare(), advance=advance)
        _, told = ask(gate, usual(success=rate(0.92)), leg(TEN))
        assert told.question.after == pytest.approx(0.96)

    def test_stable_above_the_limit_is_never_certified(self) -> None:
        gate = Gate("violations", metric("policy-violation-rate"), Limit(0.005), advance=Advance.CERTIFIED)
        _, told = ask(gate, usual(violations=rate(0.99)), leg(TEN))
        assert told.alone.tasks.median == math.inf

    def test_a_cheaper_candidate(self) -> None:
        gate = Gate("cost", metric("cost-per-task"), Mean(0.1), advance=Advance.SUPERIOR)
        _, told = ask(gate, usual(cost=UsualMean(Amount(30.0, 1000.0), 0.03)), leg(TEN))
        assert told.question.after == pytest.approx(0.75 * 0.03)
        assert told.alone.tasks.median < math.inf


class TestReach:
    def test_is_found_and_what_is_milder_is_not(self) -> None:
        known = usual(10.0, success=rate(0.92))
        (told,) = ask(SUCCESS, known, leg(TEN, lasts=90.0))
        assert told.reach == pytest.approx(0.8208, abs=1e-4)  # 90 tasks at 10 %: .92 → .82

    def test_nothing_can_be_reached_in_no_time(self) -> None:
        (told,) = ask(SUCCESS, usual(10.0, success=rate(0.92)), leg(TEN, lasts=60.0, warmup=60.0))
        assert told.reach is None

    @given(st.floats(0.5, 0.99), st.floats(0.02, 0.9), st.floats(30, 1e5))
    def test_a_worsening_of_that_size_takes_the_whole_step(
        self, good: float, share: float, lasts: float
    ) -> None:
        step = PlannedStep(0, "canary", share=share)
        known = usual(1.0, success=rate(good))
        (told,) = ask(SUCCESS, known, leg(step, lasts))
        if told.reach is not None:
            drop = Worsening(drop=good - told.reach)
            (again,) = ask(SUCCESS, known, leg(step, lasts), worsening=drop)
            assert again.merged.seconds is not None
            if again.question.after == pytest.approx(told.reach):  # else no longer a worsening that is asked
                assert again.merged.seconds.median == pytest.approx(lasts, rel=1e-3)


class TestAlways:
    @given(
        st.floats(0.01, 0.99),
        st.floats(0, 0.3),
        st.floats(0.01, 0.99),
        st.floats(0.001, 1e4),
        st.sampled_from(list(Advance)),
    )
    def test_worse_is_found_sooner_and_never_later_with_more_traffic(
        self, good: float, margin: float, share: float, tasks: float, advance: Advance
    ) -> None:
        gate = Gate("success", metric("task-success-rate"), Compare(margin), advance=advance)
        step = PlannedStep(0, "canary", share=share)
        for drop in (0.01, 0.05):
            mild = ask(gate, usual(tasks, success=rate(good)), leg(step), worsening=Worsening(drop))[0]
            harsh = ask(gate, usual(tasks, success=rate(good)), leg(step), worsening=Worsening(2 * drop))[0]
            busy = ask(gate, usual(2 * tasks, success=rate(good)), leg(step), worsening=Worsening(drop))[0]
            assert harsh.alone.tasks.median <= mild.alone.tasks.median * 1.001
            assert busy.alone.seconds is not None
            assert mild.alone.seconds is not None
            assert busy.alone.seconds.median <= mild.alone.seconds.median * 1.001
            assert mild.alone.tasks.median <= mild.merged.tasks.median

    def test_what_lies_outside_alpha_has_no_answer(self) -> None:
        assert ask(CRITICAL, usual(), leg(TEN)) == ()

    def test_what_is_tolerated_is_never_found(self) -> None:
        cost = Gate("cost", metric("cost-per-task"), Mean(0.5))
        known = usual(cost=UsualMean(Amount(30.0, 1000.0), 0.03), success=rate(0.92))
        (dearer,) = ask(cost, known, leg(TEN), worsening=Worsening(rise=0.3))
        lax = Gate("success", metric("task-success-rate"), Compare(0.1))
        (worse,) = ask(lax, known, leg(TEN), worsening=Worsening(drop=0.05))
        assert dearer.alone.tasks.median == worse.alone.tasks.median == math.inf

    def test_what_is_not_known_has_none(self) -> None:
        slow = Gate("slow", metric("task-duration"), Tail(30.0))
        assert ask(SUCCESS, usual(), leg(TEN)) == ask(slow, usual(), leg(TEN)) == ()


def test_means_against_the_process() -> None:
    """Seeded: a look every 5 s at 10 tasks a second, costs drawn from exponentials."""
    gate = Gate("cost", metric("cost-per-task"), Mean(0.1))
    step = PlannedStep(0, "canary", share=0.2)
    known = usual(10.0, cost=UsualMean(Amount(30.0, 1000.0), 0.03))
    (told,) = ask(gate, known, leg(step), worsening=Worsening(rise=0.4))
    chance, found = world(), []
    for _ in range(60):
        process, seconds = MeanProcess(), 0
        while process.log_above(1.1) < math.log(20):
            costs = [chance.expovariate(1 / (0.042 if at < 10 else 0.03)) for at in range(50)]
            process.add(Amount(sum(costs[:10]), 10), Amount(sum(costs[10:]), 40))
            seconds += 5
        found.append(seconds)
    assert told.alone.seconds is not None
    assert told.alone.seconds.median == pytest.approx(median(found), rel=0.34)
    assert quantiles(found, n=20)[-1] <= 1.25 * told.alone.seconds.p95

"""KPI lift: what is measured, over which outcomes, and that it holds however often one looks."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from interlock.analysis.evidence import Tally
from interlock.analysis.gates import Compare, Gate, Limit, Mean, Plan, PlannedStep, Tail
from interlock.analysis.lift import Lift, LiftReading, Lifts, NoLift, families_of, measured
from interlock.analysis.outcomes import Outcome
from interlock.analysis.past import Past, subject
from interlock.analysis.plan import Mode, StepTime, Track
from interlock.analysis.presets import metric
from interlock.analysis.timeline import Timeline, timeline
from tests.analysis.attempt import COST, CRITICAL, SINCE, SUCCESS, TASKS, VIOLATION, VIOLATIONS, Attempt, plan
from tests.analysis.chance import draw, refutes, world
from tests.analysis.stories import moved
from tests.analysis.world import Pod

COSTLY = Gate("costly", metric("cost-per-task"), Mean(0.1))
SLOW = Gate("slow", metric("task-duration"), Tail(20.0, 0.5))
CANARIES = (PlannedStep(0, "canary", share=0.1), PlannedStep(1, "canary", share=0.5))


def lift(attempt: Attempt, name: str) -> LiftReading:
    return next(found for found in attempt.report().lifts if found.name == name)


def known(found: LiftReading) -> Lift:
    assert isinstance(found, Lift), found
    return found


def why(found: LiftReading) -> str:
    assert isinstance(found, NoLift), found
    return found.reason


class TestWhatIsMeasured:
    def test_what_gates_compare_or_limit(self) -> None:
        names = [kpi.name for kpi in measured(plan(SUCCESS, VIOLATION, CRITICAL, COSTLY, SLOW))]
        assert names == [
            "task-success-rate",
            "policy-violation-rate",
            "cost-per-task",
            "task-duration-above-20",
        ]

    def test_two_gates_on_one_metric_measure_it_once(self) -> None:
        again = Gate("again", metric("policy-violation-rate"), Compare(0.0))
        assert [kpi.name for kpi in measured(plan(VIOLATION, again))] == ["policy-violation-rate"]

    def test_what_is_expected_is_read_without_a_gate(self) -> None:
        promised = replace(
            plan(SUCCESS),
            expected=tuple(map(metric, ("cost-per-task", "task-success-rate", "task-duration"))),
        )
        assert [kpi.name for kpi in measured(promised)] == [
            "task-success-rate",
            "cost-per-task",
            "task-duration",
        ]
        wanted = {"ai_agent_task_duration_seconds_sum", "ai_agent_task_duration_seconds_count"}
        assert (
            families_of(promised, derive_warmup=False) - families_of(plan(SUCCESS), derive_warmup=False)
            == wanted
        )

    def test_single_events_have_no_lift(self) -> None:
        assert measured(replace(plan(), expected=(metric("critical-policy-violations"),))) == ()


class TestShares:
    def test_a_better_candidate(self) -> None:
        found = known(lift(Attempt(plan(SUCCESS)).run(300, candidate=0.97, stable=0.87), "task-success-rate"))
        assert found.unit == "points"
        assert found.estimate == pytest.approx(10, abs=2)
        assert found.interval.holds(10)
        assert found.interval.low > 0
        assert found.relative.holds(0.97 / 0.87 - 1)
        assert found.estimate == pytest.approx(100 * (found.candidate - found.stable))
        assert found.message.startswith("+")
        assert 400 < found.candidate_outcomes < found.stable_outcomes

    def test_a_rate_of_what_is_bad_rises_when_the_candidate_is_worse(self) -> None:
        attempt = Attempt(plan(Gate("violations", metric("policy-violation-rate"), Limit(0.9))))
        for _ in range(200):
            attempt.candidate.do(VIOLATIONS, rule="pii", severity="low")
            attempt.run(1, share=0.5)
        found = known(lift(attempt, "policy-violation-rate"))
        assert found.stable == 0.0
        assert found.estimate == pytest.approx(10, abs=1.5)
        assert found.relative.high == math.inf

    def test_what_takes_long(self) -> None:
        attempt = Attempt(plan(SLOW), bounds=("20.0", "+Inf")).run(200, slow=(0.1, 0.4), share=0.5)
        assert known(lift(attempt, "task-duration-above-20")).estimate == pytest.approx(30, abs=6)

    def test_a_drift_and_a_change_of_shares_make_no_lift(self) -> None:
        """Simpson's paradox: pooled, the candidate would look far worse, for it had most of the bad hour."""
        attempt = Attempt(plan(SUCCESS, steps=CANARIES)).run(200, share=0.1, candidate=0.97, stable=0.97)
        attempt.start(1)
        found = known(lift(attempt.run(200, share=0.5, candidate=0.6, stable=0.6), "task-success-rate"))
        assert _pooled(attempt.candidate) < _pooled(attempt.stable) - 0.1
        assert abs(found.estimate) < 3
        assert found.interval.holds(0)


class TestCorrelation:
    def test_a_design_effect_that_was_measured_widens_the_interval(self) -> None:
        attempt = Attempt(plan(SUCCESS)).run(300)
        alone = known(lift(attempt, "task-success-rate"))
        attempt.evidence.learn({subject(SUCCESS): Past(4.0)})
        wide = known(lift(attempt, "task-success-rate"))
        width = wide.interval.high - wide.interval.low
        assert 1.7 < width / (alone.interval.high - alone.interval.low) < 2.6
        assert (wide.estimate, wide.candidate_outcomes) == (alone.estimate, alone.candidate_outcomes)
        assert wide.relative.low < alone.relative.low < alone.relative.high < wide.relative.high


class TestMeans:
    def test_a_cheaper_candidate(self) -> None:
        attempt = Attempt(plan(COSTLY), costs=True).run(400, cost=(0.04, 0.03), share=0.5)
        found = known(lift(attempt, "cost-per-task"))
        assert found.unit == "percent"
        assert found.interval.holds(-25)
        assert found.interval.high < 0
        assert (found.stable, found.candidate) == pytest.approx((0.04, 0.03), rel=0.05)

    def test_of_a_histogram_that_somebody_expects_something_of(self) -> None:
        attempt = Attempt(replace(plan(), expected=(metric("task-duration"),)))
        for _ in range(200):
            for pod, seconds in ((attempt.candidate, 6.0), (attempt.stable, 8.0)):
                for _ in range(4):
                    pod.do("ai_agent_task_duration_seconds_sum", attempt.chance.uniform(0, 2 * seconds))
                    pod.do("ai_agent_task_duration_seconds_count")
            attempt.run(1)
        found = known(lift(attempt, "task-duration"))
        assert found.interval.holds(-25)
        assert found.interval.high < 0

    def test_before_twenty_blocks_nothing_is_said(self) -> None:
        assert why(lift(Attempt(plan(COSTLY), costs=True).run(60), "cost-per-task")).startswith(
            "too little to compare means: "
        )

    def test_what_costs_nothing_has_no_ratio(self) -> None:
        attempt = Attempt(plan(COSTLY))
        for pod in attempt.pods:
            pod.do(COST, 0.0, kind="inference")
        assert "cannot be told from 0" in why(lift(attempt.run(300, share=0.5), "cost-per-task"))


class TestNothingIsKnown:
    def test_before_the_warm_up_is_over(self) -> None:
        reason = why(lift(Attempt(plan(SUCCESS, warmup=1000.0)).run(100), "task-success-rate"))
        assert reason == "too few outcomes that can be compared: 0 of the candidate, 0 of stable"

    @pytest.mark.parametrize(
        "step",
        [PlannedStep(0, "shadow"), PlannedStep(0, "full", compares=False)],
        ids=["shadow", "no-hold-out"],
    )
    def test_where_there_is_nothing_to_compare_with(self, step: PlannedStep) -> None:
        assert "too few" in why(
            lift(Attempt(plan(SUCCESS, steps=(step,))).run(200, share=0.5), "task-success-rate")
        )

    def test_of_counts_that_arrive_twice(self) -> None:
        attempt = Attempt(plan(SUCCESS)).run(100)
        twin = [
            replace(one, labels={**one.labels, "job": "again"}) for one in attempt.series(attempt.now - 60.0)
        ]
        attempt.evidence.advance(
            attempt.times, [*attempt.series(attempt.now - 60.0), *twin], float(attempt.now)
        )
        assert "scraped twice" in why(lift(attempt, "task-success-rate"))


class TestGoingOn:
    def test_an_edited_gate_keeps_what_was_measured(self) -> None:
        attempt = Attempt(plan(SUCCESS)).run(100)
        before = known(lift(attempt, "task-success-rate"))
        edited = Gate("success", metric("task-success-rate"), Compare(0.02), since=float(attempt.now))
        attempt.evidence = moved(attempt.evidence, plan(edited))
        assert lift(attempt, "task-success-rate") == before

    def test_a_metric_that_joins_begins_with_nothing(self) -> None:
        attempt = Attempt(plan(SUCCESS), costs=True).run(100)
        later = replace(COSTLY, since=float(attempt.now))
        attempt.evidence = moved(attempt.evidence, plan(SUCCESS, later))
        attempt.evidence.prime(attempt.series(attempt.now - 60.0))
        known(lift(attempt, "task-success-rate"))
        assert "0 of 20 looks" in why(lift(attempt, "cost-per-task"))
        found = known(lift(attempt.run(200, share=0.5), "cost-per-task"))
        assert found.interval.holds(0)


class TestPeeking:
    """Whole attempts: looked at each tick, stopped at the worst moment."""

    RUNS = 120
    TICKS = 120

    @pytest.mark.parametrize("ratio", [1.0, 0.9, 1.08])
    @pytest.mark.parametrize(
        "base",
        [lambda k: 0.85, lambda k: 0.85 + 0.06 * math.sin(k / 11), lambda k: 0.9 - 0.003 * k],
        ids=["steady", "waves", "decline"],
    )
    def test_no_look_misses_the_truth_too_often(self, ratio: float, base: Callable[[int], float]) -> None:
        chance, missed = world(), 0
        for _ in range(self.RUNS):
            missed += not all(
                found.relative.holds(ratio - 1)
                for reading in self._looks(chance, ratio, base)
                if isinstance(found := reading, Lift)
            )
        assert not refutes(missed, self.RUNS, 0.05)

    def _looks(
        self, chance: random.Random, ratio: float, base: Callable[[int], float]
    ) -> Iterator[LiftReading]:
        lifts, clock, steps = _two_canaries()
        for tick in range(self.TICKS):
            share = 20 if tick < self.TICKS // 2 else 100
            end = SINCE + 5.0 * tick + 20
            outcomes = [
                *_outcomes(Track.CANDIDATE, end, draw(chance, share, ratio * base(tick))),
                *_outcomes(Track.STABLE, end, draw(chance, 200 - share, base(tick))),
            ]
            lifts.release([(outcome, clock.clocked(outcome.end)) for outcome in outcomes], None)
            yield from lifts.read(lambda _: ())
        assert steps == 2


def _pooled(pod: Pod) -> float:
    """Success rate over all tasks of a pod."""
    counts = {
        dict(key).get("outcome"): value for key, value in pod.values.items() if dict(key)["__name__"] == TASKS
    }
    return counts["success"] / (counts["success"] + counts["failure"])


def _two_canaries() -> tuple[Lifts, Timeline, int]:
    rules: Plan = plan(SUCCESS, steps=CANARIES)
    middle = SINCE + 5.0 * TestPeeking.TICKS / 2 + 17
    times = (StepTime(0, SINCE, middle), StepTime(1, middle))
    clock = timeline(rules, SINCE, times, {0: 0.0, 1: 0.0})
    return Lifts(rules), clock, len(clock.stretches)


def _outcomes(track: Track, end: float, counts: Tally) -> Iterator[Outcome]:
    for outcome, amount in (("success", counts.good), ("failure", counts.total - counts.good)):
        labels = {"__name__": TASKS, "outcome": outcome}
        yield Outcome(track, Mode.LIVE, labels, end - 1, end, amount)

"""What stable usually does, told from a world in which it is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.means import Amount
from interlock.analysis.metrics import BOUNDS
from interlock.analysis.plan import Gate, Mean, Tail
from interlock.analysis.presets import metric
from interlock.analysis.series import Increment
from interlock.analysis.usual import Range, UsualEvents, UsualMean, UsualRate, deviation, most_trusted, usual
from tests.analysis.attempt import BUCKETS, COST, CRITICAL, SUCCESS, TASKS, VERIFIED, VIOLATION, VIOLATIONS
from tests.analysis.chance import world

VERIFIED_SUCCESS = Gate("verified", metric("verified-success-rate"), SUCCESS.test)
COSTS = Gate("cost", metric("cost-per-task"), Mean(0.1))
DAY = 86400.0


def one(family: str, end: float, amount: float, **labels: str) -> Increment:
    return Increment({"__name__": family, **labels}, end - 15, end, amount)


def day(good: float = 90.0, bad: float = 10.0) -> list[Increment]:
    """A hundred tasks every five minutes."""
    ends = [300.0 * at + 150 for at in range(288)]
    return [
        found
        for end in ends
        for found in (one(TASKS, end, good, outcome="success"), one(TASKS, end, bad, outcome="failure"))
    ]


def spans(found: Range | None, low: float, high: float) -> bool:
    return found is not None and (found.low, found.high) == pytest.approx((low, high))


def test_rate_and_traffic() -> None:
    found = usual([SUCCESS], day(), DAY)
    assert found.tasks_per_second == pytest.approx(28800 / DAY)
    assert spans(found.hours, 1 / 3, 1 / 3)
    success = found.gates["success"]
    assert isinstance(success, UsualRate)
    assert success.good == pytest.approx(0.9, abs=1e-4)
    assert success.effect == success.per_task == 1.0
    assert spans(success.hours, 0.9, 0.9)


def test_a_bad_part_is_told_as_good_outcomes() -> None:
    told = usual([VIOLATION], [*day(), one(VIOLATIONS, 1000.0, 288.0, severity="low")], DAY)
    rate = told.gates["violations"]
    assert isinstance(rate, UsualRate)
    assert rate.counts.total - rate.counts.good == 100.0  # no more than the tasks of that look


def test_outcomes_that_come_together_count_for_less() -> None:
    clumps = [
        one(TASKS, 300.0 * at + 1, 100.0, outcome="success" if at % 5 else "failure") for at in range(288)
    ]
    found = usual([SUCCESS], clumps, DAY).gates["success"]
    assert isinstance(found, UsualRate)
    assert 100 <= found.effect <= 140
    assert found.looks == 288


def test_a_drift_is_shown_by_hours() -> None:
    worse = [one(TASKS, 3600.0 * hour + 60, 100.0 - hour, outcome="success") for hour in range(24)]
    rest = [one(TASKS, 3600.0 * hour + 60, float(hour), outcome="failure") for hour in range(1, 24)]
    found = usual([SUCCESS], worse + rest, DAY).gates["success"]
    assert isinstance(found, UsualRate)
    assert spans(found.hours, 0.77, 1.0)


def test_only_the_most_trusted_verifier_counts() -> None:
    checks = [
        one(VERIFIED, 100.0, 50.0, result="pass", verifier="judge"),
        one(VERIFIED, 100.0, 8.0, result="pass", verifier="human"),
        one(VERIFIED, 100.0, 2.0, result="fail", verifier="human"),
    ]
    assert most_trusted(checks) == "human"
    found = usual([VERIFIED_SUCCESS], [*day(), *checks], DAY)
    told = found.gates["verified"]
    assert found.verifier == "human"
    assert isinstance(told, UsualRate)
    assert (told.counts.good, told.counts.total) == (8.0, 10.0)
    assert told.per_task == pytest.approx(10 / 28800)


def test_a_tail_counts_where_its_bound_is() -> None:
    gate = Gate("slow", metric("task-duration"), Tail(30.0))
    buckets = [
        one(BUCKETS, 100.0, 70.0, le="30.0", **{BOUNDS: "30.0"}),
        one(BUCKETS, 100.0, 100.0, le="+Inf", **{BOUNDS: "30.0"}),
        one(BUCKETS, 100.0, 5.0, le="+Inf", **{BOUNDS: ""}),
    ]
    found = usual([gate], [*day(), *buckets], DAY)
    told = found.gates["slow"]
    assert isinstance(told, UsualRate)
    assert (told.counts.good, told.counts.total) == (70.0, 100.0)
    assert found.slow == pytest.approx(125.75, abs=0.01)
    assert found.beyond == 30.0


def test_means_and_events() -> None:
    costs = [one(COST, 300.0 * at + 1, 3.0, kind="inference") for at in range(288)]
    critical = [one(VIOLATIONS, 100.0, 3.0, severity="critical")]
    found = usual([COSTS, CRITICAL], [*day(), *costs, *critical], DAY).gates
    assert found["critical"] == UsualEvents(3.0, 3 / 28800)
    cost = found["cost"]
    assert isinstance(cost, UsualMean)
    assert cost.mean == pytest.approx(0.03)
    assert cost.deviation == pytest.approx(0.0, abs=1e-9)


def test_what_has_no_data_is_left_out() -> None:
    assert usual([VERIFIED_SUCCESS, COSTS], day(), DAY).gates == {}
    nothing = usual([SUCCESS, CRITICAL], [], DAY)
    assert (nothing.tasks_per_second, nothing.gates, nothing.slow) == (0.0, {}, None)


def test_the_spread_of_single_outcomes_from_sums() -> None:
    chance = world()
    looks = [Amount(sum(chance.expovariate(50.0) for _ in range(40)), 40) for _ in range(2000)]
    assert deviation(looks) == pytest.approx(0.02, rel=0.05)
    assert deviation([Amount(4.0, 2.0)]) == 2.0
    assert deviation([]) == 0.0


@given(
    st.lists(
        st.tuples(
            st.floats(1, DAY), st.integers(1, 500), st.sampled_from(["success", "failure", "abandoned"])
        ),
        min_size=1,
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_always(parts: list[tuple[float, int, str]], chance: random.Random) -> None:
    """Order does not matter, nothing is lost, and every figure lies where it must."""
    increments = [one(TASKS, end, float(amount), outcome=outcome) for end, amount, outcome in parts]
    found = usual([SUCCESS, COSTS], increments, DAY)
    chance.shuffle(increments)
    again = usual([SUCCESS, COSTS], increments, DAY)
    rate, same = found.gates["success"], again.gates["success"]
    assert isinstance(rate, UsualRate)
    assert isinstance(same, UsualRate)
    assert rate.counts == same.counts
    assert rate.counts.total == found.tasks == sum(amount for _, amount, _ in parts)
    assert 0 < rate.good < 1 <= rate.effect < math.inf
    assert rate.hours is None or 0 <= rate.hours.low <= rate.hours.high <= 1

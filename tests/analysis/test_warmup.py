"""The warm-up follows from how long stable's tasks take."""

from __future__ import annotations

import math

import pytest

from interlock.analysis.plan import PlannedStep, StepTime
from interlock.analysis.series import Series
from interlock.analysis.warmup import Slow, Warmups, slowest
from tests.analysis.attempt import BUCKETS, SUCCESS, plan

STEPS = (PlannedStep(0, "shadow"), PlannedStep(1, "canary"), PlannedStep(2, "full"))
CLOCK = (StepTime(1, 1000.0),)


def bucket(bound: str, *points: tuple[float, float], version: str = "v1") -> Series:
    labels = {"__name__": BUCKETS, "version": version, "mode": "live", "pod": "triage-a-1", "le": bound}
    return Series(labels, points)


def derived(*series: Series, now: float = 1002.0) -> dict[int, float]:
    warmups = Warmups(plan(SUCCESS, steps=STEPS, warmup=None))
    warmups.advance(CLOCK, series, now)
    return warmups.lengths


@pytest.mark.parametrize(
    ("counts", "bound"),
    [
        ({10.0: 99, 20.0: 100, math.inf: 100}, Slow(10.0)),
        ({10.0: 98, 20.0: 100, math.inf: 100}, Slow(20.0)),
        ({10.0: 0, 20.0: 0, math.inf: 100}, Slow(200.0, 20.0)),
        ({10.0: 0, 20.0: 1, math.inf: 100}, Slow(200.0, 20.0)),
        ({10.0: 0, math.inf: 0}, None),
        ({math.inf: 5}, None),
        ({}, None),
    ],
)
def test_the_bucket_of_the_slowest_percent(counts: dict[float, float], bound: Slow | None) -> None:
    assert slowest(counts, 0.99) == bound


@pytest.mark.parametrize("mean", [5.0, 20.0, 40.0])
def test_beyond_the_last_bound_it_is_reckoned(mean: float) -> None:
    within = {bound: 1e4 * (1 - math.exp(-bound / mean)) for bound in (10.0, 20.0)} | {math.inf: 1e4}
    found = slowest(within, 0.99)
    assert found is not None
    assert found.seconds == pytest.approx(mean * math.log(100))


def test_that_it_is_reckoned_is_told_and_outlasts_a_restart() -> None:
    warmups = Warmups(plan(SUCCESS, steps=STEPS, warmup=None))
    warmups.advance(CLOCK, [bucket(le, (999.0, n)) for le, n in (("60", 90), ("+Inf", 100))], 1002.0)
    assert warmups.lengths == {1: pytest.approx(120.0)}
    assert "longer than 60 s, the last bound" in warmups.warnings()[0]
    other = Warmups(plan(SUCCESS, steps=STEPS, warmup=None))
    other.restore(warmups.state(lambda _: 0, buckets=False), [])
    assert other.warnings() == warmups.warnings()


def test_bounds_are_numbers_and_pods_add_up() -> None:
    buckets = [bucket(le, (999.0, n)) for le, n in (("30", 90), ("30.0", 9), ("60", 100), ("+Inf", 100))]
    assert derived(*buckets) == {1: 30.0}


def test_it_is_fixed_when_it_has_settled() -> None:
    assert derived(bucket("30", (999.0, 9)), now=1001.0) == {}
    late = bucket("30", (999.0, 9), (1005.0, 9)), bucket("60", (999.0, 9), (1005.0, 900))
    assert derived(*late, now=1010.0) == {1: 30.0}


def test_it_is_at_least_the_settling_time() -> None:
    assert derived(bucket("0.5", (999.0, 9))) == {1: 2.0}


def test_the_candidate_does_not_set_it() -> None:
    assert derived(bucket("60", (999.0, 9), version="v2")) == {1: 2.0}


def test_a_setting_holds_for_all_live_steps() -> None:
    assert Warmups(plan(SUCCESS, steps=STEPS, warmup=45.0)).lengths == {1: 45.0, 2: 45.0}

"""What a candidate's author expected, beside what was measured."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interlock.analysis.evidence import Tally
from interlock.analysis.intervals import Interval, RateDifference
from interlock.analysis.lift import ALPHA, Lift, NoLift
from interlock.analysis.promise import Direction, Finding, Promise, judged
from tests.analysis.chance import draw, refutes, world

KPI = "verified-success-rate"


def lift(low: float, high: float) -> Lift:
    """Of a KPI at 0.5 in stable; the relative lift is in [low, high]."""
    middle = (low + high) / 2
    return Lift(
        KPI, "points", 0.5 * (1 + middle), 0.5, 400, 4000,
        50 * middle, Interval(50 * low, 50 * high), Interval(low, high),
    )  # fmt: skip


def finding(direction: Direction, by: float, low: float, high: float) -> Finding:
    return judged(Promise(KPI, direction, by), lift(low, high)).finding


@pytest.mark.parametrize(
    ("direction", "by", "low", "high", "says"),
    [
        ("Increase", 0.05, 0.06, 0.1, Finding.CONFIRMED),
        ("Increase", 0.05, 0.01, 0.1, Finding.CONFIRMED),
        ("Increase", 0.05, 0.0, 0.1, Finding.INCONCLUSIVE),
        ("Increase", 0.05, -0.02, 0.1, Finding.INCONCLUSIVE),
        ("Increase", 0.05, 0.01, 0.04, Finding.REFUTED),
        ("Increase", 0.05, -0.02, 0.04, Finding.REFUTED),
        ("Increase", 0.05, -0.1, -0.02, Finding.REFUTED),
        ("Increase", 0.0, 0.001, 0.002, Finding.CONFIRMED),
        ("Increase", 0.0, -0.1, 0.0, Finding.REFUTED),
        ("Decrease", 0.2, -0.3, -0.1, Finding.CONFIRMED),
        ("Decrease", 0.2, -0.3, 0.1, Finding.INCONCLUSIVE),
        ("Decrease", 0.2, -0.1, 0.1, Finding.REFUTED),
        ("Decrease", 0.0, 0.1, float("inf"), Finding.REFUTED),
        ("Increase", 0.2, 0.1, float("inf"), Finding.CONFIRMED),
    ],
)
def test_the_rule(direction: Direction, by: float, low: float, high: float, says: Finding) -> None:
    assert finding(direction, by, low, high) is says


def test_the_sentence() -> None:
    told = judged(Promise(KPI, "Increase", 0.05), lift(0.04, 0.14)).message
    assert told == (
        "expected verified-success-rate +5 %: Confirmed, +4.5 points (2 to 7), "
        "that is +4 to +14 % of stable's"
    )
    down = judged(Promise(KPI, "Decrease"), lift(0.04, float("inf"))).message
    assert down.startswith("expected verified-success-rate to decrease: Refuted, ")
    assert down.endswith("at least +4 % of stable's")


def test_what_is_not_known_is_inconclusive_and_says_why() -> None:
    found = judged(Promise(KPI, "Increase"), NoLift(KPI, "too few outcomes that can be compared"))
    assert found.finding is Finding.INCONCLUSIVE
    assert found.message == f"expected {KPI} to increase: Inconclusive, too few outcomes that can be compared"


relative = st.floats(-1, 3)


@given(st.floats(0, 1), relative, relative, relative)
def test_what_may_be_so_is_never_refuted_and_what_may_not_is_never_confirmed(
    by: float, low: float, high: float, truth: float
) -> None:
    assume(low <= truth <= high)
    found = finding("Increase", by, low, high)
    if truth >= by and truth > 0:
        assert found is not Finding.REFUTED
    if truth <= 0:
        assert found is not Finding.CONFIRMED


@given(st.floats(0, 1), relative, relative)
def test_down_is_up_in_a_mirror(by: float, low: float, high: float) -> None:
    assume(low <= high)
    assert finding("Increase", by, low, high) is finding("Decrease", by, -high, -low)


@given(st.floats(0, 1), st.floats(0, 1), relative, relative)
def test_who_promises_more_is_not_confirmed_sooner(by: float, more: float, low: float, high: float) -> None:
    assume(low <= high)
    order = (Finding.CONFIRMED, Finding.INCONCLUSIVE, Finding.REFUTED)
    found = [order.index(finding("Increase", size, low, high)) for size in sorted((by, more))]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("ratio", "by", "wrong"),
    [(1.05, 0.05, Finding.REFUTED), (1.1, 0.05, Finding.REFUTED), (1.0, 0.05, Finding.CONFIRMED)],
    ids=["kept-exactly", "more-than-kept", "nothing-happened"],
)
def test_it_is_rarely_wrong_though_said_at_the_worst_moment(ratio: float, by: float, wrong: Finding) -> None:
    chance, runs, missed = world(), 150, 0
    for _ in range(runs):
        seen = RateDifference()
        for _look in range(150):
            seen.add(draw(chance, 20, 0.85 * ratio), draw(chance, 180, 0.85))
            relative_lift = seen.ratio(ALPHA).scaled(1, -1)
            if finding("Increase", by, relative_lift.low, relative_lift.high) is wrong:
                missed += 1
                break
    assert not refutes(missed, runs, 0.05)


def test_a_promise_that_is_kept_is_confirmed_in_time() -> None:
    chance, seen = world(), RateDifference()
    for _ in range(100):
        seen.add(draw(chance, 20, 0.92), draw(chance, 180, 0.85))
    found = seen.ratio(ALPHA).scaled(1, -1)
    assert finding("Increase", 0.05, found.low, found.high) is Finding.CONFIRMED
    assert seen.rates == pytest.approx((0.92, 0.85), abs=0.02)
    assert seen.candidate.total == Tally(0, 2000).total

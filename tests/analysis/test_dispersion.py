"""The design effect: worked values, what independence gives, and what sessions cost."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.dispersion import deflated, design_effect
from interlock.analysis.evidence import HarmProcess, Tally
from tests.analysis.chance import draw, refutes, world


def test_a_worked_value() -> None:
    # rate .7: deviations 2, -1, -1 of 10, 10, 20 outcomes; χ² = (.4 + .1 + .05) / .21, of 2 degrees
    looks = [Tally(9, 10), Tally(6, 10), Tally(13, 20)]
    assert design_effect(looks) == pytest.approx((0.4 + 0.1 + 0.05) / 0.21 / 2)


def test_looks_without_outcomes_are_none() -> None:
    looks = [Tally(9, 10), Tally(1, 10)]
    assert design_effect([*looks, Tally(), Tally()]) == design_effect(looks) > 1


@pytest.mark.parametrize(
    "looks", [[], [Tally(5, 9)], [Tally(9, 9), Tally(4, 4)], [Tally(0, 9), Tally(0, 4)], [Tally(), Tally()]]
)
def test_where_nothing_can_be_told(looks: list[Tally]) -> None:
    assert design_effect(looks) == 1.0


def test_less_spread_than_chance_is_no_gain() -> None:
    assert design_effect([Tally(9, 10)] * 50) == 1.0


def test_independent_tasks_need_no_correction() -> None:
    chance = world()
    found = design_effect(draw(chance, 200, 0.92) for _ in range(288))
    assert 1.0 <= found < 1.25


@pytest.mark.parametrize("size", [5, 20])
def test_sessions_that_succeed_or_fail_as_one_count_once(size: int) -> None:
    chance = world()
    found = design_effect(_sessions(chance, 100, size, 0.92) for _ in range(288))
    assert found == pytest.approx(size, rel=0.25)


def test_divided_counts_keep_the_rate() -> None:
    assert deflated(Tally(9, 10), 4.0) == Tally(2.25, 2.5)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=30))
def test_any_counts_give_a_number_that_is_at_least_one(counts: list[tuple[int, int]]) -> None:
    assert 1.0 <= design_effect(Tally(good, good + bad) for good, bad in counts) < float("inf")


def test_correlated_tasks_revert_healthy_candidates_and_divided_ones_rarely() -> None:
    chance, runs = world(), 200
    effect = design_effect(_sessions(chance, 100, 5, 0.92) for _ in range(288))
    reverted = {1.0: 0, effect: 0}
    for _ in range(runs):
        processes = {divisor: HarmProcess(0.92, 0.0) for divisor in reverted}
        found: set[float] = set()
        for _ in range(100):
            candidate, stable = _sessions(chance, 8, 5, 0.92), _sessions(chance, 72, 5, 0.92)
            for divisor, process in processes.items():
                process.add(deflated(candidate, divisor), deflated(stable, divisor))
                if process.log_e >= 3.0:
                    found.add(divisor)
        for divisor in found:
            reverted[divisor] += 1
    assert refutes(reverted[1.0], runs, 0.05)
    assert not refutes(reverted[effect], runs, 0.05)


def _sessions(chance: Random, count: int, size: int, rate: float) -> Tally:
    """Whole sessions of `size` tasks with one outcome each."""
    seen = draw(chance, count, rate)
    return Tally(size * seen.good, size * seen.total)

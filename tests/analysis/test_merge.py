"""Weighted means and closed testing: worked values beyond those of the formulas' own tests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.evidence import log_mean, rejected

REVERT = math.log(20)


@pytest.mark.parametrize(
    ("logs", "weights", "merged"),
    [
        ((5, 0, -2), (1, 1, 1), 3.909008),
        ((5, 0, -2), (2, 1, 1), 4.310670),
        ((5, 0, -2), (1, 3, 6), 2.722776),
        ((3, 3), (1, 7), 3.0),
    ],
)
def test_weighted_means(logs: tuple[float, ...], weights: tuple[float, ...], merged: float) -> None:
    """ln Σwe / Σw."""
    by_hand = math.log(sum(w * math.exp(x) for w, x in zip(weights, logs, strict=True)) / sum(weights))
    assert log_mean(logs, weights) == pytest.approx(by_hand)
    assert log_mean(logs, weights) == pytest.approx(merged, abs=5e-7)


def test_a_heavy_gate_is_named_where_a_light_one_is_not() -> None:
    """E = 30 of weight 3 beside E = 1: (90 + 1)/4 = 22.75; of weight 1 beside weight 3: (30 + 3)/4 = 8.25."""
    logs = [math.log(30), 0.0]
    assert rejected(logs, [3.0, 1.0], REVERT) == {0}
    assert rejected(logs, [1.0, 3.0], REVERT) == frozenset()


def test_the_worst_company_decides() -> None:
    """E = 58, 1, 1: all three have mean 20, which is the worst that holds the first; 57.9 is not enough."""
    assert rejected([math.log(58), 0.0, 0.0], [1.0] * 3, REVERT) == {0}
    assert rejected([math.log(57.9), 0.0, 0.0], [1.0] * 3, REVERT) == frozenset()


def test_two_strong_ones_help_each_other_against_the_rest_only() -> None:
    """E = 21, 21, 1 crosses nothing together (14.3); E = 40, 40, 1 names both: {40, 1} has mean 20.5."""
    assert log_mean([math.log(21), math.log(21), 0.0]) == pytest.approx(math.log(43 / 3))
    assert rejected([math.log(21), math.log(21), 0.0], [1.0] * 3, REVERT) == frozenset()
    assert rejected([math.log(40), math.log(40), 0.0], [1.0] * 3, REVERT) == {0, 1}


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8), st.floats(0, 700))
def test_the_mean_lies_between_and_rises_with_each(logs: list[float], more: float) -> None:
    found = log_mean(logs)
    assert min(logs) - 1e-9 <= found <= max(logs) + 1e-9
    assert found >= max(logs) - math.log(len(logs)) - 1e-9
    assert log_mean([logs[0] + more, *logs[1:]]) >= found - 1e-9


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=8), st.floats(0, 10))
def test_evidence_of_one_never_clears_another_that_was_named(logs: list[float], more: float) -> None:
    weights = [1.0] * len(logs)
    before = rejected(logs, weights, REVERT)
    assert before <= rejected([logs[0] + more, *logs[1:]], weights, REVERT)

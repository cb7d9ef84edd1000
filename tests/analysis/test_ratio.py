"""The sample-ratio test: reference value, exact bound, tolerance, and what it costs to look often."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.intervals import pmf
from interlock.analysis.ratio import SAMPLE_RATIO_ALPHA, sample_ratio
from tests.analysis.chance import draw, world

MISMATCH = -math.log(SAMPLE_RATIO_ALPHA)


def test_the_reference_value() -> None:
    assert sample_ratio(150, 850, 0.1) == pytest.approx(9.794766, abs=5e-7)


@pytest.mark.parametrize(("candidate", "stable", "share"), [(0, 20, 0.25), (7, 13, 0.5), (30, 2, 0.05)])
def test_it_is_a_mixture_of_urns(candidate: int, stable: int, share: float) -> None:
    mixed = Fraction(9, 10) * _urn(candidate, stable, Fraction(100) * Fraction(str(share)))
    mixed += Fraction(1, 10) * _urn(candidate, stable, None)
    fair = Fraction(str(share)) ** candidate * (1 - Fraction(str(share))) ** stable
    exact = mixed / fair
    expected = math.log(exact.numerator) - math.log(exact.denominator)
    assert sample_ratio(candidate, stable, share) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_intended_split_expects_no_gain(share: float) -> None:
    mean = sum(pmf(x, 60, share) * math.exp(sample_ratio(x, 60 - x, share)) for x in range(61))
    assert mean == pytest.approx(1.0)


@pytest.mark.parametrize("true", [0.08, 0.09, 0.1, 0.11, 0.12])
def test_nor_does_any_split_within_the_tolerance(true: float) -> None:
    mean = sum(pmf(x, 60, true) * math.exp(sample_ratio(x, 60 - x, 0.1, 0.02)) for x in range(61))
    assert mean <= 1 + 1e-9


def test_a_look_after_each_request_costs_nothing() -> None:
    share, alive, gone = 0.2, {0: 1.0}, 0.0
    for total in range(1, 401):
        after: dict[int, float] = {}
        for mine, mass in alive.items():
            after[mine] = after.get(mine, 0.0) + mass * (1 - share)
            after[mine + 1] = after.get(mine + 1, 0.0) + mass * share
        found = [mine for mine in after if sample_ratio(mine, total - mine, share) >= MISMATCH]
        gone += sum(after.pop(mine) for mine in found)
        alive = after
    assert 0 < gone <= SAMPLE_RATIO_ALPHA


@pytest.mark.parametrize(("true", "requests"), [(0.2, 400), (0.12, 9000), (0.0, 150), (1.0, 10)])
def test_a_mismatch_is_found(true: float, requests: int) -> None:
    chance, seen = world(), 0.0
    for total in range(10, requests + 10, 10):
        seen += draw(chance, 10, true).good
        if sample_ratio(seen, total - seen, 0.1) >= MISMATCH:
            return
    pytest.fail("no mismatch found")


def test_what_is_tolerated_is_no_mismatch() -> None:
    assert sample_ratio(11_500, 88_500, 0.1) > MISMATCH
    assert sample_ratio(11_500, 88_500, 0.1, 0.02) < 0


def test_a_side_that_must_have_none() -> None:
    assert sample_ratio(1, 10**6, 0.0) == math.inf
    assert sample_ratio(10, 1, 1.0) == math.inf
    assert sample_ratio(0, 10**6, 0.0) < 0
    assert sample_ratio(1, 10**6, 0.0, 0.001) < 0


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.sampled_from([0.0, 1e-9, 0.05, 0.5, 0.999, 1.0]),
    st.sampled_from([0.0, 0.01, 1.0]),
)
def test_any_counts_give_a_number(candidate: int, stable: int, share: float, tolerance: float) -> None:
    found = sample_ratio(candidate, stable, share, tolerance)
    assert not math.isnan(found)
    assert found <= sample_ratio(candidate, stable, share) + 1e-4


@given(st.integers(1, 1000), st.sampled_from([0.05, 0.25, 0.5]))
def test_it_grows_with_the_distance_on_either_side(total: int, share: float) -> None:
    logs = [sample_ratio(mine, total - mine, share) for mine in range(total + 1)]
    least = logs.index(min(logs))
    assert logs[:least] == sorted(logs[:least], reverse=True)
    assert logs[least:] == sorted(logs[least:])


def test_no_request_says_nothing() -> None:
    assert sample_ratio(0, 0, 0.1) == 0.0


def _urn(candidate: int, stable: int, mine: Fraction | None) -> Fraction:
    """Chance of a sequence with these counts from an urn that returns each ball with a like one."""
    a, b = (mine, 100 - mine) if mine is not None else (Fraction(1), Fraction(1))
    found, size = Fraction(1), a + b
    for k in range(candidate):
        found *= (a + k) / (size + k)
    for k in range(stable):
        found *= (b + k) / (size + candidate + k)
    return found

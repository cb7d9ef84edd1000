"""The normal mixture against its own integral, and the bound against a random walk."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.mixture import log_mixture, radius, tuned
from tests.analysis.chance import refutes, world


@pytest.mark.parametrize(
    ("z", "time", "rho"), [(0.0, 20, 30), (2.0, 20, 30), (-1.5, 100, 30), (4.0, 1000, 30), (3.0, 5, 100)]
)
def test_it_is_the_mixture_over_half_a_bell(z: float, time: float, rho: float) -> None:
    """E = ∫ exp(λS - λ²t/2) weighted by a half-normal λ of variance 1/ρ, with S = z·√t."""
    total, step = z * math.sqrt(time), 12.0 / math.sqrt(rho) / 20_000
    sum_ = 0.0
    for k in range(20_001):
        bend = (1 if k in (0, 20_000) else 2 + 2 * (k % 2)) * step / 3  # Simpson's rule
        rate = k * step
        density = 2 * math.sqrt(rho / (2 * math.pi)) * math.exp(-rho * rate**2 / 2)
        sum_ += bend * density * math.exp(rate * total - rate**2 * time / 2)
    assert log_mixture(z, time, rho) == pytest.approx(math.log(sum_), abs=1e-8)


def test_nothing_seen_says_nothing() -> None:
    assert log_mixture(0.0, 0.0, 30) == pytest.approx(0.0)
    assert radius(0, 30, 0.05) == math.inf


def test_a_worked_radius() -> None:
    # √(2·(1 + 30/200)·(½·ln(1 + 200/30) + ln 20))
    assert radius(200, 30, 0.05) == pytest.approx(3.038519, abs=5e-7)


@given(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 200.0, 1e9]))
def test_any_sum_gives_a_number(z: float, time: float) -> None:
    assert math.isfinite(log_mixture(z, time, 30))


@given(st.floats(-1000, 1000), st.floats(0.0, 10), st.sampled_from([1.0, 200.0, 1e6]))
def test_more_speaks_louder(z: float, more: float, time: float) -> None:
    assert log_mixture(z + more, time, 30) >= log_mixture(z, time, 30) - 1e-9


def test_the_expansion_joins_on() -> None:
    whole = 1e12  # so long a time that z is not shrunk
    below, above = (log_mixture(z, whole, 1e-3) for z in (-25.0001, -24.9999))
    assert below == pytest.approx(above, abs=1e-5)
    assert below < above


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2])
def test_tuned_is_where_the_radius_is_least(alpha: float) -> None:
    rho = tuned(200, alpha)
    here = radius(200, rho, alpha)
    assert here < radius(200, rho * 1.02, alpha)
    assert here < radius(200, rho / 1.02, alpha)


def test_one_sided_it_is_tightest_near_there_too() -> None:
    def least_z(rho: float) -> float:
        low, high = 0.0, 10.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if log_mixture(middle, 200, rho) >= math.log(20) else (middle, high)
        return high

    best = min((least_z(rho), rho) for rho in range(10, 90))
    assert least_z(tuned(200, 0.1)) == pytest.approx(best[0], rel=1e-3)


def test_a_walk_ever_crosses_with_a_chance_below_alpha() -> None:
    chance, upward, outward, runs = world(), 0, 0, 300
    for _ in range(runs):
        total, up, out = 0.0, False, False
        for time in range(1, 400):
            total += chance.gauss(0, 1)
            z = total / math.sqrt(time)
            up |= log_mixture(z, time, 30) >= math.log(20)
            out |= abs(z) > radius(time, 30, 0.05)
        upward, outward = upward + up, outward + out
    assert not refutes(upward, runs, 0.05)
    assert not refutes(outward, runs, 0.05)
    assert upward
    assert outward

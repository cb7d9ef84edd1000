"""The measuring instruments of the simulated tests: draws and exact binomial bounds."""

from __future__ import annotations

from statistics import fmean, pvariance

import pytest

from interlock.analysis.intervals import exact_interval, pmf
from tests.analysis.chance import draw, failures, refutes, world


@pytest.mark.parametrize(("total", "rate"), [(10, 0.3), (200, 0.02), (50, 0.98)])
def test_draws_have_the_moments_of_a_binomial(total: int, rate: float) -> None:
    chance = world()
    found = [failures(chance, total, rate) for _ in range(20_000)]
    assert fmean(found) == pytest.approx(total * rate, rel=0.02)
    assert pvariance(found) == pytest.approx(total * rate * (1 - rate), rel=0.05)


def test_certainties() -> None:
    chance = world()
    assert failures(chance, 7, 0.0) == 0
    assert failures(chance, 7, 1.0) == 7
    assert draw(chance, 7, 1.0).good == 7
    assert (pmf(7, 7, 1.0), pmf(6, 7, 1.0), pmf(0, 7, 0.0)) == (1.0, 0.0, 1.0)


def test_chances_add_up_to_one() -> None:
    assert sum(pmf(x, 40, 0.3) for x in range(41)) == pytest.approx(1.0)
    assert pmf(2, 4, 0.5) == pytest.approx(6 / 16)


def test_clopper_and_pearson() -> None:
    """Tabulated: 0 of 10 is up to 30.85 percent, 5 of 10 is 18.71 to 81.29, 50 of 1000 is 3.73 to 6.54."""
    assert exact_interval(0, 10) == pytest.approx((0.0, 0.3085), abs=5e-5)
    assert exact_interval(5, 10) == pytest.approx((0.1871, 0.8129), abs=5e-5)
    assert exact_interval(10, 10) == pytest.approx((0.6915, 1.0), abs=5e-5)
    assert exact_interval(50, 1000) == pytest.approx((0.0373, 0.0654), abs=5e-5)


def test_what_refutes_five_percent() -> None:
    """Of 100 at 5 percent, 13 or more have a chance of .0015 and 14 or more of .0005."""
    assert not refutes(13, 100, 0.05)
    assert refutes(14, 100, 0.05)

"""Draws of counts have the distribution that they are named after."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from interlock.simulation.chance import binomial, multinomial, poisson

DRAWS = 20_000


def fits(draw: Callable[[], int], pmf: Callable[[int], float], upto: int) -> bool:
    """Pearson's test at about one in a hundred thousand; rare values are one class."""
    seen = Counter(draw() for _ in range(DRAWS))
    classes = [(seen[k], DRAWS * pmf(k)) for k in range(upto) if DRAWS * pmf(k) >= 5]
    rest = (DRAWS - sum(s for s, _ in classes), DRAWS - sum(e for _, e in classes))
    classes += [rest] if rest[1] >= 5 else []
    distance = sum((s - e) ** 2 / e for s, e in classes)
    freedom = len(classes) - 1
    return distance < freedom + 4.3 * math.sqrt(2 * freedom) + 12


@pytest.mark.parametrize("mean", [0.0, 0.3, 5.0, 12.5, 40.0, 300.0])
def test_poisson(mean: float) -> None:
    random = Random(1)
    upto = int(mean + 12 * math.sqrt(mean) + 20)

    def pmf(k: int) -> float:
        return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) if mean else float(k == 0)

    assert fits(lambda: poisson(random, mean), pmf, upto)


@pytest.mark.parametrize(
    ("trials", "chance"),
    [(0, 0.5), (7, 0.2), (13, 0.9), (60, 0.02), (400, 0.72), (300, 0.97), (20_000, 2e-4)],
)
def test_binomial(trials: int, chance: float) -> None:
    random = Random(2)

    def pmf(k: int) -> float:
        ways = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        return math.exp(ways + k * math.log(chance) + (trials - k) * math.log1p(-chance))

    assert fits(lambda: binomial(random, trials, chance), pmf, trials + 1)


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 0), (1.0, 500)])
def test_what_is_certain_is_certain(chance: float, expected: int) -> None:
    assert binomial(Random(3), 500, chance) == expected


def test_multinomial_counts_add_up_and_keep_their_shares() -> None:
    random = Random(4)
    sums = [0, 0, 0, 0]
    for _ in range(2000):
        counts = multinomial(random, 50, [1, 0, 2, 5])
        assert sum(counts) == 50
        sums = [s + c for s, c in zip(sums, counts, strict=True)]
    assert sums[1] == 0
    assert [s / 100_000 for s in sums] == pytest.approx([1 / 8, 0, 2 / 8, 5 / 8], abs=0.006)

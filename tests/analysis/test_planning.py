"""What a decision will cost, held against what the processes then take."""

from __future__ import annotations

import math
from statistics import median, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.certify import NonInferiority
from interlock.analysis.evidence import HarmProcess, above
from interlock.analysis.planning import (
    Effort,
    above_growth,
    below_growth,
    certificate_growth,
    clean_tasks_to_certify,
    effort,
    harm_growth,
    threshold,
)
from tests.analysis.chance import draw, world

ONE_GATE = threshold(0.05)

rates = st.floats(0.01, 0.99)


class TestFormulas:
    @pytest.mark.parametrize(
        ("stable", "candidate", "tasks"),
        [(0.92, 0.88, 471.894), (0.92, 0.80, 64.363), (0.998, 0.99, 596.191), (0.998, 0.95, 50.717)],
    )
    def test_the_regressions_of_the_contract(self, stable: float, candidate: float, tasks: float) -> None:
        pooled = 0.1 * candidate + 0.9 * stable
        growth = _kl(candidate, pooled) + 9 * _kl(stable, pooled)
        assert harm_growth(candidate, stable, 0.1) == pytest.approx(growth)
        found = effort(growth, ONE_GATE)
        assert found.median == pytest.approx((math.log(20) + 1) / growth)
        assert found.median == pytest.approx(tasks, abs=1e-3)
        assert found.p95 == pytest.approx(3 * tasks, abs=3e-3)

    def test_steps_and_gates_share_alpha(self) -> None:
        assert threshold(0.05, steps=3, gates=4) == pytest.approx(math.log(12 / 0.05))
        assert threshold(0.05, steps=0, gates=0) == ONE_GATE == pytest.approx(math.log(20))

    def test_a_limit(self) -> None:
        assert above_growth(0.01, 0.002) == pytest.approx(_kl(0.01, 0.002))
        assert below_growth(0.001, 0.005) == pytest.approx(_kl(0.001, 0.005))

    @pytest.mark.parametrize("alpha", [0.01, 0.05])
    @pytest.mark.parametrize("limit", [0.002, 0.005, 0.05, 0.5])
    def test_clean_tasks(self, limit: float, alpha: float) -> None:
        """E = mean over r of ((1 - p_r)/(1 - L))ⁿ."""
        odds = limit / (1 - limit)

        def evidence(n: int) -> float:
            return sum((1 / (1 + r * odds) / (1 - limit)) ** n for r in (0.75, 0.5, 0.25, 0.1, 0)) / 5

        expected = next(n for n in range(1, 10_000) if evidence(n) >= 1 / alpha)
        assert clean_tasks_to_certify(limit, alpha) == expected

    def test_half_a_percent(self) -> None:
        assert clean_tasks_to_certify(0.005, 0.05) == 755


class TestNothingToFind:
    def test_a_healthy_candidate_is_never_blamed(self) -> None:
        assert harm_growth(0.92, 0.92, 0.1) == harm_growth(0.91, 0.92, 0.1, delta=0.02) == 0.0
        assert effort(0.0, ONE_GATE) == Effort(math.inf, math.inf)

    def test_a_bad_one_is_never_certified(self) -> None:
        assert certificate_growth(0.90, 0.92, 0.1, 0.02) == certificate_growth(0.92, 0.92, 0.1, 0.0) == 0.0
        assert above_growth(0.005, 0.005) == below_growth(0.005, 0.005) == 0.0
        assert clean_tasks_to_certify(0.0, 0.05) == math.inf

    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_without_two_versions_nothing_is_compared(self, share: float) -> None:
        assert harm_growth(0.5, 0.9, share) == 0.0


class TestAlways:
    @given(rates, rates, st.floats(0.01, 0.99), st.floats(0, 0.5))
    def test_what_is_worse_is_found_sooner(
        self, candidate: float, stable: float, share: float, delta: float
    ) -> None:
        here = harm_growth(candidate, stable, share, delta)
        assert 0 <= here <= harm_growth(candidate * 0.9, stable, share, delta) + 1e-12
        assert not math.isnan(certificate_growth(candidate, stable, share, delta))

    @given(st.floats(1e-12, 1.0), st.sampled_from([1e-6, 0.05, 0.5]))
    def test_clean_tasks_are_the_first_that_certify(self, limit: float, alpha: float) -> None:
        tasks = clean_tasks_to_certify(limit, alpha)
        assert 1 <= tasks < math.inf


class TestAgainstTheProcesses:
    """Seeded: estimates are within a third of what is then needed, and 95 of 100 within about three."""

    @pytest.mark.parametrize(
        ("stable", "candidate", "block"),
        [(0.92, 0.88, 8), (0.92, 0.80, 4), (0.998, 0.99, 8), (0.998, 0.95, 4)],
    )
    def test_harm(self, stable: float, candidate: float, block: int) -> None:
        chance, found = world(), []
        for _ in range(150):
            process, tasks = HarmProcess(stable, 0.0), 0
            while process.log_e < ONE_GATE:
                process.add(draw(chance, block, candidate), draw(chance, 9 * block, stable))
                tasks += block
            found.append(tasks)
        self.agree(found, effort(harm_growth(candidate, stable, 0.1), ONE_GATE))

    @pytest.mark.parametrize("rate", [0.01, 0.05])
    def test_a_limit(self, rate: float) -> None:
        chance, found = world(), []
        for _ in range(150):
            bad = total = 0
            while above(bad, total, 0.002) < ONE_GATE:
                bad, total = bad + (chance.random() < rate), total + 1
            found.append(total)
        self.agree(found, effort(above_growth(rate, 0.002), ONE_GATE))

    def test_a_certificate(self) -> None:
        chance, found = world(), []
        for _ in range(100):
            process, tasks = NonInferiority(0.92, 0.05), 0
            while process.log_e < ONE_GATE:
                process.add(draw(chance, 10, 0.92), draw(chance, 90, 0.92))
                tasks += 10
            found.append(tasks)
        self.agree(found, effort(certificate_growth(0.92, 0.92, 0.1, 0.05), ONE_GATE))

    @staticmethod
    def agree(found: list[int], estimate: Effort) -> None:
        assert estimate.median == pytest.approx(median(found), rel=0.34)
        assert quantiles(found, n=20)[-1] <= 1.25 * estimate.p95


def _kl(p: float, q: float) -> float:
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))

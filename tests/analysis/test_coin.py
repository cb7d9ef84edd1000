"""Coins against one another: worked values, the edges, and nothing nearer than the nearest pair."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.coin import divergence, log_likelihood, log_ratio, nearest_pair
from interlock.analysis.evidence import Tally, nearest_healthy

rates = st.floats(0.001, 0.999)
any_rate = st.sampled_from([0.0, 1e-300, 1e-9, 0.3, 1 - 1e-9, 1.0])
counts = st.builds(lambda good, bad: Tally(good, good + bad), st.integers(0, 50), st.integers(0, 50))


class TestLogRatio:
    @given(
        counts,
        st.fractions(Fraction(1, 100), Fraction(99, 100)),
        st.fractions(Fraction(1, 100), Fraction(99, 100)),
    )
    def test_it_is_the_log_of_the_exact_ratio(self, seen: Tally, p: Fraction, q: Fraction) -> None:
        good, bad = int(seen.good), int(seen.total - seen.good)
        exact = (p / q) ** good * ((1 - p) / (1 - q)) ** bad
        expected = math.log(exact.numerator) - math.log(exact.denominator)
        assert log_ratio(seen, float(p), float(q)) == pytest.approx(expected, rel=1e-9, abs=1e-9)

    @given(counts, any_rate, any_rate)
    def test_never_nan(self, seen: Tally, p: float, q: float) -> None:
        assert not math.isnan(log_ratio(seen, p, q))
        assert log_likelihood(seen, p) <= 0

    def test_what_a_coin_excludes(self) -> None:
        seen = Tally(1, 2)
        assert log_ratio(seen, 0.0, 0.5) == log_ratio(seen, 1.0, 0.5) == -math.inf
        assert log_ratio(seen, 0.5, 0.0) == log_ratio(seen, 0.5, 1.0) == math.inf
        assert log_ratio(Tally(2, 2), 1.0, 0.5) == pytest.approx(2 * math.log(2))
        assert log_likelihood(seen, 0.0) == log_likelihood(seen, 1.0) == -math.inf

    def test_a_billion_outcomes_of_a_rare_event(self) -> None:
        seen = Tally(2e3, 1e9)
        assert log_ratio(seen, 2e-6, 1e-6) == pytest.approx(386.2948611206, abs=1e-9)

    def test_rates_that_differ_less_than_one_is_exact(self) -> None:
        assert log_ratio(Tally(0, 1), 1e-20, 2e-20) == pytest.approx(1e-20)


class TestDivergence:
    @pytest.mark.parametrize(
        ("p", "q", "nats"), [(0.5, 0.25, 0.143841), (0.88, 0.916, 0.007518), (0.0, 0.005, 0.005013)]
    )
    def test_worked_values(self, p: float, q: float, nats: float) -> None:
        assert divergence(p, q) == pytest.approx(nats, abs=5e-7)

    @given(any_rate, any_rate)
    def test_it_is_never_negative(self, p: float, q: float) -> None:
        assert divergence(p, q) >= 0
        assert divergence(p, p) == 0


class TestNearestPair:
    @pytest.mark.parametrize(("delta", "pair"), [(0.0, (0.908, 0.908)), (0.02, (0.891520, 0.911520))])
    def test_reference_values(self, delta: float, pair: tuple[float, float]) -> None:
        assert nearest_pair(0.80, 0.92, 10, 90, delta) == pytest.approx(pair, abs=5e-7)

    @given(rates, rates, st.integers(1, 500), st.integers(1, 500), st.floats(0.0, 0.5))
    def test_from_the_side_of_harm_it_is_that_of_the_evidence(
        self, a: float, b: float, n_c: int, n_s: int, delta: float
    ) -> None:
        p_c, p_s = min(a, b), max(a, b)
        if p_c < p_s - delta - 1e-6:
            found = nearest_pair(p_c, p_s, n_c, n_s, delta)
            assert found == pytest.approx(nearest_healthy(p_c, p_s, n_c, n_s, delta), abs=1e-9)

    @given(rates, rates, st.integers(1, 500), st.integers(1, 500), st.floats(0.0, 0.9))
    def test_nothing_on_the_border_is_nearer(
        self, p_c: float, p_s: float, n_c: int, n_s: int, delta: float
    ) -> None:
        q_c, q_s = nearest_pair(p_c, p_s, n_c, n_s, delta)
        assert 0 < q_c < 1
        assert 0 < q_s < 1
        assert q_s - q_c == pytest.approx(delta)
        best = n_c * divergence(p_c, q_c) + n_s * divergence(p_s, q_s)
        for step in range(1, 200):
            other = (1 - delta) * step / 200
            there = n_c * divergence(p_c, other) + n_s * divergence(p_s, other + delta)
            assert best <= there + 1e-9 * max(1.0, there)

    @given(rates, rates, st.floats(0.0, 0.5))
    def test_the_larger_side_moves_less(self, p_c: float, p_s: float, delta: float) -> None:
        _, few = nearest_pair(p_c, p_s, 10, 10, delta)
        _, many = nearest_pair(p_c, p_s, 10, 1e9, delta)
        assert abs(many - p_s) <= abs(few - p_s) + 1e-9

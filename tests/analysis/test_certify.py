"""Certificates: reference values, the bound by exact summation, and what they cost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from itertools import product
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.certify import (
    BELOW_BETS,
    Certificate,
    NonInferiority,
    Superiority,
    below,
    certificate,
    certificate_log_odds,
    restored_certificate,
)
from interlock.analysis.evidence import HarmProcess, Tally, scale_odds
from interlock.analysis.intervals import pmf
from tests.analysis.chance import draw, refutes, world

CERTIFIED = math.log(20)  # five percent


class TestBelow:
    def test_the_reference_value(self) -> None:
        assert below(0, 1000, 0.005) == pytest.approx(4.093537, abs=5e-7)

    def test_755_clean_tasks_certify_half_a_percent(self) -> None:
        assert below(0, 754, 0.005) < CERTIFIED <= below(0, 755, 0.005)

    @pytest.mark.parametrize(
        ("bad", "total", "limit"), [(1, 2000, 0.005), (7, 100, 0.2), (50, 100, 0.5), (100, 100, 0.9)]
    )
    def test_it_is_the_mean_of_likelihood_ratios(self, bad: int, total: int, limit: float) -> None:
        ratios = []
        for bet in BELOW_BETS:
            rate = bet * limit / (1 - limit + bet * limit)
            ratios.append((rate / limit) ** bad * ((1 - rate) / (1 - limit)) ** (total - bad))
        assert math.exp(below(bad, total, limit)) == pytest.approx(sum(ratios) / len(ratios))

    @pytest.mark.parametrize("limit", [0.002, 0.05, 0.5])
    def test_a_rate_at_the_limit_expects_no_gain_and_one_above_it_a_loss(self, limit: float) -> None:
        def mean(rate: float) -> float:
            return sum(pmf(x, 40, rate) * math.exp(below(x, 40, limit)) for x in range(41))

        assert mean(limit) == pytest.approx(1.0)
        assert mean(1.5 * limit) < 1

    @pytest.mark.parametrize("limit", [0.01, 0.05])
    def test_a_rate_at_the_limit_is_ever_certified_with_a_chance_below_alpha(self, limit: float) -> None:
        assert 0.005 < _ever_certified(limit, limit, 1000) <= 0.05

    @given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 1))
    def test_any_counts_give_a_number(self, bad: int, rest: int, limit: float) -> None:
        found = below(bad, bad + rest, limit)
        assert not math.isnan(found)
        assert found > -math.inf

    @given(st.integers(0, 200), st.integers(0, 1000), st.floats(0.001, 0.9))
    def test_each_bad_outcome_speaks_against_it_and_each_good_one_for_it(
        self, bad: int, rest: int, limit: float
    ) -> None:
        here = below(bad, bad + rest, limit)
        assert below(bad + 1, bad + rest + 1, limit) < here < below(bad, bad + rest + 1, limit)

    def test_limits_that_need_no_counting(self) -> None:
        assert below(0, 10**9, 0.0) == 0.0
        assert below(5, 5, 1.0) == math.inf


class TestExactBound:
    """Means over all outcomes, without chance."""

    @pytest.mark.parametrize("delta", [0.01, 0.05, 0.3])
    @pytest.mark.parametrize("stable", [0.5, 0.92, 0.999, 0.35])
    @pytest.mark.parametrize("p_s", [0.36, 0.92, 0.999])
    @pytest.mark.parametrize("bet", [1.5, 1.0, 0.5])
    def test_an_inferior_candidate_expects_no_gain(
        self, stable: float, delta: float, p_s: float, bet: float
    ) -> None:
        p_c = min(p_s - delta * (1 - bet), (1 + p_s) / 2)
        for candidate in (stable - delta, stable - delta - 0.04):
            mean = _expected([max(0.0, candidate)] * 4, [stable] * 6, p_c, p_s, delta)
            assert mean <= 1 + 1e-9

    def test_nor_where_the_rate_drifts_within_the_block(self) -> None:
        assert _expected([0.99, 0.9, 0.6, 0.51], [0.8] * 6, 0.9, 0.9, 0.05) <= 1 + 1e-9

    @pytest.mark.parametrize(
        ("begin", "candidate", "stable"),
        [
            (lambda: NonInferiority(0.8, 0.1), 0.7, 0.8),
            (lambda: NonInferiority(0.99, 0.05), 0.9, 0.95),
            (lambda: NonInferiority(0.03, 0.1), 0.1, 0.2),
            (lambda: Superiority(0.8), 0.8, 0.8),
            (lambda: Superiority(0.3), 0.9, 0.95),
        ],
    )
    def test_whole_processes_expect_no_gain_though_each_bet_learns(
        self, begin: Callable[[], Certificate], candidate: float, stable: float
    ) -> None:
        assert _process_mean(begin, candidate, stable, blocks=3, size=3) <= 1 + 1e-9

    def test_a_process_gains_where_the_candidate_is_good(self) -> None:
        assert _process_mean(lambda: NonInferiority(0.8, 0.3), 0.8, 0.8, blocks=3, size=3) > 1
        assert _process_mean(lambda: Superiority(0.5), 0.9, 0.5, blocks=3, size=3) > 1


class TestNonInferiority:
    @pytest.mark.parametrize(
        ("candidate", "stable", "bet", "delta", "log"),
        [
            (Tally(9, 10), Tally(83, 90), (0.92, 0.92), 0.05, 0.006725189),
            (Tally(10, 10), Tally(80, 90), (0.945, 0.92), 0.05, 0.979241471),
            (Tally(2, 10), Tally(20, 90), (0.02, 0.04), 0.1, -10.359461356),
        ],
    )
    def test_blocks_worked_in_fifty_digits(
        self, candidate: Tally, stable: Tally, bet: tuple[float, float], delta: float, log: float
    ) -> None:
        assert certificate_log_odds(candidate, stable, *bet, delta) == pytest.approx(log, abs=1e-9)

    @pytest.mark.parametrize(
        ("delta", "candidate", "stable", "blocks", "log"),
        [
            (0.05, Tally(10, 10), Tally(84, 90), 5, 2.968978557),
            (0.02, Tally(9.2, 10), Tally(82.8, 90), 100, 1.806919907),
        ],
    )
    def test_processes_worked_in_fifty_digits(
        self, delta: float, candidate: Tally, stable: Tally, blocks: int, log: float
    ) -> None:
        process = NonInferiority(0.92, delta)
        for _ in range(blocks):
            process.add(candidate, stable)
        assert process.log_e == pytest.approx(log, abs=1e-8)

    @given(st.integers(0, 19), st.integers(0, 100), st.floats(0.01, 0.3), st.floats(0.05, 0.95))
    def test_a_better_candidate_and_a_worse_stable_speak_for_it(
        self, good: int, stable: int, delta: float, p0: float
    ) -> None:
        def log_e(good: int, stable: int) -> float:
            process = NonInferiority(p0, delta)
            process.add(Tally(good, 20), Tally(stable, 101))
            return process.log_e

        assert log_e(good + 1, stable) >= log_e(good, stable) >= log_e(good, stable + 1)

    def test_no_bet_where_the_bet_itself_is_inferior(self) -> None:
        assert certificate_log_odds(Tally(10, 10), Tally(0, 10), 0.7, 0.9, 0.2) == 0.0

    @given(
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 60)), max_size=20),
        st.sampled_from([1e-9, 0.05, 0.5, 0.999]),
    )
    def test_any_counts_give_a_number(self, blocks: list[tuple[int, int]], delta: float) -> None:
        for p0 in (1e-9, 0.5, 1 - 1e-9):
            process = NonInferiority(p0, delta)
            for good_c, good_s in blocks:
                process.add(Tally(good_c, 8), Tally(good_s, 60))
            assert math.isfinite(process.log_e)

    def test_a_billion_outcomes(self) -> None:
        process = NonInferiority(0.9, 0.01)
        for _ in range(3):
            process.add(Tally(9e8, 1e9), Tally(9e8, 1e9))
        assert 1e3 < process.log_e < math.inf

    @pytest.mark.parametrize("delta", [1e-9, 0.01, 0.5])
    def test_a_billion_without_a_failure(self, delta: float) -> None:
        process = NonInferiority(1 - 1e-9, delta)
        for _ in range(3):
            process.add(Tally(1e9, 1e9), Tally(1e9, 1e9))
        process.add(Tally(0, 10), Tally(0, 10))
        assert math.isfinite(process.log_e)

    def test_a_block_without_a_side_says_nothing(self) -> None:
        process = NonInferiority(0.9, 0.05)
        process.add(Tally(), Tally(5, 5))
        process.add(Tally(5, 5), Tally())
        assert (process.log_e, process.candidate, process.stable) == (0.0, Tally(), Tally())

    def test_an_inferior_candidate_is_rarely_certified(self) -> None:
        chance = world()
        wrong = sum(
            _tasks(chance, NonInferiority(0.92, 0.04), 0.88, 0.92, 200) < math.inf for _ in range(400)
        )
        assert not refutes(wrong, 400, 0.05)

    def test_an_equal_one_is_certified_within_what_planning_says(self) -> None:
        chance = world()
        found = [_tasks(chance, NonInferiority(0.92, 0.04), 0.92, 0.92, 2000) for _ in range(60)]
        assert 250 < median(found) < 700


class TestSuperiority:
    def test_it_is_the_harm_of_failing_less(self) -> None:
        better, harm = Superiority(0.92), HarmProcess(1 - 0.92, 0.0)
        better.add(Tally(10, 10), Tally(80, 90))
        harm.add(Tally(0, 10), Tally(10, 90))
        assert better.log_e == harm.log_e
        assert (better.candidate, better.stable) == (Tally(10, 10), Tally(80, 90))

    def test_a_worked_block(self) -> None:
        process = Superiority(0.9)
        process.add(Tally(10, 10), Tally(80, 90))
        gains = []
        for bet in (0.8, 0.667, 0.5, 0.333, 0.2, 0.1, 0.05):
            fails = scale_odds(0.1, bet)
            pooled = (10 * fails + 90 * 0.1) / 100
            log = 10 * math.log((1 - fails) / (1 - pooled))
            log += 10 * math.log(0.1 / pooled) + 80 * math.log(0.9 / (1 - pooled))
            gains.append(math.exp(log))
        assert process.log_e == pytest.approx(math.log(sum(gains) / 7))

    def test_equals_are_rarely_called_better(self) -> None:
        chance = world()
        wrong = sum(_tasks(chance, Superiority(0.92), 0.92, 0.92, 200) < math.inf for _ in range(200))
        assert not refutes(wrong, 200, 0.05)

    def test_a_better_one_is_found(self) -> None:
        chance = world()
        assert median(_tasks(chance, Superiority(0.92), 0.97, 0.92, 2000) for _ in range(60)) < 450

    def test_a_block_without_a_side_says_nothing(self) -> None:
        process = Superiority(0.9)
        process.add(Tally(), Tally(5, 5))
        assert process.log_e == 0.0

    def test_a_margin_of_nothing_asks_for_it(self) -> None:
        assert isinstance(certificate(0.9, 0.0), Superiority)
        assert isinstance(certificate(0.9, 0.01), NonInferiority)


class TestGoingOn:
    @pytest.mark.parametrize("delta", [0.0, 0.05])
    def test_from_its_state_it_goes_on_to_the_last_bit(self, delta: float) -> None:
        whole = certificate(0.9, delta)
        half = restored_certificate(whole.state(), delta)
        for good in (9, 10, 8, 10):
            for process in (whole, half):
                process.add(Tally(good, 10), Tally(81, 90))
            half = restored_certificate(json.loads(json.dumps(half.state())), delta)
        assert half.log_e == whole.log_e != 0
        assert half.state() == whole.state()

    @pytest.mark.parametrize("delta", [0.0, 0.05])
    @pytest.mark.parametrize("state", [[], [0.9, 0, 0, 0, 0], [0.0] * 12, ["x"] * 12])
    def test_what_is_no_state(self, state: list[float], delta: float) -> None:
        with pytest.raises(ValueError, match=r"state|unpack|float"):
            restored_certificate(state, delta)


def _tasks(chance: Random, process: Certificate, candidate: float, stable: float, blocks: int) -> float:
    """Candidate tasks until the certificate; inf if it does not come."""
    for block in range(1, blocks + 1):
        process.add(draw(chance, 10, candidate), draw(chance, 90, stable))
        if process.log_e >= CERTIFIED:
            return 10 * block
    return math.inf


def _ever_certified(rate: float, limit: float, tasks: int) -> float:
    """The chance that `below` is ever beyond the threshold within so many tasks; exact, a look each task."""
    alive, gone = {0: 1.0}, 0.0
    for total in range(1, tasks + 1):
        after: dict[int, float] = {}
        for bad, mass in alive.items():
            after[bad] = after.get(bad, 0.0) + mass * (1 - rate)
            after[bad + 1] = after.get(bad + 1, 0.0) + mass * rate
        certified = [bad for bad in after if below(bad, total, limit) >= CERTIFIED]
        gone += sum(after.pop(bad) for bad in certified)
        alive = {bad: mass for bad, mass in after.items() if mass > 1e-12}
    return gone


def _process_mean(
    begin: Callable[[], Certificate], candidate: float, stable: float, *, blocks: int, size: int
) -> float:
    """Mean of a whole process over all outcomes of so many blocks of `size` tasks a side."""
    outcomes = [
        (Tally(x_c, size), Tally(x_s, size), pmf(x_c, size, candidate) * pmf(x_s, size, stable))
        for x_c, x_s in product(range(size + 1), repeat=2)
    ]
    total = 0.0
    for path in product(outcomes, repeat=blocks):
        process = begin()
        for seen_c, seen_s, _ in path:
            process.add(seen_c, seen_s)
        total += math.prod(mass for _, _, mass in path) * math.exp(process.log_e)
    return total


def _expected(
    candidate: Sequence[float], stable: Sequence[float], p_c: float, p_s: float, delta: float
) -> float:
    """Mean of the e-value of one block, over all outcomes of tasks with these chances of success."""
    n_c, n_s = len(candidate), len(stable)
    return sum(
        mass_c * mass_s * math.exp(certificate_log_odds(Tally(x_c, n_c), Tally(x_s, n_s), p_c, p_s, delta))
        for x_c, mass_c in enumerate(_successes(candidate))
        for x_s, mass_s in enumerate(_successes(stable))
    )


def _successes(chances: Sequence[float]) -> list[float]:
    """Distribution of the number of successes of unlike tasks."""
    found = [1.0]
    for p in chances:
        found = [a * (1 - p) + b * p for a, b in zip([*found, 0.0], [0.0, *found], strict=True)]
    return found

"""The formulas: reference values, the bound itself by exact summation, and what a simulation finds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, combinations, product
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.evidence import (
    ABOVE_BETS,
    HARM_BETS,
    MIN_OUTCOMES,
    HarmProcess,
    Tally,
    above,
    block_log_odds,
    log_mean,
    nearest_healthy,
    rejected,
    scale_odds,
)
from interlock.analysis.intervals import pmf

REVERT = math.log(20)  # five percent

rates = st.floats(0.001, 0.999)
sizes = st.integers(4, 500)


class TestReferenceValues:
    def test_a_rate_above_its_limit(self) -> None:
        assert above(3, 100, 0.005) == pytest.approx(1.923124, abs=5e-7)

    @pytest.mark.parametrize(("delta", "pair"), [(0.0, (0.908, 0.908)), (0.02, (0.891520, 0.911520))])
    def test_the_nearest_healthy_pair(self, delta: float, pair: tuple[float, float]) -> None:
        assert nearest_healthy(0.80, 0.92, 10, 90, delta) == pytest.approx(pair, abs=5e-7)

    def test_one_block(self) -> None:
        assert block_log_odds(Tally(7, 10), Tally(83, 90), 0.80, 0.92, 0) == pytest.approx(1.554555, abs=5e-7)

    def test_a_whole_process(self) -> None:
        assert self.after_five_bad_blocks(HarmProcess(0.92, 0)).log_e == pytest.approx(7.489673, abs=5e-7)

    def test_the_mean_over_planned_steps(self) -> None:
        first = HarmProcess(0.92, 0)
        for _ in range(20):
            first.add(Tally(9.2, 10), Tally(82.8, 90))
        begun = [self.after_five_bad_blocks(process).log_e for process in (first, HarmProcess(0.92, 0))]
        assert log_mean([*begun, 0.0, 0.0]) == pytest.approx(6.106600, abs=5e-7)

    def test_a_mean_of_logs(self) -> None:
        assert log_mean((5, 0, -2)) == pytest.approx(3.909008, abs=5e-7)

    @staticmethod
    def after_five_bad_blocks(process: HarmProcess) -> HarmProcess:
        for _ in range(5):
            process.add(Tally(7, 10), Tally(83, 90))
        return process


class TestNearestHealthyPair:
    @given(rates, rates, sizes, sizes, st.floats(0.0, 0.5))
    def test_nothing_healthy_is_nearer(self, a: float, b: float, n_c: int, n_s: int, delta: float) -> None:
        p_c, p_s = min(a, b), max(a, b)
        if p_c >= p_s - delta - 1e-6:
            return
        q_c, q_s = nearest_healthy(p_c, p_s, n_c, n_s, delta)

        def distance(q: float) -> float:
            return n_c * _kl(p_c, q) + n_s * _kl(p_s, q + delta)

        assert q_s - q_c == pytest.approx(delta)
        assert p_c <= q_c <= p_s - delta
        best = _minimum(distance, p_c, p_s - delta)
        assert distance(q_c) <= distance(best) + 1e-9 * max(1.0, distance(best))

    def test_a_tiny_margin_is_close_to_none(self) -> None:
        assert nearest_healthy(0.8, 0.92, 10, 90, 1e-9) == pytest.approx((0.908, 0.908), abs=1e-8)


class TestHarm:
    @pytest.mark.parametrize("delta", [0.0, 0.02, 0.1])
    @pytest.mark.parametrize("healthy", [(0.5, 0.5), (0.92, 0.92), (0.999, 0.999), (0.9, 0.7), (0.05, 0.05)])
    @pytest.mark.parametrize("bet", HARM_BETS)
    def test_a_healthy_candidate_expects_no_gain(
        self, healthy: tuple[float, float], bet: float, delta: float
    ) -> None:
        q_c, q_s = max(0.0, healthy[0] - delta), healthy[1]
        for p_s in (0.3, 0.92, 0.999):
            mean = _expected([q_c] * 4, [q_s] * 6, scale_odds(p_s, bet), p_s, delta)
            assert mean <= 1 + 1e-9

    @pytest.mark.parametrize("bet", HARM_BETS)
    def test_nor_where_the_rate_drifts_within_the_block(self, bet: float) -> None:
        drifting, steady = [0.99, 0.9, 0.6, 0.51], [0.75] * 6
        assert _expected(drifting, steady, scale_odds(0.9, bet), 0.9, 0.0) <= 1 + 1e-9

    def test_no_bet_against_a_difference_that_is_allowed(self) -> None:
        assert block_log_odds(Tally(0, 10), Tally(90, 90), 0.91, 0.92, 0.02) == 0.0

    @given(
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 60)), max_size=30), st.sampled_from([0.0, 0.05])
    )
    def test_any_counts_give_a_number(self, blocks: list[tuple[int, int]], delta: float) -> None:
        for p0 in (1e-9, 0.5, 1 - 1e-9):
            process = HarmProcess(p0, delta)
            for good_c, good_s in blocks:
                process.add(Tally(good_c, 8), Tally(good_s, 60))
            assert math.isfinite(process.log_e)

    @pytest.mark.parametrize("delta", [0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3])
    @pytest.mark.parametrize("stable", [0.9, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999, 1 - 1e-9])
    def test_however_good_stable_is_a_margin_hides_no_disaster(self, stable: float, delta: float) -> None:
        process = HarmProcess(stable, delta)
        for _ in range(25):
            process.add(Tally(0, 4), Tally(36 * stable, 36))
        assert process.log_e > REVERT

    @pytest.mark.parametrize("delta", [0.01, 0.02, 0.05, 0.1])
    @pytest.mark.parametrize("stable", [0.99, 0.998, 0.999, 0.9999])
    def test_nor_what_is_three_times_the_margin(self, stable: float, delta: float) -> None:
        process = HarmProcess(stable, delta)
        for _ in range(400):
            process.add(Tally(10 * (stable - 3 * delta), 10), Tally(90 * stable, 90))
        assert process.log_e > REVERT

    @pytest.mark.parametrize("delta", [0.01, 0.02, 0.1])
    def test_what_is_allowed_is_no_harm_where_bets_are_measured_by_the_border(self, delta: float) -> None:
        """By exact summation over all that a block may show."""
        for stable in (0.995, 0.999, 0.9999):
            for q_s in (stable, 0.9, 0.5):
                mean = 0.0
                for x_c, x_s in product(range(5), range(7)):
                    process = HarmProcess(stable, delta)
                    process.add(Tally(x_c, 4), Tally(x_s, 6))
                    chance = pmf(x_c, 4, max(0.0, q_s - delta)) * pmf(x_s, 6, q_s)
                    mean += chance * math.exp(process.log_e)
                assert mean <= 1 + 1e-9

    def test_stable_never_looks_as_if_it_could_not_fail(self) -> None:
        process = HarmProcess(1 - 1e-12, 0.0)
        process.add(Tally(1e9, 1e9), Tally(1e10, 1e10))
        before = process.log_e
        process.add(Tally(90, 100), Tally(900, 900))
        assert process.log_e > before + REVERT

    def test_a_perfect_stable_version_and_a_useless_candidate(self) -> None:
        process = HarmProcess(Tally(1e6, 1e6).smoothed, 0.0)
        for _ in range(1000):
            process.add(Tally(0, 4), Tally(100, 100))
        assert 1000 < process.log_e < math.inf


class TestAbove:
    @given(st.integers(0, 200), st.integers(0, 200), st.fractions(Fraction(1, 1000), Fraction(99, 100)))
    def test_it_is_the_mean_of_likelihood_ratios(self, bad: int, rest: int, limit: Fraction) -> None:
        total = bad + rest
        exact = Fraction(0)
        for bet in ABOVE_BETS:
            rate = Fraction(bet) * limit / (1 - limit + Fraction(bet) * limit)
            exact += (rate / limit) ** bad * ((1 - rate) / (1 - limit)) ** rest / len(ABOVE_BETS)
        expected = math.log(exact.numerator) - math.log(exact.denominator)
        assert above(bad, total, float(limit)) == pytest.approx(expected, rel=1e-6, abs=1e-6)

    @pytest.mark.parametrize("limit", [0.002, 0.05, 0.5])
    def test_a_rate_at_the_limit_expects_no_gain(self, limit: float) -> None:
        mean = sum(_pmf(x, 40, limit) * math.exp(above(x, 40, limit)) for x in range(41))
        assert mean == pytest.approx(1.0)

    def test_a_limit_of_nothing_is_refuted_by_one(self) -> None:
        assert above(0, 1000, 0.0) == 0.0
        assert above(1, 1000, 0.0) == math.inf

    def test_a_limit_of_everything_is_refuted_by_nothing(self) -> None:
        assert above(10, 10, 1.0) == 0.0


class TestMerge:
    logs = st.lists(
        st.tuples(st.floats(-20, 12), st.integers(1, 5)) | st.just((math.inf, 1)), min_size=1, max_size=6
    )

    @given(logs)
    def test_closed_testing_names_what_every_set_rejects(self, gates: list[tuple[float, int]]) -> None:
        logs, weights = [log for log, _ in gates], [float(weight) for _, weight in gates]
        named = {
            at
            for at in range(len(gates))
            if all(_mean(logs, weights, held) >= 20 for held in _sets(len(gates)) if at in held)
        }
        assert rejected(logs, weights, REVERT) == named

    @given(logs)
    def test_a_named_gate_means_that_the_merge_crosses(self, gates: list[tuple[float, int]]) -> None:
        logs, weights = [log for log, _ in gates], [float(weight) for _, weight in gates]
        if rejected(logs, weights, REVERT):
            assert log_mean(logs, weights) >= REVERT - 1e-9

    def test_two_that_are_suspicious_together_name_nobody(self) -> None:
        logs, weights = [math.log(24), math.log(24), math.log(14)], [1.0, 1.0, 1.0]
        assert log_mean(logs, weights) >= REVERT
        assert rejected(logs, weights, REVERT) == frozenset()

    def test_never_weaker_than_bonferroni(self) -> None:
        assert rejected([math.log(60), -50.0, -50.0], [1.0] * 3, REVERT) == {0}

    def test_numbers_beyond_the_exponent_range(self) -> None:
        assert log_mean([2000.0, -2000.0]) == pytest.approx(2000 - math.log(2))
        assert rejected([2000.0, -2000.0], [1.0, 1.0], REVERT) == {0}


class TestSimulated:
    """Seeded, so that it is one fixed experiment; 10 percent of the traffic goes to the candidate."""

    @pytest.mark.parametrize("tasks_per_second", [0.5, 5, 20])
    def test_a_healthy_candidate_is_rarely_taken_back(self, tasks_per_second: float) -> None:
        assert _reverts(lambda _: 0.92, tasks_per_second) <= 0.05

    @pytest.mark.parametrize(
        "rate", [lambda k: 0.9 + 0.08 * math.sin(k / 9), lambda k: 0.98 - 0.003 * k], ids=["waves", "decline"]
    )
    def test_nor_while_the_common_rate_drifts(self, rate: Callable[[int], float]) -> None:
        assert _reverts(rate, 5) <= 0.05

    @pytest.mark.parametrize(
        ("stable", "candidate", "tasks"),
        [(0.92, 0.88, 450), (0.92, 0.80, 70), (0.998, 0.99, 560), (0.998, 0.95, 62)],
    )
    def test_a_regression_is_found_in_time(self, stable: float, candidate: float, tasks: int) -> None:
        chance = random.Random(7)  # noqa: S311 - a world, not a secret
        found = [_needed(chance, lambda _: candidate, lambda _: stable, 4, 10**6) for _ in range(250)]
        assert median(found) <= tasks

    @pytest.mark.parametrize(("rate", "tasks"), [(0.01, 560), (0.05, 62)])
    def test_a_limit_is_enforced_in_time(self, rate: float, tasks: int) -> None:
        chance = random.Random(7)  # noqa: S311 - a world, not a secret
        found = []
        for _ in range(150):
            bad = total = 0
            while above(bad, total, 0.002) < REVERT:
                bad, total = bad + (chance.random() < rate), total + 1
            found.append(total)
        assert median(found) <= tasks

    def test_a_rate_at_its_limit_is_rarely_taken_back(self) -> None:
        chance = random.Random(7)  # noqa: S311 - a world, not a secret
        reverted = 0
        for _ in range(300):
            bad = 0
            for total in range(20, 4000, 20):
                bad += _failures(chance, 20, 0.005)
                if above(bad, total, 0.005) >= REVERT:
                    reverted += 1
                    break
        assert reverted / 300 <= 0.05


def _reverts(rate: Callable[[int], float], tasks_per_second: float, runs: int = 200) -> float:
    """Share of healthy candidates taken back within 25 minutes, with a look each 15 seconds."""
    chance = random.Random(7)  # noqa: S311 - a world, not a secret
    found = [_needed(chance, rate, rate, tasks_per_second, 100) for _ in range(runs)]
    return sum(tasks < math.inf for tasks in found) / runs


def _needed(
    chance: random.Random,
    candidate: Callable[[int], float],
    stable: Callable[[int], float],
    tasks_per_second: float,
    looks: int,
) -> float:
    """Candidate tasks until the evidence reverts; inf if it does not within so many looks of 15 seconds."""
    size = max(1, round(15 * tasks_per_second))
    known = _draw(chance, 2 * size, stable(0))
    process = HarmProcess(known.smoothed, 0.0)
    block = {True: Tally(), False: Tally()}
    tasks = 0.0
    for look in range(looks):
        share = _failures(chance, size, 0.1)
        tasks += share
        block[True] += _draw(chance, share, candidate(look))
        block[False] += _draw(chance, size - share, stable(look))
        if min(part.total for part in block.values()) >= MIN_OUTCOMES:
            process.add(block[True], block[False])
            block = {True: Tally(), False: Tally()}
            if process.log_e >= REVERT:
                return tasks
    return math.inf


def _draw(chance: random.Random, total: int, rate: float) -> Tally:
    return Tally(total - _failures(chance, total, 1 - rate), total)


def _failures(chance: random.Random, total: int, rate: float) -> int:
    """A binomial draw that skips from one failure to the next."""
    found, at, step = 0, -1, math.log1p(-rate)
    while (at := at + 1 + int(math.log(1 - chance.random()) / step)) < total:
        found += 1
    return found


def _kl(p: float, q: float) -> float:
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a convex function is least, by ternary search."""
    for _ in range(200):
        third = (high - low) / 3
        if function(low + third) < function(high - third):
            high -= third
        else:
            low += third
    return (low + high) / 2


def _expected(
    candidate: Sequence[float], stable: Sequence[float], p_c: float, p_s: float, delta: float
) -> float:
    """Mean of the e-value of one block, over all outcomes of tasks with these chances of success."""
    n_c, n_s = len(candidate), len(stable)
    return sum(
        chance_c * chance_s * math.exp(block_log_odds(Tally(x_c, n_c), Tally(x_s, n_s), p_c, p_s, delta))
        for x_c, chance_c in enumerate(_successes(candidate))
        for x_s, chance_s in enumerate(_successes(stable))
    )


def _successes(chances: Sequence[float]) -> list[float]:
    """Distribution of the number of successes of unlike tasks."""
    found = [1.0]
    for p in chances:
        found = [a * (1 - p) + b * p for a, b in zip([*found, 0.0], [0.0, *found], strict=True)]
    return found


def _pmf(x: int, n: int, p: float) -> float:
    return math.comb(n, x) * p**x * (1 - p) ** (n - x)


def _mean(logs: Sequence[float], weights: Sequence[float], held: tuple[int, ...]) -> float:
    return sum(weights[at] * math.exp(logs[at]) for at in held) / sum(weights[at] for at in held)


def _sets(size: int) -> Iterator[tuple[int, ...]]:
    return chain.from_iterable(combinations(range(size), count) for count in range(1, size + 1))

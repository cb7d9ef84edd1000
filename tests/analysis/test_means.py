"""Means compared: a worked example, bound and coverage by seeded experiment, and what must hold always."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.intervals import Interval
from interlock.analysis.means import MIN_BLOCKS, RHO, Amount, MeanProcess
from interlock.analysis.mixture import radius, tuned
from tests.analysis.chance import refutes, world

HARMFUL = math.log(20)  # five percent

Draw = Callable[[Random], float]


def exponential(chance: Random) -> float:
    return chance.expovariate(1.0)


def lognormal(chance: Random) -> float:
    return chance.lognormvariate(0.0, 1.0)


class TestWorkedExample:
    """24 blocks of 10 and 90 outcomes, by the formula of statistics.md in fractions."""

    blocks = tuple((Amount(12 + k % 5, 10), Amount(90 + k % 3, 90)) for k in range(24))

    def process(self) -> MeanProcess:
        process = MeanProcess()
        for candidate, stable in self.blocks:
            process.add(candidate, stable)
        return process

    def z(self, ratio: Fraction) -> float:
        steps = []
        for candidate, stable in self.blocks:
            w = Fraction(10 * 90, 100)
            steps.append(w * (Fraction(candidate.sum) / 10 - ratio * Fraction(stable.sum) / 90))
        mean = sum(steps) / len(steps)
        variance = sum((u - mean) ** 2 for u in steps) / (len(steps) - 1)
        return float(sum(steps)) / math.sqrt(len(steps) * variance)

    @pytest.mark.parametrize("ratio", ["1", "1.1", "1.35", "1.5"])
    def test_the_evidence(self, ratio: str) -> None:
        k, z = 24, self.z(Fraction(ratio))
        for sign, found in ((z, self.process().log_above), (-z, self.process().log_below)):
            phi = 0.5 * math.erfc(-sign * math.sqrt(k / (k + RHO)) / math.sqrt(2))
            expected = 0.5 * math.log(4 * RHO / (k + RHO)) + sign**2 * k / (2 * (k + RHO)) + math.log(phi)
            assert found(float(ratio)) == pytest.approx(expected, abs=1e-8)

    def test_the_ratios_at_the_ends_are_just_not_rejected(self) -> None:
        found, allowed = self.process().ratio(0.05), radius(24, tuned(200, 0.05), 0.05)
        assert self.z(Fraction(found.low)) == pytest.approx(allowed, rel=1e-6)
        assert self.z(Fraction(found.high)) == pytest.approx(-allowed, rel=1e-6)

    def test_the_difference(self) -> None:
        steps = [c.sum / 10 - s.sum / 90 for c, s in self.blocks]
        mean = sum(steps) / 24
        deviation = math.sqrt(sum((u - mean) ** 2 for u in steps) / 23 / 24)
        half = radius(24, tuned(200, 0.05), 0.05) * deviation
        found = self.process().difference(0.05)
        assert (found.low, found.high) == pytest.approx((mean - half, mean + half), rel=1e-6)


def test_tuned_at_200_blocks() -> None:
    assert pytest.approx(30.12796, abs=1e-5) == RHO


class TestBound:
    @pytest.mark.parametrize("draw", [exponential, lognormal])
    def test_an_equal_candidate_is_rarely_blamed_while_the_common_base_drifts(self, draw: Draw) -> None:
        chance, runs = world(), 120
        harmed = certified = 0
        for _ in range(runs):
            peaks = [
                (process.log_above(1.0), process.log_below(1.0)) for process in _walk(chance, draw, 1.0, 120)
            ]
            harmed += max(above for above, _ in peaks) >= HARMFUL
            certified += max(below for _, below in peaks) >= HARMFUL
        assert not refutes(harmed, runs, 0.05)
        assert not refutes(certified, runs, 0.05)

    def test_nor_when_the_weights_change(self) -> None:
        chance, runs, harmed = world(), 120, 0
        for _ in range(runs):
            process, worst = MeanProcess(), 0.0
            for block in range(120):
                share = (5, 25, 50)[block // 40]
                _add(process, chance, exponential, (share, 100 - share), (1.0, 1.0))
                worst = max(worst, process.log_above(1.0))
            harmed += worst >= HARMFUL
        assert not refutes(harmed, runs, 0.05)

    @pytest.mark.parametrize(("ratio", "blocks"), [(1.5, 45), (2.0, 25)])
    def test_a_dearer_candidate_is_found(self, ratio: float, blocks: int) -> None:
        chance = world()
        found = [
            next((p.blocks for p in _walk(chance, lognormal, ratio, 400) if p.log_above(1.1) >= HARMFUL), 400)
            for _ in range(30)
        ]
        assert median(found) <= blocks

    def test_a_rise_within_the_margin_is_no_harm_and_is_certified(self) -> None:
        chance = world()
        last = list(_walk(chance, exponential, 1.0, 400))[-1]
        assert last.log_above(1.3) < 0
        assert last.log_below(1.3) >= HARMFUL


class TestCoverage:
    @pytest.mark.parametrize("draw", [exponential, lognormal])
    @pytest.mark.parametrize("ratio", [1.0, 1.4])
    def test_the_ratio_is_held_at_every_look(self, draw: Draw, ratio: float) -> None:
        chance, runs = world(), 120
        missed = sum(
            any(not process.ratio(0.05).holds(ratio) for process in _walk(chance, draw, ratio, 100))
            for _ in range(runs)
        )
        assert not refutes(missed, runs, 0.05)

    def test_the_difference_is_held_at_every_look(self) -> None:
        chance, runs, missed = world(), 120, 0
        for _ in range(runs):
            process, wrong = MeanProcess(), False
            for block in range(100):
                counts = chance.randint(4, 16), chance.randint(40, 140)
                _add(process, chance, exponential, counts, (1.0, 1.0))
                process.add(Amount(), Amount(block, 1))
                wrong |= not process.difference(0.05).holds(0.0)
            missed += wrong
        assert not refutes(missed, runs, 0.05)

    def test_it_narrows(self) -> None:
        chance = world()
        widths = [
            p.ratio(0.05).high - p.ratio(0.05).low
            for p in _walk(chance, exponential, 1.0, 800)
            if p.blocks >= 20
        ]
        assert widths[-1] < widths[180] < widths[0] < math.inf


class TestAlways:
    def test_nothing_is_said_before_twenty_blocks(self) -> None:
        process = MeanProcess()
        for _ in range(MIN_BLOCKS - 1):
            process.add(Amount(100, 10), Amount(1, 10))
            assert process.log_above(1.0) == process.log_below(1.0) == 0.0
            assert process.ratio(0.05) == Interval(0.0, math.inf)
            assert process.difference(0.05) == Interval()
        process.add(Amount(101, 10), Amount(1, 10))
        assert process.log_above(1.0) > HARMFUL

    @pytest.mark.parametrize("cost", [0.1, 1e-9, 1e12 / 3])
    def test_rounding_is_no_difference(self, cost: float) -> None:
        process, sums = MeanProcess(), [0.0, 0.0]
        for block in range(200):
            before = list(sums)
            for _ in range(7 + block % 3):
                sums[0] += cost
            for _ in range(61):
                sums[1] += cost
            process.add(Amount(sums[0] - before[0], 7 + block % 3), Amount(sums[1] - before[1], 61))
        assert process.log_above(1.0) < 0
        assert process.log_below(1.0) < 0
        assert process.ratio(0.05).holds(1.0)
        assert process.difference(0.05).holds(0.0)

    def test_what_costs_nothing(self) -> None:
        process = MeanProcess()
        for _ in range(30):
            process.add(Amount(0, 10), Amount(0, 10))
        assert process.log_above(1.0) == process.log_below(1.0) < 0
        assert process.ratio(0.05) == Interval(0.0, math.inf)
        assert process.difference(0.05) == Interval(0.0, 0.0)

    def test_free_of_charge_before_and_dear_now(self) -> None:
        process = MeanProcess()
        for block in range(30):
            process.add(Amount(10 + block % 2, 10), Amount(0, 10))
        assert process.log_above(1.1) > HARMFUL

    @given(
        st.lists(st.tuples(*[st.floats(0, 1e12)] * 2, *[st.integers(0, 10**9)] * 2), min_size=20, max_size=40)
    )
    def test_any_amounts_give_a_number(self, blocks: Sequence[tuple[float, float, int, int]]) -> None:
        process = MeanProcess()
        for candidate, stable, n_c, n_s in blocks:
            process.add(Amount(candidate, n_c), Amount(stable, n_s))
        assert math.isfinite(process.log_above(1.1))
        assert math.isfinite(process.log_below(1.1))
        for found in (process.ratio(0.05), process.difference(0.05)):
            assert found.low <= found.high

    @given(st.lists(st.tuples(st.floats(1, 9), st.floats(1, 9)), min_size=20, max_size=40))
    def test_a_higher_bar_is_harder_to_exceed(self, blocks: Sequence[tuple[float, float]]) -> None:
        process = MeanProcess()
        for candidate, stable in blocks:
            process.add(Amount(candidate, 5), Amount(stable, 5))
        if process.log_above(1.0) > 0:
            ratios = [1.0 + step / 10 for step in range(5)]
            logs = [process.log_above(ratio) for ratio in ratios]
            held = [log for log in logs if log > 0]
            assert held == sorted(held, reverse=True)

    def test_from_its_state_it_goes_on_to_the_last_bit(self) -> None:
        whole = half = MeanProcess()
        for block in range(40):
            half = MeanProcess.restored(json.loads(json.dumps(half.state())))
            for process in (whole, half):
                process.add(Amount(block % 7, 3), Amount(block % 5, 11))
        assert half.state() == whole.state()
        assert half.log_above(1.0) == whole.log_above(1.0) != 0

    @pytest.mark.parametrize("state", [[], [0.0] * 13, [0.0] * 15, ["x"] * 14])
    def test_what_is_no_state(self, state: list[float]) -> None:
        with pytest.raises(ValueError, match=r"state|unpack|float"):
            MeanProcess.restored(state)

    def test_it_adds_up(self) -> None:
        process = MeanProcess()
        process.add(Amount(1, 2), Amount(3, 4))
        process.add(Amount(1, 2), Amount(3, 4))
        process.add(Amount(1, 2), Amount())
        assert (process.candidate, process.stable, process.blocks) == (Amount(2, 4), Amount(6, 8), 2)


def _walk(chance: Random, draw: Draw, ratio: float, blocks: int) -> Iterator[MeanProcess]:
    """One process after each block of 8 and 40 outcomes, while the common base moves by a third."""
    process = MeanProcess()
    for block in range(blocks):
        base = 1 + 0.33 * math.sin(block / 7)
        _add(process, chance, draw, (8, 40), (ratio * base, base))
        yield process


def _add(
    process: MeanProcess, chance: Random, draw: Draw, counts: tuple[int, int], means: tuple[float, float]
) -> None:
    """A block with so many outcomes of candidate and stable, scaled by so much."""
    candidate, stable = (
        Amount(scale * sum(draw(chance) for _ in range(count)), count)
        for count, scale in zip(counts, means, strict=True)
    )
    process.add(candidate, stable)

"""Confidence sequences of rates: worked values, coverage at every look, and what must hold always."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.evidence import Tally
from interlock.analysis.intervals import Interval, RateDifference, rate_interval
from interlock.analysis.mixture import radius, tuned
from tests.analysis.chance import draw, refutes, world

RUNS = 150


def constant(rate: float) -> Callable[[int], float]:
    return lambda _: rate


class TestDifference:
    def test_a_worked_block(self) -> None:
        seen = RateDifference()
        seen.add(Tally(70, 100), Tally(810, 900))
        w = 100 * 900 / 1000
        z = radius(w, tuned(200, 0.05), 0.05)
        p_c, p_s = (70 + z * z / 4) / (100 + z * z / 2), (810 + z * z / 4) / (900 + z * z / 2)
        half = z * math.sqrt(p_c * (1 - p_c) / 100 + p_s * (1 - p_s) / 900)
        found = seen.interval(0.05)
        assert (found.low, found.high) == pytest.approx((-0.2 - half, -0.2 + half))

    def test_a_change_of_weights_makes_no_difference_of_its_own(self) -> None:
        seen = RateDifference()
        for rate, share in ((0.99, 50), (0.5, 900)):  # both versions alike, while the base falls
            seen.add(Tally(rate * share, share), Tally(rate * (1000 - share), 1000 - share))
        found = seen.interval(0.05)
        assert found.low == pytest.approx(-found.high)
        assert seen.candidate.good / seen.candidate.total < seen.stable.good / seen.stable.total - 0.3

    @pytest.mark.parametrize("block", [(4, 36), (20, 180)])
    @pytest.mark.parametrize(
        ("candidate", "stable"),
        [
            (constant(0.92), constant(0.92)),
            (constant(0.88), constant(0.92)),
            (constant(0.5), constant(0.55)),
            (constant(0.98), constant(0.98)),
            (constant(0.99), constant(0.998)),
            (constant(0.998), constant(0.998)),
            (lambda k: 0.9 + 0.08 * math.sin(k / 9), lambda k: 0.9 + 0.08 * math.sin(k / 9)),
            (lambda k: 0.9 - 0.004 * k, lambda k: 0.95 - 0.004 * k),
        ],
        ids=["equal", "worse", "middle", "high", "rare-worse", "rare", "waves", "decline"],
    )
    def test_it_is_held_at_every_look(
        self, candidate: Callable[[int], float], stable: Callable[[int], float], block: tuple[int, int]
    ) -> None:
        chance, missed = world(), 0
        for _ in range(RUNS):
            seen = RateDifference()
            for look in range(100):
                seen.add(draw(chance, block[0], candidate(look)), draw(chance, block[1], stable(look)))
                if not seen.interval(0.05).holds(candidate(look) - stable(look)):
                    missed += 1
                    break
        assert not refutes(missed, RUNS, 0.05)

    def test_nor_is_it_lost_when_the_weights_change(self) -> None:
        chance, missed = world(), 0
        for _ in range(RUNS):
            seen = RateDifference()
            for look in range(90):
                share = (5, 25, 50)[look // 30]
                seen.add(draw(chance, share, 0.9), draw(chance, 100 - share, 0.92))
                if not seen.interval(0.05).holds(-0.02):
                    missed += 1
                    break
        assert not refutes(missed, RUNS, 0.05)

    def test_it_narrows(self) -> None:
        seen, widths = RateDifference(), []
        for _ in range(100):
            seen.add(Tally(9.2, 10), Tally(82.8, 90))
            widths.append(seen.interval(0.05).high - seen.interval(0.05).low)
        assert widths == sorted(widths, reverse=True)
        assert widths[-1] < 0.08

    def test_from_its_state_it_goes_on_to_the_last_bit(self) -> None:
        whole = half = RateDifference()
        for good in (9, 10, 8):
            half = RateDifference.restored(json.loads(json.dumps(half.state())))
            for seen in (whole, half):
                seen.add(Tally(good, 10), Tally(81, 90))
        assert half.state() == whole.state()
        assert half.interval(0.05) == whole.interval(0.05)

    @pytest.mark.parametrize("state", [[], [0.0] * 8, [0.0] * 10, ["x"] * 9])
    def test_what_is_no_state(self, state: list[float]) -> None:
        with pytest.raises(ValueError, match=r"unpack|float"):
            RateDifference.restored(state)

    def test_nothing_known(self) -> None:
        seen = RateDifference()
        seen.add(Tally(), Tally(3, 4))
        seen.add(Tally(3, 4), Tally())
        assert seen.interval(0.05) == Interval(-1.0, 1.0)

    @given(st.lists(st.tuples(*[st.integers(0, 10**9)] * 4), max_size=10), st.sampled_from([1e-6, 0.05, 0.9]))
    def test_any_counts_give_an_interval(self, blocks: list[tuple[int, ...]], alpha: float) -> None:
        seen = RateDifference()
        for good_c, bad_c, good_s, bad_s in blocks:
            seen.add(Tally(good_c, good_c + bad_c), Tally(good_s, good_s + bad_s))
        found = seen.interval(alpha)
        assert -1 <= found.low <= found.high <= 1


class TestRatio:
    def test_its_ends_are_just_not_rejected(self) -> None:
        seen = RateDifference()
        seen.add(Tally(70, 100), Tally(810, 900))
        w = 100 * 900 / 1000
        z = radius(w, tuned(200, 0.05), 0.05)
        p_c, p_s = (70 + z * z / 4) / (100 + z * z / 2), (810 + z * z / 4) / (900 + z * z / 2)
        found = seen.ratio(0.05)
        for ratio in (found.low, found.high):
            spread = p_c * (1 - p_c) / 100 + ratio**2 * p_s * (1 - p_s) / 900
            assert abs(0.7 - ratio * 0.9) == pytest.approx(z * math.sqrt(spread))

    @pytest.mark.parametrize("block", [(4, 36), (20, 180)])
    @pytest.mark.parametrize(
        ("ratio", "stable"),
        [
            (1.0, constant(0.92)),
            (0.9, constant(0.92)),
            (1.05, constant(0.9)),
            (1.0, constant(0.01)),
            (3.0, constant(0.01)),
            (1.02, lambda k: 0.9 + 0.06 * math.sin(k / 9)),
            (1.1, lambda k: 0.85 - 0.004 * k),
        ],
        ids=["equal", "worse", "better", "rare", "rare-worse", "waves", "decline"],
    )
    def test_it_is_held_at_every_look(
        self, ratio: float, stable: Callable[[int], float], block: tuple[int, int]
    ) -> None:
        chance, missed = world(), 0
        for _ in range(RUNS):
            seen = RateDifference()
            for look in range(100):
                base = stable(look)
                seen.add(draw(chance, block[0], ratio * base), draw(chance, block[1], base))
                if not seen.ratio(0.05).holds(ratio):
                    missed += 1
                    break
        assert not refutes(missed, RUNS, 0.05)

    def test_nothing_is_known_of_it_while_stable_may_be_at_zero(self) -> None:
        seen = RateDifference()
        assert seen.ratio(0.05) == Interval(0.0)
        seen.add(Tally(1, 50), Tally(0, 450))
        assert seen.ratio(0.05) == Interval(0.0)

    @given(st.lists(st.tuples(*[st.integers(0, 10**9)] * 4), max_size=10), st.sampled_from([1.0, 1.5, 40.0]))
    def test_any_counts_give_one_that_holds_what_was_seen(
        self, blocks: list[tuple[int, ...]], effect: float
    ) -> None:
        seen = RateDifference()
        for good_c, bad_c, good_s, bad_s in blocks:
            seen.add(Tally(good_c, good_c + bad_c), Tally(good_s, good_s + bad_s))
        found = seen.ratio(0.05, effect)
        assert 0 <= found.low <= found.high
        if seen.rates is not None and seen.rates[1] > 0:
            ratio = seen.rates[0] / seen.rates[1]
            assert found.low - 1e-9 * ratio <= ratio <= found.high * (1 + 1e-9)


class TestDesignEffect:
    def test_it_is_as_if_there_were_that_many_fewer_outcomes(self) -> None:
        many, few = RateDifference(), RateDifference()
        for _ in range(30):
            many.add(Tally(27, 30), Tally(243, 270))
            few.add(Tally(9, 10), Tally(81, 90))
        for found, wanted in (
            (many.interval(0.05, 3.0), few.interval(0.05)),
            (many.ratio(0.05, 3.0), few.ratio(0.05)),
        ):
            assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))

    def test_outcomes_that_come_in_fives_need_it(self) -> None:
        missed = dict.fromkeys((1.0, 5.0), 0)
        for effect in missed:
            chance = world()
            for _ in range(RUNS):
                seen = RateDifference()
                for _look in range(100):
                    seen.add(_in_fives(draw(chance, 2, 0.9)), _in_fives(draw(chance, 18, 0.9)))
                    if not seen.interval(0.05, effect).holds(0.0):
                        missed[effect] += 1
                        break
        assert not refutes(missed[5.0], RUNS, 0.05)
        assert refutes(missed[1.0], RUNS, 0.05)


def _in_fives(sessions: Tally) -> Tally:
    """Sessions of five tasks, all of which turn out alike."""
    return Tally(5 * sessions.good, 5 * sessions.total)


class TestRate:
    def test_an_edge_is_where_the_mixture_refutes_at_alpha(self) -> None:
        found = rate_interval(Tally(3, 10), 0.05)
        mixed = 1 / (11 * math.comb(10, 3))  # ∫ p³(1-p)⁷ dp
        for edge in (found.low, found.high):
            assert mixed / (edge**3 * (1 - edge) ** 7) == pytest.approx(20)

    def test_a_thousand_clean_tasks(self) -> None:
        found = rate_interval(Tally(1000, 1000), 0.05)
        assert found.high == 1.0
        assert found.low == pytest.approx((0.05 / 1001) ** (1 / 1000))

    @pytest.mark.parametrize("rate", [0.5, 0.92, 0.998])
    def test_it_is_ever_lost_with_a_chance_below_alpha(self, rate: float) -> None:
        """Exact: the chance of each count at each look, without those already lost."""
        alive, lost = {0: 1.0}, 0.0
        held = {}
        for total in range(1, 151):
            after: dict[int, float] = {}
            for good, mass in alive.items():
                after[good] = after.get(good, 0.0) + mass * (1 - rate)
                after[good + 1] = after.get(good + 1, 0.0) + mass * rate
            held = {good: rate_interval(Tally(good, total), 0.05).holds(rate) for good in after}
            lost += sum(mass for good, mass in after.items() if not held[good])
            alive = {good: mass for good, mass in after.items() if held[good] and mass > 1e-9}
        assert lost <= 0.05

    @given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from([1e-6, 0.05, 0.9]))
    def test_it_holds_what_was_seen(self, good: int, bad: int, alpha: float) -> None:
        found = rate_interval(Tally(good, good + bad), alpha)
        assert 0 <= found.low <= found.high <= 1
        if good + bad:
            assert found.low <= good / (good + bad) + 1e-9
            assert found.high >= good / (good + bad) - 1e-9

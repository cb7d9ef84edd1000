"""Stable's counts dealt to two: nothing is lost, nothing is made up, and what belongs together stays so."""

from __future__ import annotations

import random
from collections import Counter as Tallied
from collections.abc import Iterable
from statistics import fmean, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.chances import binomial, hypergeometric
from interlock.analysis.dealing import Dealer, scrapes
from interlock.analysis.series import Counts, Increment
from tests.analysis.attempt import BUCKETS, COST, STARTED, TASKS, VERIFIED, VIOLATIONS, agent
from tests.analysis.chance import world
from tests.analysis.world import window

shares = st.floats(0.0, 1.0)
counts = st.integers(0, 300)


def one(family: str, amount: float, **labels: str) -> Increment:
    return Increment({"__name__": family, **labels}, 0.0, 15.0, amount)


def amount(increments: Iterable[Increment], family: str, **labels: str) -> float:
    wanted = {"__name__": family, **labels}.items()
    return sum(found.amount for found in increments if wanted <= found.labels.items())


class TestDraws:
    @given(counts, st.floats(-0.1, 1.1), st.randoms(use_true_random=False))
    def test_binomial_stays_within(self, units: int, p: float, chance: random.Random) -> None:
        assert 0 <= binomial(chance, units, p) <= units

    @given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.randoms(use_true_random=False))
    def test_hypergeometric_stays_within(
        self, units: int, taken: int, rest: int, chance: random.Random
    ) -> None:
        units = min(units, taken + rest)
        found = hypergeometric(chance, units, taken, taken + rest)
        assert max(0, units - rest) <= found <= min(units, taken)

    @pytest.mark.parametrize(("units", "p"), [(20, 0.3), (300, 0.05), (300, 0.97), (400, 0.4)])
    def test_binomial_has_its_mean_and_variance(self, units: int, p: float) -> None:
        chance = world()
        drawn = [binomial(chance, units, p) for _ in range(4000)]
        assert fmean(drawn) == pytest.approx(units * p, rel=0.03)
        assert pvariance(drawn) == pytest.approx(units * p * (1 - p), rel=0.12)

    @pytest.mark.parametrize(("units", "taken", "total"), [(20, 30, 100), (200, 100, 400)])
    def test_hypergeometric_has_its_mean_and_variance(self, units: int, taken: int, total: int) -> None:
        chance, share = world(), taken / total
        drawn = [hypergeometric(chance, units, taken, total) for _ in range(4000)]
        assert fmean(drawn) == pytest.approx(units * share, rel=0.03)
        spread = units * share * (1 - share) * (total - units) / (total - 1)
        assert pvariance(drawn) == pytest.approx(spread, rel=0.12)


class TestDealing:
    @given(
        st.lists(counts, min_size=3, max_size=3),
        st.lists(counts, min_size=3, max_size=3),
        st.floats(0, 10),
        shares,
        st.randoms(use_true_random=False),
    )
    def test_amounts_add_up(
        self, done: list[int], within: list[int], cost: float, share: float, chance: random.Random
    ) -> None:
        good, bad, started = done
        bounds = zip(("1", "5", "+Inf"), sorted(within), strict=True)
        gained = [
            one(TASKS, good, outcome="success"),
            one(TASKS, bad, outcome="failure"),
            one(STARTED, started),
            one(VIOLATIONS, bad, severity="low"),
            one(COST, cost, kind="inference"),
            *(one(BUCKETS, count, le=bound) for bound, count in bounds),
        ]
        dealt = Dealer(chance).deal(gained, share)
        for increment in gained:
            labels = {k: v for k, v in increment.labels.items() if k != "__name__"}
            family = increment.labels["__name__"]
            parts = amount(dealt.taken, family, **labels), amount(dealt.left, family, **labels)
            assert min(parts) >= 0
            assert sum(parts) == pytest.approx(increment.amount)
        for side in (dealt.taken, dealt.left):
            cumulative = [amount(side, BUCKETS, le=bound) for bound in ("1", "5", "+Inf")]
            assert cumulative == sorted(cumulative)

    def test_all_or_nothing(self) -> None:
        gained = [one(TASKS, 10, outcome="success"), one(COST, 0.7)]
        assert Dealer(world()).deal(gained, 1.0).taken == tuple(gained)
        assert Dealer(world()).deal(gained, 0.0).left == tuple(gained)

    def test_tasks_that_are_all_verified_stay_verified(self) -> None:
        """Coverage of 100 % has no spread, and dealing must not give it one; here it comes a scrape late."""
        dealer, taken = Dealer(world()), Tallied[str]()
        for scrape in range(50):
            gained = [one(TASKS, 40, outcome="success")]
            gained += [one(VERIFIED, 40, result="pass", verifier="judge")] if scrape else []
            dealt = dealer.deal(gained, 0.1)
            taken[TASKS] += int(amount(dealt.taken, TASKS))
            taken[VERIFIED] += int(amount(dealt.taken, VERIFIED))
            assert 0 <= taken[TASKS] - taken[VERIFIED] <= 40

    def test_a_change_of_shares_is_followed_at_once(self) -> None:
        dealer, taken = Dealer(world()), Tallied[str]()
        for scrape in range(400):
            share = 0.05 if scrape < 200 else 0.5
            dealt = dealer.deal([one(TASKS, 20, outcome="success"), one(VERIFIED, 10, result="pass")], share)
            if scrape >= 200:
                taken[TASKS] += int(amount(dealt.taken, TASKS))
                taken[VERIFIED] += int(amount(dealt.taken, VERIFIED))
        assert taken[VERIFIED] / taken[TASKS] == pytest.approx(0.5, rel=0.1)

    def test_costs_go_with_their_tasks(self) -> None:
        dealer, costs, tasks = Dealer(world()), 0.0, 0.0
        for _ in range(2000):
            dealt = dealer.deal([one(TASKS, 5, outcome="success"), one(COST, 0.15)], 0.2)
            costs, tasks = costs + amount(dealt.taken, COST), tasks + amount(dealt.taken, TASKS)
        assert costs / tasks == pytest.approx(0.03, rel=0.05)


class TestScrapes:
    def test_are_what_the_counters_gained_in_order_of_time(self) -> None:
        pods = [agent("triage-a-1", "v1", 0.0), agent("triage-a-2", "v1", 0.0)]
        for at in (100, 115, 130):
            for pod in pods:
                pod.scrape(at)
                pod.do(TASKS, 3, outcome="success")
        found = scrapes(window(pods, 50, 130), Counts(50.0), 130.0)
        assert [(scrape.at, scrape.target[1]) for scrape in found] == [
            (at, name) for at in (100, 115, 130) for name in ("triage-a-1", "triage-a-2")
        ]
        assert [amount(scrape.gained, TASKS) for scrape in found] == [0, 0, 3, 3, 3, 3]
        assert all(len(scrape.shown) == 4 for scrape in found)

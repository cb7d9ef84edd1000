"""Are tasks split by the weights? Found when they are not, rarely said when they are, and over at last."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.bench.statistics_worlds import poisson
from interlock.analysis.evidence import Tally
from interlock.analysis.gates import AttemptEvidence, PlannedStep, StepTime
from interlock.analysis.ratio import SAMPLE_RATIO_ALPHA
from interlock.analysis.split import SplitTest, in_words
from tests.analysis.attempt import SINCE, STARTED, SUCCESS, Attempt, agent, plan
from tests.analysis.chance import draw, failures, refutes, world

CANARY = PlannedStep(0, "canary", share=0.1)
HALF = PlannedStep(1, "canary", share=0.5)
FULL = PlannedStep(1, "full", share=0.95)


# ------------------------------------------------------------------ the test itself
def blocks(chance: Random, mean: float, share: float, group: int = 1) -> Iterator[Tally]:
    """Requests come in groups that go to one version."""
    while True:
        groups = poisson(chance, mean / group)
        yield Tally(group * failures(chance, groups, share), group * groups)


def tasks_until_found(test: SplitTest, seen: Iterator[Tally], limit: int = 5000) -> float:
    total = 0.0
    for block in (next(seen) for _ in range(limit)):
        test.add(block)
        total += block.total
        if test.found is not None:
            return total
    return float("inf")


@pytest.mark.parametrize(
    ("real", "within"), [(0.5, 1100), (0.2, 4000), (0.15, 20000), (0.05, 20000), (1.0, 1200)]
)
def test_another_share_is_found(real: float, within: float) -> None:
    for seed in range(20):
        assert tasks_until_found(SplitTest(0.1), blocks(world(seed), 100, real)) <= within


@pytest.mark.parametrize(
    ("share", "mean", "group"),
    [(0.1, 100, 1), (0.01, 300, 1), (0.5, 20, 1), (0.95, 50, 1), (0.1, 100, 5), (0.1, 100, 20)],
)
def test_the_intended_share_is_not_called_a_mismatch(share: float, mean: float, group: int) -> None:
    """An hour of it, also where requests come in groups: at most one of 1 / alpha."""
    alarms = sum(
        tasks_until_found(SplitTest(share), blocks(world(seed), mean, share, group), 240) < float("inf")
        for seed in range(100)
    )
    assert not refutes(alarms, 100, SAMPLE_RATIO_ALPHA)


def test_connections_that_stick_for_a_minute_are_no_mismatch() -> None:
    """50 clients, each on one version for four scrapes on average."""

    def seen(chance: Random) -> Iterator[Tally]:
        mine = [chance.random() < 0.1 for _ in range(50)]
        while True:
            mine = [chance.random() < 0.1 if chance.random() < 0.25 else held for held in mine]
            sent = [poisson(chance, 2) for _ in mine]
            yield Tally(sum(n for n, held in zip(sent, mine, strict=True) if held), sum(sent))

    alarms = sum(tasks_until_found(SplitTest(0.1), seen(world(seed)), 240) < 9e9 for seed in range(100))
    assert not refutes(alarms, 100, 0.01)


def test_a_gateway_that_rounds_is_within_tolerance() -> None:
    assert tasks_until_found(SplitTest(0.1), blocks(world(1), 1000, 0.1045), 2000) == float("inf")


def test_it_is_over_when_the_share_is_right_again_and_may_come_back() -> None:
    chance = world(2)
    test = SplitTest(0.1)
    first = tasks_until_found(test, blocks(chance, 100, 0.2))
    until = back(test, blocks(chance, 100, 0.1))
    assert until < 20 * first, "as fast, by and large, as it was found"
    assert tasks_until_found(test, blocks(chance, 100, 0.2)) < float("inf")
    back(test, blocks(chance, 100, 0.1))


def test_each_time_it_takes_more_to_be_believed_again() -> None:
    def needed(times: int) -> float:
        test = SplitTest(0.1)
        test.found, test._times = Tally(1200, 10_000), times
        return back(test, blocks(world(2), 100, 0.1))

    assert needed(1) < needed(3) < needed(9)


def back(test: SplitTest, seen: Iterator[Tally]) -> float:
    total = 0.0
    for block in (next(seen) for _ in range(5000)):
        test.add(block)
        total += block.total
        if test.found is None:
            return total
    raise AssertionError("never over")


@pytest.mark.parametrize("now", [0.2, 0.05, 0.13])
def test_it_is_not_over_while_the_share_is_another_wrong_one(now: float) -> None:
    test = SplitTest(0.1)
    test.found, test._times = Tally(200, 1000), 1
    chance, seen = world(3), 0
    for block in (next(blocks(chance, 100, now)) for _ in range(2000)):
        test.add(block)
        seen += test.found is None
    assert not seen
    assert test.found is not None
    assert test.found.good / test.found.total == pytest.approx(now, rel=0.5), "what it is now is what is told"


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 120), st.sampled_from([0.1, 0.3]))
def test_written_down_it_goes_on_as_it_was(seed: int, cut: int, real: float) -> None:
    chance = world(seed)
    seen = [draw(chance, 40, real) for _ in range(100)] + [draw(chance, 40, 0.1) for _ in range(20)]
    whole, again = SplitTest(0.1), SplitTest(0.1)
    for at, block in enumerate(seen):
        if at == cut:
            again = SplitTest.restored(json.loads(json.dumps(again.state())))
        whole.add(block)
        again.add(block)
    assert again.state() == whole.state()


def test_in_words() -> None:
    assert in_words(Tally(150, 1000), 0.1) == "the candidate got 15.0 % of 1,000 tasks instead of 10 %"


# ------------------------------------------------------------------ in an attempt
def attempt(*steps: PlannedStep, look: int = 5) -> Attempt:
    return Attempt(plan(SUCCESS, steps=steps or (CANARY,)), look=look)


def wrong(told: Attempt) -> str | None:
    split = told.report().split
    return None if split is None else split.mismatch


def test_a_router_that_sends_too_much_is_told_with_its_numbers() -> None:
    told = attempt().run(120, share=0.3)
    assert (wrong(told) or "").startswith("the candidate got ")
    assert (wrong(told) or "").endswith(" tasks instead of 10 %")
    assert not told.report().reverts


def test_the_intended_split_is_nothing_to_tell_of() -> None:
    assert wrong(attempt().run(300)) == ""


def test_nothing_is_asked_where_all_requests_go_one_way_or_are_copied() -> None:
    whole = attempt(PlannedStep(0, "full", compares=False)).run(60, share=1.0)
    assert whole.report().split is None
    assert attempt(PlannedStep(0, "shadow", share=0.2)).run(60, share=0.0).report().split is None


def test_another_weight_begins_afresh() -> None:
    told = attempt(CANARY, FULL).run(120, share=0.3)
    told.start(1)
    told.run(120, share=0.95)
    split = told.report().split
    assert split is not None
    assert (split.step, split.mismatch) == (1, "")


def test_what_comes_before_the_proxies_follow_is_left_out() -> None:
    assert wrong(attempt().run(9, share=0.9, tasks=200).run(200)) == ""


def test_scrapes_at_different_moments_are_no_mismatch() -> None:
    """One side is scraped every 15 s, the other 7 s later: never are both known to the same second."""
    told = Attempt(plan(SUCCESS, steps=(CANARY,), settle=30.0))
    told.scrape = lambda: scraped_apart(told)  # type: ignore[method-assign]
    for _ in range(600):
        told.run(1, tasks=50)
        assert not wrong(told)


def scraped_apart(told: Attempt) -> None:
    told.candidate.scrape(told.now) if told.now % 15 == 0 else None
    told.stable.scrape(told.now) if told.now % 15 == 7 else None


def test_a_split_that_goes_wrong_later_is_found_too() -> None:
    told = attempt().run(100)
    assert wrong(told) == ""
    assert wrong(told.run(1500, share=0.3, tasks=5))


class _Unheard:
    """An attempt whose pods serve, but are not scraped for a while."""

    def __init__(self, seed: int) -> None:
        self.told = Attempt(plan(SUCCESS, steps=(CANARY, HALF), settle=30.0), seed=seed)
        self.told.scrape = self._scrape  # type: ignore[method-assign]
        self.deaf = {"triage-a-1": False, "triage-b-1": False}

    def _scrape(self) -> None:
        """The one every 15 s, the other 7 s later."""
        told, turns = self.told, {0: self.told.stable, 7: self.told.candidate}
        pod = turns.get(told.now % 15)
        if pod is not None and not self.deaf[pod.name]:
            pod.scrape(told.now)

    def run(self, seconds: int, share: float) -> Iterator[str | None]:
        for _ in range(seconds):
            self.told.run(1, share=share)
            yield wrong(self.told)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    before=st.integers(0, 115),
    after=st.integers(0, 200),
    deaf=st.sampled_from([["triage-a-1"], ["triage-b-1"], ["triage-a-1", "triage-b-1"]]),
)
def test_a_gap_in_the_scrapes_over_a_change_of_weights_is_no_mismatch(
    seed: int, before: int, after: int, deaf: list[str]
) -> None:
    """What a counter gained over the gap was gained at two weights, nobody knows how much at which."""
    unheard = _Unheard(seed)
    assert not any(unheard.run(200 - before, 0.1))
    unheard.deaf |= dict.fromkeys(deaf, True)
    assert not any(unheard.run(before, 0.1))
    unheard.told.start(HALF.index)
    assert not any(unheard.run(after, HALF.share))
    unheard.deaf |= dict.fromkeys(deaf, False)
    assert not any(unheard.run(400, HALF.share))


def test_after_a_gap_over_a_change_of_weights_a_wrong_split_is_found() -> None:
    unheard = _Unheard(1)
    list(unheard.run(100, 0.1))
    unheard.deaf |= dict.fromkeys(unheard.deaf, True)
    list(unheard.run(50, 0.1))
    unheard.told.start(HALF.index)
    list(unheard.run(100, 0.3))
    unheard.deaf |= dict.fromkeys(unheard.deaf, False)
    assert any(unheard.run(900, 0.3))


def test_a_candidate_without_any_task_is_starved_not_split_wrongly() -> None:
    told = attempt().run(100)
    for _ in range(12):
        assert wrong(told.run(50, share=0.0)) == ""
    for _ in range(12):
        assert wrong(told.run(50)) == ""
    assert wrong(told.run(2000, share=0.02))


@pytest.mark.parametrize("tasks", [1, 20])
def test_a_candidate_with_few_tasks_is_not_starved(tasks: int) -> None:
    """It gets one in fifty, not one in ten."""
    assert wrong(attempt().run(6000 // tasks, share=0.02, tasks=tasks))


def test_seldom_a_task_at_a_small_share_is_as_intended() -> None:
    small = attempt(PlannedStep(0, "canary", share=0.01))
    for _ in range(40):
        assert wrong(small.run(100, share=0.01, tasks=1)) == ""


def test_a_pod_that_dies_is_not_waited_for_for_ever() -> None:
    told = attempt()
    told.run(30)
    gone, told.candidate = told.candidate, agent("triage-b-2", "v2", float(told.now))
    told.run(1500, share=0.3, tasks=5)
    assert gone.stored
    assert wrong(told)


def test_a_version_that_does_not_count_what_it_begins_is_not_blamed() -> None:
    told = attempt()
    for key in [key for key in told.candidate.values if ("__name__", STARTED) in key]:
        del told.candidate.values[key]
        del told.candidate.stored[key]
    for _ in range(200):
        told.stable.do(STARTED, 20)
        told.second()
    assert wrong(told) is None or wrong(told) == ""


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_looking_more_often_and_replaying_change_nothing(share: float) -> None:
    often, seldom = attempt(look=1), attempt(look=10)
    for told in (often, seldom):
        told.run(200, share=share)
    replayed = AttemptEvidence(often.plan, SINCE)
    replayed.advance((StepTime(0, SINCE),), often.series(), float(often.now))
    assert often.report().split == seldom.report().split == replayed.report().split


def test_a_restart_goes_on_where_it_was() -> None:
    def restarted(told: Attempt) -> None:
        state = json.loads(json.dumps(told.evidence.state(), allow_nan=False))
        told.evidence = AttemptEvidence.resumed(told.plan, SINCE, state)

    assert story(restarted) == story(lambda _: None)


def story(between: Callable[[Attempt], None]) -> list[str]:
    told, seen = attempt(), []
    for share in (0.3, 0.3, 0.1, 0.1, 0.1):
        told.run(77, share=share)
        between(told)
        seen.append(str(told.report().split))
    return seen

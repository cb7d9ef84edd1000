"""Stable's past cut into pseudo-releases: healthy ones go through, planted regressions are found."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from interlock.analysis import past as known
from interlock.analysis.chances import Chance
from interlock.analysis.dealing import Scrape, scrapes
from interlock.analysis.plan import Track
from interlock.analysis.planting import Plant
from interlock.analysis.presets import metric
from interlock.analysis.series import Counts
from interlock.core.observation import Timing
from interlock.core.plans import plan_between
from interlock.simulation.backtest import Backtest, Played, Split, incident
from interlock.simulation.pseudo import CANDIDATE, STABLE, End, PseudoRelease, Setup
from interlock.simulation.sides import ByPods, ByTasks, Paces
from tests.cli.past import Past
from tests.core.lint.test_written import COST, COVERAGE, rollout
from tests.scenarios.objects import CRITICAL, SUCCESS, VIOLATIONS, Manifest

BEGIN = 1_000_000
HOUR = 3600
STEPS: tuple[Manifest, ...] = (
    {"name": "canary", "canary": {"percent": 20}, "minDurationSeconds": 300, "minTasks": 20},
    {"name": "full", "full": {"soakSeconds": 300, "holdoutPercent": 20}, "minTasks": 20},
)
REPORTED: Manifest = {**SUCCESS, "metric": "task-success-rate"}


@cache
def past(hours: int = 2, pods: int = 2, bad_pod: bool = False, fails_at: float = 0.0) -> tuple[Scrape, ...]:
    """Two tasks a second, 92 % of which succeed; `bad_pod`: but 60 % on the first pod. `fails_at`: hours
    after which 60 % succeed everywhere."""
    story = Past(
        BEGIN,
        BEGIN + hours * HOUR,
        pods=pods,
        good=lambda at: 0.6 if fails_at and at >= BEGIN + fails_at * HOUR else 0.92,
        bad_pods=1 if bad_pod else 0,
    )
    series = story.series()
    return tuple(scrapes(series, Counts(float(BEGIN)), float(BEGIN + hours * HOUR)))


def setup(*gates: Manifest, planted: Plant | None = None, steps: Any = STEPS, **strategy: Any) -> Setup:
    subject = rollout(*gates, steps=steps, **strategy)
    return Setup(subject, plan_between(subject, Timing.of(5.0, 15.0), CANDIDATE, STABLE), planted)


def chance(seed: int = 0) -> Any:
    def of(number: int) -> Chance:
        return random.Random(f"{seed} {number}")

    return of


def play(given: Setup, held: tuple[Scrape, ...], split: Split = Split.AUTO, seed: int = 0) -> list[Played]:
    backtest = Backtest(given, split, chance(seed))
    backtest.take(held)
    return backtest.close()


def ends(played: list[Played]) -> list[End]:
    return [one.outcome.how for one in played]


ALL = (REPORTED, SUCCESS | {"name": "verified"}, COVERAGE, COST, VIOLATIONS, CRITICAL)


class TestHealthy:
    @pytest.mark.parametrize("split", [Split.PODS, Split.TASKS])
    def test_is_promoted_again_and_again(self, split: Split) -> None:
        played = play(setup(*ALL), past(), split)
        assert {one.split for one in played} == {split}
        assert ends(played[:-1]) == [End.PROMOTED] * (len(played) - 1)
        assert ends(played[-1:]) == [End.CUT]
        assert len(played) >= 5

    def test_they_share_no_samples(self) -> None:
        played = play(setup(*ALL), past())
        for one, other in pairwise(played):
            assert one.outcome.begin < one.outcome.end < other.outcome.begin + 16

    def test_the_same_seed_gives_the_same(self) -> None:
        given = setup(REPORTED)
        assert play(given, past()) == play(given, past())
        assert play(given, past()) != play(given, past(), seed=1)

    def test_it_does_not_matter_in_which_pieces_the_past_is_read(self) -> None:
        given, held = setup(REPORTED), past()
        backtest = Backtest(given, Split.AUTO, chance())
        for first in range(0, len(held), 7):
            backtest.take(held[first : first + 7])
        assert backtest.close() == play(given, held)

    @pytest.mark.parametrize("split", [Split.PODS, Split.TASKS])
    def test_the_candidate_has_its_share(self, split: Split) -> None:
        (first, *_) = play(setup(REPORTED), past(), split)
        lasted = first.outcome.end - first.outcome.begin - 600
        assert 0 <= lasted < 300  # warm-up and looks
        kept = 1.0 if split is Split.TASKS else 0.625  # by pods one side is whole: .5/.8
        # a fifth of two tasks a second, then four fifths; tasks of the warm-up do not count
        assert first.outcome.tasks == pytest.approx(300 * 2 * 1.0 * kept, rel=0.5)


class TestSplit:
    def test_one_pod_cannot_be_split_by_pods(self) -> None:
        assert {one.split for one in play(setup(REPORTED), past(1, 1), Split.PODS)} == {Split.TASKS}

    def test_a_pod_that_is_worse_is_seen_by_pods_only(self) -> None:
        by_pods, by_tasks = (
            ends(play(setup(REPORTED), past(bad_pod=True), split)) for split in (Split.PODS, Split.TASKS)
        )
        assert End.REVERTED in by_pods
        assert End.REVERTED not in by_tasks

    def test_half_of_the_pods_and_the_whole_of_one_side(self) -> None:
        paces = Paces()
        for scrape in past(1, 4)[:100]:
            paces.saw(scrape)
        pods = paces.live(past(1, 4)[99].at)
        sides = ByPods(pods, paces, random.Random(1))
        targets = {scrape.target for scrape in past(1, 4)[:100]}
        given = [sides.shares(target, 0.1) for target in targets]
        mine = [share[Track.CANDIDATE] for share in given if Track.CANDIDATE in share]
        theirs = [share[Track.STABLE] for share in given if Track.STABLE in share]
        assert (len(mine), len(theirs)) == (2, 2)
        assert theirs == [1.0, 1.0]
        assert mine == [pytest.approx(1 / 9, rel=0.2)] * 2

    def test_by_tasks_everything_goes_somewhere(self) -> None:
        assert ByTasks().shares(past()[0].target, 0.25) == {Track.CANDIDATE: 0.25, Track.STABLE: 0.75}


class TestPlanted:
    @pytest.mark.parametrize(
        ("gate", "name", "change"),
        [
            (REPORTED, "task-success-rate", -0.3),
            (SUCCESS, "verified-success-rate", -0.3),
            (COVERAGE, "verification-coverage", -0.3),
            (VIOLATIONS, "policy-violation-rate", 0.3),
            (COST, "cost-per-task", 1.0),
        ],
    )
    def test_is_found_by_its_gate(self, gate: Manifest, name: str, change: float) -> None:
        plant = Plant(metric(name), change)
        played = play(setup(gate, planted=plant), past(1), Split.TASKS)
        found = [one.outcome for one in played if one.outcome.how is not End.CUT]
        assert found
        assert {one.how for one in found} == {End.REVERTED}
        assert {one.gates for one in found} == {(gate["name"],)}

    def test_outcomes_are_weighed_by_how_they_came_the_day_before(self) -> None:
        plant = Plant(metric("task-success-rate"), -0.3)
        given = setup(REPORTED, planted=plant)
        clumps = {known.subject(gate): known.Past(effect=1000.0) for gate in given.plan.gates}
        backtest = Backtest(given, Split.TASKS, chance(), lambda: clumps)
        backtest.take(past(1))
        assert End.REVERTED not in ends(backtest.close())

    def test_a_small_one_takes_longer_than_a_large_one(self) -> None:
        def median(change: float) -> float:
            given = setup(REPORTED, planted=Plant(metric("task-success-rate"), change))
            lasted = sorted(one.outcome.end - one.outcome.begin for one in play(given, past(), Split.TASKS))
            return lasted[len(lasted) // 2]

        assert median(-0.5) < median(-0.15)

    @pytest.mark.parametrize(
        ("name", "change", "words"),
        [
            ("task-success-rate", 0.1, "can only be lowered"),
            ("task-duration", 0.1, "cannot be planted"),
            ("critical-policy-violations", 1.0, "cannot be planted"),
        ],
    )
    def test_what_cannot_be_planted(self, name: str, change: float, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            Plant(metric(name), change)


class TestShadow:
    def test_copies_are_judged_by_limits(self) -> None:
        shadow: Manifest = {
            "name": "shadow",
            "shadow": {"percent": 50},
            "minDurationSeconds": 300,
            "minTasks": 20,
        }
        plant = Plant(metric("policy-violation-rate"), 0.4)
        played = play(setup(VIOLATIONS, planted=plant, steps=(shadow, *STEPS)), past(1))
        assert {one.outcome.step for one in played if one.outcome.how is End.REVERTED} == {"shadow"}
        healthy = play(setup(VIOLATIONS, steps=(shadow, *STEPS)), past(1))
        assert healthy[0].outcome.how is End.PROMOTED


def test_a_step_that_never_has_its_tasks_is_held() -> None:
    greedy = ({**STEPS[0], "minTasks": 100000}, STEPS[1])
    played = play(setup(REPORTED, steps=greedy, stepDeadlineSeconds=900), past(1))
    assert played[0].outcome.how is End.HELD
    assert "more tasks of the candidate" in played[0].outcome.message


class TestIncident:
    def windows(self) -> tuple[tuple[Scrape, ...], tuple[Scrape, ...]]:
        middle = BEGIN + HOUR
        held = past(2, fails_at=1.0)
        return tuple(s for s in held if s.at < middle), tuple(s for s in held if s.at >= middle)

    def test_is_taken_for_a_candidate_and_taken_back(self) -> None:
        before, during = self.windows()
        outcome = incident(setup(REPORTED), before, during, random.Random(1))
        assert (outcome.how, outcome.gates) == (End.REVERTED, ("success",))
        assert outcome.end - outcome.begin < 600

    def test_where_nothing_happened_nothing_is_found(self) -> None:
        held = past(2)
        before = tuple(s for s in held if s.at < BEGIN + HOUR)
        during = tuple(s for s in held if s.at >= BEGIN + HOUR)
        outcome = incident(setup(*ALL), before, during, random.Random(1))
        assert outcome.how is End.PROMOTED


def test_a_release_by_hand() -> None:
    release = PseudoRelease(setup(REPORTED), float(BEGIN), ByTasks(), random.Random(1))
    assert release.cut().how is End.CUT

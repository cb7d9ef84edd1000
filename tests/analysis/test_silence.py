"""The table of missing data: what is seen, what it means, and since when."""

from __future__ import annotations

import math
import random

import pytest

from interlock.analysis.gates import NoDataReading, PlannedStep, Side, Silence, Verdict
from interlock.analysis.outcomes import Outcome
from interlock.analysis.plan import Mode, Track
from interlock.analysis.series import Series
from interlock.analysis.silence import CHANCE, Hearing
from interlock.analysis.timeline import Stretch
from tests.analysis.attempt import CRITICAL, SINCE, STARTED, SUCCESS, VIOLATION, Attempt, agent, plan, work

TENTH = PlannedStep(0, "canary", share=0.1)
JITTER = 4.0  # seconds; twice the settling time of these plans


def canary(**how: object) -> Attempt:
    return Attempt(plan(SUCCESS, VIOLATION, CRITICAL, steps=(TENTH,)), **how)  # type: ignore[arg-type]


def silence(attempt: Attempt) -> NoDataReading | None:
    attempt.advance()
    return attempt.report().no_data


def unscraped(attempt: Attempt, seconds: int, **traffic: float) -> None:
    """Seconds in which Prometheus gets nothing from the candidate."""
    candidate, attempt.candidate = attempt.candidate, agent("triage-c-1", "v3", 10.0)
    attempt.run(seconds, share=0.0, **traffic)  # type: ignore[arg-type]
    attempt.candidate = candidate


class TestNothingIsMissing:
    def test_while_both_work(self) -> None:
        attempt = canary(look=1)
        for _ in range(120):
            assert attempt.run(1).report().no_data is None

    def test_where_samples_are_late_by_less_than_the_jitter(self) -> None:
        attempt = canary(look=1).run(30)
        unscraped(attempt, int(JITTER))
        assert silence(attempt) is None

    def test_where_the_candidate_may_only_have_had_no_luck(self) -> None:
        attempt = canary(look=1)
        for _ in range(60):
            assert attempt.run(1, share=0.0, tasks=1).report().no_data is None

    def test_where_stable_is_silent_but_the_candidate_works(self) -> None:
        attempt = canary(stable=agent("elsewhere", "v1", 10.0)).run(60)
        assert attempt.report().no_data is None
        verdicts = [gate.verdict for gate in attempt.report().gates]
        assert verdicts == [Verdict.NO_DATA, Verdict.PASS, Verdict.PASS]

    def test_before_the_clock_and_between_steps(self) -> None:
        early = Attempt(plan(SUCCESS, steps=(TENTH,)), times=()).run(60, share=0.0)
        assert early.report().no_data is None
        between = canary().run(10)
        between.end()
        assert between.run(60, share=0.0).report().no_data is None


class TestIdle:
    def test_from_the_clock_start(self) -> None:
        attempt = canary(look=1).run(int(JITTER), tasks=0)
        assert attempt.report().no_data is None
        for _ in range(300):
            assert attempt.run(1, tasks=0).report().no_data == NoDataReading(Silence.IDLE, SINCE)

    def test_since_the_last_task_of_either_side(self) -> None:
        attempt = canary().run(30)
        last = float(attempt.now)
        attempt.run(5, tasks=0)
        assert silence(attempt) == NoDataReading(Silence.IDLE, last)
        work(attempt.stable, good=True)
        attempt.run(1, tasks=0)
        assert silence(attempt) is None
        assert silence(attempt.run(20, tasks=0)) == NoDataReading(Silence.IDLE, last + 6)

    def test_a_task_that_only_begins_ends_it(self) -> None:
        attempt = canary().run(30, tasks=0)
        attempt.candidate.do(STARTED)
        assert silence(attempt.run(1, tasks=0)) is None

    def test_a_task_that_only_ends_ends_it(self) -> None:
        attempt = canary().run(30, tasks=0)
        attempt.stable.do("ai_agent_tasks_total", outcome="failure")
        assert silence(attempt.run(1, tasks=0)) is None

    def test_what_stable_does_unseen_is_nothing(self) -> None:
        attempt = canary(stable=agent("elsewhere", "v1", 10.0)).run(30, share=0.0)
        assert silence(attempt) == NoDataReading(Silence.IDLE, SINCE)


class TestStarved:
    def test_from_the_clock_start(self) -> None:
        attempt = canary(look=1).run(60, share=0.0)
        for _ in range(60):
            assert attempt.run(1, share=0.0).report().no_data == NoDataReading(Silence.STARVED, SINCE)

    def test_since_its_last_task_and_until_its_next(self) -> None:
        attempt = canary().run(30)
        work(attempt.candidate, good=True)
        attempt.run(1, share=0.0)
        last = float(attempt.now)
        assert silence(attempt.run(60, share=0.0)) == NoDataReading(Silence.STARVED, last)
        work(attempt.candidate, good=True)
        assert silence(attempt.run(1, share=0.0)) is None

    def test_it_stays_when_stable_falls_silent_too(self) -> None:
        attempt = canary().run(60, share=0.0).run(300, tasks=0)
        assert silence(attempt) == NoDataReading(Silence.STARVED, SINCE)

    @pytest.mark.parametrize(("share", "needed"), [(0.5, 11), (0.1, 73), (0.01, 757), (0.99, 4), (1.0, 4)])
    def test_when_it_is_beyond_chance(self, share: float, needed: int) -> None:
        attempt = Attempt(plan(SUCCESS, steps=(PlannedStep(0, "canary", share=share),)), look=1)
        work(attempt.stable, good=True, times=needed - 1)
        assert silence(attempt.run(3, tasks=0)) is None
        work(attempt.stable, good=True)
        found = silence(attempt.run(3, tasks=0))
        assert found == NoDataReading(Silence.STARVED, SINCE)
        assert max(1 - share, 1e-9) ** needed < CHANCE / 2

    def test_a_mirrored_share_is_one_of_the_tasks_of_stable(self) -> None:
        shadow = PlannedStep(0, "shadow", share=0.5)
        attempt = Attempt(plan(SUCCESS, steps=(shadow,)))
        work(attempt.stable, good=True, times=11)
        assert silence(attempt.run(5, tasks=0)) == NoDataReading(Silence.STARVED, SINCE)
        work(attempt.shadow, good=True)
        assert silence(attempt.run(1, tasks=0)) is None

    def test_live_tasks_do_not_feed_a_shadow(self) -> None:
        shadow = PlannedStep(0, "shadow", share=0.5)
        attempt = Attempt(plan(SUCCESS, steps=(shadow,))).run(30, share=0.5)
        assert silence(attempt) == NoDataReading(Silence.STARVED, SINCE)

    def test_each_step_begins_afresh(self) -> None:
        attempt = Attempt(plan(SUCCESS, steps=(TENTH, PlannedStep(1, "canary", share=0.2)))).run(
            60, share=0.0
        )
        assert silence(attempt) == NoDataReading(Silence.STARVED, SINCE)
        attempt.start(1)
        second = float(attempt.now)
        assert silence(attempt) is None
        assert silence(attempt.run(1, share=0.0)) is None
        assert silence(attempt.run(60, share=0.0)) == NoDataReading(Silence.STARVED, second)

    def test_many_gaps_make_each_mean_less_and_a_new_step_forgets_them(self) -> None:
        steps = (PlannedStep(0, "canary", share=0.5), PlannedStep(1, "canary", share=0.5))
        attempt = Attempt(plan(SUCCESS, steps=steps), look=1).run(100, share=0.5)
        attempt.run(1, tasks=0)
        work(attempt.stable, good=True, times=20)
        assert silence(attempt.run(3, tasks=0)) is None
        attempt.start(1)
        attempt.run(1, tasks=0)
        work(attempt.stable, good=True, times=11)
        found = silence(attempt.run(3, tasks=0))
        assert found is not None
        assert found.kind is Silence.STARVED

    def test_a_burst_of_which_only_stable_has_been_scraped_is_no_starvation(self) -> None:
        attempt = canary(look=1).run(30, tasks=1)
        work(attempt.stable, good=True, times=500)
        work(attempt.candidate, good=True, times=50)
        attempt.stable.scrape(attempt.now + 0.5)
        begin, end = attempt.now - 60.0, attempt.now + 0.5
        seen = [
            Series(one.labels, tuple(point for point in one.points if point[0] <= end))
            for one in attempt.series(begin)
        ]
        attempt.evidence.advance(attempt.times, seen, end)
        assert attempt.report().no_data is None
        assert attempt.run(20).report().no_data is None

    def test_a_fed_candidate_is_hardly_ever_called_starved(self) -> None:
        """A thousand steps of 3,000 requests each, of which every tenth goes to the candidate."""
        chance, wronged = random.Random(5), 0  # noqa: S311 - a world, not a secret
        for _ in range(1000):
            wronged += ever_starved(chance, requests=3000, share=0.1)
        assert wronged <= 4


def ever_starved(chance: random.Random, *, requests: int, share: float) -> bool:
    """Whether a step is called starved at any look, with a look and a scrape at each request."""
    stretch = Stretch(PlannedStep(0, "canary", share=share), 0.0, 0.0, 0.0)
    hearing, now, left = Hearing(settle=0.0), 0.0, requests
    while left > 0:
        # the candidate's next task comes after so many of stable's: only then the gap is at its longest
        missed = min(left, int(math.log(1 - chance.random()) / math.log1p(-share)))
        if missed:
            hearing.heard(outcome(Track.STABLE, now, now + 1, missed), stretch)
        hearing.advance(now + 1)
        found = hearing.reading(stretch, now + 1, now + 1)
        if found and found.kind is Silence.STARVED:
            return True
        hearing.heard(outcome(Track.CANDIDATE, now + 1, now + 2, 1), stretch)
        now, left = now + 2, left - missed - 1
    return False


def outcome(track: Track, begin: float, end: float, amount: float) -> Outcome:
    return Outcome(track, Mode.LIVE, {"__name__": STARTED}, begin, end, amount)


class TestBlind:
    def test_since_its_last_sample(self) -> None:
        attempt = canary(look=1).run(30)
        last = float(attempt.now)
        unscraped(attempt, 10)
        assert silence(attempt) == NoDataReading(Silence.BLIND, last)
        unscraped(attempt, 300)
        assert silence(attempt) == NoDataReading(Silence.BLIND, last)
        assert silence(attempt.run(1)) is None

    def test_never_seen_at_all(self) -> None:
        attempt = canary(candidate=agent("triage-c-1", "v3", 10.0)).run(60, share=0.0)
        assert silence(attempt) == NoDataReading(Silence.BLIND, SINCE)

    def test_of_the_mode_that_counts(self) -> None:
        shadow = PlannedStep(0, "shadow", share=0.5)
        attempt = Attempt(plan(SUCCESS, steps=(shadow,)), shadow=agent("triage-c-1", "v3", 10.0)).run(60)
        assert silence(attempt) == NoDataReading(Silence.BLIND, SINCE)

    def test_a_silence_of_an_earlier_step_counts_from_the_clock_of_this_one(self) -> None:
        attempt = Attempt(plan(SUCCESS, steps=(TENTH, PlannedStep(1, "canary", share=0.2)))).run(30)
        unscraped(attempt, 100)
        attempt.start(1)
        second = float(attempt.now)
        unscraped(attempt, 30)
        assert silence(attempt) == NoDataReading(Silence.BLIND, second)

    def test_it_goes_before_starvation(self) -> None:
        attempt = canary().run(60, share=0.0)
        unscraped(attempt, 60)
        found = silence(attempt)
        assert found is not None
        assert found.kind is Silence.BLIND

    @pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
    def test_what_is_not_a_count_is_not_seen(self, value: float) -> None:
        attempt = canary().run(30)
        last = float(attempt.now)
        labels = {"__name__": STARTED, "pod": "triage-b-1", "version": "v2", "mode": "live"}
        attempt.evidence.advance(attempt.times, [Series(labels, ((last + 30, value),))], last + 30)
        assert attempt.report().no_data == NoDataReading(Silence.BLIND, last)

    def test_another_version_is_not_the_candidate(self) -> None:
        other = plan(SUCCESS, steps=(TENTH,))
        assert other.candidate == Side("v2", "triage-b-")
        attempt = Attempt(other, candidate=agent("triage-b-1", "v1", 10.0)).run(30)
        assert silence(attempt) == NoDataReading(Silence.BLIND, SINCE)

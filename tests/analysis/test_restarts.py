"""A candidate whose processes keep dying is told from one that does not: what fails with them is lost."""

from __future__ import annotations

import json
import random

import pytest

from interlock.analysis.gates import AttemptEvidence, PlannedStep
from tests.analysis.attempt import CANARY, SINCE, SUCCESS, Attempt, agent, plan

EQUAL = PlannedStep(0, "canary", 100, share=0.5)
SMALL = PlannedStep(0, "canary", 100, share=0.1)


def walked(step: PlannedStep, *, candidate: int, stable: int = 0, over: int = 400) -> Attempt:
    """An attempt in which processes restart so often."""
    attempt = Attempt(plan(SUCCESS, steps=(step,)))
    chance = random.Random(4)  # noqa: S311 - a world, not a secret
    moments = chance.sample(range(10, over), candidate + stable)
    for second in range(over):
        if second in moments:
            pod = attempt.candidate if second in moments[:candidate] else attempt.stable
            pod.restart(attempt.now)
            for name, version in (("triage-b-1", "v2"), ("triage-a-1", "v1")):
                pod.values |= agent(name, version, 0.0).values if pod.name == name else {}
        attempt.run(1, share=step.share)
    attempt.advance()
    return attempt


class TestTold:
    @pytest.mark.parametrize(("step", "times"), [(EQUAL, 12), (SMALL, 12)])
    def test_many_restarts_of_the_candidate_alone(self, step: PlannedStep, times: int) -> None:
        told = walked(step, candidate=times).report().restarts
        assert told.startswith(
            f"the candidate's have restarted {times} times and stable's 0 in the last 7 min"
        )

    def test_it_is_forgotten_after_half_an_hour_without(self) -> None:
        attempt = walked(EQUAL, candidate=12)
        attempt.run(1000, tasks=1)
        assert attempt.report().restarts
        attempt.run(900, tasks=1)
        assert attempt.report().restarts == ""

    def test_another_process_knows_it_too(self) -> None:
        attempt = walked(EQUAL, candidate=12)
        state = json.loads(json.dumps(attempt.evidence.state()))
        other = AttemptEvidence.resumed(attempt.plan, SINCE, state)
        other.advance(attempt.times, attempt.series(attempt.now - 60.0), float(attempt.now))
        assert other.report().restarts == attempt.report().restarts != ""


class TestNotTold:
    @pytest.mark.parametrize(("candidate", "stable"), [(0, 0), (1, 0), (3, 0), (0, 12), (12, 12)])
    def test_as_many_as_stable_or_a_few(self, candidate: int, stable: int) -> None:
        assert walked(EQUAL, candidate=candidate, stable=stable).report().restarts == ""

    def test_a_small_share_of_the_tasks_does_not_excuse_as_many_pods(self) -> None:
        """Processes also end for reasons that have nothing to do with tasks."""
        assert walked(SMALL, candidate=4, stable=3).report().restarts == ""

    def test_a_clock_that_is_set(self) -> None:
        attempt = Attempt(plan(SUCCESS, steps=(EQUAL,)))
        for _ in range(20):
            attempt.candidate.started -= 300
            attempt.run(10)
            attempt.candidate.started += 300
            attempt.run(10)
        assert attempt.report().restarts == ""

    def test_pods_that_are_replaced(self) -> None:
        attempt = Attempt(plan(SUCCESS, steps=(CANARY,)))
        for number in range(20):
            attempt.candidate = agent(f"triage-b-{number + 2}", "v2", float(attempt.now))
            attempt.run(10)
        assert attempt.report().restarts == ""

"""Workers that answer by turns behind one address are told from processes that follow one another."""

from __future__ import annotations

import json

import pytest

from interlock.analysis.gates import AttemptEvidence, Verdict
from interlock.analysis.series import PROCESS_START, Series
from interlock.analysis.turns import Turns
from tests.analysis.attempt import SINCE, SUCCESS, Attempt, agent, plan, work


def told(*starts: float) -> tuple[str, ...]:
    labels = {"__name__": PROCESS_START, "namespace": "shop", "pod": "a", "instance": "a:80", "job": "agents"}
    turns = Turns()
    turns.notice(Series(labels, tuple((10.0 * at, start) for at, start in enumerate(starts))), 1000.0)
    return turns.pods


@pytest.mark.parametrize("starts", [(100, 107, 100), (100, 107, 107, 120, 107), (107, 100, 107.4)])
def test_a_process_that_comes_back(starts: tuple[float, ...]) -> None:
    assert told(*starts) == ("a",)


@pytest.mark.parametrize("starts", [(), (100,), (100, 101, 100), (100, 107, 120, 133), (100, 500, 501, 500)])
def test_processes_that_follow_one_another(starts: tuple[float, ...]) -> None:
    assert told(*starts) == ()


def by_turns(seconds: int) -> Attempt:
    """Three workers of the candidate's pod share its tasks; a scrape meets one of them."""
    attempt = Attempt(plan(SUCCESS))
    workers = [agent("triage-b-1", "v2", SINCE - 50 - 7 * number) for number in range(3)]
    stored = attempt.candidate.stored
    for second in range(seconds):
        worker = attempt.candidate = workers[attempt.chance.randrange(3)]
        worker.stored = stored
        for other in workers:
            work(other, good=attempt.chance.random() < 0.9)
        attempt.run(1, tasks=3 + second % 2, share=0.0)
    attempt.advance()
    return attempt


def test_nothing_rests_on_counts_that_jump() -> None:
    report = by_turns(120).report()
    assert [gate.verdict for gate in report.gates] == [Verdict.NO_DATA]
    assert "counts are wrong in triage-b-1" in report.gates[0].message
    assert report.split is None
    assert not report.reverts
    assert "triage-b-1 answers with several processes by turns" in report.warnings[0]


def test_another_process_knows_it_too() -> None:
    attempt = by_turns(60)
    state = json.loads(json.dumps(attempt.evidence.state()))
    other = AttemptEvidence.resumed(attempt.plan, SINCE, state)
    other.advance(attempt.times, attempt.series(attempt.now - 5.0), float(attempt.now))
    assert other.report().warnings == attempt.report().warnings

"""What stable did over a long time, gathered piece by piece."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.analysis.collecting import Collected
from interlock.analysis.plan import Compare, Gate, Tail
from interlock.analysis.presets import metric
from interlock.analysis.usual import UsualRate
from tests.analysis.attempt import SUCCESS, agent, last, plan, work
from tests.analysis.world import Pod, window

BEGIN, END = 600.0, 4200.0
SLOW = Gate("slow", metric("task-duration"), Tail(30.0))
COVERED = Gate("covered", metric("verification-coverage"), Compare())


def hour() -> list[Pod]:
    """Two pods of stable, one of the candidate; one restarts."""
    pods = [agent("triage-a-1", "v1", 0.0), agent("triage-a-2", "v1", 0.0), agent("triage-b-1", "v2", 0.0)]
    for at in range(int(BEGIN) - 60, int(END) + 1, 15):
        for pod in pods:
            if at == 2400 and pod is pods[0]:
                pod.restart(float(at))
            work(pod, good=True, times=9)
            work(pod, good=False)
            last(pod, 60.0 if at % 150 == 0 else 3.0, ("5", "30", "+Inf"))
            pod.scrape(at)
    return pods


def test_only_stables_live_tasks_count() -> None:
    collected = Collected(plan(SUCCESS, SLOW, COVERED), BEGIN)
    collected.add(window(hour(), BEGIN, END), END)
    found = collected.usual
    assert found.seconds == END - BEGIN - 15
    assert found.tasks == 2 * 10 * 239  # the first scrape is a baseline, what follows a restart counts
    success, slow = found.gates["success"], found.gates["slow"]
    assert isinstance(success, UsualRate)
    assert isinstance(slow, UsualRate)
    assert found.hours is None  # no hour is whole
    assert success.counts.good / success.counts.total == 0.9
    assert 0.85 < slow.counts.good / slow.counts.total < 0.95
    assert "covered" not in found.gates
    assert found.beyond == 30.0  # one in ten takes longer, and is reckoned to end within twice that
    assert found.slow == pytest.approx(60.1, abs=0.1)


def test_nothing_was_there() -> None:
    found = Collected(plan(SUCCESS), BEGIN).usual
    assert (found.tasks, found.tasks_per_second, found.gates) == (0.0, 0.0, {})


@settings(max_examples=20)
@given(st.lists(st.floats(BEGIN + 1, END - 1), max_size=6))
def test_it_does_not_matter_where_the_pieces_are_cut(cuts: list[float]) -> None:
    pods = hour()
    whole, parts = Collected(plan(SUCCESS, SLOW), BEGIN), Collected(plan(SUCCESS, SLOW), BEGIN)
    whole.add(window(pods, BEGIN, END), END)
    edges = [BEGIN, *sorted(cuts), END]
    for begin, end in pairwise(edges):
        parts.add(window(pods, begin, end), end)
    assert parts.usual == whole.usual


@settings(max_examples=20)
@given(st.lists(st.floats(BEGIN + 1, END - 1), min_size=1, max_size=6))
def test_it_does_not_matter_how_often_one_asks(cuts: list[float]) -> None:
    pods = hour()
    asked, silent = Collected(plan(SUCCESS, SLOW), BEGIN), Collected(plan(SUCCESS, SLOW), BEGIN)
    for begin, end in pairwise([BEGIN, *sorted(cuts), END]):
        for one in (asked, silent):
            one.add(window(pods, begin, end), end)
        assert asked.usual == asked.usual
    assert asked.usual == silent.usual
    for one in (asked, silent):
        one.forget((BEGIN + END) / 2)
    assert asked.usual == silent.usual
    assert asked.usual.tasks < 20 * 239

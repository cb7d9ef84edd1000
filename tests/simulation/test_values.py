"""What a `value` gate does in a story: the numbers of its expression are told, not computed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.analysis.metrics import Query
from interlock.analysis.values import NoNumber
from interlock.core.metrictemplates import Definition
from interlock.errors import SpecError
from interlock.simulation.timeline import Run
from interlock.simulation.values import number
from interlock.simulation.walk import Walk
from tests.simulation.rollouts import CANARY, FULL, SUCCESS, setup, story

BACKLOG = {"name": "queue", "metric": "backlog", "value": {"max": "50"}}
KNOWN = {"backlog": Definition(Query("backlog", "backlog{}", "tasks"), "0" * 16)}


def walk(*parts: dict[str, Any], leaps: bool = True, seed: int = 1, **told: Any) -> Run:
    values = {"values": {"backlog": list(parts)}} if parts else {}
    asked = replace(setup(steps=[CANARY, FULL], gates=[SUCCESS, BACKLOG]), known=KNOWN)
    return Walk(asked, story(**values, **told), seed, leaps=leaps).run()


def test_a_number_within_bounds_lets_the_rollout_pass() -> None:
    assert walk({"number": 12}).outcome == "Promoted"


def test_a_number_that_stays_out_of_bounds_takes_it_back() -> None:
    run = walk({"number": 12}, {"after": 200, "number": 90})
    assert (run.outcome, run.step) == ("Reverted", "canary")
    assert run.message.startswith("queue: ")
    assert 200 < run.decided < 300


def test_a_number_out_of_bounds_for_one_look_takes_nobody_back() -> None:
    run = walk({"number": 12}, {"after": 200, "number": 90}, {"after": 205, "number": 12})
    assert run.outcome == "Promoted"


def test_a_number_on_its_way_is_out_of_bounds_from_where_it_crosses_them() -> None:
    run = walk({"number": 0}, {"after": 100, "over": 200, "number": 100})
    assert run.outcome == "Reverted"
    assert 200 < run.decided < 260


@pytest.mark.parametrize("parts", [(), ({"number": None},)])
def test_without_a_number_it_is_held_and_taken_off_in_the_end(parts: tuple[dict[str, Any], ...]) -> None:
    run = walk(*parts)
    assert (run.outcome, run.step, run.reason) == ("Reverted", "canary", "Blind")
    assert run.message.startswith("gate queue (metric backlog) has had nothing to judge by for ")
    assert 1800 < run.decided < 1900, "noData.revertAfterSeconds after its first task"


def test_a_metric_that_no_value_gate_reads_is_named() -> None:
    told = story(values={"backlog": [{"number": 1}]})
    with pytest.raises(SpecError, match=r"`values\.backlog` must name the metric of a `value` gate"):
        Walk(setup(), told, 1)


def test_numbers_reach_the_next_one_evenly_and_end_where_there_is_none() -> None:
    parts = story(
        values={
            "backlog": [
                {"after": 10, "number": 2},
                {"after": 20, "over": 10, "number": 4},
                {"after": 40, "number": None},
            ]
        }
    ).values["backlog"]
    assert [number(parts, at) for at in (10, 20, 25, 30, 39)] == [2, 2, 3, 4, 4]
    assert all(isinstance(number(parts, at), NoNumber) for at in (9, 40, 99))


PARTS = st.fixed_dictionaries(
    {
        "after": st.integers(0, 600),
        "over": st.sampled_from([0, 0, 30, 300]),
        "number": st.sampled_from([None, 0.0, 40.0, 60.0, 100.0]),
    }
)


@settings(max_examples=8, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=4), st.integers(0, 2**32))
def test_leaps_change_nothing(parts: list[dict[str, Any]], seed: int) -> None:
    parts = sorted(parts, key=lambda part: int(part["after"]))
    slow, fast = (walk(*parts, leaps=leaps, seed=seed, lasts=1200) for leaps in (False, True))
    assert fast.moments == slow.moments
    assert (fast.outcome, fast.ended, fast.waits) == (slow.outcome, slow.ended, slow.waits)

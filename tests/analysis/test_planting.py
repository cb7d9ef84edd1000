"""A regression planted in counters: as large as asked for, and nothing else is touched."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.planting import Plant
from interlock.analysis.presets import metric
from interlock.analysis.series import Increment
from tests.analysis.attempt import COST, TASKS, VERIFIED, VIOLATIONS
from tests.analysis.chance import world
from tests.analysis.test_dealing import amount, one

LABELS = {"namespace": "shop", "pod": "triage-a-1", "instance": "x", "job": "agents", "agent": "triage"}


def scrape(good: int = 920, bad: int = 80) -> tuple[Increment, ...]:
    return (
        one(TASKS, good, outcome="success", **LABELS),
        one(TASKS, bad, outcome="failure", **LABELS),
        one(VERIFIED, good + bad, result="pass", verifier="judge", **LABELS),
        one(COST, 3.0, kind="inference", **LABELS),
    )


def test_successes_become_failures() -> None:
    plant, chance = Plant(metric("task-success-rate"), -0.04), world()
    found = [plant.applied(scrape(), 0.92, chance) for _ in range(200)]
    share = sum(amount(each, TASKS, outcome="success") for each in found) / 200_000
    assert share == pytest.approx(0.88, abs=0.003)
    assert all(amount(each, TASKS) == 1000 for each in found)


def test_less_of_a_counter_of_its_own_is_less_of_it() -> None:
    found = Plant(metric("verification-coverage"), -0.5).applied(scrape(), 1.0, world())
    assert amount(found, VERIFIED) == pytest.approx(500, abs=60)
    assert amount(found, TASKS) == 1000


def test_what_is_bad_is_added_with_the_labels_of_its_target() -> None:
    found = Plant(metric("policy-violation-rate"), 0.1).applied(scrape(), 0.0, world())
    more = [each for each in found if each.labels["__name__"] == VIOLATIONS]
    assert sum(each.amount for each in more) == pytest.approx(100, abs=40)
    assert all({k: each.labels[k] for k in LABELS} == LABELS for each in more)


def test_a_mean_is_multiplied() -> None:
    found = Plant(metric("cost-per-task"), 0.2).applied(scrape(), 0.0, world())
    assert amount(found, COST) == pytest.approx(3.6)
    assert amount(found, TASKS) == 1000


@given(
    st.integers(0, 200),
    st.integers(0, 200),
    st.floats(-1, -0.001),
    st.floats(0, 1),
    st.randoms(use_true_random=False),
)
def test_outcomes_are_never_lost(
    good: int, bad: int, change: float, usual: float, chance: random.Random
) -> None:
    found = Plant(metric("task-success-rate"), change).applied(scrape(good, bad), usual, chance)
    assert amount(found, TASKS) == good + bad
    assert amount(found, TASKS, outcome="success") <= good
    assert all(each.amount > 0 or not good + bad for each in found if each.labels["__name__"] == COST)

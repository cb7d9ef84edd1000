"""Which Rollouts have something to read, and how often they are parsed."""

from __future__ import annotations

import copy
from typing import Any

from interlock.model.release import Stage
from interlock.operator.active import Active
from tests.core.seen import at_rest, trying

RUNNING = trying(Stage.RUNNING, 1).rollout.to_wire()
RESTING = at_rest().rollout.to_wire()


def test_what_rests_is_passed_over() -> None:
    assert len(list(Active(lambda: [RUNNING, RESTING]).rollouts())) == 1


def test_what_has_not_changed_is_not_parsed_again() -> None:
    active = Active(lambda: [RUNNING])
    (first,), (second,) = active.rollouts(), active.rollouts()
    assert second is first


def test_what_has_changed_is() -> None:
    held: list[Any] = [RUNNING]
    active = Active(lambda: held)
    (first,) = active.rollouts()
    held[0] = copy.deepcopy(RUNNING)
    held[0]["spec"]["replicas"] = 7
    (second,) = active.rollouts()
    assert (first.spec.replicas, second.spec.replicas) == (RUNNING["spec"]["replicas"], 7)


def test_what_cannot_be_parsed_is_passed_over() -> None:
    broken = copy.deepcopy(RUNNING)
    broken["spec"] = {}
    assert len(list(Active(lambda: [broken, RUNNING]).rollouts())) == 1

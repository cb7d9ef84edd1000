"""Story 34: a gateway that does not split by the weights, seen in what a real Prometheus has counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cluster import objects
from tests.cluster.api import INTERLOCK, grouped
from tests.cluster.chorus import together
from tests.cluster.conftest import NewStory
from tests.cluster.kstatus import kstatus
from tests.cluster.landscape import Landscape
from tests.cluster.operator import Operator
from tests.cluster.seen import stable_is, stalled
from tests.cluster.story import Story, condition, phase

LONG = {"steps": [{**objects.CANARY, "minDurationSeconds": 45}, objects.FULL]}
GATES = [objects.VIOLATIONS, objects.CRITICAL]
ANALYSIS: dict[str, Any] = {"warmupSeconds": 1, "gates": GATES}
MISMATCH = stalled("SampleRatioMismatch", "v2 at step canary: the candidate got ", " tasks instead of 20 %")
DETECTION = 120.0
"""Seconds that some hundreds of tasks may take on a busy machine."""


@together
async def test_34_a_gateway_that_splits_wrongly_holds_the_rollout_until_it_splits_right(story: Story) -> None:
    await story.first_version(strategy=LONG, analysis=ANALYSIS)
    story.behaves("v2", drawn=3)
    await story.release("v2")
    found = await story.until(MISMATCH, DETECTION)
    assert (found.status.phase, condition(found, "TrafficShifted")[1]) == ("Stalled", "SampleRatioMismatch")
    assert found.status.traffic is not None
    assert found.status.traffic.candidate_percent == 20, "held, not reverted"
    assert kstatus(await _stored(story)) == "Failed"
    await story.holds(MISMATCH, 10)
    story.behaves("v2", drawn=1)
    await story.until(phase("Canary"), DETECTION)
    await story.until(stable_is("v2"), DETECTION)
    moves = ("AttemptStarted", "StepStarted", "SampleRatioMismatch", "SampleRatioRestored", "SoakStarted")
    await story.recorded(2, *moves, "SoakPassed")


@together
async def test_34_harm_is_taken_back_though_the_split_is_wrong(story: Story) -> None:
    await story.first_version(strategy=LONG, analysis=ANALYSIS)
    story.behaves("v2", drawn=3)
    await story.release("v2")
    await story.until(MISMATCH, DETECTION)
    story.behaves("v2", drawn=3, violation=0.9)
    found = await story.until(phase("Reverted"))
    assert [item.version for item in found.status.quarantine] == ["v2"]
    moves = ("AttemptStarted", "StepStarted", "SampleRatioMismatch", "GateFailed", "GateFailed")
    await story.recorded(2, *moves)


@together
async def test_34_other_steps_are_a_way_out(story: Story) -> None:
    await story.first_version(strategy=LONG, analysis=ANALYSIS)
    story.behaves("v2", drawn=3)
    await story.release("v2")
    await story.until(MISMATCH, DETECTION)
    await story.edit(strategy={"steps": [{"name": "full", "full": {"soakSeconds": 1}, "minTasks": 5}]})
    await story.until(stable_is("v2"))


@pytest.fixture
async def alone(landscape: Landscape) -> AsyncIterator[Operator]:
    """An operator for one test, which may end it, while the ordinary one rests."""
    await landscape.rest()
    operator = landscape.another()
    await operator.start()
    yield operator
    operator.program.kill()
    await operator.close()


async def test_34_a_restart_forgets_neither_the_mismatch_nor_what_was_counted(
    new_story: NewStory, alone: Operator
) -> None:
    story = await new_story()
    await story.first_version(strategy=LONG, analysis=ANALYSIS)
    story.behaves("v2", drawn=3)
    await story.release("v2")
    await story.until(MISMATCH, DETECTION)
    alone.program.kill()
    await alone.start()
    await story.holds(MISMATCH, 10)
    told = await story.rollout()
    assert told.status.attempt is not None
    assert told.status.attempt.reason == "SampleRatioMismatch", "it was recorded once"


async def _stored(story: Story) -> Any:
    return await story.land.api.get(grouped(INTERLOCK, story.namespace, "rollouts", objects.NAME))

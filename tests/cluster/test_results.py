"""Story 35: what came of an attempt is on its Release, though the operator was killed on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest

from interlock.model.rollout import Rollout
from tests.cluster import objects
from tests.cluster.api import INTERLOCK, Manifest, grouped
from tests.cluster.conftest import NewStory
from tests.cluster.landscape import Landscape
from tests.cluster.operator import Operator
from tests.cluster.story import Story, clock_runs, healthy, phase
from tests.cluster.waiting import until

KPI = "verified-success-rate"
EXPECTED = {"expected": [{"metric": KPI, "direction": "Increase", "byPercent": "5"}]}
TOLERANT = {**objects.SUCCESS, "compare": {"worseByPoints": "50"}}
STEPS = {"steps": [{**objects.HELD, "minDurationSeconds": 12}, objects.FULL]}


@pytest.fixture
async def alone(landscape: Landscape) -> AsyncIterator[Operator]:
    """An operator for one test, which may end it, while the ordinary one rests."""
    await landscape.rest()
    operator = landscape.another()
    await operator.start()
    yield operator
    operator.program.kill()
    await operator.close()


async def expecting(story: Story, version: str) -> None:
    """A release whose author says what it is to do."""
    await story.apply(objects.agent_version(version, change=EXPECTED))
    await story.go_to(version)


def has_measured(found: Rollout) -> bool:
    """The lift is known, and told in the status."""
    result = found.status.attempt.result if found.status.attempt else None
    return result is not None and any(lift.metric == KPI and lift.lift for lift in result.lifts)


def candidate_outcomes(found: Rollout) -> int:
    assert found.status.attempt is not None
    assert found.status.attempt.result is not None
    return next(
        lift.candidate_outcomes or 0 for lift in found.status.attempt.result.lifts if lift.metric == KPI
    )


async def release(story: Story, attempt: int) -> Manifest:
    """The record of one attempt."""
    return next(r for r in await story.all("Release") if r["header"]["attempt"] == attempt)


async def cleared(story: Story, attempt: int) -> dict[str, Any]:
    """What came of it, once the version that left is gone for good."""

    async def says_so() -> bool:
        return "clearedTime" in (await release(story, attempt)).get("result", {})

    await until(says_so, 30, f"attempt {attempt} to be cleared")
    found: dict[str, Any] = (await release(story, attempt))["result"]
    return found


def times(result: dict[str, Any]) -> list[str]:
    """Names of the times that are known, in order of time."""
    known = [
        (datetime.fromisoformat(value), name.removesuffix("Time"))
        for name, value in result.items()
        if name.endswith("Time")
    ]
    return [name for _, name in sorted(known)]


async def test_35_a_promotion_shows_its_lift(new_story: NewStory, alone: Operator) -> None:
    story = await new_story()
    await story.first_version(strategy=STEPS)
    story.behaves("v1", success=0.6)
    await expecting(story, "v2")
    before = candidate_outcomes(await story.until(has_measured))
    alone.program.kill()
    await alone.start()
    await story.until(lambda r: has_measured(r) and candidate_outcomes(r) > before)
    assert await alone.value("interlock_kpi_lift", namespace=story.namespace, metric=KPI) > 20
    await story.until(healthy("v2"))
    result = await cleared(story, 2)
    lift = next(one for one in result["lifts"] if one["metric"] == KPI)
    assert (lift["unit"], lift["confidencePercent"], lift["asymptotic"]) == ("Points", 95, True)
    assert float(lift["low"]) <= 40 <= float(lift["high"])
    assert lift["candidateOutcomes"] > before
    assert [(one["verdict"], one["metric"]) for one in result["expected"]] == [("Confirmed", KPI)]
    assert times(result) == ["trafficStarted", "cleared"]
    assert (await story.told()).count("ExpectationsJudged") == 1
    assert await alone.value("interlock_kpi_lift_low", namespace=story.namespace, metric=KPI) == float(
        lift["low"]
    )
    told = await story.kubectl("describe", "release", (await release(story, 2))["metadata"]["name"])
    shown = " ".join(told.split())
    assert f"Message: {lift['message']} Metric: {KPI}" in shown
    assert "Verdict: Confirmed" in shown


async def test_35_a_revert_shows_when_it_was_found_out_stopped_and_cleared(
    new_story: NewStory, alone: Operator
) -> None:
    story = await new_story()
    gates = {"warmupSeconds": 1, "gates": [TOLERANT, objects.CRITICAL]}
    await story.first_version(
        strategy=objects.CANARY_FIRST, analysis=gates, onRevert={"drainDeadlineSeconds": 600}
    )
    story.behaves("v2", success=0.6)
    await expecting(story, "v2")
    await story.until(clock_runs("canary"))
    candidate = await story.candidate()
    for pod in await story.pods(candidate):
        pod.conversations = 1
    await story.until(lambda r: has_measured(r) and candidate_outcomes(r) > 200, 60)
    story.behaves("v2", critical=True)
    await story.until(phase("Reverted"))
    for name in ("detection", "time_to_stop_new"):
        assert await alone.value(f"interlock_{name}_seconds_count", namespace=story.namespace) >= 1
    alone.program.kill()
    await alone.start()
    held = (await release(story, 2))["result"]
    assert times(held) == ["trafficStarted", "harmSince", "detected", "stopped"]
    assert held["expected"][0]["verdict"] == "Refuted"
    for pod in await story.pods(candidate):
        pod.conversations = 0
    result = await cleared(story, 2)
    assert result.pop("clearedReason") == "ConversationsEnded"
    assert times(result)[-1] == "cleared"
    assert held.items() <= result.items()
    await story.until(lambda r: not r.status.draining)
    assert await alone.value("interlock_time_to_restore_seconds_count", namespace=story.namespace) == 1
    await refuses_another_past(story)


async def refuses_another_past(story: Story) -> None:
    """Not even an admin may change what is written."""
    name = (await release(story, 2))["metadata"]["name"]
    path = grouped(INTERLOCK, story.namespace, "releases", name)
    changes: list[dict[str, Any]] = [
        {"detectedTime": "2020-01-01T00:00:00Z"},
        {"lifts": []},
        {"costUSD": None, "stoppedTime": None},
    ]
    for change in changes:
        with pytest.raises(aiohttp.ClientResponseError, match="a Release is a record") as refused:
            await story.land.api.patch(path, {"result": change})
        assert refused.value.status == HTTPStatus.UNPROCESSABLE_ENTITY
    with pytest.raises(aiohttp.ClientResponseError, match="must keep `result`"):
        await story.land.api.patch(path, {"result": None})

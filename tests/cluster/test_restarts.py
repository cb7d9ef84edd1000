"""Stories 26 to 28: an operator that is killed, a second one beside it, and one that was blind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest

from interlock.model.rollout import Rollout
from tests.cluster import lies, objects
from tests.cluster.api import core
from tests.cluster.apiserver import compact_history, without_api_server
from tests.cluster.conftest import NewStory
from tests.cluster.landscape import Landscape
from tests.cluster.objects import CANARY_FIRST
from tests.cluster.operator import Operator
from tests.cluster.seen import has_seen, stable_is, tasks_of
from tests.cluster.story import Story, clock_runs, healthy, measured, phase
from tests.cluster.waiting import until

GATES = {"warmupSeconds": 1, "gates": [objects.VIOLATIONS, objects.CRITICAL]}


@pytest.fixture
async def alone(landscape: Landscape) -> AsyncIterator[Operator]:
    """An operator for one test, which may end it, while the ordinary one rests; it lists all every 3 s."""
    await landscape.rest()
    operator = landscape.another("--relist=3")
    await operator.start()
    yield operator
    operator.program.kill()
    await operator.close()


# ------------------------------------------------------------------ 26
async def test_26_killed_in_a_canary_the_evidence_goes_on_though_prometheus_has_lost_it(
    new_story: NewStory, alone: Operator
) -> None:
    """What was seen in the first canary is in the checkpoint that was written with the step to the second."""
    story = await new_story()
    first = {**objects.CANARY, "minTasks": 40, "minDurationSeconds": 1}
    steps = [first, {**objects.HELD, "name": "half"}, objects.FULL]
    await story.first_version(strategy={"steps": steps}, analysis=GATES)
    await story.release("v2")
    await story.until(clock_runs("half"))
    candidate = await story.candidate()
    await story.until(has_seen("violations", 60))
    await written_down_after(story, move=3)
    alone.program.kill()
    before = (await story.rollout()).status.attempt
    family = "ai_agent_tasks_total"
    at_the_kill = story.land.agents.served(story.namespace, candidate, family)
    story.land.relay.lies[story.namespace] = lies.forgets_before(time.time())
    await story.scraped(3)
    await alone.start()
    await story.scraped(2)
    story.traffic(0)
    await story.scraped(3)
    total = story.land.agents.served(story.namespace, candidate, family)
    await story.until(has_seen("violations", int(total - at_the_kill) + 40))
    found = await story.rollout()
    assert found.status.attempt is not None
    assert before is not None
    assert (found.status.attempt.seq, found.status.attempt.number) == (before.seq, before.number)
    assert tasks_of(found, "violations") <= total
    await story.recorded(2, "AttemptStarted", "StepStarted", "StepStarted")


async def written_down_after(story: Story, move: int) -> None:
    """The evidence has been written down since that move of the attempt."""
    path = core(story.namespace, "configmaps", f"{objects.NAME}-evidence")
    history = story.land.witness.history(story.namespace, "Rollout")
    attempts = ((seen.version, Rollout.read(seen.manifest).status.attempt) for seen in history)
    version = next(at for at, attempt in attempts if attempt and (attempt.number, attempt.seq) == (2, move))

    async def is_newer() -> bool:
        manifest = await story.land.api.get(path)
        return manifest is not None and int(manifest["metadata"]["resourceVersion"]) > version

    await until(is_newer, 20, "evidence to be written down", story.land.operator_log)


# ------------------------------------------------------------------ 27
@pytest.fixture
async def second(landscape: Landscape, operator: Operator) -> AsyncIterator[Operator]:
    """Another operator beside the ordinary one."""
    other = landscape.another()
    await other.start()
    yield other
    await other.stop()


async def test_27_two_operators_make_no_move_twice(
    new_story: NewStory, operator: Operator, second: Operator
) -> None:
    good, bad, superseded = [await new_story() for _ in range(3)]
    await asyncio.gather(promoted(good), taken_back(bad), replaced(superseded))
    for one in (operator, second):
        assert await one.writes() > 0
        assert await one.probe("livez") == 200
        assert "Traceback" not in one.program.log.read_text()


async def promoted(story: Story) -> None:
    """Story 2."""
    await story.first_version()
    await story.release("v2")
    await story.until(healthy("v2"), 60)
    walked = ["AttemptStarted", "StepStarted", "StepStarted", "SoakStarted", "SoakPassed"]
    await story.recorded(2, *walked)
    await story.only_serves("v2")
    assert sorted(await story.told()) == sorted(["AttemptStarted", "FirstVersionServing", *walked])


async def taken_back(story: Story) -> None:
    """Story 13."""
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(measured("violations"))
    story.behaves("v2", violation=1.0)
    found = await story.until(phase("Reverted"))
    assert [one.version for one in found.status.quarantine] == ["v2"]
    await story.recorded(2, "AttemptStarted", "StepStarted", "GateFailed", "GateFailed")
    await story.only_serves("v1")


async def replaced(story: Story) -> None:
    """Story 5."""
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    await story.release("v3")
    await story.recorded(2, "AttemptStarted", "StepStarted", "Superseded", "Superseded")
    await story.recorded(3, "AttemptStarted", "StepStarted")
    await story.go_to("v1")
    await story.until(healthy("v1"))


# ------------------------------------------------------------------ 28
async def test_28_what_happened_while_nobody_watched_is_found_by_listing(
    new_story: NewStory, alone: Operator
) -> None:
    deleted, changed, created = [await new_story() for _ in range(3)]
    await asyncio.gather(
        deleted.first_version(strategy=CANARY_FIRST), changed.first_version(strategy=objects.QUICK)
    )
    await deleted.release("v2")
    await deleted.until(clock_runs("canary"))

    cluster = deleted.land.cluster
    os.kill(alone.program.pid, signal.SIGSTOP)
    await without_api_server(cluster, 0.5)  # with its watches, whose events would wait in the sockets
    await deleted.kubectl("delete", "rollout", objects.NAME)
    await asyncio.gather(changed.release("v2"), created.begin("v1"))
    await compact_history(cluster)
    await without_api_server(cluster, 0.5)  # with the history that it keeps itself
    os.kill(alone.program.pid, signal.SIGCONT)

    await asyncio.gather(created.until(healthy("v1")), changed.until(stable_is("v2")))

    async def noticed() -> bool:
        return await alone.value("interlock_relist_missed_total", kind="Rollout") > 0

    await until(noticed, 20, "the deletion to be noticed", alone.program.tail)
    asked = deleted.land.relay.queries[deleted.namespace]
    await deleted.scraped(3)
    assert deleted.land.relay.queries[deleted.namespace] == asked, "nothing runs for a deleted object"
    assert await deleted.all("Rollout") == []

    await deleted.sync()
    await deleted.until(clock_runs("canary"))
    found = await deleted.rollout()
    assert found.status.stable is not None
    assert found.status.stable.version == "v1", "it is known from the Releases"

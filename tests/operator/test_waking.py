"""When a Rollout is looked at again: a pass must not leave work behind that no event will recall."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from interlock.operator import app, feed, routing
from interlock.operator.app import REVERTS_ALONE
from interlock.operator.queue import Queue
from tests.scenarios.given import HARMFUL, served, trying
from tests.scenarios.objects import agent_version
from tests.scenarios.surroundings import NAMESPACE
from tests.scenarios.world import World

KEY = ("Rollout", NAMESPACE, "triage")


async def test_what_waited_for_the_record_goes_on_once_it_is_written() -> None:
    """As after a crash between the status and the record, with the next version already named."""
    world = await served()
    (release,) = await world.releases()
    await world.objects.replace({**release, "entries": release["entries"][:-1]})
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    assert await world.operator.reconciler.reconcile(KEY) == timedelta(0), "our own write tells nobody"
    assert await world.reasons(1) == ["AttemptStarted", "FirstVersionServing"]
    await world.operator.reconciler.reconcile(KEY)
    found = await world.rollout()
    assert found.status.candidate is not None
    assert found.status.candidate.version == "v2"


async def test_at_rest_nobody_is_woken() -> None:
    world = await served()
    assert await world.operator.reconciler.reconcile(KEY) is None


async def test_the_watch_begins_when_what_was_listed_has_had_its_first_look() -> None:
    world = await served()
    operator, stop = world.start_operator().operator, asyncio.Event()
    looked_at: list[object] = []

    async def watch(heard: object, stop: asyncio.Event) -> None:
        marks = {"namespace": NAMESPACE, "rollout": "triage", "agent": "triage"}
        marks |= {"stable": "v1", "phase": "Healthy"}
        looked_at.append(operator.telemetry.registry.get_sample_value("interlock_rollout_info", marks))

    await asyncio.wait_for(operator.run(stop, watch), 10)
    assert looked_at == [1.0]
    assert stop.is_set(), "without a watch there is no operator"


async def test_what_was_deleted_before_the_watch_began_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch tells of all that it finds; of what is gone by then it cannot."""
    monkeypatch.setattr(app, "FIRST_RELIST", 0.01)
    world = await served()
    operator, found = world.start_operator().operator, asyncio.Event()

    async def watch(heard: feed.Listener, _: asyncio.Event) -> None:
        assert operator.cache.get(*KEY)
        operator.cache.observers.append(lambda _, kept: None if kept else found.set())
        world.objects.listeners.clear()  # nothing is told but what is listed below
        await world.objects.delete("Rollout", NAMESPACE, "triage", (await world.rollout()).metadata.uid)
        for kind in feed.WATCHED:
            for manifest in await world.objects.list(kind):
                heard("", manifest)
        await found.wait()

    await asyncio.wait_for(operator.run(asyncio.Event(), watch), 10)


async def test_nothing_is_listed_again_when_the_watch_has_told_of_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "FIRST_RELIST", 0.01)
    world = await served()
    operator, listed = world.start_operator().operator, []

    async def again() -> None:
        listed.append("all")

    async def watch(heard: feed.Listener, _: asyncio.Event) -> None:
        monkeypatch.setattr(operator, "list_all", again)
        for kind in feed.WATCHED:
            for manifest in await world.objects.list(kind):
                heard("", manifest)
        await asyncio.sleep(0.1)

    await asyncio.wait_for(operator.run(asyncio.Event(), watch), 10)
    assert listed == []


async def test_a_harmful_candidate_is_off_the_route_before_that_is_recorded() -> None:
    """A hundred may turn back at once: the routes of all come before the record of any."""
    world = await trying("v2", "Canary")
    world.behaviour["v2"] = HARMFUL
    assert await _writes_of_the_pass_that_turns_back(world) == ["Rollout", "HTTPRoute"]
    assert await world.weights() == [100, 0]
    world.faults.writes.clear()
    await world.operator.reconciler.reconcile(KEY)
    assert {write.kind for write in world.faults.writes} == {"Event", "Release"}


async def test_what_follows_waits_until_no_more_candidates_are_taken_back() -> None:
    world = await trying("v2", "Canary")
    world.behaviour["v2"] = HARMFUL
    moment = 0.0
    queue = world.operator.queue = Queue(lambda: moment)
    await _writes_of_the_pass_that_turns_back(world)
    another = ("Rollout", NAMESPACE, "another")
    queue.add(KEY)
    queue.add(another, urgent=True)
    assert await queue.take() == another
    assert queue.idle.is_set() is False
    record = asyncio.create_task(queue.take())
    await asyncio.wait_for(queue.idle.wait(), 5)
    moment = REVERTS_ALONE
    queue.done(another)
    assert await asyncio.wait_for(record, 5) == KEY


async def _writes_of_the_pass_that_turns_back(world: World) -> list[str]:
    """Kinds of what was written, in order; time goes on until it comes to that."""
    for _ in range(60):
        world.now += timedelta(seconds=world.settings.tick)
        world.work(world.settings.tick)
        world.scrape()
        await world.operator.evidence.look(await world.rollout())
        world.faults.writes.clear()
        assert await world.operator.reconciler.reconcile(KEY) is not None
        kinds = [write.kind for write in world.faults.writes]
        if "HTTPRoute" in kinds:
            return kinds
    raise AssertionError("it was not taken back")


async def test_a_version_that_comes_again_wakes_who_remembers_it_under_whatever_name_it_asks_for() -> None:
    """A Rollout whose baseline is missing waits for a version that no field of it names."""
    world = await served()
    coming, other = agent_version("v0"), agent_version("w1", agent="billing")
    assert KEY in routing.concerned(world.operator.cache, coming)
    assert KEY not in routing.concerned(world.operator.cache, other)

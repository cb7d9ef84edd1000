"""Story 26: killed before and after a write of each kind, the operator comes to the same end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable

import pytest

from tests.cluster import objects
from tests.cluster.conftest import NewStory
from tests.cluster.kill.plans import Plans, Side
from tests.cluster.landscape import Landscape
from tests.cluster.namespaces import namespace_of
from tests.cluster.objects import CANARY_FIRST
from tests.cluster.seen import attempt_is
from tests.cluster.story import Story, clock_runs, healthy, phase

SIDES: tuple[Side, ...] = ("before", "after")
PATIENCE = 150.0
"""Seconds for a story in which the operator is started again a dozen times."""
TOGETHER = 8
"""Stories at a time in the whole matrix: each is also killed by the plans of the others."""

Told = Callable[[Story], Awaitable[None]]
Ready = Callable[[Story], Awaitable[None]]


# ------------------------------------------------------------------ the stories
async def before_promotion(story: Story) -> None:
    await story.first_version()


async def promotion(story: Story) -> None:
    """Story 2, from the release to rest."""
    await story.release("v2")
    found = await story.until(healthy("v2"), PATIENCE)
    assert found.status.quarantine == ()
    walked = ["AttemptStarted", "StepStarted", "StepStarted", "SoakStarted", "SoakPassed"]
    await story.recorded(2, *walked)
    await story.only_serves("v2")
    assert sorted(await story.told()) == sorted(["AttemptStarted", "FirstVersionServing", *walked])


async def before_revert(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    story.behaves("v2", violation=1.0)


async def revert(story: Story) -> None:
    """Story 13, from the release to rest."""
    await story.release("v2")
    found = await story.until(phase("Reverted"), PATIENCE)
    assert found.status.stable is not None
    assert found.status.stable.version == "v1"
    assert [item.version for item in found.status.quarantine] == ["v2"]
    await story.recorded(2, "AttemptStarted", "StepStarted", "GateFailed", "GateFailed")
    await story.only_serves("v1")
    moved = ["AttemptStarted", "StepStarted", "GateFailed", "TrafficStopped"]
    assert sorted(await story.told()) == sorted(["AttemptStarted", "FirstVersionServing", *moved])


async def before_canary(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)


async def superseding(story: Story) -> None:
    """Story 5, from the release of v2 to the canary of v3."""
    await story.release("v2")
    await story.until(clock_runs("canary"), PATIENCE)
    await story.release("v3")
    await story.until(attempt_is(3, "Canary"), PATIENCE)
    await story.until(clock_runs("canary"), PATIENCE)
    await story.recorded(2, "AttemptStarted", "StepStarted", "Superseded", "Superseded")
    await story.recorded(3, "AttemptStarted", "StepStarted")
    assert (await story.rollout()).status.quarantine == ()
    half = {await story.stable(): 50, await story.candidate(): 50}
    assert story.weights() == half


async def before_soak(story: Story) -> None:
    await story.first_version(strategy={"steps": [{**objects.FULL, "full": {"soakSeconds": 3600}}]})
    story.behaves("v2", violation=1.0)


async def failing_soak(story: Story) -> None:
    """Story 17, from the release to rest."""
    await story.release("v2")
    found = await story.until(phase("Reverted"), PATIENCE)
    assert [item.version for item in found.status.quarantine] == ["v2"]
    await story.recorded(2, "AttemptStarted", "SoakStarted", "GateFailed", "GateFailed")
    await story.only_serves("v1")


STORIES: dict[str, tuple[Ready, Told, tuple[str, ...]]] = {
    "2": (
        before_promotion,
        promotion,
        (
            "apply ConfigMap",
            "apply Deployment",
            "apply Service",
            "apply HTTPRoute: forward",
            "status: begin",
            "status: advance",
            "status: done",
            "create Release",
            "append Release",
            "create Event",
            "delete Deployment",
        ),
    ),
    "13": (before_revert, revert, ("status: revert", "apply HTTPRoute: revert", "status: done")),
    "5": (before_canary, superseding, ("status: revert", "apply HTTPRoute: revert", "status: done")),
    "17": (before_soak, failing_soak, ("status: revert", "apply HTTPRoute: revert", "status: done")),
}
"""What comes before the kills, what is told, and the kinds of write that are new in it."""


async def test_26_killed_once_at_each_kind_of_write(new_story: NewStory, plans: Plans) -> None:
    async def tell(name: str, side: Side) -> None:
        ready, told, kinds = STORIES[name]
        story = await new_story()
        await ready(story)
        plans.at_kinds(story.namespace, kinds, side)
        await told(story)
        assert sorted(plans.kills(story.namespace)) == sorted(kinds), f"story {name}, {side}"

    await asyncio.gather(*(tell(name, side) for name in STORIES for side in SIDES))


@pytest.mark.every_write
@pytest.mark.parametrize("name", STORIES)
async def test_26_killed_at_every_write(landscape: Landscape, plans: Plans, name: str) -> None:
    ready, told, _ = STORIES[name]
    failures: list[str] = []

    async def case(number: int, side: Side) -> int:
        async with namespace_of(landscape) as story:
            try:
                await ready(story)
                plans.at_number(story.namespace, number, side)
                await told(story)
                landscape.witness.judge(story.namespace)
            except AssertionError as error:
                killed = plans.kills(story.namespace)
                failures.append(
                    f"=== killed {side} write {number} {killed}: {error}\n{await story.diagnosis()}"
                )
            return len(plans.writes(story.namespace))

    writes = await case(0, "before")
    for some in _batches(itertools.product(range(1, writes + 1), SIDES), TOGETHER):
        await asyncio.gather(*(case(number, side) for number, side in some))
    assert not failures, "\n".join(failures)


def _batches(cases: Iterable[tuple[int, Side]], size: int) -> Iterable[list[tuple[int, Side]]]:
    remaining = iter(cases)
    while some := list(itertools.islice(remaining, size)):
        yield some

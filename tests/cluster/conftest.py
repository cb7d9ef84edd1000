"""One landscape for the folder, one namespace a story; a failure tells what the cluster looked like."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Generator

import pytest

from dev.cluster import Cluster
from tests.cluster.api import core
from tests.cluster.landscape import Landscape
from tests.cluster.operator import Operator
from tests.cluster.story import Story


@pytest.fixture(scope="package")  # no operator may run while other folders write status by hand
async def landscape(
    control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Landscape]:
    """Node, gateway, agents and Prometheus; no operator yet."""
    land = Landscape(control_plane, tmp_path_factory.mktemp("landscape"))
    async with land.living():
        yield land
        await land.rest()


@pytest.fixture
async def operator(landscape: Landscape) -> Operator:
    """The operator's process, one a session."""
    return await landscape.operate()


FAILED = pytest.StashKey[bool]()
NewStory = Callable[[], Awaitable[Story]]


@pytest.fixture
async def new_story(landscape: Landscape, request: pytest.FixtureRequest) -> AsyncIterator[NewStory]:
    """Namespaces of the test's own. Afterwards all that happened in them is judged, and they are deleted."""
    stories: list[Story] = []

    async def create() -> Story:
        stories.append(await _begun(landscape))
        return stories[-1]

    yield create
    failed = request.node.stash.get(FAILED, False)
    try:
        for story in stories:
            if failed:
                request.node.add_report_section("teardown", story.namespace, await story.diagnosis())
            else:
                landscape.witness.judge(story.namespace)
    finally:
        await asyncio.gather(*(_ended(landscape, story) for story in stories))


@contextlib.asynccontextmanager
async def namespace_of(landscape: Landscape) -> AsyncIterator[Story]:
    """A story within a test of many; its namespace goes with it."""
    story = await _begun(landscape)
    try:
        yield story
    finally:
        await _ended(landscape, story)


async def _begun(landscape: Landscape) -> Story:
    name = f"story-{secrets.token_hex(4)}"
    await landscape.api.post(core("", "namespaces"), {"metadata": {"name": name}})
    return Story(landscape, name)


async def _ended(landscape: Landscape, story: Story) -> None:
    story.traffic(0)
    await landscape.api.delete(core("", "namespaces", story.namespace))


@pytest.fixture
async def story(new_story: NewStory, operator: Operator) -> Story:
    """One namespace, looked after by the operator."""
    return await new_story()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know that their test failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or (call.when == "call" and report.failed)
    return report

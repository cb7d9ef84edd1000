"""One landscape for the folder, one namespace a story; a failure tells what the cluster looked like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator

import pytest

from dev.cluster import Cluster
from tests.cluster.chorus import TALE, Chorus
from tests.cluster.landscape import Landscape
from tests.cluster.namespaces import begun, ended
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
        stories.append(await begun(landscape))
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
        await asyncio.gather(*(ended(landscape, story) for story in stories))


@pytest.fixture
async def story(new_story: NewStory, operator: Operator) -> Story:
    """One namespace, looked after by the operator."""
    return await new_story()


@pytest.fixture(scope="module")
async def chorus(landscape: Landscape, request: pytest.FixtureRequest) -> AsyncIterator[Chorus]:
    """The stories of the module that are told together, as far as they were chosen."""
    await landscape.operate()
    chosen = (item for item in request.session.items if isinstance(item, pytest.Function))
    tests = [item.function for item in chosen if item.module is request.module]
    singers = Chorus(landscape, [getattr(test, TALE) for test in tests if hasattr(test, TALE)])
    yield singers
    await singers.silence()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know that their test failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or (call.when == "call" and report.failed)
    return report

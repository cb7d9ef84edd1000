"""One node and one operator for all stories. A module tells one story once, its tests look at what happened.

A module's `tell(stage)` does and sees; its tests get what it returned as `told`. Stories run side by side,
two at a time (each asks 20 tasks a second); those whose module says `ALONE = True` only after all others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from dev.cluster import Cluster, ClusterError, up
from dev.demo import image
from dev.demo.agent.catalogue import Catalogue, read_catalogue
from dev.demo.data import catalogue_file
from tests.e2e.measured import MEASURED, Measured
from tests.e2e.operator_process import Operator
from tests.e2e.place import Stage
from tests.e2e.prometheus import Prometheus
from tests.e2e.watch import administrator

HERE = Path(__file__).parent
INSTALL = HERE.parents[1] / "manifests" / "install.yaml"
SIDE_BY_SIDE = 2

Tell = Callable[[Stage], Awaitable[Any]]


@pytest.fixture(scope="session")
def node() -> Iterator[Cluster]:
    """Real pods, gateway and Prometheus with Interlock installed; fails in a sentence where it cannot."""
    cluster = _up()
    try:
        cluster.load_image(image.archive())
        cluster.kubectl("apply", "--server-side", "-f", str(INSTALL))
        cluster.kubectl(
            "wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/name=interlock"
        )
        yield cluster
    finally:
        cluster.down()


def _up() -> Cluster:
    try:
        return up(f"e2e-{os.getpid()}", "node", owner=os.getpid())
    except ClusterError as error:
        reason = str(error)
    pytest.fail(reason, pytrace=False)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The questions that clients ask."""
    return read_catalogue(catalogue_file())


@pytest.fixture(scope="session")
async def stage(
    node: Cluster, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """The node with an operator at work."""
    operator = Operator(node, tmp_path_factory.mktemp("operator"))
    assert node.prometheus_url is not None
    try:
        await operator.start()
        async with (
            administrator(node.kubeconfig) as api,
            httpx.AsyncClient(base_url=node.prometheus_url, timeout=30, trust_env=False) as prometheus,
        ):
            yield Stage(node, api, Prometheus(prometheus), operator, catalogue)
    finally:
        await operator.stop()


class Programme:
    """Tells each story once, whoever asks for it first."""

    def __init__(self, stage: Stage, modules: list[ModuleType]) -> None:
        self._stage = stage
        self._seats = asyncio.Semaphore(SIDE_BY_SIDE)
        self._raised: set[asyncio.Task[Any]] = set()
        longest_first = sorted(modules, key=lambda module: -float(getattr(module, "LASTS", 0)))
        together = [module for module in longest_first if not _alone(module)]
        self._tasks = {
            module.__name__: asyncio.create_task(self._in_turn(module.tell)) for module in together
        }
        for module in modules:
            if _alone(module):
                before = list(self._tasks.values())
                self._tasks[module.__name__] = asyncio.create_task(self._after(before, module.tell))

    async def _in_turn(self, tell: Tell) -> Any:
        async with self._seats:
            return await tell(self._stage)

    async def _after(self, others: list[asyncio.Task[Any]], tell: Tell) -> Any:
        if others:
            await asyncio.wait(others)
        return await tell(self._stage)

    async def told(self, module: ModuleType) -> Any:
        """What the story of that module returned; raises what broke it, in full once."""
        task = self._tasks[module.__name__]
        if task in self._raised:
            pytest.fail("the story broke off: see the first test of this module", pytrace=False)
        await asyncio.wait([task])
        if task.exception() is not None:
            self._raised.add(task)
        return task.result()

    async def close(self) -> None:
        """Breaks off what still runs."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _alone(module: ModuleType) -> bool:
    return bool(getattr(module, "ALONE", False))


@pytest.fixture(scope="session")
async def programme(request: pytest.FixtureRequest, stage: Stage) -> AsyncIterator[Programme]:
    """The stories of all tests that were selected, begun."""
    modules = {
        item.module.__name__: item.module
        for item in request.session.items
        if isinstance(item, pytest.Function) and "told" in item.fixturenames and item.path.parent == HERE
    }
    running = Programme(stage, list(modules.values()))
    try:
        yield running
    finally:
        await running.close()


@pytest.fixture
async def told(request: pytest.FixtureRequest, programme: Programme) -> Any:
    """What happened in this module's story."""
    return await programme.told(request.module)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails on what was told shows what there was to see when the story ended."""
    report = yield
    account = getattr(getattr(item, "funcargs", {}).get("told"), "account", "")
    if report.failed and account:
        report.sections.append(("what there was to see", account))
    return report


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Notes a figure for the end of the run."""
    return lambda line: request.node.user_properties.append((MEASURED, line))

"""Each contract runs twice: on the port in memory, and on the real thing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from dev.cluster import Cluster
from dev.cluster.control_plane import free_ports
from dev.cluster.versions import OLD_PROMETHEUS_PROGRAM, PROMETHEUS_PROGRAM, GoProgram
from interlock.adapters.prometheus import PrometheusMetrics
from tests.cluster.prometheus import prometheus
from tests.cluster.waiting import until
from tests.contracts.stores import (
    Exporter,
    InMemory,
    MetricStore,
    ObjectStore,
    OnApiServer,
    Remembered,
    Scraped,
)


@pytest.fixture(params=["memory", "API server"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[ObjectStore]:
    """Objects, and a namespace of the test's own."""
    if request.param == "memory":
        yield InMemory("shop")
        return
    real = await _on_api_server(request)
    yield real
    await real.objects.close()


@pytest.fixture
async def api_server(request: pytest.FixtureRequest) -> AsyncIterator[OnApiServer]:
    """For what the port in memory does not do: refuse."""
    real = await _on_api_server(request)
    yield real
    await real.objects.close()


async def _on_api_server(request: pytest.FixtureRequest) -> OnApiServer:
    cluster: Cluster = request.getfixturevalue("control_plane")
    return OnApiServer(cluster, request.getfixturevalue("namespace"))


SCRAPED = {"Prometheus 3": "scraped", "Prometheus 2": "scraped_by_old"}


@pytest.fixture(params=["memory", *SCRAPED])
def metric_store(request: pytest.FixtureRequest) -> MetricStore:
    """Metrics; tests tell their series apart by the namespace."""
    return Remembered() if request.param == "memory" else request.getfixturevalue(SCRAPED[request.param])


@pytest.fixture(scope="module")
async def scraped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scraped]:
    """A real Prometheus behind an exporter that is told what to say."""
    async with _scraping(tmp_path_factory.mktemp("prometheus"), PROMETHEUS_PROGRAM) as found:
        yield found


@pytest.fixture(scope="module")
async def scraped_by_old(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scraped]:
    """The same, of a version that many still run."""
    async with _scraping(tmp_path_factory.mktemp("prometheus"), OLD_PROMETHEUS_PROGRAM) as found:
        yield found


@asynccontextmanager
async def _scraping(folder: Path, version: GoProgram) -> AsyncIterator[Scraped]:
    exporter, served, silent = Exporter(), *free_ports(2)
    app = web.Application()
    app.add_routes([web.get("/metrics", exporter.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    program = prometheus(folder, served, f"127.0.0.1:{runner.addresses[0][1]}", version)
    address = f"http://127.0.0.1:{served}"
    metrics, broken = PrometheusMetrics(address), PrometheusMetrics(f"http://127.0.0.1:{silent}")
    program.start()
    try:
        await until(lambda: ready(address), 30, "Prometheus to be ready", program.tail)
        yield Scraped(metrics, broken, exporter, address)
    finally:
        program.stop()
        await metrics.close()
        await broken.close()
        await runner.cleanup()
        await asyncio.sleep(0)  # one turn of the loop: connections are closed in it


async def ready(address: str) -> bool:
    """Whether Prometheus answers there."""
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        try:
            return (await client.get("/-/ready")).is_success
        except httpx.HTTPError:
            return False


@pytest.fixture
def shop() -> str:
    """A value of the label `namespace` that nobody else uses."""
    return f"shop-{secrets.token_hex(4)}"

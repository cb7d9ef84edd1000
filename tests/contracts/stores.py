"""The two fillings of each port, and how a test puts in what is not the operator's to write."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx
import yaml
from aiohttp import web

from dev.cluster import Cluster
from interlock.adapters.kubernetes import Connection, KubernetesObjects
from interlock.adapters.memory import MemoryMetrics, MemoryObjects
from interlock.ports import Metrics, Objects

Manifest = dict[str, Any]
Sample = tuple[dict[str, str], float]


# ------------------------------------------------------------------ objects
class ObjectStore(Protocol):
    """`objects` is what is under test."""

    namespace: str

    @property
    def objects(self) -> Objects: ...

    async def given(self, manifest: Manifest) -> None:
        """A user has created this."""


class InMemory:
    """`ports.Objects` in memory."""

    def __init__(self, namespace: str) -> None:
        self.objects = MemoryObjects()
        self.namespace = namespace

    async def given(self, manifest: Manifest) -> None:
        await self.objects.create(manifest)


class OnApiServer:
    """`ports.Objects` on the real API server, as the operator's own service account."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self.objects = KubernetesObjects(
            connection(cluster.kubeconfig_for("interlock-operator", "interlock-system"))
        )
        self.namespace = namespace

    async def given(self, manifest: Manifest) -> None:
        await asyncio.to_thread(self._cluster.kubectl, "create", "-f", "-", stdin=yaml.safe_dump(manifest))


def connection(kubeconfig: Path) -> Connection:
    """What a kubeconfig with a token says."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Connection(
        cluster["server"], ssl.create_default_context(cadata=authority), lambda: f"Bearer {user['token']}"
    )


# ------------------------------------------------------------------ metrics
class MetricStore(Protocol):
    """`metrics` is what is under test, `broken` the same when nobody answers."""

    @property
    def metrics(self) -> Metrics: ...

    @property
    def broken(self) -> Metrics: ...

    async def scrape(self, *samples: Sample) -> float:
        """One scrape, now; returns its moment in unix seconds."""


class Remembered:
    """`ports.Metrics` in memory."""

    def __init__(self) -> None:
        self.metrics = MemoryMetrics()
        self.broken = MemoryMetrics()
        self.broken.broken = "nobody answers"

    async def scrape(self, *samples: Sample) -> float:
        moment = await _later()
        self.metrics.scrape(moment, samples)
        return moment


class Scraped:
    """`ports.Metrics` on a real Prometheus; `exporter` is what it scrapes."""

    def __init__(self, metrics: Metrics, broken: Metrics, exporter: Exporter, address: str) -> None:
        self.metrics = metrics
        self.broken = broken
        self._exporter = exporter
        self.address = address

    async def scrape(self, *samples: Sample) -> float:
        moment = await _later()
        self._exporter.show(moment, samples)
        deadline = time.monotonic() + 20
        while not await self._holds(moment, samples):
            assert time.monotonic() < deadline, "Prometheus does not scrape"
            await asyncio.sleep(0.1)
        return moment

    async def _holds(self, moment: float, samples: Sequence[Sample]) -> bool:
        """Has Prometheus stored the last of them?"""
        labels, _ = samples[-1]
        asked = {"query": f"timestamp({_selector(labels)})", "time": f"{moment:.3f}"}
        async with httpx.AsyncClient(base_url=self.address, trust_env=False) as client:
            found = (await client.post("/api/v1/query", data=asked)).json()
        return any(float(one["value"][1]) == moment for one in found["data"]["result"])


class Exporter:
    """Says what it was told to, with the time at which it was so."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, moment: float, samples: Sequence[Sample]) -> None:
        lines = [f"{_selector(labels)} {value!r} {round(moment * 1000)}" for labels, value in samples]
        self._text = "\n".join(lines) + "\n"

    async def answer(self, _: web.Request) -> web.Response:
        """GET /metrics."""
        return web.Response(text=self._text)


def _selector(labels: dict[str, str]) -> str:
    """As the exposition format and PromQL both write it."""
    name = labels["__name__"]
    shown = (f'{k}="{_escaped(v)}"' for k, v in labels.items() if k != "__name__")
    return f"{name}{{{','.join(shown)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


async def _later() -> float:
    """A moment of its own, in whole milliseconds as Prometheus keeps them."""
    await asyncio.sleep(0.01)
    return round(time.time(), 3)

"""Answers and servers on loopback that the tests of the reader are told with."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from interlock.adapters.prometheus import PrometheusMetrics
from interlock.core.observation import Unreadable
from interlock.ports import Samples, Selection

TASKS = "ai_agent_tasks_total"
SELECTION = Selection(frozenset({TASKS, "up"}), "shop", "triage", 1_000_000.5, 30.0)
LABELS = {"__name__": TASKS, "namespace": "shop", "agent": "triage", "pod": "a-1"}
MOMENT = 1_000_000.0
"""A time, unix seconds, that lies in the window of SELECTION."""


def matrix(*values: Any, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A well-formed answer with one series."""
    series = {"metric": LABELS if labels is None else labels, "values": list(values)}
    return {"status": "success", "data": {"resultType": "matrix", "result": [series]}} | more


def of_type(kind: str, result: Any) -> dict[str, Any]:
    """An answer with another kind of result."""
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def as_prometheus_writes(answer: Any) -> bytes:
    """Without any space."""
    return json.dumps(answer, separators=(",", ":")).encode()


def points(found: Samples | Unreadable) -> list[tuple[float, float]]:
    """All samples, whichever series they are of."""
    assert isinstance(found, Samples), found
    return [point for series in found.series for point in series.points]


def of(
    agent: str,
    window: float = 10.0,
    at: float = 1000.0,
    namespace: str = "shop",
    families: frozenset[str] = frozenset({TASKS}),
) -> Selection:
    """A read."""
    return Selection(families, namespace, agent, at, window)


# ------------------------------------------------------------------ a server that does what a script says
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(script: Script) -> AsyncIterator[str]:
    """A TCP server that reads a request's head and then does what the script says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()


def saying(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> Script:
    """One whole HTTP answer."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
        writer.write("\r\n".join([*head, "Connection: close", "", ""]).encode() + body)
        await writer.drain()

    return script


# ------------------------------------------------------------------ a Prometheus in small
Answer = Callable[[list[str]], Awaitable[web.Response | None]]


class Answering:
    """Knows one sample a second of every agent in every namespace, and what it was asked.

    `lies` is told the agents of a query and may answer in its place.
    """

    def __init__(self, lies: Answer | None = None) -> None:
        self.asked: list[str] = []
        self.agents: list[list[str]] = []
        self.at_once = 0
        self.at_most_at_once = 0
        self.lies = lies
        self.namespaces = ["shop"]

    async def answer(self, request: web.Request) -> web.Response:
        """POST /api/v1/query."""
        self.at_once += 1
        self.at_most_at_once = max(self.at_once, self.at_most_at_once)
        try:
            form = await request.post()
            return await self._answer(str(form["query"]), float(str(form["time"])))
        finally:
            self.at_once -= 1

    async def _answer(self, text: str, at: float) -> web.Response:
        self.asked.append(text)
        agents, families = values(text, "agent"), values(text, "__name__")
        self.agents.append(agents)
        lie = await self.lies(agents) if self.lies else None
        if lie is not None:
            return lie
        samples = [[at - age, str(age)] for age in range(40, -1, -1)]
        result = [
            {
                "metric": {"__name__": family, "namespace": namespace, "agent": agent},
                "values": samples,
            }
            for family in families
            for namespace in self.namespaces
            for agent in agents
        ]
        return web.Response(body=as_prometheus_writes(of_type("matrix", result)))


def values(text: str, label: str) -> list[str]:
    """What a query asks of a label."""
    (found,) = re.findall(rf'[{{,]{label}=~?"((?:[^"\\]|\\.)*)"', text)
    return [value.replace("\\", "") for value in found.split("|")]


@asynccontextmanager
async def knowing(server: Answering, patience: float = 5.0) -> AsyncIterator[PrometheusMetrics]:
    """The reader, beside that server."""
    app = web.Application()
    app.add_routes([web.post("/api/v1/query", server.answer)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    metrics = PrometheusMetrics(f"http://127.0.0.1:{runner.addresses[0][1]}", patience)
    try:
        yield metrics
    finally:
        await metrics.close()
        await runner.cleanup()

"""Everything around the stories, once a session: node, gateway, agents, Prometheus, operator."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from dev.cluster import Cluster
from dev.cluster.control_plane import free_ports
from tests.cluster.agents import Agents
from tests.cluster.api import Api
from tests.cluster.gateway import Gateway
from tests.cluster.kubelet import Kubelet
from tests.cluster.operator import Operator
from tests.cluster.prometheus import Relay, prometheus
from tests.cluster.waiting import until
from tests.cluster.witness import Witness


class Landscape:
    """Parts that know of one another only through the API server and HTTP, as in life."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.api = Api(cluster.kubeconfig)
        self.gateway = Gateway(self.api)
        self.agents = Agents(self.gateway)
        self.kubelet = Kubelet(self.api, self.agents)
        self.witness = Witness(self.api)
        exporter, self.prometheus_port = free_ports(2)
        self._exporter = exporter
        self.prometheus = prometheus(folder, self.prometheus_port, f"127.0.0.1:{exporter}")
        self.relay = Relay(f"http://127.0.0.1:{self.prometheus_port}")
        self._account = cluster.kubeconfig_for("interlock-operator", "interlock-system")
        self._relay_port = 0
        self._operators = 0
        self._current: Operator | None = None

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Everything but the operator runs."""
        servers = [
            await _listen(self._exporter, web.get("/metrics", self.agents.answer)),
            await _listen(0, web.post("/api/v1/{what:query|query_range}", self.relay.answer)),
        ]
        self._relay_port = servers[1].addresses[0][1]
        self.prometheus.start()
        parts = (self.kubelet, self.gateway, self.agents, self.witness)
        tasks = [asyncio.create_task(part.run()) for part in parts]
        try:
            await self.gateway.install()
            await until(self._scraped, 30, "Prometheus to scrape", self.prometheus.tail)
            yield
            for task in tasks:
                assert not task.done(), f"{task} ended"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.prometheus.stop()
            for server in servers:
                await server.cleanup()
            await asyncio.sleep(0)  # one turn of the loop: connections are closed in it
            await self.relay.close()
            await self.api.close()

    async def _scraped(self) -> bool:
        assert self.prometheus.ended is None, self.prometheus.tail()
        return self.agents.scrapes > 0

    @staticmethod
    def clock() -> float:
        """The clock of what the witness saw, in seconds."""
        return time.monotonic()

    # ------------------------------------------------------------------ the operator
    @property
    def operator(self) -> Operator:
        """The one that runs."""
        assert self._current is not None, "no operator was started"
        return self._current

    def another(self, *arguments: str, module: str = "interlock.operator") -> Operator:
        """A process that is not started yet. The ordinary one should rest, unless two are the point."""
        self._operators += 1
        log = self.folder / f"operator-{self._operators}.log"
        address = f"http://127.0.0.1:{self._relay_port}"
        return Operator(self._account, address, log, module, arguments)

    async def operate(self) -> Operator:
        """The ordinary operator runs, started if need be."""
        if self._current is None:
            self._current = self.another()
            await self._current.start()
        return self._current

    async def rest(self) -> None:
        """No operator runs."""
        if self._current is not None:
            current, self._current = self._current, None
            await current.stop()

    def operator_log(self) -> str:
        """The last lines of the newest operator."""
        logs = sorted(self.folder.glob("operator-*.log"), key=lambda log: log.stat().st_mtime)
        return "\n".join(logs[-1].read_text(errors="replace").splitlines()[-40:]) if logs else ""


async def _listen(port: int, route: web.RouteDef) -> web.AppRunner:
    app = web.Application(client_max_size=2**20)
    app.add_routes([route])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner

"""What the benchmarks run in: a real API server and a real Prometheus, with everything around them played."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from aiohttp import web

from dev.bench import audit, fleet
from dev.bench.played import Node, Observer, Router, SteadyAgents
from dev.bench.process import Process, cpu_of
from dev.cluster import Cluster, up
from dev.cluster.control_plane import component_processes, free_ports
from dev.cluster.instance import Instance
from tests.cluster.api import Api
from tests.cluster.prometheus import prometheus
from tests.cluster.waiting import until

INSTALL = Path(__file__).parents[2] / "manifests" / "install.yaml"
MANAGER = ("--kube-api-qps=500", "--kube-api-burst=1000")
"""The controller manager's own limit (20 a second) would be what is measured."""


@contextlib.contextmanager
def cluster() -> Iterator[tuple[Cluster, Path]]:
    """A control plane with everything that users install, and the folder of its audit log."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        running = up(
            f"bench-{os.getpid()}",
            "control-plane",
            owner=os.getpid(),
            apiserver_flags=audit.flags(folder),
            controller_manager_flags=MANAGER,
        )
        try:
            running.kubectl("apply", "--server-side", "-f", str(INSTALL))
            running.kubectl(
                "wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/name=interlock"
            )
            yield running, folder
        finally:
            running.down()


class Setting:
    """All parts but the operator, of which one at a time is started."""

    def __init__(self, running: Cluster, folder: Path) -> None:
        self.folder = folder
        self._components = component_processes(Instance(running.name))
        self.api = Api(running.kubeconfig)
        self.router = Router(self.api)
        self.agents = SteadyAgents(self.router)
        self.node = Node(self.api, self.agents)
        self.observer = Observer(self.api)
        self._exporter, self._prometheus_port = free_ports(2)
        self._prometheus = prometheus(folder, self._prometheus_port, f"127.0.0.1:{self._exporter}")
        self._account = running.kubeconfig_for("interlock-operator", "interlock-system")

    @property
    def prometheus(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._prometheus_port}"

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Everything but the operator runs."""
        app = web.Application()
        app.add_routes([web.get("/metrics", self.agents.answer)])
        exporter = web.AppRunner(app, access_log=None)
        await exporter.setup()
        await web.TCPSite(exporter, "127.0.0.1", self._exporter).start()
        self._prometheus.start()
        await fleet.gateway(self.api)
        parts = (self.node, self.router, self.agents, self.observer)
        tasks = [asyncio.create_task(part.run()) for part in parts]
        try:
            await until(self._scraped, 30, "Prometheus to scrape", self._prometheus.tail)
            yield
            for task in tasks:
                assert not task.done(), f"{task} ended: {task.exception()}"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._prometheus.stop()
            await exporter.cleanup()
            await self.api.close()

    def cpu(self) -> Counter[str]:
        """Milliseconds of CPU so far, by component of the control plane, and of what is played here."""
        spent = Counter({name: int(1000 * cpu_of(one.pid)) for name, one in self._components.items()})
        spent["played"] = int(1000 * time.process_time())
        return spent

    async def _scraped(self) -> bool:
        return self.agents.scrapes > 0

    @contextlib.asynccontextmanager
    async def operating(self, **flags: object) -> AsyncIterator[Process]:
        """An operator runs, and has listed everything once."""
        operator = self.operator(**flags)
        try:
            await operator.start()
            yield operator
        finally:
            await operator.stop()

    def operator(self, **flags: object) -> Process:
        """A process that is not started yet."""
        return Process(self._account, self.prometheus, self.folder / "operator.log", **flags)

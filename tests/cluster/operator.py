"""The operator as a process of its own, with its own service account and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from dev.cluster.control_plane import free_ports
from tests.cluster.processes import Program
from tests.cluster.waiting import until

REPOSITORY = Path(__file__).parents[2]
TICK_SECONDS = 1
_WRITES = {"apply", "create", "update", "update_status", "delete"}


class Operator:
    """`python -m interlock.operator`, or another module that runs it."""

    def __init__(
        self,
        kubeconfig: Path,
        prometheus: str,
        log: Path,
        module: str = "interlock.operator",
        arguments: Sequence[str] = (),
    ) -> None:
        (self.port,) = free_ports(1)
        flags = {
            "prometheus": prometheus,
            "host": "127.0.0.1",
            "port": self.port,
            "tick": TICK_SECONDS,
            "scrape-interval": 1,
            "route-margin": 0.2,
            "gates-refresh": 1,
        }
        environment = {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-m", module, *arguments]
        command += [f"--{name}={value}" for name, value in flags.items()]
        self.program = Program(command, log, environment)
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=5, trust_env=False)

    async def start(self) -> None:
        """Start it and wait until it has listed everything once."""
        self.program.start()
        await until(self._ready, 30, "the operator to be ready", self.program.tail)

    async def _ready(self) -> bool:
        assert self.program.ended is None, f"the operator ended:\n{self.program.tail()}"
        return await self.probe("readyz") == httpx.codes.OK

    async def probe(self, name: str) -> int:
        """The status code of a probe; 0 when nobody answers."""
        try:
            return (await self._client.get(f"/{name}")).status_code
        except httpx.HTTPError:
            return 0

    async def stop(self) -> None:
        """SIGTERM; it must end well."""
        code = self.program.stop()
        await self.close()
        assert code == 0, f"the operator ended with {code}:\n{self.program.tail()}"

    async def close(self) -> None:
        """Nothing more is asked of it."""
        await self._client.aclose()

    async def value(self, name: str, **where: str) -> float:
        """The sum of one of its own metrics."""
        text = (await self._client.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and set(where.items()) <= set(sample.labels.items())
        )

    async def writes(self) -> float:
        """Requests to the API server so far that ask for a change."""
        return sum([await self.value("interlock_api_requests_total", verb=verb) for verb in _WRITES])

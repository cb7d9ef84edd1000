"""The operator under test: a process under its own service account that can be killed and started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from dev.cluster import Cluster

QUICK = ("--tick=1", "--scrape-interval=1", "--gates-refresh=1")
"""Seconds: the node's Prometheus scrapes every second."""
_LISTENS = "listening on port "


class Operator:
    """One operator for all stories; its log goes on through every start."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._log = folder / "operator.log"
        access = cluster.kubeconfig_for("interlock-operator", "interlock-system")
        self._environment = os.environ | {"KUBECONFIG": str(access)}
        self._command = [sys.executable, "-m", "interlock.operator", f"--prometheus={cluster.prometheus_url}"]
        self._command += [*QUICK, "--host=127.0.0.1", "--port=0"]
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, within: float = 120) -> None:
        """Returns when /readyz says yes. Raises AssertionError with its last words otherwise."""
        begun = len(self._lines())
        with self._log.open("ab") as log:
            self._process = await asyncio.to_thread(
                subprocess.Popen, self._command, env=self._environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + within
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while not await _is_ready(client, self._port(begun)):
                ended, late = self._process.poll() is not None, time.monotonic() > deadline
                assert not ended, f"the operator ended while it started:\n{self.last_lines()}"
                assert not late, f"the operator was not ready in {within} s:\n{self.last_lines()}"
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """SIGKILL: it has no chance to finish or to write anything."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM, as a kubelet does it; SIGKILL where that is not enough."""
        try:
            await self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            await self.kill()

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            await asyncio.to_thread(self._process.wait, 20)

    def last_lines(self, count: int = 25) -> str:
        """The end of its log, as it wrote it."""
        return "\n".join(self._lines()[-count:])

    def _lines(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines() if self._log.exists() else []

    def _port(self, begun: int) -> int | None:
        for line in self._lines()[begun:]:
            if _LISTENS in line and line.endswith("}"):
                return int(json.loads(line)["message"].removeprefix(_LISTENS))
        return None


async def _is_ready(client: httpx.AsyncClient, port: int | None) -> bool:
    if port is None:
        return False
    try:
        return (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success
    except httpx.HTTPError:
        return False

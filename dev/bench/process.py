"""The operator's process as the benchmarks run it, and what the kernel knows of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dev.bench.as_installed import hidden
from tests.cluster.operator import REPOSITORY, Operator
from tests.cluster.processes import Program

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """Seconds of user and system time of a process (proc(5), fields 14 and 15)."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


class Process(Operator):
    """`python -m interlock.operator` with its own defaults, but for what is said in `flags`."""

    def __init__(self, kubeconfig: Path, prometheus: str, log: Path, **flags: object) -> None:
        super().__init__(kubeconfig, prometheus, log)
        chosen = {"prometheus": prometheus, "host": "127.0.0.1", "port": self.port} | flags
        command = [sys.executable, "-m", "dev.bench.as_installed", ",".join(hidden()), "interlock.operator"]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'src'}",
        }
        self.program = Program(command, log, environment)

    def cpu(self) -> float:
        """Seconds of user and system time so far."""
        return cpu_of(self.program.pid)

    def resident(self) -> float:
        """MiB of memory now."""
        status = (Path("/proc") / str(self.program.pid) / "status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return int(fields["VmRSS"].split()[0]) / 1024

    async def looked_at(self) -> int:
        """Rollouts that have been through a pass."""
        return int(await self.value("interlock_rollout_info"))

    async def queries(self) -> int:
        """Queries to Prometheus so far."""
        return int(await self.value("interlock_prometheus_query_seconds_count"))

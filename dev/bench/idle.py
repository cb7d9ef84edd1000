"""What the operator costs while nothing is active."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.landscape import Landscape

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Idle:
    """Over a span of rest."""

    resident_mib: float
    cpu_percent: float
    """Of one core."""
    writes: float
    queries: int
    seconds: float


async def measure(land: Landscape, seconds: float) -> Idle:
    """Rest, and look at the process and at what it asked for."""
    process = Path("/proc") / str(land.operator.program.pid)
    writes, queries, cpu = await land.operator.writes(), sum(land.relay.queries.values()), _cpu(process)
    await asyncio.sleep(seconds)  # the span is the measurement
    return Idle(
        resident_mib=_resident(process),
        cpu_percent=100 * (_cpu(process) - cpu) / seconds,
        writes=await land.operator.writes() - writes,
        queries=sum(land.relay.queries.values()) - queries,
        seconds=seconds,
    )


def _cpu(process: Path) -> float:
    """Seconds of user and system time so far (proc(5), fields 14 and 15)."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def _resident(process: Path) -> float:
    lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024

"""What one active Rollout costs the API server, by the API server's own audit log."""

from __future__ import annotations

import asyncio
import time

from dev.bench import audit
from dev.bench.failures import canaries
from dev.bench.figures import Figure, show
from dev.bench.fleet import Fleet
from dev.bench.setting import Setting
from tests.cluster import objects

SECONDS = 120.0
RATE = 2.0


async def measure(setting: Setting, count: int) -> None:
    """Print the requests a minute of `count` canaries under an operator with its default intervals."""
    crowd = Fleet.of("asking", count, 1, objects.HELD, objects.FULL)
    async with setting.operating(scrape_interval=1) as operator:
        await canaries(setting, operator, crowd, RATE)
        began, cpu = time.time(), operator.cpu()
        await asyncio.sleep(SECONDS)  # the span is the measurement
        used = operator.cpu() - cpu
        await asyncio.sleep(2)  # the audit log is written in batches
        told = audit.requests(setting.folder, began, began + SECONDS)
    asked = sum(number for (verb, _), number in told.items() if verb != "watch")
    a_minute = asked / count / (SECONDS / 60)
    show(
        Figure("active: API requests a Rollout and minute", a_minute, "", 6, note=audit.shown(told)),
        Figure(f"active: CPU, {count} canaries, tick 5 s", 100 * used / SECONDS, "%"),
    )

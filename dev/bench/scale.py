"""A thousand Rollouts: created cold, at rest, and after a restart of the operator."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection

from dev.bench import audit
from dev.bench.figures import ARGO, FLAGGER, Figure, show
from dev.bench.fleet import Fleet
from dev.bench.process import Process
from dev.bench.setting import Setting
from tests.cluster.waiting import until

PATIENCE = 900.0
IDLE_SECONDS = 60.0
WRITES = {"create", "update", "patch", "delete"}
"""Verbs of the audit log that ask for a change."""


async def measure(setting: Setting, count: int, namespaces: int, wanted: Collection[str]) -> None:
    """Print the figures of `cold`, `idle` and `restart` that are wanted; all need the same crowd."""
    crowd = Fleet.of("scale", count, namespaces)
    async with setting.operating() as operator:
        await settled(operator.cpu, operator)
        empty = operator.resident()
        cold = await _cold(setting, operator, crowd)
        if "cold" in wanted:
            show(*cold)
        if "idle" in wanted:
            await settled(operator.cpu, operator)
            show(*await _idle(setting, operator, count, empty))
    if "restart" in wanted:
        show(*await _restart(setting, count))


async def _cold(setting: Setting, operator: Process, crowd: Fleet) -> list[Figure]:
    """Templates and versions are there; all Rollouts are created, and we wait for the last."""
    count = len(crowd.places)
    await crowd.prepare(setting.api)
    await settled(lambda: operator.cpu() + setting.cpu().total() / 1000, operator, seconds=1.0)
    began, wall, others, cpu = time.monotonic(), time.time(), setting.cpu(), operator.cpu()
    await crowd.begin(setting.api)
    created = time.monotonic() - began

    async def healthy() -> bool:
        phases = [setting.observer.phase_since.get(place, ("", 0.0))[0] for place in crowd.places]
        return phases.count("Healthy") == count

    await until(healthy, PATIENCE, f"{count} Rollouts to be Healthy", operator.program.tail, pause=0.2)
    seconds = max(setting.observer.phase_since[place][1] for place in crowd.places) - began
    spent, theirs = operator.cpu() - cpu, setting.cpu() - others
    await asyncio.sleep(2)  # the audit log is written in batches
    told = audit.requests(setting.folder, wall, wall + seconds)
    asked = sum(number for (verb, _), number in told.items() if verb != "watch")
    shares = ", ".join(f"{name} {used / 1000:.0f} s" for name, used in theirs.most_common())
    note = f"all were created after {created:.1f} s; CPU: operator {spent:.0f} s, {shares}"
    everything = 1000 * spent + theirs.total()
    peers = {ARGO: (206.0,), FLAGGER: (265.0,)} if count == 1000 else {}
    return [
        Figure(f"cold: {count} created → Healthy", seconds, "s", 60 * count / 1000, peers, note),
        Figure("cold: CPU of all parts a Rollout", everything / count, "ms", 60 * (os.cpu_count() or 1)),
        Figure("cold: operator's CPU a Rollout", 1000 * spent / count, "ms"),
        Figure("cold: API requests a Rollout", asked / count, "", note=audit.shown(told)),
    ]


async def _idle(setting: Setting, operator: Process, count: int, empty: float) -> list[Figure]:
    """Nothing is active: what the operator costs and asks for."""
    queries, cpu, began = await operator.queries(), operator.cpu(), time.time()
    await asyncio.sleep(IDLE_SECONDS)  # the span is the measurement
    used, asked = operator.cpu() - cpu, await operator.queries() - queries
    await asyncio.sleep(2)  # the audit log is written in batches
    told = audit.requests(setting.folder, began, began + IDLE_SECONDS)
    writes = sum(number for (verb, _), number in told.items() if verb in WRITES)
    memory = {ARGO: (84.0,), FLAGGER: (62.0,)}
    full = {ARGO: (191.0,), FLAGGER: (119.0,)} if count == 1000 else {}
    return [
        Figure(f"idle: CPU, {count} Rollouts", 100 * used / IDLE_SECONDS, "%", 1),
        Figure("idle: writes", writes, "", 0, note=f"in {IDLE_SECONDS:.0f} s; {audit.shown(told)}"),
        Figure("idle: queries to Prometheus", asked, "", 0),
        Figure("RSS, no Rollout", empty, "MiB", 100, memory),
        Figure(f"RSS, {count} Rollouts", operator.resident(), "MiB", None, full),
    ]


async def _restart(setting: Setting, count: int) -> list[Figure]:
    """From the start of the process until each Rollout was looked at once."""
    operator = setting.operator()
    began = time.monotonic()
    try:
        await operator.start()
        ready = time.monotonic() - began

        async def all_seen() -> bool:
            return await operator.looked_at() >= count

        await until(all_seen, PATIENCE, "all to be looked at", operator.program.tail, pause=0.1)
        seconds, cpu = time.monotonic() - began, operator.cpu()
        await settled(operator.cpu, operator)
        resident = operator.resident()
    finally:
        await operator.stop()
    peers = {ARGO: (30.0,), FLAGGER: (128.0,)} if count == 1000 else {}
    note = f"ready after {ready:.2f} s; CPU {cpu:.2f} s"
    return [
        Figure(f"restart: {count} Rollouts looked at", seconds, "s", 3, peers, note),
        Figure(f"RSS after a restart, {count} Rollouts", resident, "MiB"),
    ]


async def settled(cpu: Callable[[], float], operator: Process, seconds: float = 2.0) -> None:
    """That CPU time stands nearly still for so long: nothing is left to be done."""

    async def still() -> bool:
        before = cpu()
        await asyncio.sleep(seconds)
        return cpu() - before < 0.05 * seconds

    await until(still, PATIENCE, "all to come to rest", operator.program.tail)

"""Many candidates do something critical at once: from the sample that shows it to weight 0 on each route."""

from __future__ import annotations

import asyncio
import statistics
import time

import httpx

from dev.bench.figures import ARGO, FLAGGER, Figure, show
from dev.bench.fleet import Fleet, version_name
from dev.bench.process import Process
from dev.bench.setting import Setting
from interlock.model.rollout import Rollout
from tests.cluster import objects
from tests.cluster.waiting import until

PATIENCE = 300.0
RATE = 4.0
"""Requests a second of each agent."""
CRITICAL = 'ai_agent_policy_violations_total{severity="critical"}[10m]'
TICK = 1.0
ACTIVE_SECONDS = 10.0


async def measure(setting: Setting, count: int, namespaces: int) -> None:
    """Print how long it takes until `count` candidates, each with half of its agent's traffic, have none."""
    crowd = Fleet.of("failing", count, namespaces, objects.HELD, objects.FULL)
    async with setting.operating(tick=TICK, scrape_interval=1, route_margin=0.2) as operator:
        await canaries(setting, operator, crowd, RATE)
        cpu, began = operator.cpu(), time.monotonic()
        await asyncio.sleep(ACTIVE_SECONDS)  # the span is the measurement
        active = (operator.cpu() - cpu) / (time.monotonic() - began)
        show(*await _fail(setting, operator, crowd))
        show(Figure(f"active: CPU, {count} canaries, tick {TICK:g} s", 100 * active, "%"))


async def canaries(setting: Setting, operator: Process, crowd: Fleet, rate: float) -> None:
    """Each Rollout of the crowd serves v1 and has v2 as its canary, with traffic and a running clock."""
    await crowd.prepare(setting.api)
    await crowd.begin(setting.api)
    held = setting.observer.rollouts

    async def healthy() -> bool:
        return all(_phase(held.get(place, {})) == "Healthy" for place in crowd.places)

    async def under_way() -> bool:
        return all(_clock_runs(held[place]) for place in crowd.places)

    await until(healthy, PATIENCE, "first versions", operator.program.tail)
    for namespace in crowd.namespaces:
        setting.agents.rate[namespace] = rate
    await crowd.release(setting.api, "v2")
    await until(under_way, PATIENCE, "canaries", operator.program.tail)


async def _fail(setting: Setting, operator: Process, crowd: Fleet) -> list[Figure]:
    zero = setting.observer.zero_since
    assert not any(place in zero for place in crowd.places), "no route is at 0 before the failure"
    cpu = operator.cpu()
    for _, name in crowd.places:
        setting.agents.fail(version_name(name, "v2"))

    async def all_at_zero() -> bool:
        return all(place in zero for place in crowd.places)

    await until(all_at_zero, PATIENCE, "all weights to be 0", operator.program.tail)
    spent = operator.cpu() - cpu
    visible = await _visible(setting.prometheus)
    offset = time.time() - time.monotonic()
    seconds = [zero[place] + offset - visible for place in crowd.places]
    count = len(crowd.places)
    peers = {ARGO: (22.8, 28.5), FLAGGER: (20.0, 55.0)} if count == 100 else {}
    note = f"median {statistics.median(seconds):.2f} s, first {min(seconds):.2f} s; tick {TICK:g} s"
    return [
        Figure(f"failures: {count} at once → all weights 0", max(seconds), "s", 2 * count / 100, peers, note),
        Figure("failures: from the first to the last route", max(seconds) - min(seconds), "s"),
        Figure("failures: operator's CPU a revert", 1000 * spent / count, "ms"),
    ]


async def _visible(address: str) -> float:
    """Time of the first sample that holds a violation, unix seconds."""
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as client:
        answer = await client.post("/api/v1/query", data={"query": CRITICAL})
    found = answer.json()["data"]["result"]
    return min(float(moment) for one in found for moment, value in one["values"] if float(value) >= 1)


def _phase(rollout: dict[str, object]) -> object:
    status = rollout.get("status")
    return status.get("phase") if isinstance(status, dict) else None


def _clock_runs(manifest: dict[str, object]) -> bool:
    attempt = Rollout.read(manifest).status.attempt
    return _phase(manifest) == "Canary" and attempt is not None and attempt.step_started_time is not None

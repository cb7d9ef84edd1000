"""A day of a real Prometheus, read as the operator reads it: rate and design effect as they truly were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from dev.cluster.control_plane import free_ports
from interlock.adapters.prometheus import PrometheusMetrics
from interlock.analysis.past import Past, span, subject
from interlock.core.plans import plan_of
from interlock.model.release import Stage
from interlock.operator.checkpoints import walk_of
from interlock.operator.history import Histories
from tests.analysis.chance import failures, world
from tests.cluster.prometheus import serving
from tests.cluster.waiting import until
from tests.core.seen import TIMING, parsed, trying
from tests.scenarios.objects import SUCCESS

MINUTE = 60
GROUP = 4
ROLLOUT = trying(Stage.RUNNING, 1, spec=parsed("v2", analysis={"gates": [SUCCESS]})).rollout


@dataclass
class Day:
    """Two pods of stable, scraped each minute of the day before `now`; tasks come in groups of four.

    The second pod begins at noon, the first is restarted in the evening; another version works beside them.
    """

    now: float = field(default_factory=lambda: float(round(time.time())))
    good: float = 0.0
    total: float = 0.0
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = world()
        begin, end = span(self.now)
        assert ROLLOUT.status.stable is not None
        workload = ROLLOUT.status.stable.workload
        for pod, version, born in (
            (f"{workload}-a", "v1", begin - 90_000),
            (f"{workload}-b", "v1", begin + 43_000),
            ("other-c", "v0", begin - 90_000),
        ):
            counts = {"pass": 7_000.0, "fail": 500.0} if born < begin else {"pass": 0.0, "fail": 0.0}
            started, at = born, max(begin - 600, born + 1)
            while at <= end:
                self._show(pod, version, at, started, counts)
                at += MINUTE
                if pod.endswith("-a") and begin + 65_000 <= at < begin + 65_000 + MINUTE:
                    started, counts = at - 30, {"pass": 0.0, "fail": 0.0}
                bad = failures(chance, 10, 0.2) if version == "v1" else 10
                counts["fail"] += GROUP * bad
                counts["pass"] += GROUP * (10 - bad)
                if version == "v1" and begin < at <= end:
                    self.good += GROUP * (10 - bad)
                    self.total += GROUP * 10

    async def answer(self, _: web.Request) -> web.Response:
        """GET /metrics: the whole day at once."""
        return web.Response(text="\n".join(self.lines) + "\n")

    def _show(self, pod: str, version: str, at: float, started: float, counts: dict[str, float]) -> None:
        target = {
            "namespace": ROLLOUT.metadata.namespace,
            "agent": ROLLOUT.spec.agent,
            "version": version,
            "mode": "live",
            "pod": pod,
        }
        shown = ",".join(f'{key}="{text}"' for key, text in target.items())
        moment = round(at * 1000)
        self.lines.append(f"process_start_time_seconds{{{shown}}} {started} {moment}")
        for result, count in counts.items():
            marks = f'{shown},verifier="postcondition",result="{result}"'
            self.lines.append(f"ai_agent_tasks_verified_total{{{marks}}} {count} {moment}")


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[tuple[Day, str]]:
    """A Prometheus that has taken in such a day; yields its address too."""
    told, (port,) = Day(), free_ports(1)
    app = web.Application()
    app.add_routes([web.get("/metrics", told.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = f"127.0.0.1:{runner.addresses[0][1]}"
    config = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "storage": {"tsdb": {"out_of_order_time_window": "48h"}},
        "scrape_configs": [
            {"job_name": "agents", "honor_labels": True, "static_configs": [{"targets": [target]}]}
        ],
    }
    program = serving(tmp_path, port, config)
    program.start()
    address = f"http://127.0.0.1:{port}"
    try:
        await until(lambda: _holds(address, len(told.lines)), 60, "the day to be stored", program.tail)
        yield told, address
    finally:
        program.stop()
        await runner.cleanup()


async def _holds(address: str, samples: int) -> bool:
    """Has Prometheus stored all samples?"""
    names = "process_start_time_seconds|ai_agent_tasks_verified_total"
    asked = {"query": f'sum(count_over_time({{__name__=~"{names}",version=~"v.*"}}[26h]))'}
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        try:
            found = (await client.post("/api/v1/query", data=asked)).json()
        except httpx.HTTPError:
            return False
    result = found.get("data", {}).get("result", [])
    return bool(result) and float(result[0]["value"][1]) >= samples


async def test_a_day_is_read_as_it_was(day: tuple[Day, str]) -> None:
    told, address = day
    seconds: list[float] = []
    metrics = PrometheusMetrics(address, observe=lambda result, took: seconds.append(took))
    try:
        past = await _past(Histories(metrics), told)
    finally:
        await metrics.close()
    assert past.unknown == ""
    assert past.rate == pytest.approx(told.good / told.total, abs=0.002)
    assert past.effect == pytest.approx(GROUP, rel=0.3)
    assert len(seconds) == 4, "one query for each quarter of the day"


async def _past(histories: Histories, told: Day) -> Past:
    plan, attempt = plan_of(ROLLOUT, TIMING), ROLLOUT.status.attempt
    assert plan is not None
    assert attempt is not None
    for _ in range(100):  # looks, as an operator's ticks
        found = await histories.before(ROLLOUT, walk_of(ROLLOUT, attempt), plan, told.now)
        if found is not None:
            return found[subject(plan.gates[0])]
        await asyncio.sleep(0.05)
    raise AssertionError("no answer")

"""`python -m dev.bench.prometheus`: what a tick costs that reads 10, 100 and 500 active rollouts.

A real Prometheus scrapes 2 × 3 pods of each agent every 15 s, each pod a target of its own; each rollout has
six gates of all kinds. The operator's own reader and evidence look every 5 s, in this process. Queries per
tick and CPU, ours by part and Prometheus' own beyond what scraping costs it. Seconds of CPU, so others at
work on the machine disturb them little.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from dev.bench.figures import Figure, show
from dev.bench.process import cpu_of
from dev.bench.prometheus_exporter import SERIES
from dev.cluster.control_plane import free_ports
from interlock.adapters.prometheus import PrometheusMetrics
from interlock.adapters.prometheus import metrics as reader
from interlock.adapters.prometheus.answers import Answers
from interlock.adapters.prometheus.query import AGENTS
from interlock.analysis.gates import AttemptEvidence, EvidenceReport
from interlock.core.observation import Timing
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import StepTime
from interlock.operator.active import Active
from interlock.operator.app import COLLECT_AFTER
from interlock.operator.evidence import Evidence, keep_reading
from tests.cluster.processes import Program
from tests.cluster.prometheus import serving
from tests.cluster.waiting import until
from tests.core.seen import V1, V2, identity, parsed, trying
from tests.scenarios.objects import CANARY, CRITICAL, FULL, VIOLATIONS

ACTIVE = (10, 100, 500)
PODS = 3
"""Of each version."""
NAMESPACES = 10
SCRAPE, TICK = 15.0, 5.0
RENEWED = 4
GATES = [
    {"name": "success", "metric": "task-success-rate", "compare": {"worseByPoints": "0"}},
    VIOLATIONS,
    CRITICAL,
    {"name": "tools", "metric": "tool-error-rate", "compare": {"worseByPoints": "0"}},
    {"name": "cost", "metric": "cost-per-task", "mean": {"worseByPercent": "20"}},
    {"name": "slow", "metric": "task-duration", "tail": {"aboveSeconds": "60", "worseByPoints": "0"}},
]
Manifest = dict[str, Any]


def place(number: int) -> tuple[str, str]:
    """Namespace and name of an agent, and of its Rollout."""
    return f"team-{number % NAMESPACES}", f"agent-{number:04}"


# ------------------------------------------------------------------ what is measured
def rollout(number: int, since: datetime) -> Manifest:
    """In its canary since then, as the API server holds it."""
    namespace, name = place(number)
    spec = parsed("v2", strategy={"steps": [CANARY, FULL]}, analysis={"gates": GATES})
    seen = trying(Stage.RUNNING, 0, spec=spec).rollout
    attempt = seen.status.attempt
    assert attempt is not None
    times = ("started_time", "stage_started_time", "walk_started_time", "traffic_started_time")
    begun = attempt.model_copy(
        update=dict.fromkeys((*times, "step_started_time"), since)
        | {"step_times": (StepTime(index=0, started_time=since),)}
        | {"gate_starts": tuple(start.model_copy(update={"since": since}) for start in attempt.gate_starts)}
    )
    manifest = seen.model_copy(update={"status": seen.status.model_copy(update={"attempt": begun})}).to_wire()
    manifest["metadata"] |= {"namespace": namespace, "name": name, "uid": f"uid-{number}"}
    manifest["spec"]["agent"] = name
    return manifest


@dataclass(slots=True)
class Clock:
    """Seconds of CPU by part, and how often each was entered."""

    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @contextmanager
    def on(self, owner: object, name: str, part: str) -> Iterator[None]:
        """While it lasts, all that `owner.name` does counts for `part`."""
        original = getattr(owner, name)

        def timed(*arguments: Any, **more: Any) -> Any:
            began = time.process_time()
            try:
                return original(*arguments, **more)
            finally:
                self.spent[part] += time.process_time() - began
                self.calls[part] += 1

        with mock.patch.object(owner, name, timed):
            yield

    @contextmanager
    def on_garbage(self) -> Iterator[None]:
        """While it lasts, the garbage collector's time counts too; it is part of the others as well."""
        began = 0.0

        def told(phase: str, _: dict[str, int]) -> None:
            nonlocal began
            if phase == "start":
                began = time.process_time()
            else:
                self.spent["of it garbage"] += time.process_time() - began

        gc.callbacks.append(told)
        try:
            yield
        finally:
            gc.callbacks.remove(told)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one tick, on average."""

    queries: float
    ours: float
    parts: dict[str, float]
    theirs: float


async def measure(count: int, ticks: int, address: str, server: Program, rest: float) -> Cost:
    """`count` rollouts are read for that many ticks; `rest`: CPU that Prometheus needs a second anyway."""
    began = datetime.now(UTC) - timedelta(seconds=60)
    held, tick = [rollout(number, began) for number in range(count)], 0
    asked: list[str] = []
    metrics = PrometheusMetrics(address, 30.0, lambda result, seconds: asked.append(result))
    evidence = Evidence(metrics, Timing(TICK, 2 * SCRAPE, 1.0, 4 * SCRAPE), time.time)
    looks = 0
    weighs: dict[str, bool] = {}

    def manifests() -> list[Manifest]:
        """Of each a newer version in every fourth tick, as its status is written every 20 s."""
        nonlocal tick
        tick += 1
        changed = range(tick % RENEWED, count, RENEWED)
        for number in changed:
            held[number] = dict(held[number])
        return held

    def look(seen: Rollout) -> None:
        nonlocal looks
        looks += 1
        report = evidence.report(seen)
        assert isinstance(report, EvidenceReport), report
        weighs[seen.metadata.uid] = report.warmed_up

    async def looked(at_least: int) -> None:
        await until(lambda: _true(looks >= at_least), 600, "a tick", server.tail, pause=0.5)

    clock = Clock()
    with (
        clock.on(Answers, "read", "parsing"),
        clock.on(reader, "dealt", "dealing"),
        clock.on(AttemptEvidence, "advance", "evidence"),
        clock.on(AttemptEvidence, "report", "report"),
        clock.on(Rollout, "read", "rollouts"),
        clock.on_garbage(),
    ):
        task = asyncio.create_task(keep_reading(evidence, Active(manifests).rollouts, look, TICK))
        try:
            await looked(3 * count)  # replayed, and known again
            quiet = False
            while not quiet:  # what attempts look back on is read once, beside the ticks
                asked.clear()
                await looked(looks + count)
                quiet = len(asked) <= 2 * (-(-count // AGENTS))
            clock.spent.clear()
            asked.clear()
            before = looks, time.process_time(), cpu_of(server.pid), time.monotonic()
            await looked(looks + ticks * count)
            seconds = time.monotonic() - before[3]
            ours, theirs = time.process_time() - before[1], cpu_of(server.pid) - before[2] - rest * seconds
            made = (looks - before[0]) / count
            queries = len(asked) / made
            assert set(asked) == {"ok"}, asked
            assert all(weighs.values()), "outcomes must be compared, or the evidence costs next to nothing"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await metrics.close()
    return Cost(
        queries, ours / made, {part: spent / made for part, spent in clock.spent.items()}, theirs / made
    )


async def _true(value: bool) -> bool:
    return value


# ------------------------------------------------------------------ what it is measured in
def scraping(exporter: int, agents: int) -> Manifest:
    """Prometheus' configuration: a target for each pod, at a moment of its own."""
    groups = []
    for number in range(agents):
        namespace, name = place(number)
        for version in (V1, V2):
            for pod in range(PODS):
                labels = {
                    "namespace": namespace,
                    "agent": name,
                    "version": version.version,
                    "mode": "live",
                    "pod": f"{identity(version).workload}-5d4f8c7b9-{name[-4:]}{pod}",
                    "container": "agent",
                    "endpoint": "metrics",
                    "instance": f"10.{number // 250}.{number % 250}.{pod + 10 * int(version is V2)}:9090",
                    "__metrics_path__": f"/{name}/{version.version}/{pod}",
                }
                groups.append({"targets": [f"127.0.0.1:{exporter}"], "labels": labels})
    interval = f"{SCRAPE:.0f}s"
    job = {"job_name": "agents", "static_configs": groups}
    return {"global": {"scrape_interval": interval, "scrape_timeout": "10s"}, "scrape_configs": [job]}


async def _scraped(address: str, wanted: int) -> bool:
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client:
        try:
            found = await client.post("/api/v1/query", data={"query": "count(ai_agent_tasks_started_total)"})
        except httpx.HTTPError:
            return False
    result = found.json()["data"]["result"] if found.is_success else []
    return bool(result) and int(result[0]["value"][1]) >= wanted


async def compare(active: Sequence[int], ticks: int, folder: Path) -> None:
    """All figures, with the largest number of agents scraped throughout."""
    most = max(active)
    exporter_port, port = free_ports(2)
    exporter = Program(
        [sys.executable, "-m", "dev.bench.prometheus_exporter", str(exporter_port)], folder / "e.log"
    )
    server, address = serving(folder, port, scraping(exporter_port, most)), f"http://127.0.0.1:{port}"
    exporter.start()
    server.start()
    try:
        await until(lambda: _scraped(address, most * 2 * PODS), 300, "all pods to be scraped", server.tail)
        await asyncio.sleep(4 * SCRAPE)  # a window's worth of samples, and the start is over
        before, began = cpu_of(server.pid), time.monotonic()
        await asyncio.sleep(2 * SCRAPE)  # the span is the measurement
        rest = (cpu_of(server.pid) - before) / (time.monotonic() - began)
        for count in active:
            show(*figures(count, await measure(count, ticks, address, server, rest)))
    finally:
        server.stop()
        exporter.stop()


def figures(count: int, cost: Cost) -> list[Figure]:
    """As lines."""
    parts = ", ".join(f"{part} {1000 * spent:.0f}" for part, spent in cost.parts.items())
    target = 1000.0 if count == 500 else None
    note = f"{parts}; {1e6 * cost.ours / (count * 2 * PODS * SERIES):.1f} µs a series"
    return [
        Figure(f"{count} active: queries a tick", cost.queries, "", -(-count // AGENTS)),
        Figure(f"{count} active: our CPU a tick", 1000 * cost.ours, "ms", target, note=note),
        Figure(f"{count} active: Prometheus' CPU a tick", 1000 * cost.theirs, "ms"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 0 when they could be had, whatever they say."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench.prometheus", description=__doc__)
    parser.add_argument(
        "--active", type=int, nargs="+", default=ACTIVE, help="how many rollouts [10 100 500]"
    )
    parser.add_argument("--ticks", type=int, default=9, help="that are measured for each number [9]")
    chosen = parser.parse_args(arguments)
    pods = 2 * PODS
    print(
        f"{os.cpu_count()} cores; {pods} pods a rollout, {SERIES} series a pod, a scrape each {SCRAPE:.0f} s"
    )
    gc.set_threshold(*COLLECT_AFTER)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(compare(chosen.active, chosen.ticks, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

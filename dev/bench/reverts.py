"""How fast a candidate is taken back: from the decision, and from the metric, to weight 0 on the route."""

from __future__ import annotations

import secrets
import statistics
import time
from dataclasses import dataclass

import httpx

from dev.bench.figures import ARGO, FLAGGER, Figure, show
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from tests.cluster import objects
from tests.cluster.api import core
from tests.cluster.landscape import Landscape
from tests.cluster.operator import TICK_SECONDS
from tests.cluster.story import Story, clock_runs, phase
from tests.scenarios.rules import backends

CRITICAL_FAMILY = "ai_agent_policy_violations_total"


@dataclass(frozen=True, slots=True)
class Revert:
    """Seconds to weight 0, as an observer of the API server sees it."""

    from_decision: float
    from_metric: float
    """From the scrape whose sample showed the first critical violation."""


async def measure(land: Landscape, count: int) -> None:
    """Print both figures over `count` candidates, one after the other."""
    found = [await _revert(await _story(land)) for _ in range(count)]
    decided, told = sorted(r.from_decision for r in found), sorted(r.from_metric for r in found)
    note = f"n={count}; tick {TICK_SECONDS} s; median {{:.1f}} ms"
    peers = {ARGO: (200.0, 960.0), FLAGGER: (10_000.0,)}
    show(
        Figure(
            "reverts: decision → route, at most",
            1000 * decided[-1],
            "ms",
            50,
            note=note.format(1000 * statistics.median(decided)),
        ),
        Figure(
            "reverts: metric visible → weight 0, at most",
            1000 * told[-1],
            "ms",
            1000 * TICK_SECONDS + 100,
            peers,
            note.format(1000 * statistics.median(told)),
        ),
    )


async def _story(land: Landscape) -> Story:
    name = f"bench-{secrets.token_hex(4)}"
    await land.api.post(core("", "namespaces"), {"metadata": {"name": name}})
    return Story(land, name)


async def _revert(story: Story) -> Revert:
    """One candidate, half of the traffic, one critical violation."""
    await story.first_version(strategy={"steps": [objects.HELD, objects.FULL]})
    await story.release("v2")
    await story.until(clock_runs("canary"))
    workload = await story.candidate()
    story.behaves("v2", critical=True)
    await story.until(phase("Reverted"))
    wall = time.time() - time.monotonic()
    written = wall + next(
        seen.at
        for seen in story.land.witness.history(story.namespace, "HTTPRoute")
        if backends(seen.manifest)[0].get(workload) == 0
    )
    return Revert(written - _decided(story), written - await _visible(story))


def _decided(story: Story) -> float:
    """When the operator decided, unix seconds: the time that it wrote into its intent."""
    for seen in story.land.witness.history(story.namespace, "Rollout"):
        attempt = Rollout.read(seen.manifest).status.attempt
        if attempt is not None and attempt.stage is Stage.REVERTING:
            return attempt.stage_started_time.timestamp()
    raise LookupError("no decision was seen")


async def _visible(story: Story) -> float:
    """Time of the first sample that holds the violation, unix seconds."""
    query = f'{CRITICAL_FAMILY}{{namespace="{story.namespace}",severity="critical"}}[10m]'
    address = f"http://127.0.0.1:{story.land.prometheus_port}"
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        answer = await client.post("/api/v1/query", data={"query": query})
    series = answer.json()["data"]["result"]
    return min(float(moment) for one in series for moment, value in one["values"] if float(value) >= 1)

"""How fast a candidate is taken back: from the decision, and from the metric, to weight 0 on the route."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from tests.cluster import objects
from tests.cluster.story import Story, clock_runs, phase
from tests.scenarios.rules import backends

CRITICAL_FAMILY = "ai_agent_policy_violations_total"


@dataclass(frozen=True, slots=True)
class Revert:
    """Seconds to weight 0, as an observer of the API server sees it."""

    from_decision: float
    from_metric: float
    """From the scrape whose sample showed the first critical violation."""


async def measure(story: Story) -> Revert:
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

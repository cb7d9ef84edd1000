"""Evidence outlives its process, on a real API server and a Prometheus that has lost the beginning."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from tests.cluster import objects
from tests.cluster.api import Manifest, core
from tests.cluster.operator import Operator
from tests.cluster.prometheus import Answer
from tests.cluster.story import Story, measured, phase
from tests.cluster.waiting import until

LIMIT = {**objects.VIOLATIONS, "limit": {"maxPercent": "90"}}
HELD = {"strategy": {"steps": [objects.HELD, objects.FULL]}, "analysis": {"gates": [LIMIT]}}
"""A canary that lasts, and a limit that shows every task of the candidate and holds nothing against it."""


async def test_a_killed_operator_goes_on_where_it_was(story: Story, operator: Operator) -> None:
    await story.first_version(**HELD)
    story.behaves("v2", violation=0.2)
    await story.release("v2")
    await story.until(measured("violations"))
    await story.scraped(5)
    workload = await story.candidate()
    for pod in await story.pods(workload):
        story.land.agents.restart(pod)  # what it counted before is known from earlier samples only
    await story.scraped(2)
    # an edit of another gate is a move, so that what is known by now is written down
    await story.edit(analysis={"gates": [LIMIT, objects.CRITICAL]})
    state = await written_down(story, knows_of="critical")
    assert state["judges"]["violations"]["parts"]["0"][1] > 0, "tasks of before the edit"

    story.land.relay.lies[story.namespace] = lost(until=state["now"])
    try:
        operator.program.kill()
        await operator.start()
        await story.scraped(3)
        story.traffic(0)
        await story.scraped(2)
        tasks = story.land.agents.served(story.namespace, workload, "ai_agent_tasks_total")

        async def counted() -> bool:
            gate = next(g for g in (await story.rollout()).status.gates if g.name == "violations")
            return gate.candidate.endswith(f"(n={tasks:.0f})")

        await until(counted, 15, f"{tasks:.0f} tasks to be counted", lambda: str(tasks))
    finally:
        del story.land.relay.lies[story.namespace]
    assert phase("Canary")(await story.rollout())


async def written_down(story: Story, *, knows_of: str) -> dict[str, Any]:
    """The evidence in the ConfigMap, once it is that of this gate too."""
    found: dict[str, Any] = {}

    async def is_so() -> bool:
        path = core(story.namespace, "configmaps")
        for manifest in await story.land.api.items(path):
            if manifest["metadata"]["name"] == f"{objects.NAME}-evidence":
                found.update(_state(manifest))
        return knows_of in found.get("rules", {})

    await until(is_so, 30, "the evidence to be written down")
    return found


def _state(manifest: Manifest) -> dict[str, Any]:
    assert manifest["metadata"]["labels"]["interlock.dev/evidence"] == "true"
    assert [owner["kind"] for owner in manifest["metadata"]["ownerReferences"]] == ["Rollout"]
    state: dict[str, Any] = json.loads(manifest["data"]["evidence.json"])
    return state


def lost(until: float) -> Answer:
    """What Prometheus says when its retention begins after `until`."""

    async def answer(truth: bytes) -> web.StreamResponse:
        found = json.loads(truth)
        for series in found["data"]["result"]:
            series["values"] = [point for point in series["values"] if point[0] > until]
        return web.json_response(found)

    return answer

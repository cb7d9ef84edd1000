"""Story 30: an object that is hard to read is only that object's trouble."""

from __future__ import annotations

from tests.cluster import objects
from tests.cluster.story import Story
from tests.cluster.waiting import until

LEVELS = 9_000
"""As deep as the API server takes it, give or take its own wrapping."""


async def test_30_deeply_nested_json_stops_nobody_else(story: Story) -> None:
    nested = '{"a":' * LEVELS + "1" + "}" * LEVELS
    head = '{"apiVersion":"interlock.dev/v1alpha1","kind":"AgentVersion","metadata":{"name":"deep"},'
    spec = f'"spec":{{"agent":"{objects.NAME}","version":"deep","parameters":{nested}}}}}'
    await story.kubectl("create", "-f", "-", stdin=head + spec)
    await story.first_version()
    path = "jsonpath={.status.conditions[?(@.type=='Stalled')].message}"

    async def refused() -> bool:
        return "nested deeper" in await story.kubectl("get", "agentversion", "deep", "-o", path)

    await until(refused, 20, "the deep version to be refused", story.land.operator_log)
    await story.kubectl("delete", "agentversion", "deep")

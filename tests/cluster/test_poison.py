"""Story 30: an object that is hard to read is only that object's trouble."""

from __future__ import annotations

import json

from tests.cluster import objects
from tests.cluster.api import core
from tests.cluster.story import Story, healthy
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


async def test_30_strange_characters_and_malformed_annotations_are_only_read_over(story: Story) -> None:
    """kopf keeps state in annotations of its own; what stands in them must not blind the operator."""
    text = "\u202eÜnïcödé\u200b 💥 {{ name }} $(rm -rf /) </script>"
    version = objects.agent_version("v1", content=text)
    wanted = objects.rollout("v1", f"{story.namespace}.example.com")
    for manifest in (version, wanted):
        manifest["metadata"]["annotations"] = {
            "kopf.zalando.org/last-handled-configuration": "{not json",
            "kopf.zalando.org/touch-dummy": "💥" * 1000,
            "interlock.dev/version": "9" * 5000,
        }
    await story.apply(objects.template(), version, wanted)
    await story.until(healthy("v1"))
    rendered = await story.land.api.get(core(story.namespace, "configmaps", await story.stable()))
    assert rendered is not None
    (prompt,) = json.loads(rendered["data"]["agent.json"])["prompts"]
    assert prompt["template"] == f"You are {text}."
    assert await story.diff() == ""

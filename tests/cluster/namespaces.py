"""A namespace for each story: made before it, taken away after it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator

from tests.cluster.api import core
from tests.cluster.landscape import Landscape
from tests.cluster.story import Story


async def begun(landscape: Landscape) -> Story:
    """A story in a namespace of its own."""
    name = f"story-{secrets.token_hex(4)}"
    await landscape.api.post(core("", "namespaces"), {"metadata": {"name": name}})
    return Story(landscape, name)


async def ended(landscape: Landscape, story: Story) -> None:
    """Its namespace goes away in the background."""
    story.traffic(0)
    landscape.relay.lies.pop(story.namespace, None)
    landscape.agents.foreign.pop(story.namespace, None)
    await landscape.api.delete(core("", "namespaces", story.namespace))


@contextlib.asynccontextmanager
async def namespace_of(landscape: Landscape) -> AsyncIterator[Story]:
    """A story within a test of many; its namespace goes with it."""
    story = await begun(landscape)
    try:
        yield story
    finally:
        await ended(landscape, story)

"""Stories of one module told at the same time, each in a namespace of its own, each a test of its own.

Most of a story's time is waiting for somebody else; and an operator looks after many at once in life too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from tests.cluster.landscape import Landscape
from tests.cluster.namespaces import namespace_of
from tests.cluster.story import Story

AT_ONCE = 8
"""Stories that two cores can follow without being late themselves."""

Tale = Callable[[Story], Awaitable[None]]
TALE = "tale"
"""Attribute of a test: what it waits for."""


class Chorus:
    """Begins all of them; each test waits for its own."""

    def __init__(self, landscape: Landscape, tales: Iterable[Tale]) -> None:
        self._landscape = landscape
        self._room = asyncio.Semaphore(AT_ONCE)
        self._told = {tale: asyncio.create_task(self._tell(tale)) for tale in tales}

    async def told(self, tale: Tale) -> None:
        """It has come to its end; raises what went wrong in it, with what its cluster looked like."""
        await self._told[tale]

    async def silence(self) -> None:
        """Nobody waits for the others any more."""
        for task in self._told.values():
            task.cancel()
        await asyncio.gather(*self._told.values(), return_exceptions=True)

    async def _tell(self, tale: Tale) -> None:
        async with self._room, namespace_of(self._landscape) as story:
            try:
                await tale(story)
                self._landscape.witness.judge(story.namespace)
            except Exception as error:
                error.add_note(await story.diagnosis())
                raise


def together(tale: Tale) -> Callable[[Chorus], Awaitable[None]]:
    """Make a test of a story; it is told while other stories of its module are."""

    async def test(chorus: Chorus) -> None:
        await chorus.told(tale)

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(test, name, getattr(tale, name))
    setattr(test, TALE, tale)
    return test

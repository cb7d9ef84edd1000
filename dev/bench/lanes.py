"""Work by key, many keys at once: of each key one at a time, and always its newest value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

WIDTH = 24


class Lanes(Generic[K, V]):
    """What comes while a key is worked on replaces what waited, and is done afterwards."""

    def __init__(self, work: Callable[[K, V], Awaitable[None]], width: int = WIDTH) -> None:
        self._work = work
        self._width = width
        self._newest: dict[K, V] = {}
        self._busy: set[K] = set()
        self._queue: asyncio.Queue[K] = asyncio.Queue()

    def put(self, key: K, value: V) -> None:
        """To be done as soon as a lane is free."""
        waits = key in self._newest or key in self._busy
        self._newest[key] = value
        if not waits:
            self._queue.put_nowait(key)

    async def run(self) -> None:
        """Until cancelled; an error of the work ends it."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._width):
                group.create_task(self._lane())

    async def _lane(self) -> None:
        while True:
            key = await self._queue.get()
            self._busy.add(key)
            await self._work(key, self._newest.pop(key))
            self._busy.discard(key)
            if key in self._newest:
                self._queue.put_nowait(key)

"""A keyed queue: one entry a key, earliest due first, urgent ones before all others, back-off per key.

A key that is being worked on is never handed out twice; added meanwhile, it comes again afterwards. While
candidates are taken back, only urgent keys are handed out: what follows from each waits for the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF = 0.1
LAST_BACKOFF = 30.0
LONGEST_ALONE = 5.0
"""Seconds for which keys that are not urgent wait at the most; afterwards it is their turn for as long."""


class Queue(Generic[K]):
    """Due times come from `clock`, in seconds of any monotonic clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due: dict[K, tuple[int, float]] = {}
        self._heap: list[tuple[int, float, int, K]] = []
        self._order = itertools.count()
        self._running: dict[K, bool] = {}  # with whether it was urgent
        self._failures: dict[K, int] = {}
        self._alone = 0
        self._alone_since = -math.inf
        self._others_from = -math.inf
        self._changed = asyncio.Event()
        self.idle = asyncio.Event()
        """Set while whoever asks for a key is given none."""

    def add(self, key: K, after: float = 0.0, *, urgent: bool = False) -> None:
        """Due in `after` seconds; an earlier or more urgent entry of the same key stands."""
        entry = (0 if urgent else 1, self._clock() + after)
        known = self._due.get(key)
        if known is not None:
            entry = (min(entry[0], known[0]), min(entry[1], known[1]))
            if entry == known:
                return
        self._due[key] = entry
        heapq.heappush(self._heap, (*entry, next(self._order), key))
        self._changed.set()

    def retry(self, key: K) -> float:
        """Due again, as urgent as it was, after a back-off that doubles with each failure in a row; returns
        the seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay: float = min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** (failures - 1))
        self.add(key, delay, urgent=self._running.get(key, False))
        return delay

    def succeeded(self, key: K) -> None:
        """The next failure backs off from the beginning."""
        self._failures.pop(key, None)

    @contextlib.contextmanager
    def urgent_alone(self, seconds: float) -> Iterator[None]:
        """Meanwhile, and for so long afterwards, only urgent keys are handed out."""
        if self._clock() - self._alone_since >= 2 * LONGEST_ALONE:
            self._alone_since = self._clock()
        self._alone += 1
        try:
            yield
        finally:
            self._alone -= 1
            self._others_from = self._clock() + seconds
            self._changed.set()

    @property
    def _turn_of_others(self) -> float:
        """When keys that are not urgent may be handed out."""
        latest = self._alone_since + LONGEST_ALONE
        return latest if self._alone else min(self._others_from, latest)

    async def take(self) -> K:
        """Wait for the next due key; it is `running` until `done`."""
        while True:
            key, wait = self._next()
            if key is not None:
                priority, _ = self._due.pop(key)
                self._running[key] = priority == 0
                self.idle.clear()
                return key
            self.idle.set()
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    def _next(self) -> tuple[K | None, float | None]:
        """The key to hand out, else how long until one may be due. Urgent keys come first when due."""
        now = self._clock()
        held: list[tuple[int, float, int, K]] = []
        found: K | None = None
        wait: float | None = None
        while self._heap:
            item = heapq.heappop(self._heap)
            priority, due, _, key = item
            if self._due.get(key) != (priority, due):
                continue  # replaced by an earlier entry, or handed out
            held.append(item)
            if key in self._running:
                continue
            if priority == 1:
                due = max(due, self._turn_of_others)
            if due <= now:
                found = key
                held.pop()
                break
            wait = due - now if wait is None else min(wait, due - now)
            if priority == 1:
                break
        for item in held:
            heapq.heappush(self._heap, item)
        return found, wait

    def done(self, key: K) -> None:
        """The work on the key has ended, well or not."""
        self._running.pop(key, None)
        self._changed.set()

    def forget(self, key: K) -> None:
        """The object is gone."""
        self._due.pop(key, None)
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._due)

    @property
    def oldest(self) -> float:
        """Seconds that the longest-waiting due key has waited; 0 when none is due."""
        now = self._clock()
        return max((now - due for _, due in self._due.values() if due <= now), default=0.0)

"""Requests to a gateway, a number of them or for as long as wanted, and who answered each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from tests.e2e.traffic.backend import SERVER_HEADER

AT_ONCE = 8
"""Requests under way at a time."""
BETWEEN = 0.04
"""Seconds that each of them waits under a lasting load: 200 requests a second at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it began and ended (monotonic seconds), its status, and who answered ("": nobody)."""

    begun: float
    ended: float
    status: int
    server: str


class Asker:
    """A client of one gateway."""

    def __init__(self, url: str) -> None:
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        self._client = httpx.AsyncClient(base_url=url, limits=limits, timeout=30, trust_env=False)

    async def close(self) -> None:
        """Ask nothing more."""
        await self._client.aclose()

    async def once(self, host: str, path: str) -> Answer:
        """One request; a broken connection is status 0."""
        begun = time.monotonic()
        try:
            reply = await self._client.get(path, headers={"host": host})
        except httpx.HTTPError:
            return Answer(begun, time.monotonic(), 0, "")
        return Answer(begun, time.monotonic(), reply.status_code, reply.headers.get(SERVER_HEADER, ""))

    async def times(self, count: int, host: str, path: str) -> list[Answer]:
        """`count` requests, as fast as they are answered."""
        left = iter(range(count))
        answers: list[Answer] = []

        async def work(turns: Iterable[int]) -> None:
            for _ in turns:
                answers.append(await self.once(host, path))

        await asyncio.gather(*(work(left) for _ in range(AT_ONCE)))
        return answers

    @asynccontextmanager
    async def load(self, host: str, path: str) -> AsyncIterator[list[Answer]]:
        """A load that lasts as long as the block; its answers so far, in order of their end."""
        answers: list[Answer] = []
        over = False

        async def work() -> None:
            while not over:
                answers.append(await self.once(host, path))
                await asyncio.sleep(BETWEEN)

        workers = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
        try:
            yield answers
        finally:
            over = True
            await asyncio.gather(*workers)


def servers(answers: Sequence[Answer]) -> dict[str, int]:
    """Number of answers by who gave them."""
    return dict(Counter(answer.server for answer in answers))


def failures(answers: Sequence[Answer]) -> list[Answer]:
    """Requests that brought no answer with status 200."""
    return [answer for answer in answers if answer.status != httpx.codes.OK]

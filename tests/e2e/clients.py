"""The clients of the gateway: what each request was answered with, by whom and when.

Whoever answers is known by the header that the agent puts on its answer; nothing here looks into the cluster.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from dev.demo.agent.catalogue import Question
from dev.demo.load import VERSION_HEADER, Counts, Load

RATE = 20.0
"""Tasks a second and story."""
PATH = "/triage"


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: unix seconds, the version that answered, status and chosen tool (None: declined)."""

    begun: float
    ended: float
    version: str
    status: int
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """One request that brought no answer with status 200."""

    begun: float
    ended: float
    what: str


class _Recorder(httpx.AsyncBaseTransport):
    """Sends on, and writes down what came back for every task."""

    def __init__(self, answers: list[Answer], failures: list[Failure]) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)
        self._inner = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
        self._answers = answers
        self._failures = failures

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return await self._inner.handle_async_request(request)
        begun = time.time()
        try:
            reply = await self._inner.handle_async_request(request)
            content = await reply.aread()
            await reply.aclose()
        except httpx.HTTPError as error:
            self._failures.append(Failure(begun, time.time(), repr(error)))
            raise
        if reply.status_code == httpx.codes.OK:
            version, tool = reply.headers.get(VERSION_HEADER, "unknown"), json.loads(content).get("tool")
            self._answers.append(Answer(begun, time.time(), version, reply.status_code, tool))
        else:
            what = f"{reply.status_code} {content[:200].decode(errors='replace')}"
            self._failures.append(Failure(begun, time.time(), what))
        # What was read is no longer compressed, as some gateways do it by themselves.
        kept = [(key, value) for key, value in reply.headers.multi_items() if key != "content-encoding"]
        return httpx.Response(reply.status_code, headers=kept, content=content)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Clients:
    """Ask through the gateway on a fixed schedule, one load after the other; all answers are kept."""

    def __init__(self, gateway: str, host: str) -> None:
        self.answers: list[Answer] = []
        self.failures: list[Failure] = []
        self.counts: list[Counts] = []
        self._url = gateway + PATH
        self._host = host
        self._load: Load | None = None
        self._running: asyncio.Task[Counts] | None = None

    def start(self, questions: Iterator[Question]) -> None:
        """Begin to ask, RATE times a second, until `stop`."""
        self._load = Load(self._url, questions, host=self._host, rate=RATE, timeout=30, patience=120)
        self.counts.append(self._load.counts)
        recorder = _Recorder(self.answers, self.failures)
        self._running = asyncio.create_task(self._load.run(transport=recorder))

    async def stop(self) -> None:
        """Ask nothing more; returns when the last answer is in."""
        if self._load is not None and self._running is not None:
            self._load.stop()
            load, self._running = self._running, None
            await load

    async def ask(self, question: Question) -> Answer:
        """One request outside the schedule, answered."""
        async with httpx.AsyncClient(
            transport=_Recorder(self.answers, self.failures), timeout=30, trust_env=False
        ) as client:
            before = len(self.answers)
            reply = await client.post(
                self._url, headers={"host": self._host}, json={"question_id": question.id}
            )
            reply.raise_for_status()
            return next(a for a in reversed(self.answers[before:]) if a.version == version_of(reply))

    def between(self, start: float, end: float) -> list[Answer]:
        """Answers to requests that began in [start, end), unix seconds."""
        return [answer for answer in self.answers if start <= answer.begun < end]

    def answered_by(self, version: str) -> list[Answer]:
        """All answers of a version, in order of their beginning."""
        mine = [answer for answer in self.answers if answer.version == version]
        return sorted(mine, key=lambda answer: answer.begun)

    @property
    def failed(self) -> int:
        """Requests without an answer, as the loads themselves counted them."""
        return sum(counts.failed for counts in self.counts)

    def summary(self) -> str:
        """Answers by version, and the last failures."""
        versions = dict(Counter(answer.version for answer in self.answers))
        return f"answers: {versions}; failures: {len(self.failures)}, the last: {self.failures[-5:]}"


def version_of(reply: httpx.Response) -> str:
    """Who answered."""
    return str(reply.headers.get(VERSION_HEADER, "unknown"))


def versions(answers: list[Answer]) -> dict[str, int]:
    """Number of answers by version."""
    return dict(Counter(answer.version for answer in answers))

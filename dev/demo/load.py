"""Load on a fixed schedule: asks the questions through the gateway and checks every answer itself.

Open loop: a slow answer delays no later question. Nothing is retried, except that connections may be refused
until the first one is accepted. Run as a process it prints its counters as one JSON line a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from dev.demo.agent.catalogue import Question, read_catalogue
from dev.demo.agent.judge import Verdict, judge_answer
from dev.demo.data import catalogue_file
from dev.demo.traffic import IRRELEVANT_SHARE, draw

VERSION_HEADER = "x-agent-version"
_RECENT = 2000


@dataclass
class Counts:
    """What came back so far: verdicts by answering version, errors by kind, the latest durations."""

    sent: int = 0
    answered: int = 0
    verdicts: dict[str, Counter[Verdict]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    @property
    def failed(self) -> int:
        """Requests that brought no answer."""
        return self.errors.total()

    def add(self, version: str, verdict: Verdict) -> None:
        """Counts one answer of a version."""
        self.answered += 1
        self.verdicts.setdefault(version, Counter())[verdict] += 1

    def as_json(self) -> dict[str, Any]:
        """The counters as plain data; durations in milliseconds, over the latest answers."""
        return {
            "sent": self.sent,
            "answered": self.answered,
            "errors": dict(self.errors),
            "versions": {
                version: {"answered": verdicts.total(), **{str(v): verdicts[v] for v in Verdict}}
                for version, verdicts in sorted(self.verdicts.items())
            },
            "milliseconds": _quantiles(self.seconds),
        }


class Load:
    """Sends the drawn questions to `url` (the gateway and the path), with `host` as the Host header.

    `rate` is in tasks a second, `timeout` in seconds. `counts` may be read at any time.
    """

    def __init__(
        self,
        url: str,
        questions: Iterator[Question],
        *,
        host: str | None = None,
        rate: float = 20.0,
        timeout: float = 10.0,
        patience: float = 60.0,
    ) -> None:
        self._url = url
        self._questions = questions
        self._headers = {"host": host} if host else {}
        self._rate = rate
        self._timeout = timeout
        self._patience = patience
        self._stopped = asyncio.Event()
        self.counts = Counts()

    def stop(self) -> None:
        """Sends nothing more; `run` returns when the last answer is in."""
        self._stopped.set()

    async def run(
        self,
        seconds: float | None = None,
        tasks: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> Counts:
        """Sends until `stop`, or for so many seconds, or so many tasks; returns the counters.

        Raises httpx.ConnectError if nothing accepts a connection within `patience` seconds.
        """
        # Connections are kept for ever and as many as it takes: a refused slot would be a wait, not load.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)
        async with httpx.AsyncClient(
            limits=limits, timeout=self._timeout, trust_env=False, transport=transport
        ) as client:
            await self._until_accepted(client)
            begun = time.monotonic()
            async with asyncio.TaskGroup() as group:
                while not await self._due(begun, seconds, tasks):
                    group.create_task(self._ask(client, next(self._questions)))
                    self.counts.sent += 1
        return self.counts

    async def _until_accepted(self, client: httpx.AsyncClient) -> None:
        """Waits, `patience` seconds at most, until something accepts connections. Sends no task."""
        deadline = time.monotonic() + self._patience
        while not self._stopped.is_set():
            try:
                await client.get(self._url, headers=self._headers)
            except httpx.ConnectError:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(0.2)
            except httpx.HTTPError:
                return
            else:
                return

    async def _due(self, begun: float, seconds: float | None, tasks: int | None) -> bool:
        """Sleeps until the next task is due; True when there is none."""
        due = self.counts.sent / self._rate
        if (tasks is not None and self.counts.sent >= tasks) or (seconds is not None and due >= seconds):
            return True
        wait = begun + due - time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), max(wait, 0.0))
        return self._stopped.is_set()

    async def _ask(self, client: httpx.AsyncClient, question: Question) -> None:
        begun = time.monotonic()
        try:
            reply = await client.post(self._url, headers=self._headers, json={"question_id": question.id})
            if reply.status_code != httpx.codes.OK:
                self.counts.errors[f"status {reply.status_code}"] += 1
                return
            tool = reply.json()["tool"]
        except httpx.HTTPError as error:
            self.counts.errors[type(error).__name__] += 1
        except (ValueError, KeyError, TypeError):
            self.counts.errors["unreadable answer"] += 1
        else:
            self.counts.seconds.append(time.monotonic() - begun)
            self.counts.add(reply.headers.get(VERSION_HEADER, "unknown"), judge_answer(question, tool))


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    if not ordered:
        return {}
    places = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {
        name: round(1000 * ordered[min(int(place * len(ordered)), len(ordered) - 1)], 1)
        for name, place in places.items()
    }


async def _report(load: Load, begun: float, every: float = 1.0) -> None:
    while True:
        await asyncio.sleep(every)
        _print_line(load, begun, final=False)


def _print_line(load: Load, begun: float, *, final: bool) -> None:
    line = {"final": final, "elapsed": round(time.monotonic() - begun, 2), **load.counts.as_json()}
    # A reader that went away must not end the load: the report is a by-product.
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(line), flush=True)


async def _main(options: argparse.Namespace) -> None:
    catalogue = read_catalogue(options.catalogue or catalogue_file())
    questions = draw(catalogue, options.seed, options.irrelevant_share)
    load = Load(options.url, questions, host=options.host, rate=options.rate, timeout=options.timeout)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, load.stop)
    begun = time.monotonic()
    report = asyncio.create_task(_report(load, begun))
    try:
        await load.run(options.seconds, options.tasks)
    finally:
        report.cancel()
        _print_line(load, begun, final=True)


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo.load", description=__doc__)
    parser.add_argument("--url", required=True, help="gateway address and path, http://…/triage")
    parser.add_argument("--host", help="Host header, triage.demo.test")
    parser.add_argument("--rate", type=float, default=20.0, help="tasks a second (default 20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--irrelevant-share", type=float, default=IRRELEVANT_SHARE)
    parser.add_argument("--seconds", type=float, help="stop after so long (default: on SIGTERM)")
    parser.add_argument("--tasks", type=int, help="stop after so many tasks")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds a task may take")
    parser.add_argument("--catalogue", type=Path, help="default: the one in the cache folder")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(_main(parse_options(sys.argv[1:])))

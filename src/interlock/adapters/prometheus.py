"""Raw counter samples from Prometheus: `ports.Metrics`. Believes nothing: what is not a well-formed, complete
answer is `Unreadable`, never zero and never an exception.

Agents of one namespace that are read at the same moment share a query: a hundred active rollouts would else
be a hundred queries a tick. One agent whose answer cannot be used does not blind the others.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from interlock.analysis.series import Series
from interlock.core.observation import Unreadable
from interlock.ports import Samples, Selection

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes. A larger answer is a selector that matches too much, or not Prometheus at all."""
GATHER = 0.005
"""Seconds that a read waits for others to share its query."""
AGENTS = 200
"""Agents in a query at most, when it reads half a minute; fewer in proportion when it reads more."""
_USUAL_WINDOW = 30.0
_CONNECTIONS = 16

Answer = Samples | Unreadable


class _NoAnswer(Exception):
    """Prometheus did not answer: no agent's fault, so there is no use in asking for each alone."""


@dataclass(eq=False, slots=True)
class _Shared:
    """Reads that are to become one query."""

    selections: list[Selection] = field(default_factory=list)
    answers: asyncio.Task[list[Answer]] | None = None


class PrometheusMetrics:
    """A range selector evaluated at one instant returns raw samples, unextrapolated."""

    def __init__(
        self, address: str, timeout: float = 5.0, observe: Callable[[str, float], None] = lambda r, s: None
    ) -> None:
        """`address` is the base URL; `observe` is told result (`ok`, `error`) and seconds of each query."""
        self._address = address.rstrip("/") + "/api/v1/query"
        self._session: aiohttp.ClientSession | None = None
        self._patience = timeout
        self._observe = observe
        self._gathering: dict[Hashable, _Shared] = {}

    async def close(self) -> None:
        """Close pooled connections."""
        if self._session is not None:
            await self._session.close()

    def _pool(self) -> aiohttp.ClientSession:
        """Made with the first query: it belongs to the loop that then runs."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    async def read(self, selection: Selection) -> Answer:
        """All series of the families of one agent, with their samples in (at − window, at]."""
        key = _alike(selection)
        shared = self._gathering.setdefault(key, _Shared())
        place = len(shared.selections)
        shared.selections.append(selection)
        if shared.answers is None:
            shared.answers = asyncio.create_task(self._together(key))
        answers = await asyncio.shield(shared.answers)  # who gives up does not give up for the others
        return answers[place]

    async def _together(self, key: Hashable) -> list[Answer]:
        await asyncio.sleep(GATHER)
        selections = self._gathering.pop(key).selections
        window = max(selection.window for selection in selections)
        size = max(1, int(AGENTS * min(1.0, _USUAL_WINDOW / window)))
        parts = [selections[first : first + size] for first in range(0, len(selections), size)]
        return [answer for part in parts for answer in await self._read(part)]

    async def _read(self, selections: Sequence[Selection]) -> list[Answer]:
        """An answer for each. What is refused or malformed is asked for again in halves."""
        at = max(selection.at for selection in selections)
        begin = min(selection.at - selection.window for selection in selections)
        started = time.perf_counter()
        try:
            found = await self._ask({"query": query(selections, at - begin), "time": f"{at:.3f}"})
        except _NoAnswer as error:
            self._observe("error", time.perf_counter() - started)
            return [Unreadable(str(error))] * len(selections)
        self._observe("ok" if isinstance(found, Samples) else "error", time.perf_counter() - started)
        if isinstance(found, Samples):
            return [found] if len(selections) == 1 else dealt(found, selections)
        half = len(selections) // 2
        return (
            [*await self._read(selections[:half]), *await self._read(selections[half:])] if half else [found]
        )

    async def _ask(self, data: dict[str, str]) -> Answer:
        try:
            async with (
                asyncio.timeout(self._patience),  # for all of it: a trickle would never end
                self._pool().post(self._address, data=data, allow_redirects=False) as response,
            ):
                body = await _bounded(response)
        except TimeoutError as error:
            raise _NoAnswer(f"no complete answer within {self._patience:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _NoAnswer(f"{type(error).__name__}: {error}".rstrip(": ")[:200]) from error
        if isinstance(body, str):
            return Unreadable(body)
        found = parse(response.status, body)
        if isinstance(found, Unreadable) and response.status >= 500:
            raise _NoAnswer(found.reason)
        return found


def _alike(selection: Selection) -> Hashable:
    """Reads that may share a query: of one namespace, about the same moment and about as long."""
    _, length = math.frexp(selection.window)
    return selection.namespace, selection.families, int(selection.at // _USUAL_WINDOW), length


async def _bounded(response: aiohttp.ClientResponse) -> bytes | str:
    """The body, or a sentence when it is larger than anything sensible."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_ANSWER:
            return f"the answer is larger than {MAX_ANSWER // 1024 // 1024} MiB"
        chunks.append(chunk)
    return b"".join(chunks)


def query(selections: Sequence[Selection], window: float) -> str:
    """The PromQL of selections that differ in their agents only; `namespace` is always part of it."""
    one, agents = selections[0], sorted({selection.agent for selection in selections})
    names = "|".join(sorted(one.families))
    if len(agents) == 1:
        agent = f'agent="{_quoted(agents[0])}"'
    else:
        agent = f'agent=~"{_quoted("|".join(map(re.escape, agents)))}"'
    return (
        f'{{__name__=~"{names}",namespace="{_quoted(one.namespace)}",{agent}}}'
        f"[{max(1, math.ceil(round(window * 1000, 3)))}ms]"
    )


def dealt(found: Samples, selections: Sequence[Selection]) -> list[Answer]:
    """A shared answer as each would have got it alone: the series of its agent, cut to its window."""
    of_agent: dict[str, list[Series]] = defaultdict(list)
    for series in found.series:
        of_agent[series.labels.get("agent", "")].append(series)
    return [_cut(of_agent[selection.agent], selection) for selection in selections]


def _cut(series: Sequence[Series], selection: Selection) -> Samples:
    """In whole milliseconds, as Prometheus keeps its times."""
    begin, end = round((selection.at - selection.window) * 1000), round(selection.at * 1000)
    kept = ((one, tuple(p for p in one.points if begin < round(p[0] * 1000) <= end)) for one in series)
    return Samples(tuple(Series(one.labels, points) for one, points in kept if points))


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def parse(status: int, body: bytes) -> Samples | Unreadable:
    """An answer of /api/v1/query; anything unexpected is a reason."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Unreadable(f"the answer (HTTP {status}) is not JSON: is this address Prometheus?")
    if status != 200 or not isinstance(answer, dict) or answer.get("status") != "success":
        detail = answer.get("error", "") if isinstance(answer, dict) else ""
        return Unreadable(f"Prometheus refused the query (HTTP {status}): {detail}"[:200])
    if answer.get("warnings"):
        return Unreadable(f"the answer may be partial: {answer['warnings']}"[:200])
    data = answer.get("data")
    if not isinstance(data, dict) or data.get("resultType") != "matrix":
        return Unreadable("the answer holds no matrix of samples")
    try:
        return Samples(tuple(_series(item) for item in data.get("result") or ()))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        return Unreadable("the answer holds malformed samples")


def _series(item: dict[str, Any]) -> Series:
    labels = {str(key): str(value) for key, value in item["metric"].items()}
    points = [
        (at, number)
        for moment, value in item.get("values") or ()
        if math.isfinite(at := float(moment)) and math.isfinite(number := float(value))
    ]
    return Series(labels, tuple(points))

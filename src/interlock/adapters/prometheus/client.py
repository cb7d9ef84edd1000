"""One query over HTTP: few at a time, bounded in size and time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import aiohttp
from aiohttp import hdrs

from interlock.adapters.prometheus.access import Access
from interlock.adapters.prometheus.answers import Answer, Answers
from interlock.adapters.prometheus.labels import LabelNames
from interlock.adapters.prometheus.numbers import numbers
from interlock.analysis.values import Evaluated
from interlock.core.observation import Unreadable
from interlock.errors import SpecError
from interlock.ports import Evaluation

A_BIT = 0.0001
"""Seconds, less than what Prometheus tells apart."""
AT_ONCE = 4
"""Queries under way at most."""
HISTORIES_AT_ONCE = 2
"""Of these, at most so many that read long ago or long, or compute: a tick's own never wait for them
alone."""
HISTORY_TAKES = 6
"""Times as long as an answer about now may take one about history: nothing waits for it but its rollouts."""
ABOUT_THE_QUERY = frozenset(
    {
        HTTPStatus.OK,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Of other answers no query of ours is the cause, so that another would not be answered better."""
_HEADERS = {
    hdrs.USER_AGENT: "interlock-operator",
    hdrs.ACCEPT: "application/json",
    hdrs.ACCEPT_ENCODING: "identity",  # in a cluster the wire is cheaper than to pack and unpack
}


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Prometheus did not answer. `late`: it may have had too much to do, so less might be answered."""

    reason: str
    late: bool = False


Found = TypeVar("Found")
Observe = Callable[[str, float], None]


class Client:
    """Asks one Prometheus."""

    def __init__(
        self, address: str, access: Access, patience: float, observe: Observe, names: LabelNames
    ) -> None:
        """`patience`: seconds for a whole answer. `observe` is told `ok` or `error`, and the seconds."""
        self._api = address.rstrip("/") + "/api/v1/"
        self._access = access
        self._patience = patience
        self._observe = observe
        self._answers = Answers(names)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._histories = asyncio.Semaphore(HISTORIES_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None
        self._context: tuple[tuple[object, ...], ssl.SSLContext] | None = None

    async def close(self) -> None:
        """Close pooled connections."""
        if self._session is not None:
            await self._session.close()

    async def ask(
        self, query: str, at: float, limit: int, deal: Callable[[Answer], Found], *, history: bool = False
    ) -> Found | Unreadable | NoAnswer:
        """What `deal` makes of the answer, of at most `limit` bytes, at the moment `at` (unix seconds).

        Unreadable: there is an answer, but it cannot be used.
        """

        def read(status: int, body: bytes) -> Found | Unreadable:
            found = self._answers.read(status, body)
            return found if isinstance(found, Unreadable) else deal(found)

        asked = {"query": query, "time": f"{at:.3f}"}
        async with self._histories if history else contextlib.nullcontext():
            patience = self._patience * (HISTORY_TAKES if history else 1)
            return await self._in_turn("query", asked, limit, patience, read)

    async def evaluate(
        self, evaluation: Evaluation, limit: int
    ) -> Sequence[Evaluated] | Unreadable | NoAnswer:
        """What an expression gave; the answer is of at most `limit` bytes."""
        asked = {
            "query": evaluation.promql,
            "start": f"{evaluation.first:.3f}",
            "end": f"{evaluation.last:.3f}",
            # Prometheus cuts off what is less than a whole millisecond, and reads 1.001 as a little less
            "step": f"{evaluation.step + A_BIT:.4f}",
        }
        async with self._histories:
            return await self._in_turn(
                "query_range",
                asked,
                limit,
                self._patience,
                lambda status, body: numbers(status, body, evaluation),
            )

    async def _in_turn(
        self,
        endpoint: str,
        asked: dict[str, str],
        limit: int,
        patience: float,
        read: Callable[[int, bytes], Found | Unreadable],
    ) -> Found | Unreadable | NoAnswer:
        async with self._slots:
            started = time.perf_counter()
            found = await self._asked(endpoint, asked, limit, patience, read)
        useful = not isinstance(found, Unreadable | NoAnswer)
        self._observe("ok" if useful else "error", time.perf_counter() - started)
        return found

    async def _asked(
        self,
        endpoint: str,
        asked: dict[str, str],
        limit: int,
        patience: float,
        read: Callable[[int, bytes], Found | Unreadable],
    ) -> Found | Unreadable | NoAnswer:
        data = asked | {"timeout": f"{patience:g}s"}
        try:
            async with (
                asyncio.timeout(patience),  # for all of it: a trickle would never end
                self._pool().post(
                    self._api + endpoint,
                    data=data,
                    allow_redirects=False,
                    headers=self._access.headers_now(),
                    ssl=self._trust(),
                ) as response,
            ):
                body = await _bounded(response, limit)
        except TimeoutError:
            return NoAnswer(f"no complete answer within {patience:g} s", late=True)
        except SpecError as error:
            return NoAnswer(str(error)[:200])
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return NoAnswer(_in_words(error)[:200])
        return Unreadable(body) if isinstance(body, str) else _judged(response.status, body, read)

    def _pool(self) -> aiohttp.ClientSession:
        """Made with the first query: it belongs to the loop that then runs."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=AT_ONCE)
            self._session = aiohttp.ClientSession(connector=connector, headers=_HEADERS)
        return self._session

    def _trust(self) -> ssl.SSLContext:
        """Made anew when a certificate is another. SpecError where a file cannot be used."""
        stamp = self._access.stamp()
        if self._context is None or self._context[0] != stamp:
            self._context = stamp, self._access.context()
        return self._context[1]


def _in_words(error: Exception) -> str:
    """The same for the same cause: a sentence that changed would be written to the status again."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"cannot connect to {error.host}:{error.port}: {error.certificate_error}"
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            why = cause.strerror if cause.errno is None or cause.errno < 0 else os.strerror(cause.errno)
            return f"cannot connect to {error.host}:{error.port}: {why or cause}"
        case _:
            return f"{type(error).__name__}: {error}".rstrip(": ")


def _judged(
    status: int, body: bytes, read: Callable[[int, bytes], Found | Unreadable]
) -> Found | Unreadable | NoAnswer:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return NoAnswer(f"Prometheus refuses us (HTTP {status}): check the operator's credentials")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return NoAnswer(
            f"Prometheus sends us elsewhere (HTTP {status}): give the address that answers itself"
        )
    found = read(status, body)
    if isinstance(found, Unreadable) and status not in ABOUT_THE_QUERY:
        return NoAnswer(found.reason, late=status >= HTTPStatus.INTERNAL_SERVER_ERROR)
    return found


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes | str:
    """The body, or a sentence when it is larger than anything sensible."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            return f"the answer is larger than {limit // 1024 // 1024} MiB"
        chunks.append(chunk)
    return b"".join(chunks)

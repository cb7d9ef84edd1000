"""Raw counter samples from Prometheus: `ports.Metrics`. Believes nothing: what is not a well-formed, complete
answer is `Unreadable`, never zero and never an exception."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable
from typing import Any

import httpx

from interlock.analysis.series import Series
from interlock.core.observation import Unreadable
from interlock.ports import Samples, Selection

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes. A larger answer is a selector that matches too much, or not Prometheus at all."""


class PrometheusMetrics:
    """One query a read: a range selector evaluated at one instant returns raw samples, unextrapolated."""

    def __init__(
        self, address: str, timeout: float = 5.0, observe: Callable[[str, float], None] = lambda r, s: None
    ) -> None:
        """`address` is the base URL; `observe` is told result (`ok`, `error`) and seconds of each query."""
        self._client = httpx.AsyncClient(base_url=address, timeout=timeout, trust_env=False)
        self._patience = timeout
        self._observe = observe

    async def close(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()

    async def read(self, selection: Selection) -> Samples | Unreadable:
        """All series of the families of one agent, with their samples in (at − window, at]."""
        started = time.perf_counter()
        found = await self._ask({"query": query(selection), "time": f"{selection.at:.3f}"})
        self._observe("ok" if isinstance(found, Samples) else "error", time.perf_counter() - started)
        return found

    async def _ask(self, data: dict[str, str]) -> Samples | Unreadable:
        try:
            async with (
                asyncio.timeout(self._patience),  # httpx counts each chunk anew: a trickle would never end
                self._client.stream("POST", "/api/v1/query", data=data) as response,
            ):
                body = await _bounded(response)
        except TimeoutError:
            return Unreadable(f"no complete answer within {self._patience:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return Unreadable(f"{type(error).__name__}: {error}".rstrip(": ")[:200])
        return Unreadable(body) if isinstance(body, str) else parse(response.status_code, body)


async def _bounded(response: httpx.Response) -> bytes | str:
    """The body, or a sentence when it is larger than anything sensible."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_ANSWER:
            return f"the answer is larger than {MAX_ANSWER // 1024 // 1024} MiB"
        chunks.append(chunk)
    return b"".join(chunks)


def query(selection: Selection) -> str:
    """The PromQL of a selection; `namespace` is always part of it."""
    names = "|".join(sorted(selection.families))
    return (
        f'{{__name__=~"{names}",namespace="{_quoted(selection.namespace)}",agent="{_quoted(selection.agent)}"}}'
        f"[{max(1, math.ceil(round(selection.window * 1000, 3)))}ms]"
    )


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
    points = ((float(moment), float(value)) for moment, value in item.get("values") or ())
    return Series(labels, tuple((t, v) for t, v in points if math.isfinite(t) and math.isfinite(v)))

"""What the relay may say instead of what Prometheus says."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from aiohttp import web

from tests.cluster.prometheus import Answer


def says(body: str | bytes, status: int = 200, kind: str = "application/json") -> Answer:
    """Always this, whatever was asked."""

    async def answer(_: bytes) -> web.StreamResponse:
        return web.Response(
            body=body if isinstance(body, bytes) else body.encode(), status=status, content_type=kind
        )

    return answer


def changed(change: Callable[[dict[str, Any]], object]) -> Answer:
    """What Prometheus says, after `change` in place."""

    async def answer(truth: bytes) -> web.StreamResponse:
        found = json.loads(truth)
        change(found)
        return web.json_response(found)

    return answer


@cache
def down() -> Answer:
    """Nobody is there but the proxy in front."""
    return says("upstream connect error", 503, "text/plain")


def forgets_before(moment: float) -> Answer:
    """All samples up to `moment` (unix seconds) are lost, as with a Prometheus that has lost its disk."""

    def forget(found: dict[str, Any]) -> None:
        result = found["data"]["result"]
        for series in result:
            series["values"] = [sample for sample in series["values"] if sample[0] > moment]
        result[:] = [series for series in result if series["values"]]

    return changed(forget)

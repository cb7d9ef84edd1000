"""What Prometheus really holds, asked without the operator's own reader."""

from __future__ import annotations

from typing import Any

import httpx

Sample = tuple[float, float]
"""Unix seconds of the scrape, value."""


class Prometheus:
    """Queries to the node's Prometheus."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def total(self, series: str, labels: dict[str, str], at: float | None = None) -> float | None:
        """The sum over all series with these labels, now or at a time (unix seconds); None without any."""
        results = await self._query(f"sum({_selector(series, labels)})", at)
        return float(results[0]["value"][1]) if results else None

    async def samples(self, series: str, labels: dict[str, str]) -> list[list[Sample]]:
        """The raw samples of the last ten minutes, a list for each series."""
        results = await self._query(f"{_selector(series, labels)}[10m]", None)
        return [[(float(at), float(value)) for at, value in result["values"]] for result in results]

    async def _query(self, query: str, at: float | None) -> list[dict[str, Any]]:
        params = {"query": query} | ({"time": f"{at:.3f}"} if at is not None else {})
        reply = await self._client.get("/api/v1/query", params=params)
        reply.raise_for_status()
        found: list[dict[str, Any]] = reply.json()["data"]["result"]
        return found


def _selector(series: str, labels: dict[str, str]) -> str:
    return series + "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"

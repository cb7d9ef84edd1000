"""A real Prometheus, and the relay through which the operator asks it: it counts, and lies where told to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import yaml
from aiohttp import web

from dev.cluster import build
from dev.cluster.versions import PROMETHEUS_PROGRAM, GoProgram
from tests.cluster.processes import Program

SCRAPE_SECONDS = 1
_NAMESPACE = re.compile(r'namespace=~?"([^"]*)"')

Answer = Callable[[bytes], Awaitable[web.StreamResponse]]
"""Makes what the operator gets out of what Prometheus says."""


PAGE = "story_page"
"""A series above 0 lets the alert of the same labels fire."""
RULES = {
    "groups": [
        {
            "name": "stories",
            "rules": [
                {"alert": "StoryPage", "expr": f"{PAGE} > 0", "labels": {"interlock_action": "revert"}}
            ],
        }
    ]
}


def prometheus(folder: Path, port: int, exporter: str, version: GoProgram = PROMETHEUS_PROGRAM) -> Program:
    """A server that scrapes one target each second, believes its labels, and has an alerting rule."""
    (folder / "rules.yml").write_text(yaml.safe_dump(RULES))
    second = f"{SCRAPE_SECONDS}s"
    config = {
        "global": {"scrape_interval": second, "scrape_timeout": second, "evaluation_interval": second},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [
            {"job_name": "agents", "honor_labels": True, "static_configs": [{"targets": [exporter]}]}
        ],
    }
    return serving(folder, port, config, version=version)


def serving(
    folder: Path, port: int, config: Any, *flags: str, version: GoProgram = PROMETHEUS_PROGRAM
) -> Program:
    """Prometheus with that configuration, not yet started."""
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        str(build.program(version)),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *flags,
    ]
    return Program(command, folder / "prometheus.log")


class Relay:
    """An HTTP server between the operator and Prometheus."""

    def __init__(self, prometheus: str) -> None:
        self._client = httpx.AsyncClient(base_url=prometheus, timeout=10, trust_env=False)
        self.queries: dict[str, int] = defaultdict(int)
        """Asked so far, by namespace."""
        self.lies: dict[str, Answer] = {}
        """By namespace; without an entry the answer passes unchanged. A query about others too is refused as
        too large, so that the operator asks about each alone; the same lie about all of them is told once."""

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, query: str) -> list[Any]:
        """The truth, for a test: the result of an instant query."""
        found = await self._client.post("/api/v1/query", data={"query": query})
        result: list[Any] = found.raise_for_status().json()["data"]["result"]
        return result

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """POST /api/v1/query, or query_range."""
        body = await request.read()
        found = await self._client.post(
            request.path, data={k: str(v) for k, v in (await request.post()).items()}
        )
        namespaces = _asked_for(body)
        for namespace in namespaces:
            self.queries[namespace] += 1
        lies = [self.lies[namespace] for namespace in namespaces if namespace in self.lies]
        if lies and (len(lies) < len(namespaces) or any(lie is not lies[0] for lie in lies)):
            refusal = {"status": "error", "errorType": "execution", "error": "too many samples"}
            return web.json_response(refusal, status=422)
        if lies:
            return await lies[0](found.content)
        return web.Response(body=found.content, status=found.status_code, content_type="application/json")


def _asked_for(body: bytes) -> list[str]:
    match = _NAMESPACE.search(str(httpx.QueryParams(body.decode())["query"]))
    return match[1].replace("\\", "").split("|") if match else [""]

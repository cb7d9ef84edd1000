"""What the adapter makes of answers that no well-behaved API server gives."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from interlock.adapters.kubernetes import Connection, KubernetesObjects
from interlock.errors import TransientError
from interlock.operator.app import JSON_DEPTH


@asynccontextmanager
async def answering(body: str, status: int = 200) -> AsyncIterator[KubernetesObjects]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, status=status)

    app = web.Application()
    app.add_routes([web.get("/{path:.*}", answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    objects = KubernetesObjects(Connection(server, tls=False, authorization=lambda: ""))
    try:
        yield objects
    finally:
        await objects.close()
        await runner.cleanup()


@pytest.fixture
def depth() -> Iterator[int]:
    """As deep as the API server accepts, under the limit that the operator sets for itself."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(JSON_DEPTH)
    yield 9_000
    sys.setrecursionlimit(before)


async def test_an_object_may_be_nested_as_deep_as_the_api_server_accepts(depth: int) -> None:
    async with answering('{"metadata":' + '{"a":' * depth + "1" + "}" * depth + "}") as objects:
        found = await objects.get("Rollout", "shop", "a")
    assert found is not None
    levels, inner = 0, found["metadata"]
    while isinstance(inner, dict):
        levels, inner = levels + 1, inner["a"]
    assert (levels, inner) == (depth, 1)


async def test_equal_strings_are_kept_once() -> None:
    async with answering('{"metadata": {"name": "a-name-of-its-own"}}') as objects:
        first, second = [await objects.get("Rollout", "shop", "a") for _ in range(2)]
    assert first is not None
    assert second is not None
    assert first["metadata"]["name"] is second["metadata"]["name"]


@pytest.mark.parametrize("status", [200, 302, 502])
async def test_an_answer_of_somebody_else_is_transient(status: int) -> None:
    async with answering("<html>Sign in</html>", status) as objects:
        with pytest.raises(TransientError, match="GET /apis/"):
            await objects.get("Rollout", "shop", "a")

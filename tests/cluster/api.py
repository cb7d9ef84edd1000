"""A small client of the API server for all that is around the operator, which has its own."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from pydantic_core import from_json

Manifest = dict[str, Any]
Heard = Callable[[str, Manifest], Awaitable[None]]
"""Told `RESET` (with {}) when a listing begins, `LISTED` for each of its items, then events of the watch."""


TIMEOUT = aiohttp.ClientTimeout(total=10)
UNENDING = aiohttp.ClientTimeout()
CONNECTIONS = 64
LONGEST_LINE = 2**22
"""Bytes of an event of a watch."""


class Api:
    """Administrator's access; every call raises aiohttp.ClientError, of it ClientResponseError where it was
    answered, or TimeoutError, except where it says so. aiohttp, for what it costs: docs/adr/0011."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server = str(cluster["server"])
        self._tls = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
            pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
            pair.flush()
            self._tls.load_cert_chain(pair.name)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _pool(self) -> aiohttp.ClientSession:
        """Made with the first request: it belongs to the loop that then runs."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls, limit=CONNECTIONS)
            self._session = aiohttp.ClientSession(
                self.server, connector=connector, timeout=TIMEOUT, read_bufsize=LONGEST_LINE
            )
        return self._session

    async def get(self, path: str) -> Manifest | None:
        """The object, or None when it does not exist."""
        try:
            return await self._ask("GET", path)
        except aiohttp.ClientResponseError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def items(self, path: str, **params: str) -> list[Manifest]:
        """All objects below a collection."""
        found = await self._ask("GET", path, params=params)
        return [_with_kind(found, item) for item in found["items"]]

    async def post(self, path: str, body: Manifest) -> Manifest:
        return await self._ask("POST", path, json=body)

    async def put(self, path: str, body: Manifest) -> Manifest:
        return await self._ask("PUT", path, json=body)

    async def patch(self, path: str, body: Manifest, kind: str = "merge") -> Manifest:
        """A merge patch (or `json`, `strategic-merge`)."""
        headers = {"Content-Type": f"application/{kind}-patch+json"}
        return await self._ask("PATCH", path, data=json.dumps(body), headers=headers)

    async def delete(self, path: str, **options: Any) -> None:
        """Delete; an object that is gone is no error."""
        try:
            await self._ask("DELETE", path, json=options)
        except aiohttp.ClientResponseError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    async def follow(self, path: str, heard: Heard, **params: str) -> None:
        """List, then watch, for ever; begins anew whenever anything fails."""
        while True:
            try:
                await self._follow(path, heard, params)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.2)

    async def _follow(self, path: str, heard: Heard, params: dict[str, str]) -> None:
        listed = await self._ask("GET", path, params=params)
        await heard("RESET", {})
        for item in listed["items"]:
            await heard("LISTED", _with_kind(listed, item))
        since = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        async with self._pool().get(path, params=params | since, timeout=UNENDING) as response:
            response.raise_for_status()
            async for line in response.content:
                event = _parsed(line)
                if event["type"] == "ERROR":
                    return
                await heard(event["type"], event["object"])

    async def _ask(self, method: str, path: str, **content: Any) -> Manifest:
        async with self._pool().request(method, path, **content) as response:
            text = await response.read()
            if not response.ok:
                raise aiohttp.ClientResponseError(
                    response.request_info, response.history, status=response.status, message=text.decode()
                )
        return _parsed(text)


def _parsed(text: bytes) -> Manifest:
    """A third of the time of `json`, which alone reads objects of any depth."""
    found: Manifest
    try:
        found = from_json(text)
    except ValueError:
        found = json.loads(text)
    return found


def _with_kind(listed: Manifest, item: Manifest) -> Manifest:
    kind = listed["kind"].removesuffix("List")
    return {"apiVersion": listed["apiVersion"], "kind": kind, **item}


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def core(namespace: str, plural: str, name: str = "") -> str:
    """Path of objects of the core group."""
    return _path("/api/v1", namespace, plural, name)


def grouped(group: str, namespace: str, plural: str, name: str = "") -> str:
    """Path of objects of a named group, like `apps/v1`; namespace "" is all of them."""
    return _path(f"/apis/{group}", namespace, plural, name)


def _path(root: str, namespace: str, plural: str, name: str) -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")


INTERLOCK = "interlock.dev/v1alpha1"
GATEWAY = "gateway.networking.k8s.io/v1"
EVENTS = "events.k8s.io/v1"

"""A small client of the API server for all that is around the operator, which has its own."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import yaml

Manifest = dict[str, Any]
Heard = Callable[[str, Manifest], Awaitable[None]]
"""Told `RESET` (with {}) when a listing begins, `LISTED` for each of its items, then events of the watch."""


class Api:
    """Administrator's access; every call raises httpx.HTTPError when it fails, except where it says so."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server = str(cluster["server"])
        tls = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
            pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
            pair.flush()
            tls.load_cert_chain(pair.name)
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        self._client = httpx.AsyncClient(
            base_url=self.server, verify=tls, timeout=10, limits=limits, trust_env=False
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> Manifest | None:
        """The object, or None when it does not exist."""
        response = await self._client.get(path)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        return _answer(response)

    async def items(self, path: str, **params: str) -> list[Manifest]:
        """All objects below a collection."""
        found = _answer(await self._client.get(path, params=params))
        return [_with_kind(found, item) for item in found["items"]]

    async def post(self, path: str, body: Manifest) -> Manifest:
        return _answer(await self._client.post(path, json=body))

    async def put(self, path: str, body: Manifest) -> Manifest:
        return _answer(await self._client.put(path, json=body))

    async def patch(self, path: str, body: Manifest, kind: str = "merge") -> Manifest:
        """A merge patch (or `json`, `strategic-merge`)."""
        content = json.dumps(body)
        headers = {"Content-Type": f"application/{kind}-patch+json"}
        return _answer(await self._client.patch(path, content=content, headers=headers))

    async def delete(self, path: str, **options: Any) -> None:
        """Delete; an object that is gone is no error."""
        response = await self._client.request("DELETE", path, json=options)
        if response.status_code != httpx.codes.NOT_FOUND:
            _answer(response)

    async def follow(self, path: str, heard: Heard, **params: str) -> None:
        """List, then watch, for ever; begins anew whenever anything fails."""
        while True:
            try:
                await self._follow(path, heard, params)
            except (httpx.HTTPError, httpx.StreamError):
                await asyncio.sleep(0.2)

    async def _follow(self, path: str, heard: Heard, params: dict[str, str]) -> None:
        listed = _answer(await self._client.get(path, params=params))
        await heard("RESET", {})
        for item in listed["items"]:
            await heard("LISTED", _with_kind(listed, item))
        since = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        async with self._client.stream("GET", path, params=params | since, timeout=None) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                await heard(event["type"], event["object"])


def _answer(response: httpx.Response) -> Manifest:
    if response.is_error:
        raise httpx.HTTPStatusError(response.text, request=response.request, response=response)
    found: Manifest = response.json()
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

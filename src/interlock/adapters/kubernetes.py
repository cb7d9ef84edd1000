"""The API server over HTTP/1.1: `ports.Objects`. Holds no cache and makes no decision.

aiohttp, because a request costs the process a tenth of what it costs with httpx (0.4 and 4.3 ms measured).
"""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import hdrs
from pydantic_core import from_json, to_json

from interlock.core.labels import FIELD_MANAGER
from interlock.errors import Conflict, SpecError, TransientError

Manifest = dict[str, Any]

PAGE = 500
TIMEOUT = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0, sock_read=15.0)
CONNECTIONS = 32
_HEADERS = {
    hdrs.USER_AGENT: "interlock-operator",
    hdrs.ACCEPT: "application/json",
    hdrs.ACCEPT_ENCODING: "identity",  # in a cluster the wire is cheaper than to pack and unpack
}


@dataclass(frozen=True, slots=True)
class Resource:
    """Where a kind lives in the API."""

    api_version: str
    plural: str

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """`/apis/apps/v1/namespaces/x/deployments/y`; without a namespace: across all."""
        prefix = "/api/" if "/" not in self.api_version else "/apis/"
        scope = f"/namespaces/{namespace}" if namespace else ""
        tail = "".join(f"/{part}" for part in (name, sub) if part)
        return f"{prefix}{self.api_version}{scope}/{self.plural}{tail}"


RESOURCES = {
    "Rollout": Resource("interlock.dev/v1alpha1", "rollouts"),
    "AgentVersion": Resource("interlock.dev/v1alpha1", "agentversions"),
    "MetricTemplate": Resource("interlock.dev/v1alpha1", "metrictemplates"),
    "Release": Resource("interlock.dev/v1alpha1", "releases"),
    "ConfigMap": Resource("v1", "configmaps"),
    "Service": Resource("v1", "services"),
    "Deployment": Resource("apps/v1", "deployments"),
    "EndpointSlice": Resource("discovery.k8s.io/v1", "endpointslices"),
    "HTTPRoute": Resource("gateway.networking.k8s.io/v1", "httproutes"),
    "Gateway": Resource("gateway.networking.k8s.io/v1", "gateways"),
    "GatewayClass": Resource("gateway.networking.k8s.io/v1", "gatewayclasses"),
    "Event": Resource("events.k8s.io/v1", "events"),
}


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the API server. `authorization` is asked for each request: tokens are rotated."""

    server: str
    tls: ssl.SSLContext | bool
    authorization: Callable[[], str]
    """The Authorization header's value, or "" where a client certificate is used."""


Counter = Callable[[str, str], None]
"""Told the verb and the HTTP status of each request."""


class _NotFound(TransientError):
    """There is no such object; what that means depends on what was asked."""


class KubernetesObjects:
    """`ports.Objects` on a real API server."""

    def __init__(self, connection: Connection, count: Counter = lambda verb, code: None) -> None:
        self._connection = connection
        self._count = count
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close pooled connections."""
        if self._session is not None:
            await self._session.close()

    def _pool(self) -> aiohttp.ClientSession:
        """Made with the first request: it belongs to the loop that then runs."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._connection.tls, limit=CONNECTIONS, keepalive_timeout=60.0
            )
            self._session = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, headers=_HEADERS)
        return self._session

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object as stored now, or None."""
        try:
            return _with_kind(kind, await self._send("get", "GET", RESOURCES[kind].path(namespace, name)))
        except _NotFound:
            return None

    async def list(self, kind: str, *, namespace: str = "", selector: str = "") -> list[Manifest]:
        """All objects of a kind, in pages."""
        found: list[Manifest] = []
        params: dict[str, str] = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self._send("list", "GET", RESOURCES[kind].path(namespace), params=params)
            found += [_with_kind(kind, item) for item in page.get("items") or []]
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return found
            params["continue"] = following

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, forced: our fields are ours."""
        meta = manifest["metadata"]
        answer = await self._send(
            "apply",
            "PATCH",
            RESOURCES[manifest["kind"]].path(meta["namespace"], meta["name"]),
            params={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=manifest,
            content_type="application/apply-patch+yaml",
        )
        return _with_kind(manifest["kind"], answer)

    async def create(self, manifest: Manifest) -> Manifest:
        """Create; Conflict when the name exists."""
        path = RESOURCES[manifest["kind"]].path(manifest["metadata"]["namespace"])
        answer = await self._send(
            "create", "POST", path, params={"fieldManager": FIELD_MANAGER}, body=manifest
        )
        return _with_kind(manifest["kind"], answer)

    async def replace(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        """Replace with the resourceVersion in the manifest as precondition."""
        return await self._put(manifest, "", manager)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        """Replace the status subresource only."""
        return await self._put(manifest, "status", FIELD_MANAGER)

    async def _put(self, manifest: Manifest, sub: str, manager: str) -> Manifest:
        meta = manifest["metadata"]
        if not meta.get("resourceVersion"):
            raise ValueError("a replace without metadata.resourceVersion would overwrite blindly")
        path = RESOURCES[manifest["kind"]].path(meta.get("namespace", ""), meta["name"], sub)
        verb = "update_status" if sub else "update"
        params = {"fieldManager": manager}
        try:
            answer = await self._send(verb, "PUT", path, params=params, body=manifest)
        except _NotFound as error:
            raise Conflict(f"{manifest['kind']} {meta['name']} does not exist any more") from error
        return _with_kind(manifest["kind"], answer)

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete in the background, with a uid precondition."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        path = RESOURCES[kind].path(namespace, name)
        with contextlib.suppress(_NotFound):
            await self._send("delete", "DELETE", path, body=body)

    async def _send(
        self,
        verb: str,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        headers = {hdrs.CONTENT_TYPE: content_type} if body is not None else {}
        if authorization := self._connection.authorization():
            headers[hdrs.AUTHORIZATION] = authorization
        content = to_json(body) if body is not None else None
        address = self._connection.server.rstrip("/") + path
        what = f"{method} {path}"
        try:
            async with self._pool().request(
                method, address, params=params, data=content, headers=headers, allow_redirects=False
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            self._count(verb, "error")
            raise TransientError(f"{what}: {type(error).__name__} {error}".strip()) from error
        self._count(verb, str(response.status))
        if not 200 <= response.status < 300:
            raise _failure(response.status, answer, what)
        return _parsed(answer, what)


def _parsed(answer: bytes, what: str) -> Manifest:
    """Equal strings become one: objects are kept by the thousand, and most of their words are the same.

    That parser gives up at a depth that an AgentVersion may have; the slower one does not.
    """
    found: Manifest
    try:
        found = from_json(answer, cache_strings="all")
    except ValueError:
        try:
            found = json.loads(answer)
        except ValueError as error:
            raise TransientError(f"{what}: the answer is not JSON: is this the API server?") from error
    return found


def _failure(status: int, answer: bytes, what: str) -> Exception:
    try:
        message = str(json.loads(answer).get("message", ""))
    except (ValueError, AttributeError):
        message = answer[:200].decode(errors="replace")
    text = f"{what}: {status} {message}"[:1000]
    if status == 409:
        return Conflict(text)
    if status in (400, 422):
        return SpecError(text)
    return _NotFound(text) if status == 404 else TransientError(text)


def _with_kind(kind: str, manifest: Manifest) -> Manifest:
    """Items of a list come without apiVersion and kind."""
    manifest.setdefault("apiVersion", RESOURCES[kind].api_version)
    manifest.setdefault("kind", kind)
    return manifest

"""The API server over HTTP/1.1: `ports.Objects`. Holds no cache and makes no decision."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from interlock.core.labels import FIELD_MANAGER
from interlock.errors import Conflict, SpecError, TransientError

Manifest = dict[str, Any]

PAGE = 500
TIMEOUT = httpx.Timeout(15.0, connect=5.0)


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


class KubernetesObjects:
    """`ports.Objects` on a real API server."""

    def __init__(self, connection: Connection, count: Counter = lambda verb, code: None) -> None:
        self._connection = connection
        self._count = count
        self._client = httpx.AsyncClient(
            base_url=connection.server,
            verify=connection.tls,
            timeout=TIMEOUT,
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=60),
            headers={"User-Agent": "interlock-operator", "Accept": "application/json"},
            trust_env=False,
        )

    async def close(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object as stored now, or None."""
        response = await self._send("get", "GET", RESOURCES[kind].path(namespace, name), missing_ok=True)
        return None if response.status_code == 404 else _with_kind(kind, response.json())

    async def list(self, kind: str, *, namespace: str = "", selector: str = "") -> list[Manifest]:
        """All objects of a kind, in pages."""
        found: list[Manifest] = []
        params: dict[str, str] = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            response = await self._send("list", "GET", RESOURCES[kind].path(namespace), params=params)
            page = response.json()
            found += [_with_kind(kind, item) for item in page.get("items") or []]
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return found
            params["continue"] = following

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, forced: our fields are ours."""
        meta = manifest["metadata"]
        response = await self._send(
            "apply",
            "PATCH",
            RESOURCES[manifest["kind"]].path(meta["namespace"], meta["name"]),
            params={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=manifest,
            content_type="application/apply-patch+yaml",
        )
        return _with_kind(manifest["kind"], response.json())

    async def create(self, manifest: Manifest) -> Manifest:
        """Create; Conflict when the name exists."""
        path = RESOURCES[manifest["kind"]].path(manifest["metadata"]["namespace"])
        response = await self._send(
            "create", "POST", path, params={"fieldManager": FIELD_MANAGER}, body=manifest
        )
        return _with_kind(manifest["kind"], response.json())

    async def replace(self, manifest: Manifest) -> Manifest:
        """Replace with the resourceVersion in the manifest as precondition."""
        return await self._put(manifest, "")

    async def replace_status(self, manifest: Manifest) -> Manifest:
        """Replace the status subresource only."""
        return await self._put(manifest, "status")

    async def _put(self, manifest: Manifest, sub: str) -> Manifest:
        meta = manifest["metadata"]
        if not meta.get("resourceVersion"):
            raise ValueError("a replace without metadata.resourceVersion would overwrite blindly")
        path = RESOURCES[manifest["kind"]].path(meta["namespace"], meta["name"], sub)
        verb = "update_status" if sub else "update"
        params = {"fieldManager": FIELD_MANAGER}
        response = await self._send(verb, "PUT", path, params=params, body=manifest, missing_ok=True)
        if response.status_code == 404:
            raise Conflict(f"{manifest['kind']} {meta['name']} does not exist any more")
        return _with_kind(manifest["kind"], response.json())

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete in the background, with a uid precondition."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        path = RESOURCES[kind].path(namespace, name)
        await self._send("delete", "DELETE", path, body=body, missing_ok=True)

    async def _send(
        self,
        verb: str,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
        missing_ok: bool = False,
    ) -> httpx.Response:
        headers = {"Content-Type": content_type} if body is not None else {}
        if authorization := self._connection.authorization():
            headers["Authorization"] = authorization
        content = json.dumps(body, ensure_ascii=False).encode() if body is not None else None
        try:
            response = await self._client.request(
                method, path, params=params, content=content, headers=headers
            )
        except httpx.HTTPError as error:
            self._count(verb, "error")
            raise TransientError(f"{method} {path}: {type(error).__name__} {error}".strip()) from error
        self._count(verb, str(response.status_code))
        if response.is_success or (missing_ok and response.status_code == 404):
            return response
        raise _failure(response, f"{method} {path}")


def _failure(response: httpx.Response, what: str) -> Exception:
    try:
        message = str(response.json().get("message", ""))
    except ValueError:
        message = response.text[:200]
    text = f"{what}: {response.status_code} {message}"[:1000]
    if response.status_code == 409:
        return Conflict(text)
    if response.status_code in (400, 422):
        return SpecError(text)
    return TransientError(text)


def _with_kind(kind: str, manifest: Manifest) -> Manifest:
    """Items of a list come without apiVersion and kind."""
    manifest.setdefault("apiVersion", RESOURCES[kind].api_version)
    manifest.setdefault("kind", kind)
    return manifest

"""kopf's part: log in, watch, and hand every event to the cache. kopf decides nothing and writes nothing.

Its timers, daemons, indices, finalizers, annotations and event posting are not used: docs/adr/0002.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import kopf

from interlock.adapters.kubernetes import Connection
from interlock.core import labels
from interlock.core.adoption import is_written_by_us
from interlock.core.parts import mapping, mappings
from interlock.errors import DependencyError

WATCHED: dict[str, tuple[str, str, str]] = {
    "AgentVersion": ("interlock.dev", "v1alpha1", "agentversions"),
    "Release": ("interlock.dev", "v1alpha1", "releases"),
    "Deployment": ("apps", "v1", "deployments"),
    "ConfigMap": ("", "v1", "configmaps"),
    "Service": ("", "v1", "services"),
    "EndpointSlice": ("discovery.k8s.io", "v1", "endpointslices"),
    "HTTPRoute": ("gateway.networking.k8s.io", "v1", "httproutes"),
    "Gateway": ("gateway.networking.k8s.io", "v1", "gateways"),
    "GatewayClass": ("gateway.networking.k8s.io", "v1", "gatewayclasses"),
    "MetricTemplate": ("interlock.dev", "v1alpha1", "metrictemplates"),
    "Rollout": ("interlock.dev", "v1alpha1", "rollouts"),
}
"""In the order in which they are listed: Rollouts last, so that none is woken for each thing around it."""
SELECTORS = {
    "Deployment": labels.TEMPLATE,
    "ConfigMap": labels.ROLLOUT,
    "EndpointSlice": labels.ROLLOUT,
}
"""Only what is ours, or a template: a cluster's other objects are none of our business or memory. Services
and HTTPRoutes of others may be in the way of ours: of those the part that matters is kept (`lean`)."""

_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

Manifest = dict[str, Any]
Listener = Callable[[str, Manifest], None]
"""Told the event's type (ADDED, MODIFIED, DELETED or "" when listed) and the object."""


class _NoDiffBase(kopf.AnnotationsDiffBaseStorage):
    """Stores nothing: a malformed annotation must not blind us to an object."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {}  # nothing is compared with it, and the deep copy is a third of what an event costs

    def fetch(self, *, body: Any) -> None:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        return None


class _NoProgress(kopf.StatusProgressStorage):
    """Stores nothing: status is ours alone to write."""

    def fetch(self, *, key: Any, body: Any) -> None:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        return None

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        return None

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        return None


class _Forever(Iterable[float]):
    """Seconds between tries, without end: kopf gives up a watch, and so the process, after a counted list,
    but an API server may be gone for longer than that."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1, 2)
        while True:
            yield 5


def settings() -> kopf.OperatorSettings:
    """kopf's settings, as measured to be safe (docs/adr/0002)."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.watching.server_timeout = 240
    chosen.networking.request_timeout = 15
    chosen.queueing.idle_timeout = 0.2  # each object has a worker, which keeps its last event for that long
    chosen.networking.error_backoffs = _Forever()
    chosen.persistence.diffbase_storage = _NoDiffBase()
    chosen.persistence.progress_storage = _NoProgress()
    for kind, selector in SELECTORS.items():
        chosen.watching.label_selectors[WATCHED[kind]] = selector
    return chosen


async def watch(listener: Listener, stop: asyncio.Event) -> None:
    """Run kopf until `stop`; each event of each watched kind goes to `listener` as it comes."""
    registry = kopf.OperatorRegistry()
    for kind, resource in WATCHED.items():
        _subscribe(registry, kind, resource, listener)
    kopf.on.login(registry=registry)(_login)

    async def ending(**_: Any) -> None:
        stop.set()  # else kopf waits 5 s for our tasks, which it takes for its own, and cancels them

    kopf.on.cleanup(registry=registry)(ending)
    await kopf.operator(
        registry=registry, settings=settings(), clusterwide=True, standalone=True, stop_flag=stop
    )


def _subscribe(
    registry: kopf.OperatorRegistry, kind: str, resource: tuple[str, str, str], listener: Listener
) -> None:
    async def handle(event: Any, **_: Any) -> None:
        manifest = {"apiVersion": _api_version(resource), "kind": kind, **dict(event["object"])}
        listener(event["type"] or "", lean(manifest))

    kopf.on.event(*resource, registry=registry, id=f"watch-{kind}")(handle)


_IDENTITY = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")


def lean(manifest: Manifest) -> Manifest:
    """What decisions read of other people's objects, which may be very many; ours as they are."""
    marks = manifest["metadata"].get("labels") or {}
    if labels.EVIDENCE in marks:
        return _identified(manifest)  # half a MiB for each running attempt, read only after a restart
    if labels.ROLLOUT in marks or is_written_by_us(manifest):
        return manifest
    spec = mapping(manifest.get("spec"))
    match manifest["kind"]:
        case "Service":
            kept = _only(spec, "selector", "type")
        case "HTTPRoute":
            rules = [_only(rule, "matches") for rule in mappings(spec.get("rules"))]
            kept = _only(spec, "parentRefs", "hostnames") | {"rules": rules}
        case "Gateway":
            kept = _only(spec, "gatewayClassName")
        case "GatewayClass":
            features = _only(mapping(manifest.get("status")), "supportedFeatures")
            return _identified(manifest) | {"spec": _only(spec, "controllerName"), "status": features}
        case _:
            return manifest
    return _identified(manifest) | {"spec": kept}


def _identified(manifest: Manifest) -> Manifest:
    meta = _only(manifest["metadata"], *_IDENTITY, "ownerReferences")
    return _only(manifest, "apiVersion", "kind") | {"metadata": meta}


def _only(part: Manifest, *keys: str) -> Manifest:
    return {key: part[key] for key in keys if key in part}


def _api_version(resource: tuple[str, str, str]) -> str:
    group, version, _ = resource
    return f"{group}/{version}" if group else version


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def connect() -> Connection:
    """The same credentials for our own requests. Raises DependencyError when there are none."""
    info = _login(settings=settings())
    if info is None:
        raise DependencyError(
            "no cluster credentials: run in a pod with a service account, or set KUBECONFIG to a file"
        )
    tls: ssl.SSLContext | bool = info.as_ssl_context() if info.server.startswith("https://") else False

    def authorization() -> str:
        # the kubelet rotates the projected token; a token of a kubeconfig stays what it is
        if _TOKEN.exists():
            return f"Bearer {_TOKEN.read_text().strip()}"
        return info.as_http_headers().get("Authorization", "")

    return Connection(info.server, tls, authorization)

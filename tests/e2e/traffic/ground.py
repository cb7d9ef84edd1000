"""What the contract is tried on: a gateway, small pods behind it, and routes as the operator makes them.

A route is built by the operator's own pure functions and written by its own adapter under its own account.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dev.cluster import Cluster, Gateway
from dev.cluster.versions import PYTHON_IMAGE
from interlock.core.gateways import Capabilities
from interlock.core.observation import RouteState, Timing
from interlock.core.traffic import http_route, read_route
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import TrafficStatus
from interlock.ports import Objects
from tests.e2e import manifests
from tests.e2e.traffic import backend
from tests.e2e.traffic.asking import Asker

Manifest = dict[str, Any]

NAMESPACE = "e2e-traffic"
STABLE, CANDIDATE, SHADOW, CONTROL = "blue", "green", "green-shadow", "blue-shadow"
MARGIN = Timing().route_margin
"""Seconds that the operator allows after acceptance; what it relies on, and so what is tried here."""
PATIENCE = 60.0
"""Seconds for anything to come true."""


class Ground:
    """One gateway with the pods behind it."""

    def __init__(
        self, cluster: Cluster, objects: Objects, gateway: Gateway, able: Capabilities, asker: Asker
    ) -> None:
        self.cluster = cluster
        self.objects = objects
        self.gateway = gateway
        self.able = able
        self.asker = asker

    def route(self, name: str, *, host: str = "", path: str = "/") -> Route:
        """A route under a host name of its own, unless it is to share one."""
        return Route(self, f"{name}-{self.gateway.gateway_class}", host, path)

    async def received(self, server: str, path: str) -> int:
        """How many requests with exactly that path have reached a pod."""
        place = f"/api/v1/namespaces/{NAMESPACE}/pods/{server}:{backend.PORT}/proxy{backend.COUNTS}"
        told = await asyncio.to_thread(self.cluster.kubectl, "get", "--raw", place)
        return int(json.loads(told.stdout).get(path, 0))

    async def apply(self, *objects: Manifest) -> None:
        """`kubectl apply`."""
        bundle = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        await asyncio.to_thread(self.cluster.kubectl, "apply", "-f", "-", stdin=bundle)

    async def delete(self, kind: str, name: str) -> None:
        """`kubectl delete`, until it is gone."""
        await asyncio.to_thread(self.cluster.kubectl, "delete", kind, name, "-n", NAMESPACE)


class Route:
    """The HTTPRoute of one Rollout, as the operator writes and reads it."""

    def __init__(self, ground: Ground, name: str, host: str, path: str) -> None:
        self.name = name
        self.host = host or f"{name}.traffic.test"
        self.page = f"/{name}"
        """A path that no other test asks for: pods count by path."""
        self._ground = ground
        self._rollout = _rollout(name, self.host, path, ground.gateway)

    async def write(
        self, traffic: TrafficStatus, *, stable: str = STABLE, candidate: str = CANDIDATE
    ) -> RouteState:
        """The split is written, the candidate listed even at 0; returns it as the API server answered."""
        route = http_route(
            self._rollout, traffic, stable=stable, candidate=candidate, keep_candidate=bool(candidate)
        )
        # There is no Rollout here that could own it: the garbage collector would take the route away.
        del route["metadata"]["ownerReferences"]
        return read_route(await self._ground.objects.apply(route))

    async def read(self) -> RouteState:
        """The route as it is now, as the operator reads it."""
        found = await self._ground.objects.get("HTTPRoute", NAMESPACE, self.name)
        assert found is not None
        return read_route(found)

    async def until(self, holds: Callable[[RouteState], bool], what: str) -> RouteState:
        """Waits until the route as read fulfils it."""
        deadline = time.monotonic() + PATIENCE
        while not holds(state := await self.read()):
            told = state.manifest.get("status")
            assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}; {told}"
            await asyncio.sleep(0.02)
        return state

    async def in_force(self, traffic: TrafficStatus, **services: str) -> RouteState:
        """The split is written and accepted, and the margin is over: what the operator takes for done."""
        await self.write(traffic, **services)
        state = await self.until(lambda seen: seen.accepted, f"{self.name} is accepted")
        await asyncio.sleep(MARGIN)
        return state

    async def serves(self, traffic: TrafficStatus, **services: str) -> None:
        """As `in_force`, and it answers: for a beginning, when a gateway may still open its listener."""
        await self.in_force(traffic, **services)
        deadline = time.monotonic() + PATIENCE
        while (await self._ground.asker.once(self.host, "/begin")).status != 200:
            assert time.monotonic() < deadline, f"{self.host} does not answer"
            await asyncio.sleep(0.1)


def split(stable: int, candidate: int = 0, shadow: int = 0) -> TrafficStatus:
    """Percentages of live requests, and of those that are mirrored."""
    return TrafficStatus(stable_percent=stable, candidate_percent=candidate, shadow_percent=shadow)


def _rollout(name: str, host: str, path: str, gateway: Gateway) -> Rollout:
    content = manifests.rollout(NAMESPACE, host, "v1", steps=[manifests.full(soak=0)], gates=[])
    content["metadata"] |= {"name": name, "uid": f"uid-of-{name}"}
    settings = content["spec"]["traffic"]["gatewayAPI"]
    settings["parentRefs"] = [{"name": gateway.name, "namespace": gateway.namespace, "sectionName": "http"}]
    settings["port"] = backend.PORT
    settings["matches"] = [{"path": path}]
    return Rollout.read(content)


# ------------------------------------------------------------------ pods
def objects(names: Sequence[str] = (STABLE, CANDIDATE, SHADOW, CONTROL)) -> list[Manifest]:
    """The namespace, the program, and a pod with a Service for each name."""
    program = Path(backend.__file__).read_text(encoding="utf-8")
    return [
        manifests.namespace(NAMESPACE),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "backend", "namespace": NAMESPACE},
            "data": {"backend.py": program},
        },
        *(_pod(name) for name in names),
        *(service(name, name) for name in names),
    ]


def service(name: str, server: str) -> Manifest:
    """A Service in front of a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"server": server}, "ports": [{"name": "http", "port": backend.PORT}]},
    }


def _pod(name: str) -> Manifest:
    container = {
        "name": "backend",
        "image": PYTHON_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", "/program/backend.py"],
        "env": [{"name": "NAME", "value": name}],
        "ports": [{"containerPort": backend.PORT}],
        "readinessProbe": {"tcpSocket": {"port": backend.PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "program", "mountPath": "/program"}],
    }
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"server": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": security,
            "containers": [container],
            "volumes": [{"name": "program", "configMap": {"name": "backend"}}],
        },
    }

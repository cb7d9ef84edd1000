"""Where one story takes place: a namespace, its clients, and what is seen of its objects."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import yaml

from dev.cluster import Cluster
from dev.demo.agent.catalogue import Catalogue
from tests.e2e import manifests
from tests.e2e.clients import Clients
from tests.e2e.manifests import Manifest
from tests.e2e.operator_process import Operator
from tests.e2e.prometheus import Prometheus
from tests.e2e.watch import Watched, Watches

PATIENCE = 240.0
"""Seconds for anything to come true: on a loaded machine pods alone may take a minute."""
GATEWAY_LAG = 2.0
"""Seconds: acceptance in the status of a route proves that its controller knows, not its proxies."""

_INTERLOCK = "apis/interlock.dev/v1alpha1"


@dataclass(frozen=True, slots=True)
class Stage:
    """What all stories share."""

    cluster: Cluster
    api: httpx.AsyncClient
    prometheus: Prometheus
    operator: Operator
    catalogue: Catalogue

    @asynccontextmanager
    async def place(self, name: str) -> AsyncIterator[Place]:
        """A namespace while a story is told; a failure in it says what there was to see."""
        place = Place(self, name)
        await place.open()
        try:
            yield place
        except Exception as error:
            error.add_note(await place.describe())
            raise
        finally:
            await place.close()


class Place:
    """One namespace with a host name of its own."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.namespace = f"e2e-{name}"
        self.host = f"{name}.e2e.test"
        assert stage.cluster.gateway_url is not None
        self.clients = Clients(stage.cluster.gateway_url, self.host)
        api, where = stage.api, f"namespaces/{self.namespace}"
        self.rollouts = Watched(api, f"/{_INTERLOCK}/{where}/rollouts")
        self.releases = Watched(api, f"/{_INTERLOCK}/{where}/releases")
        self.routes = Watched(api, f"/apis/gateway.networking.k8s.io/v1/{where}/httproutes")
        self.clones = Watched(api, f"/apis/apps/v1/{where}/deployments", "interlock.dev/rollout")
        self._watches = Watches(self.rollouts, self.releases, self.routes, self.clones)

    # ------------------------------------------------------------ what a user does
    async def open(self) -> None:
        """The namespace, and eyes on it."""
        await self.apply(manifests.namespace(self.namespace))
        self._watches.start()

    async def apply(self, *objects: Manifest) -> None:
        """`kubectl apply`, as a user or a Git sync does it."""
        bundle = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        await asyncio.to_thread(self.stage.cluster.kubectl, "apply", "-f", "-", stdin=bundle)

    async def close(self) -> None:
        """Nothing listens or asks any more; the namespace goes in the background."""
        await self.clients.stop()
        await self._watches.stop()
        await self.stage.api.delete(f"/api/v1/namespaces/{self.namespace}")

    # ------------------------------------------------------------ what is seen
    @property
    def rollout(self) -> Manifest:
        """The Rollout as last heard of; empty before that."""
        return self.rollouts.present.get(manifests.ROLLOUT, {})

    @property
    def status(self) -> Manifest:
        """Its status; empty while there is none."""
        return self.rollout.get("status") or {}

    @property
    def attempt(self) -> Manifest:
        """Its running or latest attempt; empty while there is none."""
        return self.status.get("attempt") or {}

    def release(self, attempt: int) -> Manifest:
        """The record of an attempt; empty while there is none."""
        found = (r for r in self.releases.present.values() if r["header"]["attempt"] == attempt)
        return copy.deepcopy(next(found, {}))

    def is_healthy(self, version: str) -> bool:
        """It is stable and serves all; what came before may still end."""
        serves = self.status.get("stable", {}).get("version") == version
        return self.status.get("phase") == "Healthy" and serves

    def is_running(self, step: str) -> bool:
        """The clock of that step runs: the gateway has accepted its weights."""
        number = self.attempt.get("stepIndex", -1)
        steps = self.rollout["spec"]["strategy"]["steps"] if self.rollout else []
        started = self.attempt.get("stepStartedTime")
        return (
            self.attempt.get("stage") in ("Running", "Soaking")
            and steps[number]["name"] == step
            and started is not None
            and seconds(started) <= time.time()
        )

    def gate(self, name: str) -> Manifest:
        """What a gate says now; empty while it says nothing."""
        return next((gate for gate in self.status.get("gates") or [] if gate["name"] == name), {})

    async def until(
        self, holds: Callable[[], bool], what: str, within: float = PATIENCE, pause: float = 0.05
    ) -> float:
        """Waits until `holds`; returns when (unix seconds). Raises AssertionError, with `what`, if never."""
        deadline = time.monotonic() + within
        while not holds():
            self._watches.check()
            assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
            await asyncio.sleep(pause)
        return time.time()

    async def counted(self, series: str, expected: float, labels: dict[str, str]) -> float | None:
        """The sum of a counter in Prometheus, once it is what is expected or half a minute has passed."""
        deadline = time.monotonic() + 30
        while True:
            total = await self.stage.prometheus.total(series, labels)
            if total == expected or time.monotonic() > deadline:
                return total
            await asyncio.sleep(0.5)

    async def describe(self) -> str:
        """The Rollout's status, its record, events, pods, clients and the operator's last log lines."""
        records = [self.releases.present[name]["entries"] for name in sorted(self.releases.present)]
        entries = [f"{e['time']} {e['stage']} {e['reason']}: {e['message']}" for r in records for e in r]
        parts = {
            "status": yaml.safe_dump(self.status, sort_keys=False, allow_unicode=True),
            "releases": "\n".join(entries),
            "clients": self.clients.summary(),
            "pods": "\n".join([_pod(pod) for pod in await self._list("pods")]),
            "events": "\n".join([_event(event) for event in (await self._list("events"))[-25:]]),
            "operator": self.stage.operator.last_lines(),
        }
        return f"In namespace {self.namespace}:\n" + "\n".join(f"[{k}]\n{v}" for k, v in parts.items())

    async def _list(self, plural: str) -> list[Manifest]:
        try:
            reply = await self.stage.api.get(f"/api/v1/namespaces/{self.namespace}/{plural}")
        except httpx.HTTPError as error:
            return [{"problem": repr(error)}]
        items: list[Manifest] = reply.json().get("items", [])
        return items


# ------------------------------------------------------------------ reading
def seconds(time_text: str) -> float:
    """RFC 3339 as unix seconds."""
    return datetime.fromisoformat(time_text).timestamp()


def entry(release: Manifest, **wanted: Any) -> Manifest:
    """The first entry of a Release with these values. Raises AssertionError where there is none."""
    found = (e for e in release["entries"] if all(e.get(key) == value for key, value in wanted.items()))
    hit: Manifest | None = next(found, None)
    assert hit is not None, f"no entry with {wanted} in {release['entries']}"
    return hit


def condition(status: Manifest, kind: str) -> tuple[str, str]:
    """Status and reason of a condition; ("", "") where it is absent."""
    found = (c for c in status.get("conditions") or [] if c["type"] == kind)
    return next(((c["status"], c["reason"]) for c in found), ("", ""))


def weights(route: Manifest) -> list[int]:
    """The weights of an HTTPRoute, in order."""
    return [backend["weight"] for rule in route["spec"]["rules"] for backend in rule["backendRefs"]]


def is_accepted(route: Manifest) -> bool:
    """Every parent has accepted the route as it is now."""
    parents = route.get("status", {}).get("parents") or []
    told = [{c["type"]: c for c in parent["conditions"]} for parent in parents]
    return bool(told) and all(
        c[kind]["status"] == "True" and c[kind]["observedGeneration"] >= route["metadata"]["generation"]
        for c in told
        for kind in ("Accepted", "ResolvedRefs")
    )


def _pod(pod: Manifest) -> str:
    if "problem" in pod:
        return str(pod["problem"])
    ready = [c["status"] for c in pod["status"].get("conditions") or [] if c["type"] == "Ready"]
    states = [c.get("state") for c in pod["status"].get("containerStatuses") or []]
    return f"{pod['metadata']['name']} {pod['status'].get('phase')} ready={ready} {states}"


def _event(event: Manifest) -> str:
    if "problem" in event:
        return str(event["problem"])
    about = event["involvedObject"]
    when = event.get("lastTimestamp") or event.get("eventTime")
    return f"{when} {about['kind']}/{about['name']} {event.get('reason')}: {event.get('message')}"

"""Plays the one node of the cluster: binds pods of Interlock's workloads, runs them on paper, ends them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from datetime import UTC, datetime
from typing import Any

import aiohttp

from interlock.core import labels
from tests.cluster.agents import Agents
from tests.cluster.api import Api, Manifest, core, grouped

NODE = "paper"
_LEASES = grouped("coordination.k8s.io/v1", "kube-node-lease", "leases")


class Kubelet:
    """Pods become Ready as soon as they are seen, except those of versions that are held back."""

    def __init__(self, api: Api, agents: Agents) -> None:
        self._api = api
        self._agents = agents
        self._addresses = itertools.count(1)
        self._held: set[tuple[str, str]] = set()
        self._failing: set[tuple[str, str]] = set()

    def hold(self, namespace: str, version: str) -> None:
        """Pods of that version do not become Ready from now on."""
        self._held.add((namespace, version))

    async def fail(self, namespace: str, version: str) -> None:
        """Its pods are not Ready any more, those that come included."""
        self._failing.add((namespace, version))
        await self._look_again(namespace)

    async def release(self, namespace: str, version: str) -> None:
        """They may become Ready now."""
        self._held.discard((namespace, version))
        self._failing.discard((namespace, version))
        await self._look_again(namespace)

    async def _look_again(self, namespace: str) -> None:
        for pod in await self._api.items(core(namespace, "pods"), labelSelector=labels.WORKLOAD):
            await self._heard("MODIFIED", pod)

    async def run(self) -> None:
        """Until cancelled."""
        await self._join()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._api.follow(core("", "pods"), self._heard, labelSelector=labels.WORKLOAD))

    async def _join(self) -> None:
        """Without its Node the endpoint slice controller passes over a pod."""
        now = _now()
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "on paper"}
        capacity = {"cpu": "1000", "memory": "1Ti", "pods": "1000"}
        times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
        status = {"conditions": [ready | times], "capacity": capacity, "allocatable": capacity}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        await self._api.post(core("", "nodes"), node)
        await self._api.patch(core("", "nodes", NODE) + "/status", {"status": status})

    async def _beat(self) -> None:
        """The node's lease: without it the controller manager takes all pods for lost after 50 s."""
        while True:
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": NODE, "namespace": "kube-node-lease"},
                "spec": {"holderIdentity": NODE, "renewTime": _now(micro=True), "leaseDurationSeconds": 40},
            }
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                try:
                    await self._api.patch(f"{_LEASES}/{NODE}", {"spec": lease["spec"]})
                except aiohttp.ClientResponseError:
                    await self._api.post(_LEASES, lease)
            await asyncio.sleep(5)

    async def _heard(self, event: str, pod: Manifest) -> None:
        if event == "RESET":
            return
        meta = pod["metadata"]
        namespace, name = meta["namespace"], meta["name"]
        place = core(namespace, "pods", name)
        try:
            if event == "DELETED":
                self._agents.died(namespace, name)
            elif "deletionTimestamp" in meta:
                self._agents.died(namespace, name)
                await self._api.delete(place, gracePeriodSeconds=0)
            elif not pod["spec"].get("nodeName"):
                await self._api.post(f"{place}/binding", _binding(namespace, name))
            else:
                await self._run(pod, place)
        except aiohttp.ClientResponseError as error:
            if error.status not in (404, 409):  # changed or gone meanwhile: told by an event
                raise

    async def _run(self, pod: Manifest, place: str) -> None:
        marks = pod["metadata"]["labels"]
        namespace, version = pod["metadata"]["namespace"], marks[labels.AGENT_VERSION]
        status = pod.get("status") or {}
        known = {c["type"]: c["status"] for c in status.get("conditions") or []}
        waits = known.get("Ready") != "True" and (namespace, version) in self._held
        ready = not waits and (namespace, version) not in self._failing
        if ready:
            self._agents.born(pod)  # before anybody hears of it, and sends requests
        else:
            self._agents.died(namespace, pod["metadata"]["name"])
        if known.get("Ready") == ("True" if ready else "False"):
            return
        address = status.get("podIP") or _address(next(self._addresses))
        await self._api.patch(f"{place}/status", {"status": _running(pod, address, ready)})


def _address(number: int) -> str:
    return f"10.77.{number // 250}.{number % 250 + 1}"


def _binding(namespace: str, name: str) -> Manifest:
    target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}


def _running(pod: Manifest, address: str, ready: bool) -> dict[str, Any]:
    now, up = _now(), "True" if ready else "False"
    values = {"PodScheduled": "True", "Initialized": "True", "ContainersReady": up, "Ready": up}
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
        "conditions": [
            {"type": kind, "status": value, "lastTransitionTime": now} for kind, value in values.items()
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "restartCount": 0,
                "ready": ready,
                "started": True,
                "state": {"running": {"startedAt": now}},
            }
            for container in pod["spec"]["containers"]
        ],
    }


def _now(*, micro: bool = False) -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")

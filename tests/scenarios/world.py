"""A small world around the operator: users, kubelet, gateway, agents and Prometheus, on one scripted clock.

The operator's own shell runs in it, over the in-memory ports; nothing of it is replaced.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from interlock.adapters.memory import MemoryMetrics, MemoryObjects
from interlock.core import labels
from interlock.errors import Conflict, TransientError
from interlock.model.rollout import Rollout
from interlock.operator.app import Operator
from interlock.operator.settings import Settings
from interlock.operator.telemetry import Telemetry
from interlock.ports import Objects

Manifest = dict[str, Any]
NAMESPACE = "shop"
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Behaviour:
    """How an agent version does: probability of success, of a violation, of a critical violation."""

    success: float = 0.9
    violation: float = 0.0
    critical_at: int | None = None
    """The task (counted from 1) with the first critical violation; its series is born with value 1."""
    ready: bool = True


@dataclass
class _Pod:
    name: str
    workload: str
    version: str
    mode: str
    started: float
    counters: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)
    tasks: int = 0


class World:
    """Time passes with `run`; everything random comes from one seed."""

    def __init__(self, seed: int = 1, wrap: Any = None, tick: float = 5.0) -> None:
        self.now = START
        self.random = random.Random(seed)  # noqa: S311 - a reproducible story, not a secret
        self.objects = MemoryObjects()
        self.metrics = MemoryMetrics()
        self.behaviour: dict[str, Behaviour] = defaultdict(Behaviour)
        self.rate = 4.0
        self.gateway_up = True
        self.settings = Settings(
            prometheus="http://unused", tick=tick, scrape_interval=tick, route_margin=1.0, gates_refresh=20
        )
        self._wrap = wrap or (lambda objects: objects)
        self._pods: dict[str, _Pod] = {}
        self.served: dict[str, int] = defaultdict(int)
        self.mirrored: dict[str, int] = defaultdict(int)
        self.weights_seen: list[dict[str, int]] = []
        self.errors: list[Exception] = []
        self.start_operator()

    # ------------------------------------------------------------------ operator
    def start_operator(self) -> None:
        """A fresh process: empty cache, no memory."""
        self.objects.listeners.clear()
        wrapped: Objects = self._wrap(self.objects)
        self.operator = Operator(self.settings, wrapped, self.metrics, Telemetry(), now=lambda: self.now)
        self.objects.listeners.append(lambda event, manifest: self.operator.heard(event, manifest))
        self._synced = False

    async def settle(self, passes: int = 12) -> None:
        """Let the operator, the kubelet and the gateway react until nothing changes any more."""
        for _ in range(passes):
            before = self._fingerprint()
            await self.operate()
            await self.kubelet()
            await self.gateway()
            if self._fingerprint() == before:
                return

    async def operate(self) -> None:
        """One pass over every object, as the workers would do."""
        if not self._synced:
            await self.operator.list_all()
            self.operator.synced = self._synced = True
        for kind in ("AgentVersion", "Rollout"):
            for manifest in self.operator.cache.all(kind):
                key = (kind, manifest["metadata"]["namespace"], manifest["metadata"]["name"])
                try:
                    await self.operator.reconciler.reconcile(key)
                except Conflict:
                    await self.operator._read_again(key)
                except TransientError as error:
                    self.errors.append(error)

    def _fingerprint(self) -> list[str]:
        return sorted(m["metadata"]["resourceVersion"] for m in self.objects._objects.values())

    # ------------------------------------------------------------------ time
    async def run(self, seconds: float) -> None:
        """Seconds pass, in ticks: agents work, Prometheus scrapes, the operator looks."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now += timedelta(seconds=self.settings.tick)
            self.work(self.settings.tick)
            self.scrape()
            for rollout in list(self.operator._rollouts()):
                await self.operator.evidence.look(rollout)
            await self.settle()

    async def until(self, wanted: Any, limit: float = 3600) -> None:
        """Run until `wanted(rollout)` or fail after `limit` seconds of the world's time."""
        end = self.now + timedelta(seconds=limit)
        await self.settle()
        while not wanted(await self.rollout()):
            if self.now >= end:
                found = await self.rollout()
                raise AssertionError(f"not reached after {limit} s: {found.status.to_wire()}")
            await self.run(self.settings.tick)

    # ------------------------------------------------------------------ users
    async def apply(self, *manifests: Manifest) -> None:
        """kubectl apply."""
        for manifest in manifests:
            await self.objects.apply(manifest)

    async def rollout(self, name: str = "triage") -> Rollout:
        """The Rollout as stored."""
        manifest = await self.objects.get("Rollout", NAMESPACE, name)
        assert manifest is not None
        return Rollout.read(manifest)

    async def serve_version(self, version: str) -> None:
        """Change the one line that a release changes."""
        manifest = await self.objects.get("Rollout", NAMESPACE, "triage")
        assert manifest is not None
        manifest["spec"]["versionRef"]["name"] = version
        await self.objects.replace(manifest)

    async def releases(self) -> list[Manifest]:
        """All Releases, oldest attempt first."""
        found = await self.objects.list("Release")
        return sorted(found, key=lambda r: r["header"]["attempt"])

    # ------------------------------------------------------------------ kubelet
    async def kubelet(self) -> None:
        """Pods for every Deployment of ours, endpoints for every Service."""
        alive: set[str] = set()
        ready_by_workload: dict[str, int] = defaultdict(int)
        for deployment in await self.objects.list("Deployment"):
            meta, spec = deployment["metadata"], deployment["spec"]
            marks = spec["template"]["metadata"]["labels"]
            workload = marks.get(labels.WORKLOAD)
            if workload is None:
                continue
            wanted = spec["replicas"]
            for index in range(wanted):
                name = f"{workload}-5d4f-{index:05d}"
                alive.add(name)
                if name not in self._pods:
                    started = self.now.timestamp()
                    pod = _Pod(name, workload, marks[labels.AGENT_VERSION], marks[labels.MODE], started)
                    self._pods[name] = pod
                    self._export_zeros(pod)
            up = wanted if self.behaviour[marks[labels.AGENT_VERSION]].ready else 0
            ready_by_workload[workload] = up
            status = {
                "observedGeneration": meta["generation"],
                "replicas": wanted,
                "updatedReplicas": wanted,
                "availableReplicas": up,
            }
            if deployment.get("status") != status:
                await self.objects.replace_status({**deployment, "status": status})
        for name in set(self._pods) - alive:
            del self._pods[name]
        for service in await self.objects.list("Service"):
            await self._endpoints(service, ready_by_workload)

    async def _endpoints(self, service: Manifest, ready: dict[str, int]) -> None:
        meta = service["metadata"]
        up = ready[service["spec"]["selector"][labels.WORKLOAD]]
        await self.objects.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{meta['name']}-x",
                    "namespace": meta["namespace"],
                    "labels": {**meta["labels"], "kubernetes.io/service-name": meta["name"]},
                },
                "endpoints": [
                    {"addresses": [f"10.0.0.{i + 1}"], "conditions": {"ready": True}} for i in range(up)
                ],
            }
        )

    # ------------------------------------------------------------------ gateway
    async def gateway(self) -> None:
        """Accept every route at its current generation, while the controller is up."""
        if not self.gateway_up:
            return
        for route in await self.objects.list("HTTPRoute"):
            generation = route["metadata"]["generation"]
            conditions = [
                {"type": kind, "status": "True", "reason": kind, "observedGeneration": generation}
                for kind in ("Accepted", "ResolvedRefs")
            ]
            parents = [
                {"parentRef": ref, "controllerName": "example.com/gateway", "conditions": conditions}
                for ref in route["spec"]["parentRefs"]
            ]
            if (route.get("status") or {}).get("parents") != parents:
                await self.objects.replace_status({**route, "status": {"parents": parents}})

    def _route(self) -> tuple[dict[str, int], str | None, int]:
        route = self.objects._objects.get(("HTTPRoute", NAMESPACE, "triage"))
        if route is None:
            return {}, None, 0
        rule = route["spec"]["rules"][0]
        weights = {b["name"]: b["weight"] for b in rule["backendRefs"]}
        for item in rule.get("filters") or []:
            mirror = item["requestMirror"]
            return weights, mirror["backendRef"]["name"], mirror["percent"]
        return weights, None, 0

    # ------------------------------------------------------------------ agents
    def work(self, seconds: float) -> None:
        """Requests of `seconds`, split as the route says."""
        weights, mirror, percent = self._route()
        self.weights_seen.append(weights)
        total = sum(weights.values())
        for _ in range(round(self.rate * seconds) if total else 0):
            names = list(weights)
            chosen = self.random.choices(names, [weights[n] for n in names])[0]
            self._task(chosen, self.served)
            if mirror and self.random.random() * 100 < percent:
                self._task(mirror, self.mirrored)

    def _task(self, workload: str, counted: dict[str, int]) -> None:
        pods = [p for p in self._pods.values() if p.workload == workload]
        if not pods:
            return
        pod = self.random.choice(pods)
        counted[pod.version] += 1
        behaviour = self.behaviour[pod.version]
        pod.tasks += 1
        ok = self.random.random() < behaviour.success
        self._count(pod, "ai_agent_tasks_started_total")
        self._count(pod, "ai_agent_tasks_total", outcome="success" if ok else "failure")
        result = "pass" if ok else "fail"
        self._count(pod, "ai_agent_tasks_verified_total", result=result, verifier="postcondition")
        if self.random.random() < behaviour.violation:
            self._count(pod, "ai_agent_policy_violations_total", rule="scope", severity="low")
        if behaviour.critical_at is not None and counted[pod.version] == behaviour.critical_at:
            self._count(pod, "ai_agent_policy_violations_total", rule="payment", severity="critical")

    def _export_zeros(self, pod: _Pod) -> None:
        for outcome in ("success", "failure"):
            self._count(pod, "ai_agent_tasks_total", 0, outcome=outcome)
        for result in ("pass", "fail"):
            self._count(pod, "ai_agent_tasks_verified_total", 0, result=result, verifier="postcondition")
        self._count(pod, "ai_agent_tasks_started_total", 0)
        self._count(pod, "ai_agent_policy_violations_total", 0, rule="scope", severity="low")
        self._count(pod, "ai_agent_conversations_active", 0)

    @staticmethod
    def _count(pod: _Pod, family: str, amount: float = 1, **marks: str) -> None:
        key = (family, tuple(sorted(marks.items())))
        pod.counters[key] = pod.counters.get(key, 0) + amount

    def scrape(self) -> None:
        """Prometheus scrapes every pod at once."""
        for pod in self._pods.values():
            target = {
                "namespace": NAMESPACE,
                "agent": "triage",
                "version": pod.version,
                "mode": pod.mode,
                "pod": pod.name,
                "instance": f"{pod.name}:9464",
                "job": "agents",
            }
            samples = [
                ({"__name__": family, **target, **dict(marks)}, value)
                for (family, marks), value in pod.counters.items()
            ]
            samples.append(({"__name__": "process_start_time_seconds", **target}, pod.started))
            self.metrics.scrape(self.now.timestamp(), samples)

"""What is around the operator: kubelet, gateway, agents at work, and Prometheus. One seed, one clock."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from interlock.adapters.memory import MemoryMetrics, MemoryObjects
from interlock.core import labels
from interlock.model.base import format_time
from interlock.simulation.script import Script
from tests.scenarios.rules import backends

Manifest = dict[str, Any]
NAMESPACE = "shop"
START = datetime(2026, 1, 1, tzinfo=UTC)

GATEWAY_CLASS: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "GatewayClass",
    "metadata": {"name": "example"},
    "spec": {"controllerName": "example.com/gateway"},
    "status": {
        "supportedFeatures": [
            {"name": "HTTPRoute"},
            {"name": "HTTPRouteRequestPercentageMirror"},
            {"name": "HTTPRouteRequestMultipleMirrors"},
        ],
    },
}
"""Of a gateway that can do what a step may ask for."""
GATEWAY: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "public", "namespace": "gateways"},
    "spec": {"gatewayClassName": "example"},
}


def home(kind: str) -> str:
    """The namespace that a user's objects of a kind are in; none where the kind has none."""
    return "" if kind == "MetricTemplate" else NAMESPACE


@dataclass
class Behaviour:
    """How an agent version does: probability of success, of a violation, of a critical violation."""

    success: float = 0.9
    violation: float = 0.0
    critical_at: int | None = None
    """The task (counted from 1, over all pods) with the first critical violation: a series born at 1."""
    ready: bool = True
    success_in_shadow: float | None = None
    """With stubbed tools; None: as live."""
    slow: float | None = None
    """Probability that a task takes over a minute, not 10 s; None: it exports no durations."""
    cost: float | None = None
    """What a task costs on average, USD; None: it exports no costs."""
    tools: Mapping[str, str] | None = None
    """What comes of a call of each tool in a shadow, one a task; live all are `ok`. None: none is called."""
    room: int | None = None
    """More of its pods than these find no node; None: all find one."""
    ahead: float = 0.0
    """Seconds by which the clock of who reports on its Deployments is ahead."""


@dataclass
class Pod:
    """One process, its counters and what it was asked to do."""

    name: str
    workload: str
    version: str
    image: str
    mode: str
    started: float
    counters: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)
    conversations: int = 0


class Surroundings:
    """Everything but the operator. Each part reacts when it is called; none knows of the others."""

    def __init__(self, seed: int) -> None:
        self.now = START
        self.random = random.Random(seed)  # noqa: S311 - a reproducible story, not a secret
        self.objects = MemoryObjects()
        for manifest in (GATEWAY_CLASS, GATEWAY):
            self.objects._create(manifest)
        self.metrics = MemoryMetrics()
        self.behaviour: dict[str, Behaviour] = defaultdict(Behaviour)
        """By version, or by image: that one goes first."""
        self.rate = 4.0
        """Requests a second."""
        self.scraping = True
        self.gateway_up = True
        self.gateway_skips: set[str] = set()
        """Versions that a misbehaving gateway sends nothing to, whatever the route says."""
        self.gateway_weighs: dict[str, int] = {}
        """Versions to which it sends so many times what the route says."""
        self.pods: dict[str, Pod] = {}
        self.served: dict[str, int] = defaultdict(int)
        """Live tasks by workload."""
        self.mirrored: dict[str, int] = defaultdict(int)
        self.lost = 0
        """Live requests that met no ready pod."""
        self.gateway_refuses = ""
        """Why the controller does not accept routes; empty when it does."""
        self.garbled: tuple[str, float] | None = None
        """A version whose counters are scraped as this value (NaN, infinite)."""
        self.alerts: dict[str, dict[str, str]] = {}
        """Labels of the alerts that fire, by name."""
        self._coming: list[tuple[float, str, dict[str, Any]]] = []
        self._programmed: Manifest | None = None
        self._births: dict[str, int] = defaultdict(int)

    async def apply(self, *manifests: Manifest) -> None:
        """kubectl apply."""
        for manifest in manifests:
            await self.objects.apply(manifest, manager="kubectl")

    async def delete(self, kind: str, name: str, *, orphan: bool = False) -> None:
        """kubectl delete: what it owns goes with it, or (`orphan`) is let go."""
        manifest = await self.objects.get(kind, home(kind), name)
        assert manifest is not None, f"{kind} {name} does not exist"
        uid = manifest["metadata"]["uid"]
        for owned in [m for m in self.objects._objects.values() if _owned_by(m, uid)]:
            meta = owned["metadata"]
            if orphan:
                freed = {key: value for key, value in meta.items() if key != "ownerReferences"}
                await self.objects.replace({**owned, "metadata": freed})
        await self.objects.delete(kind, home(kind), name, uid)
        for owned in [m for m in self.objects._objects.values() if _owned_by(m, uid)]:
            meta = owned["metadata"]
            await self.objects.delete(owned["kind"], NAMESPACE, meta["name"], meta["uid"])

    def _stored(self, kind: str) -> list[Manifest]:
        """Objects as they lie in the store: to be read only."""
        return [manifest for key, manifest in self.objects._objects.items() if key[0] == kind]

    # ------------------------------------------------------------------ kubelet
    async def kubelet(self) -> None:
        """Pods for every Deployment of ours, endpoints for every Service."""
        ready: dict[str, int] = defaultdict(int)
        alive: set[str] = set()
        for deployment in self._stored("Deployment"):
            if labels.WORKLOAD in deployment["spec"]["template"]["metadata"]["labels"]:
                alive |= self._run_pods(deployment)
                workload = deployment["metadata"]["name"]
                ready[workload] = await self._report(deployment)
        for name in set(self.pods) - alive:
            del self.pods[name]
        for service in self._stored("Service"):
            if labels.WORKLOAD in (service["spec"].get("selector") or {}):
                await self._endpoints(service, ready)

    def _run_pods(self, deployment: Manifest) -> set[str]:
        spec = deployment["spec"]
        marks = spec["template"]["metadata"]["labels"]
        workload = marks[labels.WORKLOAD]
        names = set()
        for index in range(spec["replicas"]):
            slot = f"{workload}-5d4f-{index:03d}"
            name = f"{slot}{self._births[slot]:02d}"
            names.add(name)
            if name not in self.pods:
                image = spec["template"]["spec"]["containers"][0]["image"]
                started = self.now.timestamp() + 0.5  # a process begins after its Deployment
                version, mode = marks[labels.AGENT_VERSION], marks[labels.MODE]
                self.pods[name] = Pod(name, workload, version, image, mode, started)
                self._export_zeros(self.pods[name])
        return names

    async def _report(self, deployment: Manifest) -> int:
        meta, wanted = deployment["metadata"], deployment["spec"]["replicas"]
        up = sum(self._behaviour(pod).ready for pod in self._placed(meta["name"]))
        status = {
            "observedGeneration": meta["generation"],
            "replicas": wanted,
            "updatedReplicas": wanted,
            "availableReplicas": up,
            "conditions": [self._availability(deployment, available=up >= wanted)],
        }
        if deployment.get("status") != status:
            await self.objects.replace_status({**deployment, "status": status})
        return up

    def _availability(self, deployment: Manifest, *, available: bool) -> Manifest:
        old = ((deployment.get("status") or {}).get("conditions") or [{}])[0]
        word = str(available)
        version = (deployment["metadata"].get("labels") or {}).get(labels.AGENT_VERSION, "")
        theirs = self.now + timedelta(seconds=self.behaviour[version].ahead)
        since = old["lastTransitionTime"] if old.get("status") == word else format_time(theirs)
        return {"type": "Available", "status": word, "lastTransitionTime": since}

    async def _endpoints(self, service: Manifest, ready: dict[str, int]) -> None:
        meta = service["metadata"]
        up = ready[service["spec"]["selector"][labels.WORKLOAD]]
        known = self.objects._objects.get(("EndpointSlice", meta["namespace"], f"{meta['name']}-x"))
        if known is not None and len(known["endpoints"]) == up:
            return
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

    def replace_pod(self, name: str) -> None:
        """The pod dies; its Deployment brings up another at once."""
        self._births[name[:-2]] += 1

    def restart_container(self, name: str) -> None:
        """A new process in the same pod: its counters begin at 0."""
        pod = self.pods[name]
        pod.started = self.now.timestamp()
        pod.counters.clear()
        self._export_zeros(pod)

    def pods_of(self, workload: str) -> list[Pod]:
        """The pods of one workload."""
        return [pod for pod in self.pods.values() if pod.workload == workload]

    def _placed(self, workload: str) -> list[Pod]:
        """Those that have found a node: the others neither answer nor can be scraped."""
        pods = self.pods_of(workload)
        return pods[: self._behaviour(pods[0]).room] if pods else pods

    def _behaviour(self, pod: Pod) -> Behaviour:
        return self.behaviour[pod.image if pod.image in self.behaviour else pod.version]

    # ------------------------------------------------------------------ gateway
    async def gateway(self) -> None:
        """Accept every route at its current generation, while the controller is up, and program it."""
        if not self.gateway_up:
            return
        if not self.gateway_refuses:
            self._programmed = None
        for route in self._stored("HTTPRoute"):
            generation = route["metadata"]["generation"]
            conditions = [
                {"type": kind, "status": "True", "reason": kind, "observedGeneration": generation}
                for kind in ("Accepted", "ResolvedRefs")
            ]
            if self.gateway_refuses:
                conditions[0] |= {"status": "False", "reason": "Refused", "message": self.gateway_refuses}
            parents = [
                {"parentRef": ref, "controllerName": "example.com/gateway", "conditions": conditions}
                for ref in route["spec"]["parentRefs"]
            ]
            if (route.get("status") or {}).get("parents") != parents:
                await self.objects.replace_status({**route, "status": {"parents": parents}})
            if labels.ROLLOUT in (route["metadata"].get("labels") or {}) and not self.gateway_refuses:
                self._programmed = route

    # ------------------------------------------------------------------ agents
    def play(self, script: Script) -> None:
        """Agents do from now on as the script says; a newer script changes what it names."""
        if script.rate is not None:
            self.rate = script.rate
        begin = self.now.timestamp()
        self._coming += [(begin + after, who, changes) for after, who, changes in script.parts()]
        self.act()

    def act(self) -> None:
        """What of the scripts is due happens."""
        due = [part for part in self._coming if part[0] <= self.now.timestamp()]
        self._coming = [part for part in self._coming if part not in due]
        for _, who, changes in sorted(due, key=lambda part: part[0]):
            self.behaviour[who] = replace(self.behaviour[who], **changes)

    def work(self, seconds: float) -> None:
        """Requests of `seconds`, split as the gateway was last told."""
        if self._programmed is None:
            return
        weights, mirrors = backends(self._programmed)
        names = [name for name in weights if not self._skipped(name)]
        shares = [weights[name] * self._overweight(name) for name in names]
        ready = {
            name: [pod for pod in self._placed(name) if self._behaviour(pod).ready]
            for name in (*names, *mirrors)
        }
        for _ in range(round(self.rate * seconds) if sum(shares) else 0):
            name = self.random.choices(names, shares)[0]
            self._task(name, ready[name], self.served)
            for mirror, percent in mirrors.items():
                if self.random.random() * 100 < percent:
                    self._task(mirror, ready[mirror], self.mirrored)

    def _skipped(self, workload: str) -> bool:
        return any(pod.version in self.gateway_skips for pod in self.pods_of(workload))

    def _overweight(self, workload: str) -> int:
        return max((self.gateway_weighs.get(pod.version, 1) for pod in self.pods_of(workload)), default=1)

    def _task(self, workload: str, pods: list[Pod], counted: dict[str, int]) -> None:
        if not pods:
            self.lost += counted is self.served
            return
        pod = self.random.choice(pods)
        counted[workload] += 1
        behaviour = self._behaviour(pod)
        shadow = pod.mode == "shadow" and behaviour.success_in_shadow is not None
        chance = behaviour.success_in_shadow if shadow else behaviour.success
        ok = self.random.random() < (chance or 0.0)
        self._count(pod, "ai_agent_tasks_started_total")
        self._count(pod, "ai_agent_tasks_total", outcome="success" if ok else "failure")
        result = "pass" if ok else "fail"
        self._count(pod, "ai_agent_tasks_verified_total", result=result, verifier="postcondition")
        if behaviour.slow is not None:
            self._observe(pod, 61.0 if self.random.random() < behaviour.slow else 10.0)
        if behaviour.cost is not None:
            self._count(
                pod, "ai_agent_cost_usd_total", behaviour.cost * self.random.expovariate(1), kind="tool"
            )
        for tool, result in (behaviour.tools or {}).items():
            told = result if pod.mode == "shadow" else "ok"
            self._count(pod, "ai_agent_tool_calls_total", tool=tool, result=told)
        if self.random.random() < behaviour.violation:
            self._count(pod, "ai_agent_policy_violations_total", rule="scope", severity="low")
        if behaviour.critical_at is not None and counted[workload] == behaviour.critical_at:
            self._count(pod, "ai_agent_policy_violations_total", rule="payment", severity="critical")

    def _observe(self, pod: Pod, seconds: float) -> None:
        for bound in ("5.0", "30.0", "60.0", "+Inf"):
            within = float(seconds <= float(bound))
            self._count(pod, "ai_agent_task_duration_seconds_bucket", within, le=bound)

    def _export_zeros(self, pod: Pod) -> None:
        for outcome in ("success", "failure"):
            self._count(pod, "ai_agent_tasks_total", 0, outcome=outcome)
        for result in ("pass", "fail"):
            self._count(pod, "ai_agent_tasks_verified_total", 0, result=result, verifier="postcondition")
        self._count(pod, "ai_agent_tasks_started_total", 0)
        self._count(pod, "ai_agent_policy_violations_total", 0, rule="scope", severity="low")

    @staticmethod
    def _count(pod: Pod, family: str, amount: float = 1, **marks: str) -> None:
        key = (family, tuple(sorted(marks.items())))
        pod.counters[key] = pod.counters.get(key, 0) + amount

    # ------------------------------------------------------------------ Prometheus
    def scrape(self) -> None:
        """Every pod at once, while Prometheus is not cut off from them."""
        if not self.scraping:
            return
        for pod in chain.from_iterable(
            map(self._placed, dict.fromkeys(pod.workload for pod in self.pods.values()))
        ):
            garbled = self.garbled[1] if self.garbled and self.garbled[0] == pod.version else None
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
                ({"__name__": family, **target, **dict(marks)}, value if garbled is None else garbled)
                for (family, marks), value in pod.counters.items()
            ]
            samples.append(({"__name__": "ai_agent_conversations_active", **target}, pod.conversations))
            samples.append(({"__name__": "process_start_time_seconds", **target}, pod.started))
            self.metrics.scrape(self.now.timestamp(), samples)
        for name, marks in self.alerts.items():
            whose = {"namespace": NAMESPACE, "agent": "triage", "alertname": name, "alertstate": "firing"}
            self.metrics.scrape(self.now.timestamp(), [({"__name__": "ALERTS", **whose, **marks}, 1.0)])


def _owned_by(manifest: Manifest, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in manifest["metadata"].get("ownerReferences") or [])

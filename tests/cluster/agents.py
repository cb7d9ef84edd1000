"""The agents at work: requests split as the gateway was last told, counted by pod, exported on loopback."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from interlock.core import labels
from tests.cluster.api import Manifest
from tests.cluster.gateway import Gateway
from tests.scenarios.rules import backends

STRIDE = 0.1
"""Seconds between portions of traffic."""
Marks = tuple[tuple[str, str], ...]
Counter = tuple[str, Marks]


@dataclass
class Behaviour:
    """How a version does: probabilities of success and of a violation; `critical` is used up by one task.

    Where a story says nothing, nothing fails: equal rates of failure would take a version back by chance,
    rarely, but there are many stories.
    """

    success: float = 1.0
    violation: float = 0.0
    critical: bool = False
    shadow_success: float | None = None
    """Of mirrored requests, where that differs: tools are stubbed there."""
    reached: bool = True
    """Requests get to it; else they are lost on the way, and it has no task."""
    durations: bool = False
    """It exports how long its tasks take: ten seconds each."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """What comes of the call of each tool in a task of a shadow; live, all are carried out."""
    drawn: int = 1
    """How many times what the route says it is sent, by a gateway that does not do as it is told."""


@dataclass
class Pod:
    """One process and its counters. `exported` is what the last scrape was given."""

    namespace: str
    name: str
    workload: str
    agent: str
    version: str
    mode: str
    started: float
    counters: dict[Counter, float] = field(default_factory=dict)
    exported: dict[Counter, float] = field(default_factory=dict)
    conversations: int = 0

    def __post_init__(self) -> None:
        self._zeros()

    def restart(self) -> None:
        """A new process in the same pod."""
        self.started = time.time()
        self.counters, self.exported = {}, {}
        self._zeros()

    def count(self, family: str, amount: float = 1, **marks: str) -> None:
        key = (family, tuple(sorted(marks.items())))
        self.counters[key] = self.counters.get(key, 0) + amount

    def _zeros(self) -> None:
        for outcome in ("success", "failure"):
            self.count("ai_agent_tasks_total", 0, outcome=outcome)
        for result in ("pass", "fail"):
            self.count("ai_agent_tasks_verified_total", 0, result=result, verifier="postcondition")
        self.count("ai_agent_tasks_started_total", 0)
        self.count("ai_agent_policy_violations_total", 0, rule="scope", severity="low")


class Agents:
    """All pods of all namespaces behind one exporter: `/metrics` says whose each series is."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._random = random.Random(7)  # noqa: S311 - traffic, not a secret
        self._owed: dict[str, float] = defaultdict(float)
        self._buried: dict[tuple[str, str], dict[Counter, float]] = defaultdict(lambda: defaultdict(float))
        self.pods: dict[tuple[str, str], Pod] = {}
        self.behaviour: dict[tuple[str, str], Behaviour] = defaultdict(Behaviour)
        """By namespace and version."""
        self.rate: dict[str, float] = defaultdict(lambda: 40.0)
        """Requests a second, by namespace."""
        self.lost: dict[str, int] = defaultdict(int)
        """Live requests that met no pod, by namespace."""
        self.foreign: dict[str, list[str]] = {}
        """Lines that somebody else exports, by who it is."""
        self.scrapes = 0

    # ------------------------------------------------------------------ pods
    def born(self, manifest: Manifest) -> None:
        """A pod is Ready."""
        meta = manifest["metadata"]
        place, marks = (meta["namespace"], meta["name"]), meta["labels"]
        if place not in self.pods:
            identity = (marks[labels.WORKLOAD], marks[labels.AGENT], marks[labels.AGENT_VERSION])
            self.pods[place] = Pod(*place, *identity, marks[labels.MODE], time.time())

    def died(self, namespace: str, name: str) -> None:
        """A pod is gone, and with it what was counted since its last scrape."""
        pod = self.pods.pop((namespace, name), None)
        if pod is not None:
            self._bury(pod)

    def restart(self, pod: Pod) -> None:
        """A new process in the same pod: counters begin at 0."""
        self._bury(pod)
        pod.restart()

    def _bury(self, pod: Pod) -> None:
        for counter, value in pod.exported.items():
            self._buried[pod.namespace, pod.workload][counter] += value

    def of(self, namespace: str, workload: str) -> list[Pod]:
        """The living pods of a workload."""
        return [p for p in self.pods.values() if (p.namespace, p.workload) == (namespace, workload)]

    def served(self, namespace: str, workload: str, family: str, **where: str) -> float:
        """What was truly exported of a counter, over all processes that the workload ever had."""
        living = [pod.exported for pod in self.of(namespace, workload)]
        return sum(
            value
            for counters in (*living, self._buried[namespace, workload])
            for (name, marks), value in counters.items()
            if name == family and set(where.items()) <= set(marks)
        )

    # ------------------------------------------------------------------ work
    async def run(self) -> None:
        """Serve requests in real time, until cancelled."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(STRIDE)
            now = time.monotonic()
            for (namespace, _), route in list(self._gateway.programmed.items()):
                self._owed[namespace] += self.rate[namespace] * (now - last)
                due, self._owed[namespace] = divmod(self._owed[namespace], 1)
                self._requests(namespace, route, int(due))
            last = now

    def _requests(self, namespace: str, route: Manifest, count: int) -> None:
        weights, mirrors = backends(route)
        weights = {name: weight * self._drawn(namespace, name) for name, weight in weights.items()}
        for _ in range(count if sum(weights.values()) else 0):
            (workload,) = self._random.choices(list(weights), list(weights.values()))
            self.lost[namespace] += not self._task(namespace, workload)
            for mirror, percent in mirrors.items():
                if self._random.random() * 100 < percent:
                    self._task(namespace, mirror)

    def _drawn(self, namespace: str, workload: str) -> int:
        return max(
            (self.behaviour[namespace, p.version].drawn for p in self.of(namespace, workload)), default=1
        )

    def _task(self, namespace: str, workload: str) -> bool:
        pods = self.of(namespace, workload)
        if not pods:
            return False
        pod = self._random.choice(pods)
        behaviour = self.behaviour[namespace, pod.version]
        if not behaviour.reached:
            return False
        chance = behaviour.shadow_success if pod.mode == "shadow" else None
        ok = self._random.random() < (behaviour.success if chance is None else chance)
        pod.count("ai_agent_tasks_started_total")
        pod.count("ai_agent_tasks_total", outcome="success" if ok else "failure")
        pod.count("ai_agent_tasks_verified_total", result="pass" if ok else "fail", verifier="postcondition")
        if behaviour.durations:
            for bound in ("5.0", "30.0", "60.0", "+Inf"):
                pod.count("ai_agent_task_duration_seconds_bucket", float(bound) >= 10.0, le=bound)
        for tool, result in behaviour.tools.items():
            told = result if pod.mode == "shadow" else "ok"
            pod.count("ai_agent_tool_calls_total", tool=tool, result=told)
        if self._random.random() < behaviour.violation:
            pod.count("ai_agent_policy_violations_total", rule="scope", severity="low")
        if behaviour.critical:
            behaviour.critical = False
            pod.count("ai_agent_policy_violations_total", rule="payment", severity="critical")
        return True

    def burst(self, namespace: str, workload: str, tasks: int, *, critical: bool = False) -> None:
        """Each pod of a workload has so many good tasks at once: one scrape shows them all."""
        for pod in self.of(namespace, workload):
            pod.count("ai_agent_tasks_started_total", tasks)
            pod.count("ai_agent_tasks_total", tasks, outcome="success")
            pod.count("ai_agent_tasks_verified_total", tasks, result="pass", verifier="postcondition")
            if critical:
                pod.count("ai_agent_policy_violations_total", rule="payment", severity="critical")

    # ------------------------------------------------------------------ exporter
    async def answer(self, _: web.Request) -> web.Response:
        """GET /metrics."""
        self.scrapes += 1
        lines: dict[str, list[str]] = defaultdict(list)
        for pod in self.pods.values():
            pod.exported = dict(pod.counters)
            for (family, marks), value in pod.exported.items():
                lines[family].append(line(family, pod, value, **dict(marks)))
            for family, value in (
                ("process_start_time_seconds", pod.started),
                ("ai_agent_conversations_active", pod.conversations),
            ):
                lines[family].append(line(family, pod, value))
        text = [one for family in sorted(lines) for one in lines[family]]
        text += [one for theirs in self.foreign.values() for one in theirs]
        return web.Response(text="\n".join(text) + "\n")


def line(family: str, pod: Pod, value: float, **marks: str) -> str:
    """One line of the exposition format."""
    target = {
        "namespace": pod.namespace,
        "agent": pod.agent,
        "version": pod.version,
        "mode": pod.mode,
        "pod": pod.name,
        "instance": f"{pod.name}:9090",
    }
    shown = ",".join(f'{key}="{text}"' for key, text in (target | marks).items())
    return f"{family}{{{shown}}} {value!r}"

"""The parts around the operator, fast enough not to be what is measured: node, gateway, agents, observer.

The cluster tests' parts handle one event after the other; here as many at once as there are lanes.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from aiohttp import web

from dev.bench.lanes import Lanes
from interlock.core import labels
from tests.cluster.agents import Agents, Pod
from tests.cluster.api import GATEWAY, INTERLOCK, Api, Manifest, core, grouped
from tests.cluster.gateway import Gateway
from tests.cluster.kubelet import Kubelet
from tests.scenarios.rules import backends

Place = tuple[str, str]
"""Namespace and name."""
SUCCESS = 0.95


class Node(Kubelet):
    """Runs pods on paper. Templates of the bench name it, so there is nothing to bind."""

    def __init__(self, api: Api, agents: Agents) -> None:
        super().__init__(api, agents)
        self._lanes: Lanes[Place, tuple[str, Manifest]] = Lanes(lambda _, told: self._heard(*told))

    async def run(self) -> None:
        """Until cancelled."""
        await self._join()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._lanes.run())
            group.create_task(self._api.follow(core("", "pods"), self._listen, labelSelector=labels.WORKLOAD))

    async def _listen(self, event: str, pod: Manifest) -> None:
        if event != "RESET":
            self._lanes.put((pod["metadata"]["namespace"], pod["metadata"]["name"]), (event, pod))


class Router(Gateway):
    """Accepts routes."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._lanes: Lanes[Place, tuple[str, Manifest]] = Lanes(lambda _, told: self._heard(*told))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lanes.run())
            group.create_task(self._api.follow(grouped(GATEWAY, "", "httproutes"), self._listen))

    async def _listen(self, event: str, route: Manifest) -> None:
        if event != "RESET":
            self._lanes.put((route["metadata"]["namespace"], route["metadata"]["name"]), (event, route))


class SteadyAgents(Agents):
    """Requests at an even pace, reckoned when they are scraped; pods of a namespace without traffic export
    nothing. `fail` lets all candidates do something critical between two scrapes."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self.rate = defaultdict(float)
        self._last = time.monotonic()
        self._served: dict[Place, float] = defaultdict(float)
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Until cancelled; the work is done when it is asked for."""
        await asyncio.Event().wait()

    def fail(self, version: str) -> None:
        """At the next scrape each living pod of the version shows a critical violation."""
        self._failing.add(version)

    async def answer(self, request: web.Request) -> web.Response:
        """GET /metrics."""
        self._catch_up()
        idle = {place: pod for place, pod in self.pods.items() if not self.rate[pod.namespace]}
        self.pods = {place: pod for place, pod in self.pods.items() if place not in idle}
        try:
            return await super().answer(request)
        finally:
            self.pods |= idle

    def _catch_up(self) -> None:
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        workloads: dict[Place, list[Pod]] = defaultdict(list)
        for pod in self.pods.values():
            workloads[pod.namespace, pod.workload].append(pod)
            if pod.version in self._failing:
                pod.count("ai_agent_policy_violations_total", rule="payment", severity="critical")
        self._failing.clear()
        for (namespace, _), route in self._gateway.programmed.items():
            for workload, weight in backends(route)[0].items():
                pods = workloads.get((namespace, workload), [])
                for pod in pods:
                    self._serve(pod, self.rate[namespace] * seconds * weight / 100 / len(pods))

    def _serve(self, pod: Pod, requests: float) -> None:
        place = (pod.namespace, pod.name)
        before = int(self._served[place])
        self._served[place] += requests
        after = int(self._served[place])
        good = int(after * SUCCESS) - int(before * SUCCESS)
        pod.count("ai_agent_tasks_started_total", after - before)
        for family, mark, (well, badly) in (
            ("ai_agent_tasks_total", "outcome", ("success", "failure")),
            ("ai_agent_tasks_verified_total", "result", ("pass", "fail")),
        ):
            verifier = {"verifier": "postcondition"} if mark == "result" else {}
            pod.count(family, good, **verifier, **{mark: well})
            pod.count(family, after - before - good, **verifier, **{mark: badly})


class Observer:
    """Sees every Rollout and route; keeps what was last seen and when it came to that, monotonic seconds."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.rollouts: dict[Place, Manifest] = {}
        self.phase_since: dict[Place, tuple[str, float]] = {}
        self.zero_since: dict[Place, float] = {}
        """When a route first gave some workload an explicit weight of 0."""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._api.follow(grouped(INTERLOCK, "", "rollouts"), self._rollout))
            group.create_task(self._api.follow(grouped(GATEWAY, "", "httproutes"), self._route))

    async def _rollout(self, event: str, rollout: Manifest) -> None:
        if event == "RESET":
            return
        place = _place(rollout)
        self.rollouts[place] = rollout
        phase = str((rollout.get("status") or {}).get("phase", ""))
        if self.phase_since.get(place, ("", 0.0))[0] != phase:
            self.phase_since[place] = (phase, time.monotonic())

    async def _route(self, event: str, route: Manifest) -> None:
        if event != "RESET" and 0 in backends(route)[0].values():
            self.zero_since.setdefault(_place(route), time.monotonic())


def _place(manifest: Manifest) -> Place:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]

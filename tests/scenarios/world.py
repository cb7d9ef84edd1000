"""The operator's own shell in a small world, on one scripted clock; nothing of the shell is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from interlock.errors import Conflict, InterlockError
from interlock.model.rollout import Rollout
from interlock.operator.app import Operator
from interlock.operator.settings import Settings
from interlock.operator.telemetry import Telemetry
from tests.scenarios.faults import Crash, Faults, Tapped
from tests.scenarios.rules import backends
from tests.scenarios.surroundings import NAMESPACE, Behaviour, Manifest, Surroundings

__all__ = ["NAMESPACE", "Behaviour", "World"]

Wanted = Callable[[Rollout], bool]


@dataclass
class Process:
    """One operator process. Its watch lags while `late`: events wait in `inbox`."""

    operator: Operator
    synced: bool = False
    late: bool = False
    inbox: list[tuple[str, Manifest]] = field(default_factory=list)

    def hear(self, event: str, manifest: Manifest) -> None:
        self.inbox.append((event, manifest))
        if not self.late:
            self.catch_up()

    def catch_up(self) -> None:
        arrived, self.inbox = self.inbox, []
        for event, manifest in arrived:
            self.operator.heard(event, manifest)


class World(Surroundings):
    """Time passes with `run`; everything random comes from one seed."""

    def __init__(self, seed: int = 1, tick: float = 5.0) -> None:
        super().__init__(seed)
        self.faults = Faults()
        self.settings = Settings(
            prometheus="http://unused", tick=tick, scrape_interval=tick, route_margin=1.0, gates_refresh=20
        )
        self.clock_ahead = timedelta(0)
        """Of the operator's clock, before everybody else's."""
        self.errors: list[InterlockError] = []
        self.processes: list[Process] = []
        self.start_operator()

    # ------------------------------------------------------------------ operator
    @property
    def operator(self) -> Operator:
        """The first process."""
        return self.processes[0].operator

    def start_operator(self) -> Process:
        """A fresh process instead of all others: empty cache, no memory."""
        self.processes.clear()
        return self.start_another()

    def start_another(self) -> Process:
        """A process beside the others."""
        objects = Tapped(self.objects, self.faults)
        operator = Operator(self.settings, objects, self.metrics, Telemetry(), now=self.operators_now)
        process = Process(operator)
        self.processes.append(process)
        self.objects.listeners[:] = [each.hear for each in self.processes]
        return process

    def operators_now(self) -> datetime:
        """What the operator takes for the time."""
        return self.now + self.clock_ahead

    async def settle(self, passes: int = 20) -> None:
        """Let the operator, the kubelet and the gateway react until nothing changes any more."""
        for _ in range(passes):
            before = self._fingerprint()
            await self.operate()
            await self.kubelet()
            await self.gateway()
            if self._fingerprint() == before:
                return

    async def operate(self) -> None:
        """One pass over every object by every process, as the workers would do."""
        await asyncio.gather(*(self._turn(process) for process in list(self.processes)))

    async def _turn(self, process: Process) -> None:
        operator = process.operator
        try:
            if not process.synced:
                await operator.list_all()
                operator.synced = process.synced = True
            for kind in ("AgentVersion", "MetricTemplate", "Rollout"):
                for manifest in operator.cache.all(kind):
                    meta = manifest["metadata"]
                    await self._pass(operator, (kind, meta.get("namespace", ""), meta["name"]))
        except Crash:
            self.start_operator()
        process.catch_up()

    async def _pass(self, operator: Operator, key: tuple[str, str, str]) -> None:
        try:
            await operator.reconciler.reconcile(key)
        except Conflict:
            await operator._read_again(key)
        except InterlockError as error:
            self.errors.append(error)

    def _fingerprint(self) -> list[str]:
        return sorted(m["metadata"]["resourceVersion"] for m in self.objects._objects.values())

    # ------------------------------------------------------------------ time
    async def run(self, seconds: float, stride: float | None = None) -> None:
        """Seconds pass, in ticks: agents work, Prometheus scrapes, the operator looks."""
        end = self.now + timedelta(seconds=seconds)
        step = stride or self.settings.tick
        while self.now < end:
            self.now += timedelta(seconds=step)
            self.act()
            self.work(step)
            self.scrape()
            for process in list(self.processes):
                await self._look(process.operator)
            await self.settle()

    async def _look(self, operator: Operator) -> None:
        """What an operator does once a tick."""
        try:
            for rollout in list(operator.active.rollouts()):
                await operator.evidence.look(rollout)
                await operator.evidence.save(rollout)
        except Crash:
            self.start_operator()

    async def until(self, wanted: Wanted, limit: float = 3600) -> None:
        """Run until `wanted(rollout)` or fail after `limit` seconds of the world's time."""
        end = self.now + timedelta(seconds=limit)
        await self.settle()
        while not wanted(await self.rollout()):
            if self.now >= end:
                found = await self.rollout()
                raise AssertionError(f"not reached after {limit} s: {found.status.to_wire()}")
            await self.run(self.settings.tick)

    async def until_route(self, *, stable: int, limit: float = 600) -> None:
        """Run until the route gives the first of its backends this weight and mirrors nothing."""
        end = self.now + timedelta(seconds=limit)
        while await self.weights() not in ([stable], [stable, 100 - stable]) or await self.mirrors():
            assert self.now < end, await self.weights()
            await self.run(self.settings.tick)

    async def holds(self, wanted: Wanted, seconds: float, stride: float | None = None) -> None:
        """`wanted(rollout)` is true now and stays so for `seconds`."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            found = await self.rollout()
            assert wanted(found), found.status.to_wire()
            await self.run(stride or self.settings.tick, stride)

    # ------------------------------------------------------------------ users
    async def rollout(self, name: str = "triage") -> Rollout:
        """The Rollout as stored."""
        manifest = await self.objects.get("Rollout", NAMESPACE, name)
        assert manifest is not None
        return Rollout.read(manifest)

    async def serve_version(self, version: str) -> None:
        """Change the one line that a release changes."""
        await self.edit(lambda spec: spec["versionRef"].update(name=version))

    async def edit(self, change: Callable[[Manifest], None]) -> None:
        """kubectl edit: `change` is given the Rollout's spec."""
        manifest = await self.objects.get("Rollout", NAMESPACE, "triage")
        assert manifest is not None
        change(manifest["spec"])
        await self.objects.replace(manifest)

    async def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition; empty strings when it is absent."""
        found = await self.rollout()
        for condition in found.status.conditions:
            if condition.type == kind:
                return condition.status.value, condition.reason, condition.message
        return "", "", ""

    async def releases(self) -> list[Manifest]:
        """All Releases, oldest attempt first."""
        found = await self.objects.list("Release")
        return sorted(found, key=lambda r: int(r["header"]["attempt"]))

    async def entries(self, attempt: int) -> list[Manifest]:
        """What the record of one attempt holds."""
        return [e for r in await self.releases() if r["header"]["attempt"] == attempt for e in r["entries"]]

    async def reasons(self, attempt: int) -> list[str]:
        """Why the attempt moved, move by move."""
        return [entry["reason"] for entry in await self.entries(attempt)]

    async def weights(self) -> list[int]:
        """Of our route's backends, the stable version's first; empty without a route."""
        route = await self.objects.get("HTTPRoute", NAMESPACE, "triage")
        return list(backends(route)[0].values()) if route else []

    async def mirrors(self) -> bool:
        """Does our route send copies anywhere?"""
        route = await self.objects.get("HTTPRoute", NAMESPACE, "triage")
        return route is not None and bool(backends(route)[1])

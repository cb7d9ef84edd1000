"""Many Rollouts, each with an agent, a template and versions of its own, spread over namespaces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from dev.bench.played import Place
from tests.cluster import objects
from tests.cluster.api import INTERLOCK, Api, Manifest, core, grouped
from tests.cluster.kubelet import NODE

AT_ONCE = 32
PROMPT = "You sort the tickets of a shop. Ask before you pay anything back. " * 30
"""About 2 KB; real ones are often larger, and then it is they who fill the memory."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Rollouts by place. `steps` are those of every strategy."""

    places: tuple[Place, ...]
    steps: tuple[Manifest, ...] = (objects.FULL,)

    @classmethod
    def of(cls, name: str, count: int, namespaces: int, *steps: Manifest) -> Fleet:
        """`count` Rollouts, dealt out over `namespaces` of that name."""
        places = tuple((f"{name}-{number % namespaces}", f"agent-{number:05}") for number in range(count))
        return cls(places, steps or (objects.FULL,))

    @property
    def namespaces(self) -> list[str]:
        """Each once."""
        return sorted({namespace for namespace, _ in self.places})

    async def prepare(self, api: Api) -> None:
        """Namespaces, templates and first versions; no Rollout yet."""
        for namespace in self.namespaces:
            await api.post(core("", "namespaces"), {"metadata": {"name": namespace}})
        await each(self.places, lambda place: _post(api, "apps/v1", "deployments", place, _template(place)))
        await self.versions(api, "v1")

    async def versions(self, api: Api, version: str) -> None:
        """An AgentVersion for each."""
        await each(
            self.places,
            lambda place: _post(api, INTERLOCK, "agentversions", place, _agent_version(place, version)),
        )

    async def begin(self, api: Api) -> None:
        """The Rollouts themselves."""
        await each(self.places, lambda place: _post(api, INTERLOCK, "rollouts", place, self._rollout(place)))

    async def release(self, api: Api, version: str) -> None:
        """A new version for each, and the one line that a release changes."""
        await self.versions(api, version)

        async def patch(place: Place) -> None:
            change = {"spec": {"versionRef": {"name": version_name(place[1], version)}}}
            await api.patch(grouped(INTERLOCK, place[0], "rollouts", place[1]), change)

        await each(self.places, patch)

    def _rollout(self, place: Place) -> Manifest:
        _, name = place
        gateway_api = {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": [f"{name}.{place[0]}.example.com"],
            "port": 8080,
        }
        made = objects.rollout(
            version_name(name, "v1"),
            agent=name,
            replicas=1,
            workload={"templateRef": {"kind": "Deployment", "name": f"{name}-template"}},
            traffic={"gatewayAPI": gateway_api},
            strategy={"steps": list(self.steps)},
        )
        return made | {"metadata": {"name": name}}


def version_name(agent: str, version: str) -> str:
    """Name of an AgentVersion."""
    return f"{agent}-{version}"


async def each(places: Iterable[Place], do: Callable[[Place], Awaitable[None]]) -> None:
    """For all, some at once."""
    left: Iterator[Place] = iter(places)

    async def lane() -> None:
        for place in left:
            await do(place)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(lane())


async def _post(api: Api, group: str, plural: str, place: Place, manifest: Manifest) -> None:
    await api.post(grouped(group, place[0], plural), manifest)


def _template(place: Place) -> Manifest:
    made: dict[str, Any] = objects.template()
    made["metadata"]["name"] = f"{place[1]}-template"
    made["spec"]["template"]["spec"]["nodeName"] = NODE
    return made


def _agent_version(place: Place, version: str) -> Manifest:
    name = version_name(place[1], version)
    made = objects.agent_version(name)
    prompt = {"name": "system", "role": "System", "template": f"{PROMPT}You are {name}."}
    spec = made["spec"] | {"agent": place[1], "version": version, "prompts": [prompt]}
    return made | {"spec": spec}


async def gateway(api: Api) -> None:
    """The Gateway that all routes name, and its class."""
    controller = {"controllerName": "example.com/gateway"}
    listeners = [
        {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    ]
    group = "gateway.networking.k8s.io/v1"
    for path, manifest in (
        (core("", "namespaces"), {"metadata": {"name": "gateways"}}),
        (
            grouped(group, "", "gatewayclasses"),
            {"apiVersion": group, "kind": "GatewayClass", "metadata": {"name": "played"}, "spec": controller},
        ),
        (
            grouped(group, "gateways", "gateways"),
            {
                "apiVersion": group,
                "kind": "Gateway",
                "metadata": {"name": "public"},
                "spec": {"gatewayClassName": "played", "listeners": listeners},
            },
        ),
    ):
        try:
            await api.post(path, manifest)
        except aiohttp.ClientResponseError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise

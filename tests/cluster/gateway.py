"""Plays the gateway's controller: accepts routes at their current generation, and programs the split."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import aiohttp

from tests.cluster import objects
from tests.cluster.api import GATEWAY, Api, Manifest, core, grouped

CONTROLLER = "example.com/gateway"
Mode = Literal["accept", "frozen", "refuse"]


class Gateway:
    """Per namespace it accepts, does nothing (frozen), or refuses."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._modes: dict[str, Mode] = {}
        self._routes: dict[tuple[str, str], Manifest] = {}
        self.programmed: dict[tuple[str, str], Manifest] = {}
        """What requests follow: the last accepted route."""

    async def install(self) -> None:
        """The Gateway that all routes name, and its class, which says what it can do."""
        await self._made(core("", "namespaces"), {"metadata": {"name": objects.GATEWAY_NAMESPACE}})
        spec = {"controllerName": CONTROLLER}
        played = {
            "apiVersion": GATEWAY,
            "kind": "GatewayClass",
            "metadata": {"name": "played"},
            "spec": spec,
        }
        made = await self._made(grouped(GATEWAY, "", "gatewayclasses"), played)
        able = [
            {"name": f"HTTPRouteRequest{kind}"} for kind in ("Mirror", "PercentageMirror", "MultipleMirrors")
        ]
        accepted = _condition("Accepted", "True", made["metadata"]["generation"], reason="Accepted")
        status = {"conditions": [accepted], "supportedFeatures": able}
        path = grouped(GATEWAY, "", "gatewayclasses", "played") + "/status"
        await self._api.put(path, {**made, "status": status})
        listener = {"name": "http", "port": 80, "protocol": "HTTP"}
        gateway = {
            "apiVersion": GATEWAY,
            "kind": "Gateway",
            "metadata": {"name": objects.GATEWAY},
            "spec": {"gatewayClassName": "played", "listeners": [listener]},
        }
        await self._made(grouped(GATEWAY, objects.GATEWAY_NAMESPACE, "gateways"), gateway)

    async def _made(self, path: str, body: Manifest) -> Manifest:
        """Created, or as it was left by those who used the control plane before."""
        name = body["metadata"]["name"]
        return await self._api.get(f"{path}/{name}") or await self._api.post(path, body)

    async def switch(self, namespace: str, mode: Mode) -> None:
        """From now on; routes that were passed over are looked at again."""
        self._modes[namespace] = mode
        for place, route in list(self._routes.items()):
            if place[0] == namespace:
                await self._handle(route)

    async def run(self) -> None:
        """Until cancelled."""
        await self._api.follow(grouped(GATEWAY, "", "httproutes"), self._heard)

    async def _heard(self, event: str, route: Manifest) -> None:
        if event == "RESET":
            self._routes.clear()
            return
        place = _place(route)
        if event == "DELETED":
            self._routes.pop(place, None)
            self.programmed.pop(place, None)
            return
        self._routes[place] = route
        try:
            await self._handle(route)
        except aiohttp.ClientResponseError as error:
            if error.status not in (404, 409):  # gone or changed meanwhile: told by an event
                raise

    async def _handle(self, route: Manifest) -> None:
        namespace, name = _place(route)
        mode = self._modes.get(namespace, "accept")
        if mode == "frozen":
            return
        if not _told(route, mode):
            parents = [_parent(ref, route, mode) for ref in route["spec"]["parentRefs"]]
            written = {**route, "status": {"parents": parents}}
            await self._api.put(grouped(GATEWAY, namespace, "httproutes", name) + "/status", written)
        if mode == "accept":
            self.programmed[namespace, name] = route


def _place(route: Manifest) -> tuple[str, str]:
    return route["metadata"]["namespace"], route["metadata"]["name"]


def _value(mode: Mode) -> str:
    return "True" if mode == "accept" else "False"


def _told(route: Manifest, mode: Mode) -> bool:
    """Does the status say so already for this generation?"""
    wanted = (_value(mode), route["metadata"]["generation"])
    parents = (route.get("status") or {}).get("parents") or []
    found = [(c["status"], c["observedGeneration"]) for p in parents for c in p["conditions"][:1]]
    return len(found) == len(route["spec"]["parentRefs"]) and all(one == wanted for one in found)


def _parent(reference: Manifest, route: Manifest, mode: Mode) -> Manifest:
    accepted = {"reason": "Accepted", "message": ""}
    refused = {"reason": "NotAllowedByListeners", "message": "no listener allows this namespace"}
    said = accepted if mode == "accept" else refused
    generation = route["metadata"]["generation"]
    conditions = [
        _condition("Accepted", _value(mode), generation, **said),
        _condition("ResolvedRefs", "True", generation, reason="ResolvedRefs"),
    ]
    return {"parentRef": reference, "controllerName": CONTROLLER, "conditions": conditions}


def _condition(kind: str, status: str, generation: int, *, reason: str, message: str = "") -> Manifest:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }

"""The end of a Rollout and its next life: what kubectl and the garbage collector do."""

from __future__ import annotations

from typing import Any, Literal

from tests.scenarios.objects import rollout as rollout_manifest
from tests.scenarios.surroundings import NAMESPACE, Manifest
from tests.scenarios.world import World

CHILDREN = ("Deployment", "Service", "ConfigMap", "HTTPRoute")


async def owned(world: World, uid: str) -> list[Manifest]:
    """Objects with an owner reference to that Rollout."""
    found = [manifest for kind in CHILDREN for manifest in await world.objects.list(kind)]
    return [
        manifest
        for manifest in found
        if any(owner["uid"] == uid for owner in manifest["metadata"].get("ownerReferences") or [])
    ]


async def deleted(world: World, cascade: Literal["background", "orphan"] = "background") -> str:
    """kubectl delete rollout triage --cascade=…; returns the uid of the one that is gone."""
    uid = (await world.rollout()).metadata.uid
    children = await owned(world, uid)
    if cascade == "orphan":  # the references go first, then the object
        for manifest in children:
            meta = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
            await world.objects.replace({**manifest, "metadata": meta})
    await world.objects.delete("Rollout", NAMESPACE, "triage", uid)
    if cascade == "background":
        await collected(world, uid)
    return uid


async def collected(world: World, uid: str) -> None:
    """The garbage collector has been there."""
    for manifest in await owned(world, uid):
        meta = manifest["metadata"]
        await world.objects.delete(manifest["kind"], NAMESPACE, meta["name"], meta["uid"])
        if manifest["kind"] == "Service":
            name = f"{meta['name']}-x"
            endpoints = await world.objects.get("EndpointSlice", NAMESPACE, name)
            if endpoints is not None:
                await world.objects.delete("EndpointSlice", NAMESPACE, name, endpoints["metadata"]["uid"])


async def created_again(world: World, version: str, **spec: Any) -> None:
    """kubectl apply of the Rollout, with the same name."""
    await world.apply(rollout_manifest(version, **spec))

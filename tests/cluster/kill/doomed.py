"""The operator, which kills itself at chosen writes: `python -m tests.cluster.kill.doomed PLANS FLAGS…`.

Nothing of it is replaced: between the operator and the API server stands what reads the plans.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.operator.app import serve
from interlock.operator.settings import parse
from interlock.operator.telemetry import log_as_json
from interlock.ports import Manifest, Objects
from tests.cluster.kill.plans import Plans

_MOVES = {
    Stage.PREPARING: "status: begin",
    Stage.RUNNING: "status: advance",
    Stage.SOAKING: "status: advance",
    Stage.REVERTING: "status: revert",
    Stage.DONE: "status: done",
}


class Doomed:
    """`ports.Objects`; each write is noted, and may be the last."""

    def __init__(self, objects: Objects, plans: Plans) -> None:
        self._objects = objects
        self._plans = plans

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return await self._objects.get(kind, namespace, name)

    async def list(self, kind: str, *, namespace: str = "", selector: str = "") -> list[Manifest]:
        return await self._objects.list(kind, namespace=namespace, selector=selector)

    async def apply(self, manifest: Manifest) -> Manifest:
        kind = manifest["kind"]
        what = f"apply {kind}" + (f": {_direction(manifest)}" if kind == "HTTPRoute" else "")
        return await self._mortally(what, manifest, self._objects.apply)

    async def create(self, manifest: Manifest) -> Manifest:
        return await self._mortally(f"create {manifest['kind']}", manifest, self._objects.create)

    async def replace(self, manifest: Manifest) -> Manifest:
        return await self._mortally(f"append {manifest['kind']}", manifest, self._objects.replace)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        return await self._mortally(await self._move(manifest), manifest, self._objects.replace_status)

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        after = self._plans.write(namespace, f"delete {kind}", _die)
        await self._objects.delete(kind, namespace, name, uid)
        after()

    async def _mortally(
        self, what: str, manifest: Manifest, perform: Callable[[Manifest], Awaitable[Manifest]]
    ) -> Manifest:
        after = self._plans.write(manifest["metadata"]["namespace"], what, _die)
        stored = await perform(manifest)
        after()
        return stored

    async def _move(self, manifest: Manifest) -> str:
        """Which transition a status write stores, if any."""
        meta = manifest["metadata"]
        stored = await self._objects.get(manifest["kind"], meta["namespace"], meta["name"])
        if manifest["kind"] != "Rollout" or stored is None:
            return f"status: {manifest['kind']}"
        old, new = Rollout.read(stored).status.attempt, Rollout.read(manifest).status.attempt
        if new is None or (old and (old.number, old.seq) == (new.number, new.seq)):
            return "status: no move"
        return _MOVES[new.stage]


def _direction(route: Manifest) -> str:
    weights = [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]
    return "revert" if 0 in weights else "forward"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    plans, *flags = sys.argv[1:]
    settings = parse(flags)
    log_as_json(settings.log_level)
    asyncio.run(serve(settings, wrap=lambda objects: Doomed(objects, Plans(Path(plans)))))


if __name__ == "__main__":
    main()

"""The operator, which kills itself at chosen writes: `python -m tests.cluster.kill.doomed PLANS FLAGS…`.

Nothing of it is replaced: between the operator and the API server stands what reads the plans.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

from interlock.core.labels import FIELD_MANAGER
from interlock.model.release import Stage
from interlock.model.rolloutstatus import RolloutStatus
from interlock.operator.app import serve
from interlock.operator.settings import Settings, parse
from interlock.operator.telemetry import log_as_json
from interlock.ports import Manifest, Objects
from tests.cluster.kill.plans import Plans
from tests.cluster.launch import die_with_parent

T = TypeVar("T")

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
        self._one_at_a_time = asyncio.Lock()  # or one story's kill would come in between another's write

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return await self._objects.get(kind, namespace, name)

    async def list(self, kind: str, *, namespace: str = "", selector: str = "") -> list[Manifest]:
        return await self._objects.list(kind, namespace=namespace, selector=selector)

    async def apply(self, manifest: Manifest) -> Manifest:
        kind = manifest["kind"]
        what = f"apply {kind}" + (f": {_direction(manifest)}" if kind == "HTTPRoute" else "")
        return await self._write(what, manifest, self._objects.apply)

    async def create(self, manifest: Manifest) -> Manifest:
        return await self._write(f"create {manifest['kind']}", manifest, self._objects.create)

    async def replace(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        replaced = partial(self._objects.replace, manager=manager)
        return await self._write(f"append {manifest['kind']}", manifest, replaced)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        return await self._write(await self._move(manifest), manifest, self._objects.replace_status)

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        await self._mortally(
            f"delete {kind}", namespace, lambda: self._objects.delete(kind, namespace, name, uid)
        )

    async def _write(
        self, what: str, manifest: Manifest, perform: Callable[[Manifest], Awaitable[Manifest]]
    ) -> Manifest:
        return await self._mortally(what, manifest["metadata"]["namespace"], lambda: perform(manifest))

    async def _mortally(self, what: str, namespace: str, perform: Callable[[], Awaitable[T]]) -> T:
        side = self._plans.note(namespace, what)
        if side is None:
            return await perform()
        async with self._one_at_a_time:
            if side == "after":
                await perform()
            self._plans.killed(namespace, what)
            os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")

    async def _move(self, manifest: Manifest) -> str:
        """Which transition a status write stores, if any."""
        meta = manifest["metadata"]
        stored = await self._objects.get(manifest["kind"], meta["namespace"], meta["name"])
        if manifest["kind"] != "Rollout" or stored is None:
            return f"status: {manifest['kind']}"
        old, new = (RolloutStatus.model_validate(m.get("status") or {}).attempt for m in (stored, manifest))
        if new is None or (old and (old.number, old.seq) == (new.number, new.seq)):
            return "status: no move"
        return _MOVES[new.stage]


def _direction(route: Manifest) -> str:
    weights = [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]
    return "revert" if 0 in weights else "forward"


def main() -> int:
    """Live again and again; a life that ends by anything but its own SIGKILL is the last.

    Each life is a process, forked from one that has imported everything: reading the modules of kopf takes
    longer than all that an operator does between two kills.
    """
    plans, *flags = sys.argv[1:]
    settings = parse(flags)
    while True:
        life = os.fork()
        if life == 0:
            _live(settings, Plans(Path(plans)))
        _, ended = os.waitpid(life, 0)
        code = os.waitstatus_to_exitcode(ended)
        if code != -signal.SIGKILL:
            return code


def _live(settings: Settings, plans: Plans) -> NoReturn:
    code = 1
    try:
        die_with_parent()
        log_as_json(settings.log_level)
        asyncio.run(serve(settings, wrap=lambda objects: Doomed(objects, plans)))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())

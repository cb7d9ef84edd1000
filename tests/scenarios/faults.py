"""What stands between the operator and the API server: each write passes here, may fail, and is judged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from interlock.adapters.memory import MemoryObjects
from interlock.core.labels import FIELD_MANAGER
from interlock.errors import InterlockError
from tests.scenarios.rules import check_write

Manifest = dict[str, Any]


class Crash(BaseException):
    """The process dies here: no handler of the operator may catch it."""


@dataclass(frozen=True)
class Write:
    """One write of the operator."""

    verb: str
    kind: str
    name: str


@dataclass
class Faults:
    """Outlives the operator's processes. `refuse` gives the error that a write meets, or None."""

    writes: list[Write] = field(default_factory=list)
    refuse: Callable[[Write], InterlockError | None] = lambda write: None
    crash: tuple[int, Literal["before", "after"]] | None = None
    """Die before or after the n-th write, counted from 1."""
    crash_every: int | None = None
    """Die after each n-th write."""

    def before(self, write: Write) -> None:
        """Called when the operator is about to write."""
        self.writes.append(write)
        if self.crash == (len(self.writes), "before"):
            raise Crash
        if error := self.refuse(write):
            raise error

    def after(self) -> None:
        """Called when the write is stored, before the operator learns of it."""
        number = len(self.writes)
        if self.crash == (number, "after") or (self.crash_every and number % self.crash_every == 0):
            raise Crash


class Tapped:
    """`ports.Objects` of one operator process."""

    def __init__(self, objects: MemoryObjects, faults: Faults) -> None:
        self._objects = objects
        self._faults = faults

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return await self._objects.get(kind, namespace, name)

    async def list(self, kind: str, *, namespace: str = "", selector: str = "") -> list[Manifest]:
        return await self._objects.list(kind, namespace=namespace, selector=selector)

    async def apply(self, manifest: Manifest) -> Manifest:
        return await self._through("apply", manifest, self._objects.apply)

    async def create(self, manifest: Manifest) -> Manifest:
        return await self._through("create", manifest, self._objects.create)

    async def replace(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        replaced = partial(self._objects.replace, manager=manager)
        return await self._through("replace", manifest, replaced)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        return await self._through("replace_status", manifest, self._objects.replace_status)

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        await asyncio.sleep(0)
        self._faults.before(Write("delete", kind, name))
        await self._objects.delete(kind, namespace, name, uid)
        self._faults.after()

    async def _through(
        self, verb: str, manifest: Manifest, perform: Callable[[Manifest], Awaitable[Manifest]]
    ) -> Manifest:
        await asyncio.sleep(0)  # another process may come in between
        manifest = json.loads(json.dumps(manifest))  # what goes over the wire are plain words
        kind, meta = manifest["kind"], manifest["metadata"]
        self._faults.before(Write(verb, kind, meta["name"]))
        before = await self._objects.get(kind, meta.get("namespace", ""), meta["name"])
        stored = await perform(manifest)
        await check_write(self._objects, verb, before, stored)
        self._faults.after()
        return stored

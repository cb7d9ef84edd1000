"""One pass over one object: observe, decide, record, perform. Decides nothing itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import assert_never

from pydantic import ValidationError

from interlock.core import ledger, metrictemplates, status, versions
from interlock.core.decide import Decision, decide
from interlock.core.effects import (
    ApplyChild,
    DeleteChild,
    Effect,
    RecordCleared,
    RecordEntries,
    RestoreChild,
    TellEvent,
    WriteRoute,
)
from interlock.core.labels import PUT_BACK_MANAGER
from interlock.core.observation import Observation
from interlock.errors import Conflict, DependencyError, InterlockError, SpecError, TransientError
from interlock.model.agentversion import AgentVersion
from interlock.model.base import first_problem
from interlock.model.metrictemplate import MetricTemplate
from interlock.model.release import Release
from interlock.model.rollout import Rollout
from interlock.operator.active import is_going
from interlock.operator.cache import Cache
from interlock.operator.events import event_about
from interlock.operator.observe import Observer
from interlock.operator.telemetry import Telemetry, about
from interlock.ports import Manifest, Objects

log = logging.getLogger(__name__)

Key = tuple[str, str, str]
REVERT_PATIENCE = 2.0
"""Seconds that a revert waits for its status write before it goes on to the route."""
RETRY_DEPENDENCY = timedelta(seconds=10)
"""What is not watched (a prompt's ConfigMap) is looked at again after this long."""


class Reconciler:
    """`objects` for writes, `cache` for reads, `now` for the time (aware, UTC). `turns_back` is
    entered while a candidate is taken back that cannot wait: many may be at once."""

    def __init__(
        self,
        objects: Objects,
        cache: Cache,
        observer: Observer,
        telemetry: Telemetry,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        turns_back: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._objects = objects
        self._cache = cache
        self._observer = observer
        self._telemetry = telemetry
        self._now = now
        self._turns_back = turns_back

    async def reconcile(self, key: Key) -> timedelta | None:
        """One pass. Returns when to look again, None for "when something changes".

        Raises Conflict (read again, at once) or TransientError (back off).
        """
        kind, namespace, name = key
        manifest = self._cache.get(kind, namespace, name)
        if manifest is None or is_going(manifest):
            if manifest is None and kind == Rollout.KIND:
                self._telemetry.forget(namespace, name)  # again: a pass may have ended after the deletion
            return None
        if kind == "AgentVersion":
            return await self._agent_version(manifest)
        if kind == MetricTemplate.KIND:
            await self._metric_template(manifest)
            return None
        return await self._rollout(manifest)

    # -------------------------------------------------------------- Rollout
    async def _rollout(self, manifest: Manifest) -> timedelta | None:
        now = self._now()
        try:
            rollout = Rollout.read(manifest)
        except ValidationError as error:
            wire = status.unreadable(manifest, first_problem(error), now) | {"phase": "Stalled"}
            await self._write_status(manifest, wire)
            return None
        seen = await self._observer.observe(rollout, now)
        started = time.perf_counter()
        decision = decide(seen, now)
        with self._turns_back() if decision.cannot_wait else nullcontext():
            await self._carry_out(manifest, seen, decision, started)
        recorded = any(isinstance(effect, RecordEntries | RecordCleared) for effect in decision.effects)
        if decision.move is not None or recorded:
            return timedelta(0)  # walk on as soon as it is recorded: our own writes wake nobody
        return decision.wake

    async def _carry_out(
        self, manifest: Manifest, seen: Observation, decision: Decision, started: float
    ) -> None:
        await self._record(manifest, seen, decision, started)
        # what is stored has happened, whether or not an effect fails now and is done again later
        self._telemetry.show(seen, decision)
        self._say(seen.rollout, decision)
        effects = decision.effects
        if decision.cannot_wait:
            # many may turn back at once: the route of each comes before the record of any
            effects = tuple(effect for effect in effects if isinstance(effect, WriteRoute))
        await self._perform(seen, effects, started)

    async def _record(
        self, manifest: Manifest, seen: Observation, decision: Decision, started: float
    ) -> None:
        """Intent first. A revert whose record fails is written to the route all the same."""
        before = seen.rollout.status.to_wire()
        wanted = decision.status.to_wire()
        if before == wanted:
            return
        try:
            if decision.cannot_wait:
                await _within(REVERT_PATIENCE, self._write_status(manifest, wanted))
            else:
                await self._write_status(manifest, wanted)
        except Conflict:
            raise
        except InterlockError:
            if decision.cannot_wait:
                log.exception("status refused while reverting", extra=about(seen.rollout))
                routes = tuple(e for e in decision.effects if isinstance(e, WriteRoute))
                await self._perform(seen, routes, started)
            raise
        self._observer.wrote_status(seen.rollout.metadata.uid, self._now())

    async def _write_status(self, manifest: Manifest, wanted: Manifest) -> None:
        if manifest.get("status") == wanted:
            return
        named = ("name", "namespace", "resourceVersion")
        meta = {key: manifest["metadata"][key] for key in named if key in manifest["metadata"]}
        written = await self._objects.replace_status(
            {
                "apiVersion": manifest["apiVersion"],
                "kind": manifest["kind"],
                "metadata": meta,
                "status": wanted,
            }
        )
        self._cache.put(written)

    async def _perform(self, seen: Observation, effects: tuple[Effect, ...], started: float) -> None:
        """All effects, each on its own: one that fails does not keep the others from being done."""
        failures: list[InterlockError] = []
        for effect in effects:
            try:
                await self._one(seen.rollout, effect)
                if isinstance(effect, WriteRoute):
                    self._telemetry.route_write.observe(time.perf_counter() - started)
            except InterlockError as error:
                failures.append(error)
        if failures:
            worst = next((e for e in failures if not isinstance(e, Conflict)), failures[0])
            for other in failures:
                if other is not worst:  # that one is logged by whoever retries the pass
                    log.warning("%s", other, extra=about(seen.rollout))
            raise worst

    async def _one(self, rollout: Rollout, effect: Effect) -> None:
        match effect:
            case WriteRoute(manifest) | ApplyChild(manifest):
                self._cache.put(await self._objects.apply(manifest))
            case RestoreChild(manifest):
                self._cache.put(await self._objects.replace(manifest, manager=PUT_BACK_MANAGER))
            case DeleteChild(kind, namespace, name, uid):
                await self._objects.delete(kind, namespace, name, uid)
            case RecordEntries():
                await self._append(effect)
            case RecordCleared():
                await self._clear(effect)
            case TellEvent():
                await self._tell(rollout, effect)
            case _:
                assert_never(effect)

    async def _append(self, effect: RecordEntries) -> None:
        known = self._cache.get(Release.KIND, effect.namespace, effect.release)
        try:
            written = await self._appended(known, effect)
        except Conflict:  # the watch is late
            stored = await self._objects.get(Release.KIND, effect.namespace, effect.release)
            written = await self._appended(stored, effect)
        self._cache.put(written)

    async def _appended(self, existing: Manifest | None, effect: RecordEntries) -> Manifest:
        if existing is None:
            return await self._objects.create(ledger.new_release(effect))
        longer = ledger.appended(existing, effect)
        return existing if longer is None else await self._objects.replace(longer)

    async def _clear(self, effect: RecordCleared) -> None:
        """Nothing is told of a Release that somebody has deleted."""
        known = self._cache.get(Release.KIND, effect.namespace, effect.release)
        cleared = ledger.with_cleared(known, effect) if known else None
        if cleared is not None:
            written = await self._objects.replace(cleared)
            self._cache.put(written)
            self._telemetry.show_cleared(written)

    async def _tell(self, rollout: Rollout, effect: TellEvent) -> None:
        try:
            await self._objects.create(event_about(rollout, effect, self._now()))
        except Conflict:
            log.debug("event %s was told before", effect.name)

    def _say(self, rollout: Rollout, decision: Decision) -> None:
        move = decision.move
        if move is not None:
            fields = {"stage": move.stage.value, "reason": move.cause.value, "step": move.step_index}
            log.info("%s", move.message, extra=about(rollout, **fields))

    # -------------------------------------------------------------- AgentVersion
    async def _agent_version(self, manifest: Manifest) -> timedelta | None:
        wake: timedelta | None = None
        outcome: versions.Assessment | SpecError | DependencyError
        try:
            version = AgentVersion.read(manifest)
            outcome = await self._observer.versions.assess(manifest)
        except ValidationError as error:
            wire = status.unreadable(manifest, first_problem(error), self._now())
            await self._write_status(manifest, wire)
            return None
        except SpecError as error:
            outcome = error
        except DependencyError as error:
            outcome, wake = error, RETRY_DEPENDENCY
        status_now = versions.version_status(version, outcome, version.status, self._now())
        await self._write_status(manifest, status_now.to_wire())
        return wake

    # -------------------------------------------------------------- MetricTemplate
    async def _metric_template(self, manifest: Manifest) -> None:
        try:
            template = MetricTemplate.read(manifest)
        except ValidationError as error:
            wire = status.unreadable(manifest, first_problem(error), self._now())
            await self._write_status(manifest, wire)
            return
        outcome = self._observer.templates.read(manifest)
        wanted = metrictemplates.template_status(template, outcome, self._now())
        await self._write_status(manifest, wanted.to_wire())


async def _within(seconds: float, write: Awaitable[None]) -> None:
    try:
        await asyncio.wait_for(write, seconds)
    except TimeoutError as error:
        raise TransientError(f"no answer to the status write within {seconds} s") from error

"""One operator process without its loop: it observes, decides, records and performs, and can be cut off
before and after each of its writes.

The order is that of `operator.reconcile`: intent first; a revert is written to the route even when its record
is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, assert_never

from interlock.adapters.memory import MemoryMetrics
from interlock.analysis.gates import EvidenceReport
from interlock.core import ledger
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
from interlock.core.observation import Observation, Timing, Unreadable
from interlock.errors import Conflict, InterlockError, TransientError
from interlock.model.release import Release
from interlock.model.rollout import Rollout
from interlock.operator import feed, routing
from interlock.operator.active import is_worth_reading
from interlock.operator.cache import Cache, Key
from interlock.operator.events import event_about
from interlock.operator.evidence import Evidence
from interlock.operator.metrictemplates import MetricTemplates
from interlock.operator.neighbours import Neighbours
from interlock.operator.observe import Observer
from tests.core.machine.surroundings import NAMESPACE, Manifest, Surroundings, reached

TICK = timedelta(seconds=5)
TIMING = Timing(tick=5, settle=10, route_margin=1, freshness=20)
KEY: Key = ("Rollout", NAMESPACE, "triage")


class Crash(BaseException):
    """The process dies here."""


class Judge(Protocol):
    """Told of everything that the operator does."""

    def decided(self, seen: Observation, decision: Decision, now: datetime) -> None: ...

    def wrote(self, decision: Decision, stored: Manifest) -> None: ...


@dataclass
class Faults:
    """Outlives processes. `planned`: what befalls the write of that number, counted from 1."""

    planned: dict[int, str] = field(default_factory=dict)
    crash: tuple[int, str] | None = None
    """What befalls one write more, whatever is planned."""
    writes: int = 0
    refuses: set[str] = field(default_factory=set)
    """Kinds whose writes are refused."""
    touch: Callable[[], None] = lambda: None
    """Somebody else changes the Rollout and its route."""

    def before(self, kind: str) -> None:
        self.writes += 1
        match self._due():
            case "crash before":
                raise Crash
            case "refused":
                raise TransientError("etcdserver: request timed out")
            case "overtaken":
                self.touch()
        if kind in self.refuses:
            raise TransientError("exceeded quota")

    def _due(self) -> str | None:
        number, way = self.crash or (0, "")
        return way if number == self.writes else self.planned.get(self.writes)

    def after(self) -> None:
        match self._due():
            case "crash after":
                raise Crash
            case "answer lost":
                raise TransientError("connection reset by peer")


class Told(Evidence):
    """Evidence that says what the surroundings have it say; `read` is false until the first look."""

    def __init__(self, around: Surroundings, conversations: dict[str, float | None]) -> None:
        super().__init__(MemoryMetrics(), TIMING, lambda: around.now.timestamp())  # noqa: PLW0108 - `now` is another later
        self._around = around
        self._open = conversations
        self.read = False

    def report(self, rollout: Rollout) -> EvidenceReport | Unreadable | None:
        return self._around.metrics.report(rollout) if self.read else None

    def firing(self, rollout: Rollout) -> str:
        return self._around.metrics.firing(rollout)

    def conversations(self, rollout: Rollout) -> dict[str, float | None]:
        known = self._open.get("all")
        return {item.workload: known for item in rollout.status.draining} if self.read else {}


class Process:
    """Begins with an empty memory and one listing."""

    def __init__(
        self,
        around: Surroundings,
        faults: Faults,
        judge: Judge,
        conversations: dict[str, float | None],
        *,
        prompt: bool,
    ) -> None:
        self._around = around
        self._faults = faults
        self._judge = judge
        self.cache = Cache()
        self.evidence = Told(around, conversations)
        self.evidence.read = prompt
        neighbours = Neighbours(self.cache, self._wake)
        self._observer = Observer(
            around.objects,
            self.cache,
            neighbours,
            self.evidence,
            MetricTemplates(around.objects, self.cache),
            timing=TIMING,
            gates_refresh=20,
        )
        self.late: set[str] = set()
        """Kinds of which nothing new is heard."""
        self._inbox: list[tuple[str, Manifest]] = []
        self.due: datetime | None = around.now
        for kind in feed.WATCHED:
            for manifest in reached(around.objects.list(kind, selector=feed.SELECTORS.get(kind, ""))):
                self.cache.put(feed.lean(manifest))

    # ------------------------------------------------------------------ what it hears
    def hear(self, event: str, manifest: Manifest) -> None:
        """The watch brings it after the pass that is under way."""
        kind, marks = manifest["kind"], manifest["metadata"].get("labels") or {}
        if kind in feed.WATCHED and feed.SELECTORS.get(kind, "") in ("", *marks):
            self._inbox.append((event, feed.lean(manifest)))

    def catch_up(self) -> None:
        """Take in what the watch has brought."""
        arrived, self._inbox = self._inbox, []
        for event, manifest in arrived:
            if manifest["kind"] in self.late:
                self._inbox.append((event, manifest))
                continue
            changed = self.cache.drop(manifest) if event == "DELETED" else self.cache.put(manifest)
            if changed:
                for key in routing.concerned(self.cache, manifest):
                    self._wake(key)
            if event == "DELETED" and changed and manifest["kind"] == "AgentVersion":
                self._observer.versions.forget(NAMESPACE, manifest["metadata"]["name"])

    def _wake(self, key: Key) -> None:
        if key == KEY:
            self.due = self._around.now

    def tick(self) -> None:
        """Once a tick metrics are read, and whoever has something to read is woken."""
        self.evidence.read = True
        manifest = self.cache.get(*KEY)
        if manifest is not None and is_worth_reading(manifest):
            self._wake(KEY)

    # ------------------------------------------------------------------ one pass
    @property
    def is_due(self) -> bool:
        """Is it time for a pass?"""
        return self.due is not None and self.due <= self._around.now

    def turn(self) -> bool:
        """One pass, if one is due. Returns whether there was one."""
        if not self.is_due:
            return False
        self.due = None
        manifest = self.cache.get(*KEY)
        if manifest is None:
            return False
        try:
            wake = self._pass(manifest)
        except Conflict:
            for kind in ("Rollout", "HTTPRoute"):
                fresh = reached(self._around.objects.get(kind, NAMESPACE, "triage"))
                if fresh is not None:
                    self.cache.put(fresh)
            wake = timedelta(0)
        except InterlockError:
            wake = TICK
        if wake is not None:
            self.due = min(self.due or self._around.now + wake, self._around.now + wake)
        return True

    def _pass(self, manifest: Manifest) -> timedelta | None:
        now = self._around.now
        rollout = Rollout.read(manifest)
        seen = reached(self._observer.observe(rollout, now))
        decision = decide(seen, now)
        self._judge.decided(seen, decision, now)
        self._record(manifest, seen, decision)
        self._perform(seen, decision, decision.effects)
        recorded = any(isinstance(effect, RecordEntries | RecordCleared) for effect in decision.effects)
        return timedelta(0) if decision.move is not None or recorded else decision.wake

    def _record(self, manifest: Manifest, seen: Observation, decision: Decision) -> None:
        wanted = decision.status.to_wire()
        if seen.rollout.status.to_wire() == wanted or manifest.get("status") == wanted:
            return
        try:
            self._write(
                decision,
                "Rollout",
                lambda: self._around.objects.replace_status({**manifest, "status": wanted}),
            )
        except Conflict:
            raise
        except InterlockError:
            if decision.cannot_wait:
                routes = tuple(e for e in decision.effects if isinstance(e, WriteRoute))
                self._perform(seen, decision, routes)
            raise
        self._observer.wrote_status(seen.rollout.metadata.uid, self._around.now)

    def _perform(self, seen: Observation, decision: Decision, effects: tuple[Effect, ...]) -> None:
        failures: list[InterlockError] = []
        for effect in effects:
            try:
                self._one(seen.rollout, decision, effect)
            except InterlockError as error:
                failures.append(error)
        if failures:
            raise next((e for e in failures if not isinstance(e, Conflict)), failures[0])

    def _one(self, rollout: Rollout, decision: Decision, effect: Effect) -> None:
        objects = self._around.objects
        match effect:
            case WriteRoute(manifest) | ApplyChild(manifest):
                self._write(decision, manifest["kind"], lambda: objects.apply(manifest))
            case RestoreChild(manifest):
                self._write(decision, manifest["kind"], lambda: objects.replace(manifest))
            case DeleteChild(kind, namespace, name, uid):
                self._write(decision, kind, lambda: objects.delete(kind, namespace, name, uid))
            case RecordEntries():
                self._append(decision, effect)
            case RecordCleared():
                existing = reached(objects.get(Release.KIND, effect.namespace, effect.release))
                if existing is not None and (said := ledger.with_cleared(existing, effect)) is not None:
                    self._write(decision, Release.KIND, lambda: objects.replace(said))
            case TellEvent():
                event = event_about(rollout, effect, self._around.now)
                with contextlib.suppress(Conflict):
                    self._write(decision, "Event", lambda: objects.create(event))
            case _:
                assert_never(effect)

    def _append(self, decision: Decision, effect: RecordEntries) -> None:
        objects = self._around.objects
        existing = reached(objects.get(Release.KIND, effect.namespace, effect.release))
        if existing is None:
            self._write(decision, Release.KIND, lambda: objects.create(ledger.new_release(effect)))
        elif (longer := ledger.appended(existing, effect)) is not None:
            self._write(decision, Release.KIND, lambda: objects.replace(longer))
        else:
            self.cache.put(existing)

    def _write(
        self, decision: Decision, kind: str, write: Callable[[], Coroutine[Any, Any, Manifest | None]]
    ) -> None:
        self._faults.before(kind)
        stored = reached(write())
        if stored is not None:
            self._judge.wrote(decision, stored)
        self._faults.after()
        if stored is not None:
            self.cache.put(stored)

"""The operator process: starts the parts, connects them, and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from interlock.adapters.kubernetes import KubernetesObjects
from interlock.adapters.prometheus import PrometheusMetrics
from interlock.errors import Conflict, InterlockError, TransientError
from interlock.model.rollout import Rollout
from interlock.operator import feed, probes, routing
from interlock.operator.active import Active
from interlock.operator.cache import Cache, Key, Manifest, key_of
from interlock.operator.checkpoints import Checkpoints
from interlock.operator.evidence import Evidence, keep_reading
from interlock.operator.metrictemplates import MetricTemplates
from interlock.operator.neighbours import Neighbours
from interlock.operator.observe import Observer
from interlock.operator.queue import Queue
from interlock.operator.reconcile import Reconciler
from interlock.operator.settings import Settings, parse
from interlock.operator.telemetry import Telemetry, log_as_json
from interlock.ports import Metrics, Objects

log = logging.getLogger(__name__)

WORKERS = 16
REVERTS_ALONE = 0.1
"""Seconds after the last route of a revert in which others may still come, before anything else is done."""
FIRST_LOOKS = 5.0
"""Seconds at most that the watch is put off, while what was listed is looked at for the first time."""
FIRST_RELIST = 15.0
"""Seconds that the watch has to tell of everything that was listed before it began, or else all is listed
again: it does not tell of what was deleted in between."""
STUCK_AFTER = 60.0
"""Seconds that a due key may wait before /livez says that the process is stuck."""


class Operator:
    """One operator process over its two ports; `run` returns when `stop` is set."""

    def __init__(
        self,
        settings: Settings,
        objects: Objects,
        metrics: Metrics,
        telemetry: Telemetry,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.objects = objects
        self.telemetry = telemetry
        self.cache = Cache()
        self.queue: Queue[Key] = Queue(time.monotonic)
        self.templates = MetricTemplates(objects, self.cache)
        self.evidence = Evidence(
            metrics,
            settings.timing,
            lambda: now().timestamp(),
            Checkpoints(objects),
            known=self.templates.known,
            expected=self.templates.expected,
        )
        self.neighbours = Neighbours(self.cache, self.queue.add)
        self.observer = Observer(
            objects,
            self.cache,
            self.neighbours,
            self.evidence,
            self.templates,
            timing=settings.timing,
            gates_refresh=settings.gates_refresh,
        )
        self.reconciler = Reconciler(
            objects,
            self.cache,
            self.observer,
            telemetry,
            now,
            turns_back=lambda: self.queue.urgent_alone(REVERTS_ALONE),
        )
        self.synced = False
        self._untold: set[Key] = set()  # what was listed, and the watch has said nothing about
        self.active = Active(lambda: self.cache.all("Rollout"))

    # ------------------------------------------------------------ what comes in
    def heard(self, event: str, manifest: Manifest) -> None:
        """An event of the watch."""
        self._untold.discard(key_of(manifest))
        if event == "DELETED":
            changed = self.cache.drop(manifest)
        else:
            changed = self.cache.put(manifest, parsed_alone=True)
        if changed:
            self._wake(manifest)
        if event == "DELETED" and changed:
            self._forget(manifest)

    def _wake(self, manifest: Manifest) -> None:
        for key in routing.concerned(self.cache, manifest):
            self.queue.add(key)

    def _forget(self, manifest: Manifest) -> None:
        kind, namespace, name = key_of(manifest)
        if kind == "Rollout":
            self.evidence.forget(namespace, name)
            self.observer.forget(manifest["metadata"]["uid"])
            self.telemetry.forget(namespace, name)
        elif kind == "AgentVersion":
            self.observer.versions.forget(namespace, name)
        elif kind == "MetricTemplate":
            self.templates.forget(name)

    async def list_all(self) -> None:
        """Compare the cache with the API server, kind by kind; what the watch missed is counted."""
        async with _without_collection(), contextlib.aclosing(self._listings()) as listings:
            async for kind, listed in listings:
                for manifest in self.cache.learn(kind, listed):
                    self._missed(manifest)
                    self._wake(manifest)
                for manifest in self.cache.absent_from(kind, listed):
                    await self._look_for(manifest)

    async def _listings(self) -> AsyncGenerator[tuple[str, list[Manifest]], None]:
        """Each kind with its objects; the API server writes down the next while we read the last."""
        kinds = list(feed.WATCHED)
        upcoming = asyncio.create_task(self._list(kinds[0]))
        try:
            for number, kind in enumerate(kinds, 1):
                listed = await upcoming
                if number < len(kinds):
                    upcoming = asyncio.create_task(self._list(kinds[number]))
                yield kind, listed
        finally:
            upcoming.cancel()

    async def _list(self, kind: str) -> list[Manifest]:
        selector = feed.SELECTORS.get(kind, "")
        return [feed.lean(found) for found in await self.objects.list(kind, selector=selector)]

    async def _look_for(self, known: Manifest) -> None:
        """What a listing lacks is gone, younger than the listing, or no longer labelled."""
        fresh = await self.objects.get(*key_of(known))
        if fresh is None:
            self._missed(known)
            self.heard("DELETED", known)
        elif self.cache.put(feed.lean(fresh)):
            self._wake(fresh)

    def _missed(self, manifest: Manifest) -> None:
        if self.synced:
            self.telemetry.relist_missed.labels(manifest["kind"]).inc()

    async def _relist(self) -> None:
        await asyncio.sleep(min(FIRST_RELIST, self.settings.relist))
        if self._untold:
            await self._list_again()
        self._untold.clear()
        while True:
            await asyncio.sleep(self.settings.relist)
            await self._list_again()

    async def _list_again(self) -> None:
        try:
            await self.list_all()
        except InterlockError as error:
            log.warning("relist failed: %s", error)

    # ------------------------------------------------------------ what is done
    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            try:
                await self._pass(key)
            finally:
                self.queue.done(key)

    async def _pass(self, key: Key) -> None:
        try:
            wake = await self.reconciler.reconcile(key)
        except Conflict:
            await self._read_again(key)
            self.queue.retry(key)
        except InterlockError as error:
            delay = self.queue.retry(key)
            log.warning("%s; again in %.1f s", error, delay, extra=_fields(key))
        except Exception:
            delay = self.queue.retry(key)
            log.exception("pass failed; again in %.1f s", delay, extra=_fields(key))
        else:
            self.queue.succeeded(key)
            if wake is not None:
                self.queue.add(key, wake / timedelta(seconds=1))

    async def _read_again(self, key: Key) -> None:
        """After a conflict: what was decided on is old; read it from the API server, not from the watch."""
        kind, namespace, name = key
        with contextlib.suppress(InterlockError):
            for what in (kind, "HTTPRoute") if kind == "Rollout" else (kind,):
                fresh = await self.objects.get(what, namespace, name)
                if fresh is not None:
                    self.cache.put(fresh)

    def _look(self, rollout: Rollout) -> None:
        self.queue.add(("Rollout", rollout.metadata.namespace, rollout.metadata.name), urgent=True)

    # ------------------------------------------------------------ life
    async def run(self, stop: asyncio.Event, watch: Callable[[feed.Listener, asyncio.Event], Any]) -> None:
        """Everything at once, until `stop`."""
        async with asyncio.TaskGroup() as group:
            await self._sync(stop)
            tasks = [group.create_task(self._work()) for _ in range(WORKERS)]
            tasks.append(
                group.create_task(
                    keep_reading(self.evidence, self.active.rollouts, self._look, self.settings.tick)
                )
            )
            await self._first_looks(stop)
            if not stop.is_set():
                watching = group.create_task(watch(self.heard, stop))
                # kopf takes over the signals: when its watch has ended, nothing is heard any more
                watching.add_done_callback(lambda _: stop.set())
                tasks.append(group.create_task(self._relist()))
            await stop.wait()
            for task in tasks:
                task.cancel()

    async def _first_looks(self, stop: asyncio.Event) -> None:
        """kopf lists everything once more when it begins, at several times what our own listing costs: what
        an operator before us has left undone must not wait for that."""
        waits = [asyncio.create_task(event.wait()) for event in (self.queue.idle, stop)]
        await asyncio.wait(waits, timeout=FIRST_LOOKS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _sync(self, stop: asyncio.Event) -> None:
        """Nothing is decided before everything was listed once: absence must mean absence."""
        while not stop.is_set():
            try:
                await self.list_all()
            except TransientError as error:
                log.warning("cannot list: %s", error)
                await asyncio.sleep(1)
            else:
                self.synced = True
                self._untold = {
                    key_of(manifest) for kind in feed.WATCHED for manifest in self.cache.all(kind)
                }
                gc.freeze()  # what is kept for good is not looked through at each collection
                log.info("synced %d objects", len(self.cache))
                return

    def alive(self) -> str:
        """What /livez says: "" or what is wrong."""
        self._measure()
        waited = self.queue.oldest
        return f"a due key has waited {waited:.0f} s" if waited > STUCK_AFTER else ""

    def ready(self) -> str:
        """What /readyz says: "" or what is wrong."""
        self._measure()
        return "" if self.synced else "the first listing has not ended"

    def _measure(self) -> None:
        self.telemetry.queue_depth.set(len(self.queue))
        self.telemetry.queue_oldest.set(self.queue.oldest)


@contextlib.asynccontextmanager
async def _without_collection() -> AsyncIterator[None]:
    """A listing makes very many objects and no garbage in circles, but sets off one collection after the
    other: two thirds of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _fields(key: Key) -> dict[str, object]:
    kind, namespace, name = key
    return {"fields": {"kind": kind, "namespace": namespace, "name": name}}


Wrap = Callable[[Objects], Objects]


async def serve(settings: Settings, wrap: Wrap = lambda objects: objects) -> None:
    """Run against the cluster of the environment until SIGTERM or SIGINT. `wrap` may stand between the
    operator and the API server (fault injection)."""
    telemetry = Telemetry()
    objects = KubernetesObjects(feed.connect(), telemetry.count_request)
    metrics = PrometheusMetrics(
        settings.prometheus, observe=telemetry.observe_query, access=settings.access, names=settings.labels
    )
    operator = Operator(settings, wrap(objects), metrics, telemetry)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner, port = await probes.serve(
        settings.host, settings.port, alive=operator.alive, ready=operator.ready, registry=telemetry.registry
    )
    log.info("listening on port %d", port)
    try:
        await operator.run(stop, feed.watch)
    finally:
        await runner.cleanup()
        await objects.close()
        await metrics.close()


COLLECT_AFTER = (100_000, 20, 20)
"""New objects, and collections of the young, before a collection. Manifests and samples are many objects and
hold no circles: after each 700, as Python would, a tenth of the process' time is spent on looking through
them, and so it is after each 20,000 where 500 rollouts are active and a tick brings as many new samples."""
JSON_DEPTH = 40_000
"""Frames. Free JSON in an AgentVersion may be nested as deep as the API server accepts (about 10,000 levels);
an object that Python refuses to parse would end the watch and every listing of its kind."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point. Exit code 0 after a signal, 1 when a part failed."""
    settings = parse(arguments)
    log_as_json(settings.log_level)
    for concern in settings.concerns():
        log.warning("%s", concern)
    gc.set_threshold(*COLLECT_AFTER)
    sys.setrecursionlimit(max(JSON_DEPTH, sys.getrecursionlimit()))
    started = datetime.now(UTC)
    try:
        asyncio.run(serve(settings))
    except InterlockError as error:
        log.error("%s", error)
        return 1
    except ExceptionGroup:
        log.exception("a part of the operator failed")
        return 1
    log.info("stopped after %s", datetime.now(UTC) - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())

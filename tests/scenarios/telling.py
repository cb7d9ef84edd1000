"""Tells a story in a small world: each step of it is one method here."""

from __future__ import annotations

import copy
import hashlib
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import yaml

from interlock.core.ledger import release_of
from interlock.errors import InterlockError, SpecError, TransientError
from interlock.model.release import Release
from interlock.simulation.script import Script
from tests.scenarios import objects
from tests.scenarios.expecting import Counted, differences, owned, roles
from tests.scenarios.faults import Write
from tests.scenarios.given import healthy, phase
from tests.scenarios.keys import refuse_unknown_part, refuse_unknown_rules
from tests.scenarios.story import (
    Alert,
    Delete,
    Expect,
    Gateway,
    Holds,
    Kill,
    Manifest,
    Patch,
    Pods,
    Prometheus,
    Refuse,
    Run,
    Step,
    Story,
    Target,
    Until,
)
from tests.scenarios.surroundings import GATEWAY_CLASS, NAMESPACE, home
from tests.scenarios.world import World

NAMED: dict[str, Manifest] = {
    "shadow": objects.SHADOW,
    "controlled": objects.CONTROLLED,
    "canary": objects.CANARY,
    "full": objects.FULL,
    "success": objects.SUCCESS,
    "violations": objects.VIOLATIONS,
    "critical": objects.CRITICAL,
    "alert": {"name": "alert", "alert": {"matchLabels": {"interlock_action": "revert"}}},
}
"""Steps and gates that stories call by name."""


def merged(base: Any, changes: Any) -> Any:
    """RFC 7386: maps are merged, null removes, all else is replaced."""
    if not isinstance(changes, dict) or {"repeat", "sha256Of"} & set(changes):
        return resolved(changes)
    found = dict(base) if isinstance(base, dict) else {}
    for key, value in changes.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def resolved(value: Any) -> Any:
    """Steps and gates by name, or `like` a named one with changes; a text `repeat`ed so many `times`, and the
    SHA-256 of one (`sha256Of`)."""
    match value:
        case list():
            return [resolved(NAMED.get(item, item) if isinstance(item, str) else item) for item in value]
        case {"repeat": str(text), "times": int(times)}:
            return text * times
        case {"sha256Of": text}:
            return hashlib.sha256(str(resolved(text)).encode()).hexdigest()
        case {"like": str(name), **changes} if name in NAMED:
            made = merged(copy.deepcopy(NAMED[name]), changes)
            refuse_unknown_part(name, made)
            return made
        case dict():
            return {key: resolved(inner) for key, inner in value.items()}
        case _:
            return copy.deepcopy(value)


class Teller:
    """One telling of one story. `begin` first, then `steps`."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.world = World(story.given.seed)
        self.counted = Counted()
        self._verbs: dict[str, Callable[[Any], Awaitable[None]]] = {
            name: getattr(self, f"_{name}") for name in Step.model_fields
        }

    # ------------------------------------------------------------------ given
    async def begin(self) -> None:
        """Everything that is given is there."""
        given, world = self.story.given, self.world
        if given.gateway is not None:
            await self._gateway(given.gateway)
        if given.metrics is not None:
            world.play(given.metrics)
        await self._pods(given.pods)
        await self._apply(given.objects)
        await self._apply(({"like": "template", **given.template},))
        if given.serves is None:
            return
        await self._apply((given.serves, {"like": "rollout", "spec": {"versionRef": {"name": given.serves}}}))
        await world.until(healthy(given.serves))
        if given.tries is not None:
            await self._apply((given.tries,))
            await self._serve(given.tries)
            await world.until(phase(given.at))

    async def steps(self) -> None:
        """Step by step; a failure says which, and how the Rollout was then."""
        for number, step in enumerate(self.story.steps, 1):
            (verb,) = step.model_fields_set
            try:
                await self._verbs[verb](getattr(step, verb))
            except AssertionError as error:
                raise AssertionError(await self._told(number, step, str(error))) from error
        assert self.story.may_lose or not self.world.lost, f"{self.world.lost} requests met no ready pod"

    async def _told(self, number: int, step: Step, what: str) -> str:
        words = step.model_dump(mode="json", by_alias=True, exclude_unset=True)
        rollout = await self.world.objects.get("Rollout", NAMESPACE, "triage")
        status = yaml.safe_dump((rollout or {}).get("status", "there is no Rollout"), allow_unicode=True)
        where = f"step {number}: {yaml.safe_dump(words, allow_unicode=True, default_flow_style=True)}"
        return f"{where}{what}\nat {self.world.now:%H:%M:%S}, errors {self.world.errors[-3:]}\n{status}"

    # ------------------------------------------------------------------ users
    async def _apply(self, wanted: tuple[str | Manifest, ...]) -> None:
        for item in wanted:
            manifest = self._manifest(item)
            meta = manifest["metadata"]
            await self.world.apply(manifest)
            await self._remember(manifest["kind"], meta["name"])

    async def _remember(self, kind: str, name: str) -> None:
        stored = await self.world.objects.get(kind, home(kind), name)
        if stored is not None and kind in ("AgentVersion", "Deployment", "MetricTemplate", "Rollout"):
            self.counted.theirs[kind, name] = owned(stored)

    def _manifest(self, item: str | Manifest) -> Manifest:
        if isinstance(item, str):
            return self._manifest({"like": "version", "name": item})
        if "kind" in item:
            found = dict(resolved(item))
            space = home(found["kind"])
            found["metadata"] = ({"namespace": space} if space else {}) | found["metadata"]
            return found
        changes = {key: value for key, value in item.items() if key not in ("like", "name")}
        base = self._ours(item["like"], item.get("name", "triage"))
        base["metadata"]["name"] = item.get("name", "triage")
        made: Manifest = merged(base, changes)
        return made

    def _ours(self, kind: str, name: str) -> Manifest:
        given = self.story.given
        match kind:
            case "version":
                return objects.agent_version(name, **self._content(name))
            case "template":
                return dict(merged(objects.template(), given.template))
            case "rollout":
                made = dict(merged(objects.rollout(), {"spec": given.rollout}))
                refuse_unknown_rules(made["spec"])
                return made
            case _:
                raise AssertionError(f"nothing is like a {kind}")

    def _content(self, version: str) -> Manifest:
        content = dict(self.story.given.versions.get(version, {}))
        if other := content.pop("sameContentAs", None):
            content["prompts"] = objects.agent_version(other)["spec"]["prompts"]
        return dict(resolved(content))

    async def _serve(self, version: str) -> None:
        await self._patch(Patch(merge={"spec": {"versionRef": {"name": version}}}))

    async def _pause(self, wanted: bool) -> None:
        await self._patch(Patch(merge={"spec": {"paused": wanted}}))

    async def _scale(self, replicas: int) -> None:
        await self._patch(Patch(merge={"spec": {"replicas": replicas}}))

    async def _patch(self, patch: Patch) -> None:
        name = await self._name(patch)
        manifest = await self.world.objects.get(patch.kind, home(patch.kind), name)
        assert manifest is not None, f"{patch.kind} {name} does not exist"
        changed = merged(manifest, patch.merge)
        for operation in patch.json_:
            _operate(changed, operation)
        stored = await self.world.objects.replace(changed)
        if "status" in patch.merge or any(o["path"].startswith("/status") for o in patch.json_):
            meta = {**changed["metadata"], "resourceVersion": stored["metadata"]["resourceVersion"]}
            await self.world.objects.replace_status({**changed, "metadata": meta})
        await self._remember(patch.kind, name)

    async def _name(self, target: Target) -> str:
        if target.kind == Release.KIND:
            return await self._release()
        if target.of is None:
            return target.name
        names = roles((await self.world.rollout()).status)
        return next(name for name, role in names.items() if role == target.of)

    async def _release(self) -> str:
        """That of the attempt that runs, or ran last."""
        rollout = await self.world.rollout()
        assert rollout.status.attempt is not None
        return release_of(rollout, rollout.status.attempt)

    async def _delete(self, target: Delete) -> None:
        name = await self._name(target)
        self.counted.theirs.pop((target.kind, name), None)
        await self.world.delete(target.kind, name, orphan=target.cascade == "Orphan")

    async def _recreate(self, target: Target) -> None:
        name = await self._name(target)
        manifest = await self.world.objects.get(target.kind, home(target.kind), name)
        assert manifest is not None, f"{target.kind} {name} does not exist"
        await self.world.delete(target.kind, name)
        await self._apply(({**manifest, "metadata": {"name": name, **owned(manifest)["metadata"]}},))

    # ------------------------------------------------------------------ the world
    async def _metrics(self, script: Script) -> None:
        self.world.play(script)

    async def _pods(self, pods: dict[str, Pods]) -> None:
        for who, wanted in pods.items():
            if wanted.ready is not None:
                self.world.behaviour[who].ready = wanted.ready
            if wanted.room is not None:
                self.world.behaviour[who].room = wanted.room
            if wanted.ahead is not None:
                self.world.behaviour[who].ahead = wanted.ahead
            for pod in self.world.pods.values():
                if wanted.conversations is not None and who in (pod.version, pod.image):
                    pod.conversations = wanted.conversations

    async def _prometheus(self, wanted: Prometheus) -> None:
        self.world.metrics.broken = wanted.answers
        self.world.scraping = wanted.scrapes
        self.world.garbled = None
        if wanted.values is not None:
            tested = (await self.world.rollout()).status.candidate
            assert tested is not None
            self.world.garbled = tested.version, float(wanted.values)

    async def _gateway(self, wanted: Gateway) -> None:
        world = self.world
        world.gateway_up, world.gateway_refuses = wanted.up, wanted.refuses
        world.gateway_skips, world.gateway_weighs = set(wanted.skips), dict(wanted.weighs)
        if wanted.features is not None:
            features = [{"name": name} for name in wanted.features]
            await world.apply({**GATEWAY_CLASS, "status": {"supportedFeatures": features}})

    async def _alert(self, alert: Alert) -> None:
        self.world.alerts.pop(alert.name, None)
        if alert.firing:
            self.world.alerts[alert.name] = alert.labels

    async def _refuse(self, wanted: Refuse | str) -> None:
        left = math.inf if isinstance(wanted, str) or wanted.times is None else wanted.times

        def refuse(write: Write) -> InterlockError | None:
            nonlocal left
            if isinstance(wanted, str) or write.kind != wanted.kind or left <= 0:
                return None
            if wanted.verb not in (None, write.verb):
                return None
            left -= 1
            kind = SpecError if wanted.error == "quota" else TransientError
            return kind(f"{wanted.error}: {write.kind} {write.name} is refused")

        self.world.faults.refuse = refuse

    async def _kill(self, wanted: Kill | str) -> None:
        faults = self.world.faults
        if isinstance(wanted, str):
            self.world.start_operator()
        elif wanted.before is not None:
            faults.crash = (len(faults.writes) + wanted.before, "before")
        elif wanted.after is not None:
            faults.crash = (len(faults.writes) + wanted.after, "after")

    async def _watch(self, wanted: str) -> None:
        listeners = self.world.objects.listeners
        listeners[:] = [] if wanted == "cut" else [process.hear for process in self.world.processes]
        if wanted == "back":
            for process in self.world.processes:
                await process.operator.list_all()

    async def _operators(self, wanted: int) -> None:
        while len(self.world.processes) < wanted:
            self.world.start_another()

    async def _clock_ahead(self, wanted: float) -> None:
        self.world.clock_ahead = timedelta(seconds=wanted)

    # ------------------------------------------------------------------ time
    async def _run(self, wanted: Run | float) -> None:
        run = Run.model_validate({"for": wanted}) if isinstance(wanted, float | int) else wanted
        if not run.relist:
            return await self.world.run(run.lasts, run.stride)
        end = self.world.now + timedelta(seconds=run.lasts)
        while self.world.now < end:
            await self.world.run(run.stride or 300, run.stride or 300)
            for process in self.world.processes:
                await process.operator.list_all()
        return None

    async def _until(self, wanted: Until) -> None:
        end = self.world.now + timedelta(seconds=wanted.within)
        await self.world.settle()
        while found := await differences(self.world, wanted, self.counted):
            assert self.world.now < end, f"not within {wanted.within:.0f} s: {'; '.join(found)}"
            await self.world.run(self.world.settings.tick)

    async def _holds(self, wanted: Holds) -> None:
        end = self.world.now + timedelta(seconds=wanted.lasts)
        await self.world.settle()
        while True:
            await self._expect(wanted)
            if self.world.now >= end:
                return
            await self.world.run(wanted.stride or self.world.settings.tick, wanted.stride)

    async def _expect(self, wanted: Expect) -> None:
        await self.world.settle()
        found = await differences(self.world, wanted, self.counted)
        assert not found, "; ".join(found)

    async def _count(self, _: str) -> None:
        await self.world.settle()
        self.counted.writes = len(self.world.faults.writes)
        self.counted.queries = self.world.metrics.reads
        self.counted.tasks = Counter(self.world.served) + Counter(self.world.mirrored)


def _operate(manifest: Manifest, operation: Manifest) -> None:
    """RFC 6902: add, replace or remove one value in place."""
    *path, last = [key.replace("~1", "/").replace("~0", "~") for key in operation["path"].split("/")[1:]]
    place: Any = manifest
    for key in path:
        place = place[int(key)] if isinstance(place, list) else place[key]
    where = int(last) if isinstance(place, list) and last != "-" else last
    match operation["op"]:
        case "remove":
            del place[where]
        case "add" if isinstance(place, list):
            place.insert(len(place) if where == "-" else where, operation["value"])
        case "add" | "replace":
            place[where] = operation["value"]
        case other:
            raise AssertionError(f"{other} is no operation that stories know")

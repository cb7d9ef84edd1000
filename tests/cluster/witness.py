"""Sees every version of every Rollout, HTTPRoute, Release and Event, and judges them by resourceVersion."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass

from interlock.core import labels
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from tests.cluster.api import EVENTS, GATEWAY, INTERLOCK, Api, Heard, Manifest, grouped
from tests.scenarios.rules import backends, check_status, mirrored

KINDS = {
    "Rollout": grouped(INTERLOCK, "", "rollouts"),
    "Release": grouped(INTERLOCK, "", "releases"),
    "HTTPRoute": grouped(GATEWAY, "", "httproutes"),
    "Event": grouped(EVENTS, "", "events"),
}


@dataclass(frozen=True)
class Seen:
    """One version of one object. `at`: when we heard of it, monotonic seconds."""

    event: str
    manifest: Manifest
    at: float

    @property
    def version(self) -> int:
        return int(self.manifest["metadata"]["resourceVersion"])

    @property
    def uid(self) -> str:
        return str(self.manifest["metadata"]["uid"])


class Witness:
    """Watches for the whole session; asked by namespace."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._seen: dict[str, dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
        self._newest: dict[str, int] = defaultdict(int)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind, path in KINDS.items():
                group.create_task(self._api.follow(path, self._listener(kind)))

    def _listener(self, kind: str) -> Heard:
        async def heard(event: str, manifest: Manifest) -> None:
            if event == "RESET":
                return
            seen = Seen(event, manifest, time.monotonic())
            if seen.version > self._newest[kind] or event == "DELETED":
                self._newest[kind] = max(seen.version, self._newest[kind])
                self._seen[manifest["metadata"]["namespace"]][kind].append(seen)

        return heard

    def history(self, namespace: str, kind: str) -> list[Seen]:
        """All versions of the objects of a kind, oldest first."""
        return sorted(self._seen[namespace][kind], key=lambda seen: seen.version)

    def now(self, namespace: str, kind: str) -> list[Manifest]:
        """The objects of a kind as last seen."""
        held: dict[str, Manifest] = {}
        for seen in self.history(namespace, kind):
            if seen.event == "DELETED":
                held.pop(seen.uid, None)
            else:
                held[seen.uid] = seen.manifest
        return list(held.values())

    def judge(self, namespace: str) -> None:
        """What must hold at every moment of every story, however often the operator was killed."""
        self._judge_rollouts(namespace)
        self._judge_routes(namespace)
        for release in self.now(namespace, "Release"):
            numbers = [entry["seq"] for entry in release["entries"]]
            name = release["metadata"]["name"]
            first = numbers[0] if self._was_deleted(namespace, name) else 1
            assert numbers == list(range(first, first + len(numbers))), f"gaps in the record: {numbers}"

    def _was_deleted(self, namespace: str, release: str) -> bool:
        """By somebody, with what it held: it was made anew."""
        gone = (seen for seen in self.history(namespace, "Release") if seen.event == "DELETED")
        return any(seen.manifest["metadata"]["name"] == release for seen in gone)

    def _judge_rollouts(self, namespace: str) -> None:
        """One transition at a time, none skipped, and the conditions as in kstatus."""
        before: dict[str, Rollout] = {}
        for seen in self.history(namespace, "Rollout"):
            rollout = Rollout.read(seen.manifest)
            old = before.get(seen.uid)
            if seen.event != "DELETED" and rollout.status.conditions and old is not None:
                check_status(old, rollout)
            before[seen.uid] = rollout

    def _judge_routes(self, namespace: str) -> None:
        """Weights sum to 100, and the candidate never gets more than the stored intent gives it."""
        intents = self.history(namespace, "Rollout")
        for seen in self.history(namespace, "HTTPRoute"):
            if seen.event == "DELETED" or not _is_ours(seen.manifest):
                continue
            weights, mirrors = backends(seen.manifest)
            assert sum(weights.values()) == 100, weights
            earlier = [i for i in intents if i.version < seen.version and i.event != "DELETED"]
            status = Rollout.read(earlier[-1].manifest).status
            assert status.traffic is not None
            if status.candidate is not None:
                given = weights.get(status.candidate.workload, 0)
                assert given <= status.traffic.candidate_percent, "intent comes first"
            assert mirrors.items() <= mirrored(status).items(), "nothing is mirrored that was not intended"

    def stages(self, namespace: str) -> list[tuple[int, int, Stage]]:
        """Attempt, seq and stage of each transition, in order, each once."""
        found: list[tuple[int, int, Stage]] = []
        for seen in self.history(namespace, "Rollout"):
            attempt = Rollout.read(seen.manifest).status.attempt
            if attempt and (attempt.number, attempt.seq, attempt.stage) not in found[-1:]:
                found.append((attempt.number, attempt.seq, attempt.stage))
        return found


def _is_ours(route: Manifest) -> bool:
    """Are its rules as the operator wrote them? A foreign edit takes them over, until it is repaired."""
    managers = route["metadata"].get("managedFields") or []
    owners = {m["manager"] for m in managers if "f:rules" in (m.get("fieldsV1") or {}).get("f:spec", {})}
    return owners == {labels.FIELD_MANAGER}

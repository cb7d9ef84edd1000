"""Evidence written down in a ConfigMap, and taken up again: a restart must not cost what has been learned.

Believes only what it wrote itself, whole, about this very attempt. Anything else is as if there were none.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interlock.core import labels
from interlock.core.adoption import is_owned
from interlock.core.workloads import owner_reference
from interlock.errors import InterlockError
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt
from interlock.operator.telemetry import about
from interlock.ports import Manifest, Objects

log = logging.getLogger(__name__)

FORMAT = "2"
"""Raised when an older operator must not read what a newer one wrote, or the other way round."""
MAX_BYTES = 512 * 1024
"""Of evidence in a ConfigMap, which itself may hold 1 MiB."""
KEY = "evidence.json"

OTHERS = "it is of another attempt"
"""What is found whenever an attempt begins: nothing that anybody need read."""
TOO_LARGE = f"the evidence is larger than {MAX_BYTES // 1024} KiB"

State = dict[str, Any]
Place = tuple[str, str]
"""Namespace and name of a Rollout."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What a checkpoint belongs to: one Rollout's attempt on one walk through the steps."""

    rollout: str
    """Its uid."""
    attempt: int
    began: str

    def wire(self, text: str) -> dict[str, str]:
        """As the ConfigMap's data, with a sum that tells whether it is still what was written."""
        head = {"format": FORMAT, "rollout": self.rollout, "attempt": str(self.attempt), "walk": self.began}
        signed = "\n".join((*head.values(), text))
        return head | {"sha256": hashlib.sha256(signed.encode()).hexdigest(), KEY: text}


def walk_of(rollout: Rollout, attempt: Attempt) -> Walk:
    """The walk that an attempt is on."""
    return Walk(rollout.metadata.uid, attempt.number, attempt.walk_started_time.isoformat())


def name_of(rollout: Rollout) -> str:
    """The name of the ConfigMap."""
    return f"{rollout.metadata.name}-evidence"


def written(rollout: Rollout, walk: Walk, text: str) -> Manifest:
    """The checkpoint as an object."""
    meta = rollout.metadata
    marks = {labels.ROLLOUT: meta.name, labels.AGENT: rollout.spec.agent, labels.EVIDENCE: "true"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name_of(rollout),
            "namespace": meta.namespace,
            "labels": marks,
            "ownerReferences": [owner_reference(rollout)],
        },
        "data": walk.wire(text),
    }


def read(rollout: Rollout, walk: Walk, manifest: Manifest) -> State | str:
    """The state in a checkpoint, or why it is none for this walk."""
    data = manifest.get("data") or {}
    text = data.get(KEY, "")
    marks = manifest["metadata"].get("labels") or {}
    # name, owner and sum are anybody's to write: an admission policy keeps the label for the operator
    if marks.get(labels.EVIDENCE) != "true" or not is_owned(rollout, manifest):
        return "it is not this Rollout's, or lacks the label that only the operator can set"
    if data.get("format") != FORMAT:
        return f"it has format {data.get('format')}, not {FORMAT}"
    if (data.get("rollout"), data.get("attempt"), data.get("walk")) != (
        walk.rollout,
        str(walk.attempt),
        walk.began,
    ):
        return OTHERS
    if data != walk.wire(text):
        return "it is not as it was written"
    try:
        state = json.loads(text)
    except (ValueError, RecursionError):
        return "it is malformed"
    return state if isinstance(state, dict) else "it is malformed"


class Checkpoints:
    """Reads and writes checkpoints. What keeps one from being written is told once a walk, no more."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._versions: dict[Place, tuple[Walk, str]] = {}  # resourceVersion of what we wrote last
        self._told: dict[Place, tuple[Walk, set[str]]] = {}

    async def load(self, rollout: Rollout, walk: Walk) -> State | None:
        """What was written of this walk, if anything. Raises TransientError when that cannot be known now."""
        manifest = await self._held(rollout)
        if manifest is None:
            return None
        found = read(rollout, walk, manifest)
        if isinstance(found, str):
            level = logging.DEBUG if found == OTHERS else logging.INFO
            log.log(level, "evidence checkpoint is not used: %s", found, extra=about(rollout))
            return None
        return found

    async def save(self, rollout: Rollout, walk: Walk, state: Callable[[bool], State]) -> None:
        """Write `state(True)`, or the smaller `state(False)` when that is too large. Raises nothing."""
        text = _text(state(True))  # before anything is awaited: the evidence goes on meanwhile
        if len(text) > MAX_BYTES:
            text = _text(state(False))
            self._tell(rollout, walk, f"{TOO_LARGE}: after a restart its baselines are read again")
        if len(text) > MAX_BYTES:
            self._tell(rollout, walk, f"{TOO_LARGE}: after a restart it is replayed from the start")
            return
        try:
            await self._write(rollout, walk, text)
        except InterlockError as error:
            self._versions.pop(_place(rollout), None)
            self._tell(rollout, walk, f"the evidence checkpoint cannot be written: {error}")

    async def _write(self, rollout: Rollout, walk: Walk, text: str) -> None:
        manifest, place = written(rollout, walk, text), _place(rollout)
        known, version = self._versions.get(place, (None, ""))
        if known != walk:
            held = await self._held(rollout)
            if held is not None and labels.EVIDENCE not in (held["metadata"].get("labels") or {}):
                text = f"ConfigMap {name_of(rollout)} is not an evidence checkpoint: rename or delete it"
                self._tell(rollout, walk, f"the evidence checkpoint cannot be written: {text}")
                return
            version = held["metadata"]["resourceVersion"] if held else ""
        if version:
            manifest["metadata"]["resourceVersion"] = version
        answer = await self._objects.apply(manifest)
        self._versions[place] = (walk, answer["metadata"]["resourceVersion"])

    async def _held(self, rollout: Rollout) -> Manifest | None:
        return await self._objects.get("ConfigMap", rollout.metadata.namespace, name_of(rollout))

    def forget(self, namespace: str, name: str) -> None:
        """The Rollout is gone."""
        self._versions.pop((namespace, name), None)
        self._told.pop((namespace, name), None)

    def _tell(self, rollout: Rollout, walk: Walk, text: str) -> None:
        """Once a walk."""
        place = _place(rollout)
        about_walk, told = self._told.get(place, (walk, set[str]()))
        told = told if about_walk == walk else set()
        if text not in told:
            log.warning("%s", text, extra=about(rollout))
        self._told[place] = (walk, {*told, text})


def _text(state: State) -> str:
    return json.dumps(state, separators=(",", ":"), allow_nan=False)


def _place(rollout: Rollout) -> Place:
    return rollout.metadata.namespace, rollout.metadata.name

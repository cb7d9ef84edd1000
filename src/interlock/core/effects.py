"""What a decision may ask of the shell: a closed set, each idempotent, each with its precondition."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from interlock.core.observation import Manifest
from interlock.model.release import Entry, Header
from interlock.model.result import Cleared, Result


@dataclass(frozen=True, slots=True)
class WriteRoute:
    """Server-side apply of our HTTPRoute; `metadata.resourceVersion` is set when one exists."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class ApplyChild:
    """Server-side apply of a ConfigMap, Deployment or Service that is ours."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class RestoreChild:
    """Replace a Deployment of ours in which others have set fields, or its size; `resourceVersion` is set."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Delete one object of ours; the uid is the precondition."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class RecordEntries:
    """Append transitions to the attempt's Release; those that it holds already are passed over.

    `result`: what came of the attempt, once it has ended or is being taken back.
    """

    release: str
    namespace: str
    header: Header
    entries: tuple[Entry, ...]
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class RecordCleared:
    """Say in an attempt's Release when the workload that left was cleared, unless it says so already."""

    release: str
    namespace: str
    time: datetime
    reason: Cleared


@dataclass(frozen=True, slots=True)
class TellEvent:
    """An events.k8s.io/v1 Event with a deterministic name: telling it twice makes one."""

    name: str
    reason: str
    message: str
    warning: bool


Effect = WriteRoute | ApplyChild | RestoreChild | DeleteChild | RecordEntries | RecordCleared | TellEvent

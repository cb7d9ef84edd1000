"""A real run of the story, recorded: what the Rollout showed, its Releases, its events, its answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dev.demo.chapters import Tally
from dev.demo.reader import EventLine
from dev.demo.versions import MANIFESTS
from dev.demo.views import Moment
from interlock.model.release import Release
from interlock.model.rollout import Rollout

_FILE = Path(__file__).parent / "recorded" / "story.json"
_ROLLOUT = yaml.safe_load((MANIFESTS / "rollout.yaml").read_text())
_IDENTITY = {"uid": "u", "digest": "0" * 64, "workload": "triage-0"}
_THEN = "2026-11-25T03:08:00Z"

Record = dict[str, Any]


@cache
def recorded() -> Record:
    """The file."""
    content: Record = json.loads(_FILE.read_text())
    return content


def rollout(record: Record) -> Rollout:
    """The Rollout of one recorded look; what the demo does not read of it is made up."""
    ready, reason, message = record["ready"]
    stable_percent, candidate_percent, shadow_percent = record["split"]
    status = {
        "observedGeneration": record["observed"],
        "phase": record["phase"],
        "step": record["step"],
        "weight": record["weight"],
        "stable": {"version": record["stable"], "since": _THEN, **_IDENTITY},
        "traffic": {
            "stablePercent": stable_percent,
            "candidatePercent": candidate_percent,
            "shadowPercent": shadow_percent,
        },
        "gates": [
            dict(zip(("name", "verdict", "odds", "candidate", "stable", "message"), gate, strict=True))
            for gate in record["gates"]
        ],
        "conditions": [
            {
                "type": "Ready",
                "status": ready,
                "reason": reason,
                "message": message,
                "lastTransitionTime": _THEN,
            }
        ],
    }
    if record["candidate"]:
        status["candidate"] = {"version": record["candidate"], **_IDENTITY}
    spec = {**_ROLLOUT["spec"], "versionRef": {"name": record["version"]}}
    metadata = {"name": "triage", "namespace": "demo", "uid": "u", "generation": record["generation"]}
    return Rollout.read({**_ROLLOUT, "metadata": metadata, "spec": spec, "status": status})


def looks() -> list[Rollout]:
    """Every recorded look, in order; one where nothing has changed every now and then."""
    return [rollout(record) for record in recorded()["moments"]]


def look(version: str, phase: str) -> Rollout:
    """The last look at that version in that phase."""
    return [each for each in looks() if each.spec.version_ref.name == version and each.status.phase == phase][
        -1
    ]


def releases() -> list[Release]:
    """The records of all four tries."""
    return [Release.read(each) for each in recorded()["releases"]]


def release(version: str) -> Release:
    """The record of that version's try."""
    return next(each for each in releases() if each.header.candidate.version == version)


def events() -> list[EventLine]:
    """What the operator told, oldest first."""
    return [EventLine.read(each) for each in recorded()["events"]]


def answers() -> dict[str, Tally]:
    """What clients counted by version, to the end."""
    return {version: Tally(**counts) for version, counts in recorded()["answers"].items()}


def moment(seen: Rollout, seconds: float = 75.0, told: Sequence[EventLine] = ()) -> Moment:
    """A look with the clients' counters of the whole run."""
    return Moment(seconds, seen, told, answers())

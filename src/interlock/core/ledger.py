"""What a Release, the record of an attempt, is to hold and holds, and the events that tell of it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import ValidationError

from interlock.core import labels, results
from interlock.core.effects import DeleteChild, Effect, RecordCleared, RecordEntries, TellEvent
from interlock.core.observation import Manifest, Observation
from interlock.core.parts import mapping, mappings, whole
from interlock.core.route import is_applied
from interlock.model.base import API_VERSION
from interlock.model.release import Entry, Header, Outcome, Release, Stage, VersionIdentity, release_name
from interlock.model.result import Cleared, Result
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import (
    Attempt,
    Draining,
    RolloutStatus,
)
from interlock.reasons import UNDESIRED, Cause, Told


def release_of(rollout: Rollout, attempt: Attempt) -> str:
    """The name of the attempt's Release."""
    return release_name(rollout.metadata.name, rollout.metadata.uid, attempt.number)


class OnRecord(NamedTuple):
    """Fields of an Observation, as there: what the Release of the attempt holds."""

    recorded_from: int = 0
    recorded_seq: int = 0
    misrecorded: int = 0


def on_record(release: Manifest | None, attempt: Attempt) -> OnRecord:
    """What of the attempt its Release holds, up to the first transition that is not as it was made."""
    held = {whole(entry.get("seq")): entry for entry in mappings((release or {}).get("entries"))}
    if not held:
        return OnRecord()
    wrong = [e.seq for e in attempt.unrecorded if e.seq in held and not _is(e, held[e.seq])]
    other = min((*wrong, *(seq for seq in held if seq > attempt.seq)), default=0)
    return OnRecord(min(held), other - 1 if other else max(held), other)


def _is(entry: Entry, held: Manifest) -> bool:
    try:
        return Entry.model_validate(held) == entry
    except ValidationError:
        return False


def recording(seen: Observation, status: RolloutStatus) -> list[Effect]:
    """Entries that the Release lacks, and the events that tell them."""
    attempt = status.attempt
    if attempt is None:
        return []
    before = seen.rollout.status.attempt
    same = before is not None and before.number == attempt.number
    missing = tuple(e for e in attempt.unrecorded if not same or e.seq > seen.recorded_seq)
    if not missing or seen.misrecorded:  # an entry cannot be changed: conditions say what to do
        return []
    rollout, release = seen.rollout, release_of(seen.rollout, attempt)
    header = _header(seen, status, attempt)
    # told first: once recorded, an entry is not missing any more and would never be told after a crash
    version = header.candidate.version if header else "the candidate"
    effects: list[Effect] = [_event(f"{release}.{entry.seq}", entry, version) for entry in missing]
    if not seen.recorded_seq and (first := missing[0].seq) > 1:
        gone = lost(rollout, attempt, first)
        effects.append(TellEvent(f"{release}.{first}.anew", Told.RECORD_LOST, gone, warning=True))
    over = attempt.stage in (Stage.REVERTING, Stage.DONE)
    if over and attempt.result and attempt.result.expected and any(_ends(entry) for entry in missing):
        told = results.told(attempt.result)[:1024]
        effects.append(TellEvent(f"{release}.expected", Told.EXPECTATIONS_JUDGED, told, warning=False))
    if header is not None:
        result = attempt.result if over else None
        effects.append(RecordEntries(release, rollout.metadata.namespace, header, missing, result))
    return effects


def lost(rollout: Rollout, attempt: Attempt, first: int) -> str:
    """What is said of a record that begins with the transition `first`, 2 or more."""
    which = "transition 1 is" if first == 2 else f"transitions 1 to {first - 1} are"
    return (
        f"Release {release_of(rollout, attempt)} was deleted and is made anew from what is known: {which} "
        "not on record any more; a backup or the audit log may know more"
    )


def differs(seen: Observation) -> str:
    """What is said of a record into which somebody else has written; empty as a rule."""
    attempt = seen.rollout.status.attempt
    if attempt is None or not seen.misrecorded:
        return ""
    return (
        f"Release {release_of(seen.rollout, attempt)} holds a transition {seen.misrecorded} that somebody "
        "else has written: nothing walks on, but harm is taken back; delete the Release, it is made anew"
    )


def _ends(entry: Entry) -> bool:
    """Whether the candidate was measured no longer from then on."""
    return entry.stage is Stage.REVERTING or entry.outcome is Outcome.PROMOTED


def clearing(seen: Observation, now: datetime) -> list[Effect]:
    """What Releases are to say of workloads that are drained; those are kept until it is said."""
    return [
        RecordCleared(item.release, seen.rollout.metadata.namespace, now, reason)
        for item in seen.rollout.status.draining
        if item.release in seen.uncleared and (reason := cleared(seen, item, now)) is not None
    ]


def cleared(seen: Observation, item: Draining, now: datetime) -> Cleared | None:
    """Why the workload counts as cleared; None while it does not."""
    if _may_still_be_sent_to(seen):
        return None
    settled = timedelta(seconds=max(seen.timing.settle, seen.timing.route_margin))
    if now >= item.since + settled and seen.conversations.get(item.workload) == 0:
        return Cleared.CONVERSATIONS_ENDED
    return Cleared.DRAIN_DEADLINE if now >= item.deadline else None


def _may_still_be_sent_to(seen: Observation) -> bool:
    """A promotion does not wait for the gateway to take up its route, which goes on sending the hold-out to
    the old stable version until it does. What is taken back is not done before; nor does a step begin."""
    attempt = seen.rollout.status.attempt
    waits_elsewhere = attempt is not None and attempt.stage not in (Stage.DONE, Stage.PREPARING)
    return not waits_elsewhere and not is_applied(seen)


def pruned(seen: Observation) -> list[Effect]:
    """Releases that are kept no longer."""
    found = [release["metadata"] for release in seen.surplus]
    return [DeleteChild(Release.KIND, meta["namespace"], meta["name"], meta["uid"]) for meta in found]


def _event(name: str, entry: Entry, version: str) -> TellEvent:
    """A decision is told by its cause; that the traffic has stopped afterwards, by that.

    In a list of events the reader does not know which version was tried: a warning names it.
    """
    if entry.stage is Stage.DONE and entry.outcome is not Outcome.PROMOTED:
        return TellEvent(name, Cause.TRAFFIC_STOPPED, entry.message, warning=False)
    if entry.reason in UNDESIRED:
        return TellEvent(name, entry.reason, f"{version} is taken back: {entry.message}", warning=True)
    if entry.reason == Cause.SAMPLE_RATIO_MISMATCH:
        return TellEvent(name, entry.reason, f"{version} is held: {entry.message}", warning=True)
    return TellEvent(name, entry.reason, entry.message, warning=False)


def _header(seen: Observation, status: RolloutStatus, attempt: Attempt) -> Header | None:
    """Who is compared with whom; a promoted candidate is found as the stable version."""
    candidate = status.candidate or status.stable
    if candidate is None:
        return None
    before = seen.rollout.status.stable
    stable = before if before and before.workload != candidate.workload else None
    return Header(
        rollout=seen.rollout.metadata.name,
        rollout_uid=seen.rollout.metadata.uid,
        agent=seen.rollout.spec.agent,
        attempt=attempt.number,
        candidate=_identity(candidate),
        stable=_identity(stable) if stable else None,
    )


def _identity(version: VersionIdentity) -> VersionIdentity:
    return VersionIdentity(
        version=version.version, uid=version.uid, digest=version.digest, workload=version.workload
    )


def new_release(effect: RecordEntries) -> Manifest:
    """The Release that begins with these entries. It has no owner: it survives the Rollout."""
    release = Release.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": Release.KIND,
            "metadata": {
                "name": effect.release,
                "namespace": effect.namespace,
                "labels": {labels.ROLLOUT: effect.header.rollout, labels.AGENT: effect.header.agent},
            },
            "header": effect.header.to_wire(),
            "entries": [entry.to_wire() for entry in effect.entries],
        }
        | ({"result": effect.result.to_wire()} if effect.result else {})
    )
    return release.to_wire()


def appended(existing: Manifest, effect: RecordEntries) -> Manifest | None:
    """The Release with the entries it lacks, or None when it lacks none."""
    entries = mappings(existing.get("entries"))
    held = {whole(entry.get("seq")) for entry in entries}
    missing = [entry.to_wire() for entry in effect.entries if entry.seq not in held]
    if not missing:
        return None
    longer: Manifest = {**existing, "entries": [*entries, *missing]}
    if effect.result is not None:  # what it says already stays
        longer["result"] = {**effect.result.to_wire(), **mapping(existing.get("result"))}
    return longer


def with_cleared(existing: Manifest, effect: RecordCleared) -> Manifest | None:
    """The Release with the time at which it was cleared, or None when it has one."""
    result = mapping(existing.get("result"))
    if "clearedTime" in result:
        return None
    said = Result(cleared_time=effect.time, cleared_reason=effect.reason).to_wire()
    return {**existing, "result": {**said, **result}}

"""From one transition to the next status, and to the entry that records it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import ValidationError

from interlock.core import labels, plans, results, traffic
from interlock.core.effects import DeleteChild, Effect, RecordCleared, RecordEntries, TellEvent
from interlock.core.observation import Manifest, Observation, Target
from interlock.core.parts import mapping, mappings, whole
from interlock.core.route import is_applied
from interlock.core.steps import Transition, quarantines
from interlock.core.waits import steps_hash
from interlock.core.wanted import same_content
from interlock.model.base import API_VERSION
from interlock.model.release import Entry, Header, Outcome, Release, Stage, VersionIdentity, release_name
from interlock.model.result import Cleared, Result
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import (
    MAX_QUARANTINE,
    Attempt,
    Draining,
    Quarantined,
    RolloutStatus,
    SplitMismatch,
    StableVersion,
    StepTime,
    TrafficStatus,
)
from interlock.reasons import UNDESIRED, Cause, Told


def follow(seen: Observation, move: Transition, now: datetime) -> RolloutStatus:
    """The status after `move`: stage, weights, stable, quarantine and the entry still to be recorded."""
    status = seen.rollout.status
    split = _split(seen, move)
    changes: dict[str, object] = {
        "stable": status.stable,
        "candidate": move.begins or status.candidate,
        "traffic": split,
        "quarantine": status.quarantine,
        "draining": status.draining,
        "gates": () if move.begins or move.cause is Cause.STRATEGY_CHANGED else status.gates,
    }
    if move.begins:
        changes["draining"] = tuple(d for d in status.draining if d.workload != move.begins.workload)
    attempt = _moved(seen, move, now).model_copy(update={"result": results.after(seen, move, now)})
    if move.stage is Stage.DONE:
        changes |= _finished(seen, move, now)
    entry = _entry(seen, move, attempt, split, now)
    waiting = tuple(e for e in attempt.unrecorded if e.seq > seen.recorded_seq)
    attempt = attempt.model_copy(update={"unrecorded": (*waiting, entry)})
    return status.model_copy(update={**changes, "attempt": attempt})


def _split(seen: Observation, move: Transition) -> TrafficStatus:
    if move.in_place:
        return seen.rollout.status.traffic or TrafficStatus()
    if move.stage in (Stage.RUNNING, Stage.SOAKING):
        return traffic.intended(seen.rollout.spec.strategy.steps[move.step_index])
    promoted = move.outcome is Outcome.PROMOTED
    if move.stage is Stage.PREPARING and seen.rollout.status.stable is None:
        return traffic.ALL_FIRST
    return traffic.ALL_STABLE if promoted or seen.rollout.status.stable else TrafficStatus()


def _moved(seen: Observation, move: Transition, now: datetime) -> Attempt:
    """The attempt after the move; `seq` rises by one, an attempt that begins starts at 1."""
    previous = seen.rollout.status.attempt
    if move.begins or previous is None:
        return _begun(seen, move, now)
    stopped = move.cause is Cause.TRAFFIC_STOPPED
    said: dict[str, object] = {
        "seq": previous.seq + 1,
        # how it was taken off is what its outcome is judged by: kept when the traffic has stopped
        "reason": previous.reason if stopped else move.cause,
        "message": previous.message if stopped else move.message[:512],
    }
    if move.cause is Cause.SAMPLE_RATIO_MISMATCH:
        said["split_mismatch"] = SplitMismatch(since=now, message=move.message[:512])
    if move.cause is Cause.SAMPLE_RATIO_RESTORED:
        said["split_mismatch"] = None
    if move.cause is Cause.GATES_CHANGED:
        said["gate_starts"] = plans.gate_starts(seen.rollout, previous.gate_starts, now, seen.known)
    if not move.in_place:
        said |= _placed(seen, previous, move, now)
    return previous.model_copy(update=said)


def _begun(seen: Observation, move: Transition, now: datetime) -> Attempt:
    status = seen.rollout.status
    before = status.attempt.number if status.attempt else 0
    remembered = seen.memory.attempts if seen.memory else 0
    return Attempt(
        number=max(before, remembered) + 1,
        seq=1,
        stage=move.stage,
        started_time=now,
        stage_started_time=now,
        walk_started_time=now,
        reason=move.cause,
        message=move.message[:512],
        strategy_hash=steps_hash(seen.rollout.spec),
        gate_starts=plans.gate_starts(seen.rollout, (), now, seen.known),
        start_replicas=seen.rollout.spec.replicas if status.stable else None,
        fast_path=True if move.cause is Cause.FAST_PATH_STARTED else None,
    )


def _placed(seen: Observation, previous: Attempt, move: Transition, now: datetime) -> dict[str, object]:
    """Where the attempt stands after a move to another stage or step; the clock of that starts afresh."""
    has_traffic = move.stage in (Stage.RUNNING, Stage.SOAKING)
    placed: dict[str, object] = {
        "stage": move.stage,
        "step_index": move.step_index,
        "stage_started_time": now,
        "step_started_time": None,
        "outcome": move.outcome,
        "traffic_started_time": previous.traffic_started_time or (now if has_traffic else None),
        "step_times": _ended(previous.step_times, now),
        "sized_step": None,
        "clock_stopped_time": None,
        "clock_stopped_seconds": None,
        "unavailable_since": None,
        "no_data": None,
        "split_mismatch": None,
    }
    if move.cause is not Cause.STRATEGY_CHANGED:
        return placed
    return placed | {
        "strategy_hash": steps_hash(seen.rollout.spec),
        "walk_started_time": now,
        "step_times": (),
        "gate_starts": plans.gate_starts(seen.rollout, (), now, seen.known),
    }


def _ended(times: tuple[StepTime, ...], now: datetime) -> tuple[StepTime, ...]:
    return tuple(t if t.ended_time else t.model_copy(update={"ended_time": now}) for t in times)


def _finished(seen: Observation, move: Transition, now: datetime) -> dict[str, object]:
    """What ends with the attempt: who is stable, who drains, which content stays back."""
    status, attempt = seen.rollout.status, seen.rollout.status.attempt
    candidate, stable = status.candidate, status.stable
    if attempt is None or candidate is None:
        return {}
    if move.outcome is Outcome.PROMOTED:
        changes: dict[str, object] = {
            "stable": StableVersion(**candidate.model_dump(), since=now),
            "candidate": None,
        }
        leaves: VersionIdentity | None = stable
        had_traffic = True
    else:
        changes = {}
        leaves, had_traffic = candidate, attempt.traffic_started_time is not None
        cause = attempt.reason if move.cause is Cause.TRAFFIC_STOPPED else move.cause
        # the content that is stable is trusted: where it failed, its new template did
        if quarantines(cause) and not same_content(candidate, stable):
            changes["quarantine"] = (*status.quarantine, *_kept_back(seen, move, candidate, attempt, now))
    if leaves is not None:
        seconds = seen.rollout.spec.on_revert.drain_deadline_seconds if had_traffic else 0
        drains = Draining(
            workload=leaves.workload,
            version=leaves.version,
            release=release_of(seen.rollout, attempt),
            since=now,
            deadline=now + timedelta(seconds=seconds),
        )
        changes["draining"] = (*status.draining, drains)
    return changes


def _kept_back(
    seen: Observation, move: Transition, candidate: VersionIdentity, attempt: Attempt, now: datetime
) -> tuple[Quarantined, ...]:
    """The content that was tested and, where it was changed under test, what it was changed to."""
    stopped = move.cause is Cause.TRAFFIC_STOPPED
    cause = attempt.reason if stopped else move.cause.value
    digests = [candidate.digest]
    if cause == Cause.CONTENT_CHANGED and isinstance(seen.candidate, Target):
        digests.append(seen.candidate.digest)
    held = seen.rollout.status.quarantine
    new = [digest for digest in dict.fromkeys(digests) if all(digest != item.digest for item in held)]
    return tuple(
        Quarantined(
            digest=digest,
            version=candidate.version,
            attempt=attempt.number,
            reason=cause,
            message=attempt.message if stopped else move.message[:512],
            time=now,
        )
        for digest in new[: MAX_QUARANTINE - len(held)]
    )


def _entry(
    seen: Observation, move: Transition, attempt: Attempt, split: TrafficStatus, now: datetime
) -> Entry:
    steps = seen.rollout.spec.strategy.steps
    walks = move.stage in (Stage.RUNNING, Stage.SOAKING) and move.step_index < len(steps)
    if split == traffic.ALL_FIRST and move.stage is Stage.PREPARING:
        split = TrafficStatus()  # it gets nothing yet
    return Entry(
        seq=attempt.seq,
        time=now,
        stage=move.stage,
        step_index=move.step_index if walks else None,
        step=steps[move.step_index].name if walks else None,
        outcome=move.outcome,
        reason=attempt.reason,
        message=move.message[:1024],
        stable_percent=split.stable_percent,
        candidate_percent=split.candidate_percent,
        shadow_percent=split.shadow_percent,
        control_percent=split.control_percent,
    )


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

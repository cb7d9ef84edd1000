"""From one transition to the next status, and to the entry that records it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from interlock.core import plans, results, traffic
from interlock.core.ledger import release_of
from interlock.core.observation import Observation, Target
from interlock.core.steps import Transition, quarantines
from interlock.core.waits import steps_hash
from interlock.core.wanted import same_content
from interlock.model.release import Entry, Outcome, Stage, VersionIdentity
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
from interlock.reasons import Cause


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

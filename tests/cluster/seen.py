"""What to wait for in a Rollout's status, beyond the words that most stories need."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import GateStatus
from tests.cluster.story import Story, Wanted, clock_runs, condition


def stalled(reason: str, *named: str) -> Wanted:
    """Ready is False and Stalled is True for this reason, and the message names these."""

    def is_stalled(found: Rollout) -> bool:
        ready, says = condition(found, "Ready"), condition(found, "Stalled")
        told = all(name in says[2] for name in named)
        return (ready[:2], says[:2], told) == (("False", reason), ("True", reason), True)

    return is_stalled


def not_ready(reason: str, *named: str) -> Wanted:
    """Ready is False for this reason, nobody has to act, and the message names these."""

    def is_not_ready(found: Rollout) -> bool:
        ready = condition(found, "Ready")
        told = all(name in ready[2] for name in named)
        return (ready[:2], condition(found, "Stalled")[0], told) == (("False", reason), "", True)

    return is_not_ready


def stable_is(version: str) -> Wanted:
    """It is what serves, and no attempt is under way; the one before may still end its conversations."""

    def is_stable(found: Rollout) -> bool:
        held = found.status
        return held.phase == "Healthy" and held.stable is not None and held.stable.version == version

    return is_stable


def attempt_is(number: int, *phases: str) -> Wanted:
    """The attempt of this number has come to one of these words of the STATUS column."""

    def has_come_there(found: Rollout) -> bool:
        attempt = found.status.attempt
        return attempt is not None and attempt.number == number and found.status.phase in phases

    return has_come_there


def lasted(step: str, seconds: float) -> Wanted:
    """The step's clock has run for so long."""

    def has_lasted(found: Rollout) -> bool:
        attempt = found.status.attempt
        if not clock_runs(step)(found) or attempt is None or attempt.step_started_time is None:
            return False
        return datetime.now(UTC) - attempt.step_started_time >= timedelta(seconds=seconds)

    return has_lasted


def gate(found: Rollout, name: str) -> GateStatus | None:
    """What a gate says; None while it says nothing."""
    return next((one for one in found.status.gates if one.name == name), None)


def tasks_of(found: Rollout, name: str) -> int:
    """How many tasks of the candidate a gate has seen."""
    one = gate(found, name)
    match = re.search(r"n=(\d+)", one.candidate) if one else None
    return int(match[1]) if match else 0


def has_seen(name: str, tasks: int) -> Wanted:
    """The gate has seen so many tasks of the candidate."""

    def gate_has_seen(found: Rollout) -> bool:
        return tasks_of(found, name) >= tasks

    return gate_has_seen


def ever(story: Story, wanted: Wanted) -> bool:
    """Was it ever so, in any version of the Rollout?"""
    history = story.land.witness.history(story.namespace, "Rollout")
    return any(wanted(Rollout.read(seen.manifest)) for seen in history if seen.event != "DELETED")


def ever_served(story: Story) -> set[str]:
    """All workloads that the route ever gave any weight."""
    return {name for split in story.splits() for name, weight in split.items() if weight}

"""How long a step has lasted. Its clock starts when the gateway has accepted the route, and stands still
while the Rollout is paused, the agent has no traffic at all, or a wrong split of it. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt, StepTime

NO_TIME = timedelta(0)
AHEAD = timedelta(seconds=15)
"""Times that lie further ahead than this were written by a clock that has been set since, or is another
node's."""


def halted(rollout: Rollout) -> str:
    """Why nothing new begins, weights stay and the clock stands, by the will of a person; empty while not.

    A Rollout that is deleted lives on for as long as a finalizer of somebody keeps it, and so does its route.
    """
    if rollout.metadata.deletion_timestamp is not None:
        return f"the Rollout is being deleted, and kept by {', '.join(rollout.metadata.finalizers)[:200]}"
    return "spec.paused is true" if rollout.spec.paused else ""


def started(attempt: Attempt, now: datetime, margin: float) -> Attempt:
    """The attempt whose step's clock starts `margin` seconds from now, on a whole second."""
    start = datetime.fromtimestamp(math.ceil(now.timestamp() + margin), UTC)
    times = (*attempt.step_times, StepTime(index=attempt.step_index, started_time=start))
    return attempt.model_copy(update={"step_started_time": start, "step_times": times})


def set_back(attempt: Attempt, now: datetime, margin: float) -> Attempt:
    """The attempt as one that walks from now on, where its times lie ahead; the same one where they do not.

    Until the clock had caught up, no harm would be judged and no silence noticed. `margin`: as for `started`.
    """
    ahead = now + timedelta(seconds=margin) + AHEAD
    times = (attempt.walk_started_time, attempt.stage_started_time, attempt.step_started_time)
    if attempt.stage is Stage.REVERTING or not any(time and time > ahead for time in times):
        return attempt
    return attempt.model_copy(
        update={
            "walk_started_time": now,
            "stage_started_time": now,
            "traffic_started_time": attempt.traffic_started_time and min(attempt.traffic_started_time, now),
            "step_started_time": None,
            "step_times": (),
            "gate_starts": tuple(
                start.model_copy(update={"since": min(start.since, now)}) for start in attempt.gate_starts
            ),
            "clock_stopped_time": None,
            "clock_stopped_seconds": None,
            "no_data": None,
        }
    )


def elapsed(attempt: Attempt, now: datetime) -> timedelta:
    """Time on the clock of the present step, or of the preparation; 0 before it has started."""
    begin = attempt.stage_started_time if attempt.stage is Stage.PREPARING else attempt.step_started_time
    if begin is None:
        return NO_TIME
    stood = timedelta(seconds=attempt.clock_stopped_seconds or 0)
    if attempt.clock_stopped_time is not None:
        stood += max(NO_TIME, now - max(begin, attempt.clock_stopped_time))
    return max(NO_TIME, now - begin - stood)


def noticed(attempt: Attempt, since: datetime | None, now: datetime) -> Attempt:
    """The attempt that remembers since when something has been seen not to be Available, where the time that
    is told (`since`; None while it is) is yet to come."""
    held = None if since is None else attempt.unavailable_since
    if since is not None and (held or since) > now:
        held = now
    if held == attempt.unavailable_since:
        return attempt
    return attempt.model_copy(update={"unavailable_since": held})


def turned(attempt: Attempt, now: datetime, *, stands: bool) -> Attempt:
    """The attempt with its clock standing or going from now on; the same one when nothing changes."""
    since = attempt.clock_stopped_time
    if since is None:
        return attempt.model_copy(update={"clock_stopped_time": now}) if stands else attempt
    if stands:
        return attempt
    begin = attempt.stage_started_time if attempt.stage is Stage.PREPARING else attempt.step_started_time
    stood = max(NO_TIME, now - max(begin or now, since))
    seconds = (attempt.clock_stopped_seconds or 0) + round(stood.total_seconds())
    return attempt.model_copy(update={"clock_stopped_time": None, "clock_stopped_seconds": seconds or None})

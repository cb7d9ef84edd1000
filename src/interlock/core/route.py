"""The HTTPRoute that the stored intent asks for, and whether the gateway has it. Pure; moves no traffic."""

from __future__ import annotations

from interlock.core import traffic
from interlock.core.observation import NOTHING, Manifest, Observation
from interlock.model.release import Stage
from interlock.model.rolloutstatus import RolloutStatus, TrafficStatus


def desired_route(seen: Observation, status: RolloutStatus) -> Manifest | None:
    """The HTTPRoute for the stored intent; None while no version serves."""
    attempt, candidate, split = status.attempt, status.candidate, status.traffic
    if status.stable is None or split is None:
        return None
    share = split.stable_percent + (split.candidate_percent if candidate else 0)
    if share != 100 and not is_closed(status):
        return None  # not ours; a route that lacks a backend would answer requests with errors
    reverting = attempt is not None and attempt.stage is Stage.REVERTING
    listed = candidate.workload if candidate else None
    exists = listed is not None and seen.workloads.get(listed, NOTHING).service is not None
    return traffic.http_route(
        seen.rollout,
        split,
        stable=status.stable.workload,
        candidate=listed,
        keep_candidate=reverting
        and exists
        and attempt is not None
        and attempt.traffic_started_time is not None,
    )


def is_applied(seen: Observation) -> bool:
    """Does the gateway accept the route that the stored intent asks for? True while there is none."""
    desired = desired_route(seen, seen.rollout.status)
    return desired is None or traffic.shows(seen.route, desired)


def is_closed(status: RolloutStatus) -> bool:
    """A failing first version whose route was closed: no backend at all, by intention."""
    at_rest = status.attempt is None or status.attempt.stage is Stage.DONE
    return status.stable is not None and at_rest and status.traffic == TrafficStatus()

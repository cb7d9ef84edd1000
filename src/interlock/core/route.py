"""The HTTPRoute that the stored intent asks for, and whether the gateway has it. Pure; moves no traffic."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.core import traffic
from interlock.core.adoption import belongs
from interlock.core.observation import NOTHING, Manifest, Observation
from interlock.core.workloads import shadow_name
from interlock.model.release import Stage
from interlock.model.rolloutstatus import RolloutStatus, TrafficStatus
from interlock.reasons import Reason


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


def allowed_route(seen: Observation, status: RolloutStatus) -> Manifest | None:
    """What of the intent may stand on the route now; None while nothing may be written.

    Where there is no route at all, stable does not wait for whom it shares with.
    """
    desired = desired_route(seen, status)
    if desired is None or not unready(seen, status):
        return desired
    if seen.route is not None or status.stable is None or status.stable.workload in unready(seen, status):
        return None
    return desired_route(seen, status.model_copy(update={"traffic": traffic.ALL_STABLE}))


def unready(seen: Observation, status: RolloutStatus) -> list[str]:
    """Services that the intent names and the route may not name yet.

    Each exists and has endpoints before it is named, or is named for more. What it is named for already it
    keeps: while stable is down, a route that waited for it would keep everybody there, or stay closed, or
    away. A revert waits for stable's Service alone, and not for one that is no longer ours: it would wait for
    ever.
    """
    attempt, route = status.attempt, seen.route
    ours = route if route and belongs(seen.rollout, route.manifest) else None
    named = {**ours.weights, **ours.mirrors} if ours else {}
    if attempt is not None and attempt.stage is Stage.REVERTING:
        stable = status.stable.workload if status.stable else ""
        exists = seen.workloads.get(stable, NOTHING).service is not None
        taken = any(obstacle.reason is Reason.NAME_TAKEN for obstacle in seen.obstacles)
        return [] if exists or (taken and named.get(stable, 0)) else [stable]
    waited = []
    opens = status.stable.workload if status.stable and _answers_nobody(seen, status) else ""
    for name, share in _named(status):
        state = seen.workloads.get(name, NOTHING)
        kept = state.service is not None and (share <= named.get(name, 0) or name == opens)
        if share and not kept and not traffic.can_receive(state):
            waited.append(name)
    return waited


def _answers_nobody(seen: Observation, status: RolloutStatus) -> bool:
    """Is no request answered, so that a stable version without endpoints on the route makes nothing worse?
    Where there is no route, that holds once there is a candidate to take over."""
    if seen.route is not None:
        return belongs(seen.rollout, seen.route.manifest) and not any(seen.route.weights.values())
    attempt, candidate = status.attempt, status.candidate
    if attempt is None or attempt.stage is Stage.DONE or candidate is None:
        return False
    return traffic.can_receive(seen.workloads.get(candidate.workload, NOTHING))


def _named(status: RolloutStatus) -> Iterator[tuple[str, int]]:
    """Every Service that the intent may name, with its share in percent."""
    split = status.traffic or TrafficStatus()
    for version, live, mirrored in (
        (status.stable, split.stable_percent, split.control_percent),
        (status.candidate, split.candidate_percent, split.shadow_percent),
    ):
        if version is not None:
            yield version.workload, live
            yield shadow_name(version.workload), mirrored


def awaited(seen: Observation) -> str:
    """Why the gateway does not have the route that the stored intent asks for."""
    if seen.route and not belongs(seen.rollout, seen.route.manifest):
        return f"HTTPRoute {seen.rollout.metadata.name} is not this Rollout's"
    if waited := unready(seen, seen.rollout.status):
        return f"not written yet: no ready endpoint of {', '.join(waited)}"
    return (seen.route.problem if seen.route else "") or "the gateway has not accepted the route yet"


def is_applied(seen: Observation) -> bool:
    """Does the gateway accept the route that the stored intent asks for? True while there is none."""
    desired = desired_route(seen, seen.rollout.status)
    return desired is None or traffic.shows(seen.route, desired)


def is_closed(status: RolloutStatus) -> bool:
    """A failing first version whose route was closed: no backend at all, by intention."""
    at_rest = status.attempt is None or status.attempt.stage is Stage.DONE
    return status.stable is not None and at_rest and status.traffic == TrafficStatus()

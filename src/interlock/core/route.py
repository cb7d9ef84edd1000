"""The HTTPRoute that the stored intent asks for, and whether the gateway has it. Pure; moves no traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from interlock.core import traffic
from interlock.core.adoption import belongs
from interlock.core.listening import port_of
from interlock.core.observation import NOTHING, Manifest, Observation
from interlock.core.parts import mapping, mappings
from interlock.core.workloads import shadow_name
from interlock.model.release import Stage
from interlock.model.rolloutstatus import RolloutStatus, StableVersion, TrafficStatus
from interlock.reasons import Reason

_ATTACHED = {"parentRefs": "parentRefs", "hostnames": "hostnames", "rules": "matches"}
"""Fields of the route that say which requests it gets, and those of spec.traffic that they come from."""


def desired_route(seen: Observation, status: RolloutStatus) -> Manifest | None:
    """The HTTPRoute for the stored intent; None while no version serves."""
    asked = _asked_for(seen, status)
    return None if asked is None else _where_it_is(seen, asked, status.traffic)


def as_if_first_serves(seen: Observation) -> Observation | None:
    """The Rollout as if the first version that it prepares served already; None where it prepares none."""
    status = seen.rollout.status
    attempt, tested = status.attempt, status.candidate
    if status.stable or attempt is None or tested is None or attempt.stage is not Stage.PREPARING:
        return None
    serving = StableVersion(**tested.model_dump(), since=attempt.stage_started_time)
    changes = {"stable": serving, "candidate": None, "traffic": traffic.ALL_STABLE}
    told = seen.rollout.model_copy(update={"status": status.model_copy(update=changes)})
    return replace(seen, rollout=told)


def put_off(seen: Observation) -> list[str]:
    """Fields of spec.traffic that are not applied while something is in the way."""
    asked, desired = _asked_for(seen, seen.rollout.status), desired_route(seen, seen.rollout.status)
    if asked is None or desired is None:
        return []
    fields = [name for field, name in _ATTACHED.items() if asked["spec"][field] != desired["spec"][field]]
    ports = {backend["port"] for rule in asked["spec"]["rules"] for backend in rule["backendRefs"]}
    elsewhere = ports - {seen.rollout.spec.traffic.gateway_api.port}
    return [*fields, "port"] if elsewhere and seen.obstacles else fields


def _asked_for(seen: Observation, status: RolloutStatus) -> Manifest | None:
    """The route as the spec would have it."""
    attempt, candidate, split = status.attempt, status.candidate, status.traffic
    if status.stable is None or split is None:
        return _closed(seen, status)
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
        ports=_ports(seen),
    )


def _ports(seen: Observation) -> dict[str, int]:
    return {name: port_of(seen.rollout, state) for name, state in seen.workloads.items()}


def _closed(seen: Observation, status: RolloutStatus) -> Manifest | None:
    """A first version that was given up when its route stood already leaves nobody to answer."""
    over = status.attempt is not None and status.attempt.stage is Stage.DONE
    if not over or seen.route is None:
        return None
    return traffic.http_route(seen.rollout, TrafficStatus(), stable="", candidate=None, keep_candidate=False)


def _where_it_is(seen: Observation, asked: Manifest, split: TrafficStatus | None) -> Manifest:
    """The route, where it is while what spec.traffic asks for cannot be had: at a Gateway that does not
    exist, or under a host that an older route has, it would get no requests, and nobody would be served."""
    fields = _not_to_be_had(seen, split)
    if not fields or seen.route is None or not belongs(seen.rollout, seen.route.manifest):
        return asked
    there, spec = mapping(seen.route.manifest.get("spec")), asked["spec"]
    kept = {field: there[field] for field in fields if there.get(field)}
    if rules := mappings(kept.pop("rules", None)):
        kept["rules"] = [
            {**rule, "matches": rules[0].get("matches") or rule["matches"]} for rule in spec["rules"]
        ]
    return {**asked, "spec": {**spec, **kept}}


def _not_to_be_had(seen: Observation, split: TrafficStatus | None) -> frozenset[str]:
    """Fields of the route for which something is in the way."""
    mirrors = split is not None and split.shadow_percent > 0
    reasons = {obstacle.reason for obstacle in seen.obstacles}
    if Reason.ROUTE_CONFLICT in reasons:
        return frozenset(_ATTACHED)
    # a Gateway that cannot mirror a share of the requests would mirror all of them, or none
    elsewhere = Reason.DEPENDENCY_NOT_READY in reasons or (
        mirrors and Reason.GATEWAY_LACKS_FEATURE in reasons
    )
    return frozenset({"parentRefs"}) if elsewhere else frozenset()


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

"""How live requests are split: the intended weights of a stage, and the HTTPRoute that says so.

Pure: builds the manifest and reads its state. Never decides to move traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from interlock.core import labels
from interlock.core.observation import Manifest, RouteState, WorkloadState
from interlock.core.parts import mapping, mappings, text, whole
from interlock.core.workloads import covers, owner_reference, shadow_name
from interlock.model.rollout import Rollout, Step
from interlock.model.rolloutstatus import RolloutStatus, TrafficStatus

GATEWAY_GROUP = "gateway.networking.k8s.io"
ROUTE_API_VERSION = f"{GATEWAY_GROUP}/v1"

ALL_STABLE = TrafficStatus(stable_percent=100)
ALL_FIRST = TrafficStatus(candidate_percent=100)
"""What a first version is to get as soon as it is Available."""


def at_present(status: RolloutStatus) -> TrafficStatus:
    """The shares that are shown: a first version that is prepared gets nothing yet."""
    return status.traffic if status.traffic and status.stable else TrafficStatus()


def intended(step: Step) -> TrafficStatus:
    """The split that a step asks for; whole percent, live shares sum to 100.

    shadow  100/0 + mirror      canary p   100−p/p      full, hold-out h   h/100−h

    A shadow with a control is mirrored twice, the same share to each; whether the same requests, is up to the
    gateway.
    """
    if step.shadow:
        share = step.shadow.percent
        control = share if step.shadow.control else 0
        return TrafficStatus(stable_percent=100, shadow_percent=share, control_percent=control)
    if step.canary:
        return TrafficStatus(stable_percent=100 - step.canary.percent, candidate_percent=step.canary.percent)
    holdout = step.full.holdout_percent if step.full else 0
    return TrafficStatus(stable_percent=holdout, candidate_percent=100 - holdout)


def http_route(
    rollout: Rollout,
    traffic: TrafficStatus,
    *,
    stable: str,
    candidate: str | None,
    keep_candidate: bool,
    ports: Mapping[str, int] = MappingProxyType({}),
) -> Manifest:
    """The HTTPRoute for a split.

    `keep_candidate` lists the candidate's Service even at weight 0: that explicit zero is what a
    restarted operator reads as "taken back" when the status write was lost. `ports` of Services that are
    asked on another port than that of the spec.
    """
    settings = rollout.spec.traffic.gateway_api
    backends = [(stable, traffic.stable_percent)] if traffic.stable_percent else []
    if candidate and (traffic.candidate_percent or keep_candidate):
        backends.append((candidate, traffic.candidate_percent))
    rule: Manifest = {
        "matches": [
            {"path": {"type": "PathPrefix", "value": path}}
            for path in [m.path for m in settings.matches] or ["/"]
        ],
        "backendRefs": [
            _backend(name, ports.get(name, settings.port)) | {"weight": weight} for name, weight in backends
        ],
        "filters": [],  # said even when empty: a mirror that is left over must not pass for as intended
    }
    for version, share in ((candidate, traffic.shadow_percent), (stable, traffic.control_percent)):
        if version and share:
            mirror = shadow_name(version)
            rule["filters"].append(_mirror(_backend(mirror, ports.get(mirror, settings.port)), share))
    return {
        "apiVersion": ROUTE_API_VERSION,
        "kind": "HTTPRoute",
        "metadata": {
            "name": rollout.metadata.name,
            "namespace": rollout.metadata.namespace,
            "labels": {labels.ROLLOUT: rollout.metadata.name, labels.AGENT: rollout.spec.agent},
            "ownerReferences": [owner_reference(rollout)],
        },
        "spec": {
            "parentRefs": [
                {"group": GATEWAY_GROUP, "kind": "Gateway"} | parent.to_wire()
                for parent in settings.parent_refs
            ],
            "hostnames": list(settings.hostnames),
            "rules": [rule],
        },
    }


def _backend(service: str, port: int) -> Manifest:
    return {"group": "", "kind": "Service", "name": service, "port": port}


def _mirror(backend: Manifest, percent: int) -> Manifest:
    return {
        "type": "RequestMirror",
        "requestMirror": {"backendRef": backend, "percent": percent},
    }


def read_route(manifest: Manifest) -> RouteState:
    """Weights, mirrors and acceptance out of an HTTPRoute, whatever it holds: what is no route is passed
    over, and a weight that is no number is the default, 1."""
    weights: dict[str, int] = {}
    mirrors: dict[str, int] = {}
    for rule in mappings(mapping(manifest.get("spec")).get("rules")):
        for backend in mappings(rule.get("backendRefs")):
            weights[text(backend.get("name"))] = whole(backend.get("weight"), 1)
        for item in mappings(rule.get("filters")):
            if target := mapping(item.get("requestMirror")):
                named = text(mapping(target.get("backendRef")).get("name"))
                mirrors[named] = whole(target.get("percent"), 100)
    accepted, problem = _acceptance(manifest)
    return RouteState(manifest, weights, mirrors, accepted, problem)


def _acceptance(manifest: Manifest) -> tuple[bool, str]:
    """Every parent that the route names must be accepted, by whoever answers for that parent."""
    generation = manifest["metadata"].get("generation", 0)
    told = mappings(mapping(manifest.get("status")).get("parents"))
    wanted = mappings(mapping(manifest.get("spec")).get("parentRefs"))
    namespace = manifest["metadata"].get("namespace", "")
    accepted = 0
    for reference in wanted:
        answers = [
            _answer(parent, generation)
            for parent in told
            if _gateway(mapping(parent.get("parentRef")), namespace) == _gateway(reference, namespace)
        ]
        if problem := next((problem for _, problem in answers if problem), ""):
            return False, problem
        accepted += any(yes for yes, _ in answers)
    return bool(wanted) and accepted == len(wanted), ""


def _gateway(reference: Manifest, namespace: str) -> tuple[str, str, str]:
    """Namespace, name and listener that a parentRef means."""
    return (
        text(reference.get("namespace")) or namespace,
        text(reference.get("name")),
        text(reference.get("sectionName")),
    )


def _answer(parent: Manifest, generation: int) -> tuple[bool, str]:
    """Accepted and ResolvedRefs are True at `generation`; else what is refused, empty when not yet judged.

    Other conditions are passed over: implementations add their own.
    """
    found = {text(c.get("type")): c for c in mappings(parent.get("conditions"))}
    relevant = [found.get("Accepted"), found.get("ResolvedRefs")]
    current = [c for c in relevant if c and whole(c.get("observedGeneration")) >= generation]
    refused = next((c for c in current if c.get("status") != "True"), None)
    if refused:
        return False, f"{refused.get('reason', 'refused')}: {refused.get('message', '')}"[:512]
    return len(current) == len(relevant), ""


def shows(route: RouteState | None, desired: Manifest) -> bool:
    """Is the route as desired and accepted by the gateway at its current generation?"""
    return route is not None and covers(route.manifest, desired) and route.accepted


def is_written(manifest: Manifest, desired: Manifest) -> bool:
    """Does the HTTPRoute hold what is desired and, of gateways and rules, nothing beside it? A header that
    somebody adds to a match keeps requests away as surely as another weight.

    What a later Gateway API fills in by itself would count as well: so `shows` does not ask for this.
    """
    there, ours = mapping(manifest.get("spec")), desired["spec"]
    whole_lists = ("parentRefs", "rules")
    return covers(manifest, desired) and all(_adds_nothing(there.get(k), ours[k]) for k in whole_lists)


def _adds_nothing(observed: Any, desired: Any) -> bool:
    match observed:
        case dict():
            said = {key: value for key, value in observed.items() if value not in (None, [], {})}
            return all(key in desired and _adds_nothing(value, desired[key]) for key, value in said.items())
        case list():
            return all(_adds_nothing(o, d) for o, d in zip(observed, desired, strict=True))
        case _:
            return True


def can_receive(state: WorkloadState) -> bool:
    """A Service may be named by a weight or a mirror only when it exists and has endpoints."""
    return state.service is not None and state.ready_endpoints > 0

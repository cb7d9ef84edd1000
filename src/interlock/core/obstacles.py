"""Other objects that are in a Rollout's way: what they are called, and what would clear the way. Pure.

An obstacle holds what has not begun. It never holds a revert, and what serves is not touched because of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from interlock.core import labels
from interlock.core.adoption import belongs
from interlock.core.gateways import capabilities, refusal
from interlock.core.listening import declared
from interlock.core.observation import Holds, Manifest, Obstacle, Template
from interlock.core.parts import mapping, mappings, text, texts
from interlock.core.traffic import GATEWAY_GROUP
from interlock.core.workloads import shadow_name
from interlock.model.base import format_time
from interlock.model.release import VersionIdentity
from interlock.model.rollout import ParentRef, Rollout
from interlock.reasons import Reason

Place = tuple[str, str]
"""Namespace and name."""
Claim = tuple[str, str]
"""A host and a path prefix without its trailing slash: requests for these go to one route only."""
Pod = Mapping[str, str]
"""Labels of a pod."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lives around a Rollout and may be in its way; all as the API server has it."""

    rollouts: Sequence[Manifest] = ()
    """Rollouts of the namespace that name the same agent; its own may be among them."""
    children: Sequence[Manifest] = ()
    """Objects under the names that the Rollout would give to its own; those may be among them."""
    services: Sequence[Manifest] = ()
    """Services of the namespace that may select its pods; its own may be among them."""
    routes: Sequence[Manifest] = ()
    """HTTPRoutes of all namespaces that claim what its route claims; its own may be among them."""
    gateways: Mapping[Place, Manifest] = field(default_factory=dict)
    """Those of its Gateways that exist."""
    classes: Mapping[str, Manifest] = field(default_factory=dict)
    """Those of their GatewayClasses that exist, by name."""
    template: Template | None = None
    """What the next version's pods are made from; None where it cannot be used."""


def obstacles(
    rollout: Rollout, pods: Sequence[Pod], known: Sequence[VersionIdentity], around: Surroundings
) -> tuple[Obstacle, ...]:
    """All that is in the way, gravest first. `pods`: labels of the pods that are tried or would be;
    `known`: the versions whose objects the Rollout adopts when they are orphans."""
    return (
        *_agent_taken(rollout, around.rollouts),
        *_names_taken(m for m in around.children if not belongs(rollout, m, known)),
        *_leaking_services(pods, (m for m in around.services if not belongs(rollout, m))),
        *_gateways(rollout, around),
        *_not_listening(rollout, around.template),
        *_route_conflicts(rollout, around.routes),
    )


def clone_labels(rollout: Rollout, version: str, workload: str, template: Template) -> tuple[Pod, Pod]:
    """Labels of the pods that a version gets, live and shadow."""
    theirs = template.spec["template"]["metadata"]["labels"]
    ours = {
        labels.ROLLOUT: rollout.metadata.name,
        labels.AGENT: rollout.spec.agent,
        labels.AGENT_VERSION: version,
    }
    live = theirs | ours | {labels.MODE: "live", labels.WORKLOAD: workload}
    return live, live | {labels.MODE: "shadow", labels.WORKLOAD: shadow_name(workload)}


# ------------------------------------------------------------------ one Rollout an agent
def _agent_taken(rollout: Rollout, others: Iterable[Manifest]) -> Iterator[Obstacle]:
    meta, agent = rollout.metadata, rollout.spec.agent
    created = format_time(meta.creation_timestamp) if meta.creation_timestamp else ""
    older = [
        other
        for other in others
        if mapping(other.get("spec")).get("agent") == agent and _age(other) < (created, meta.uid)
    ]
    for oldest in sorted(older, key=_age)[:1]:
        text = (
            f"Rollout {oldest['metadata']['name']} of this namespace is older and has agent {agent}: an "
            "agent has one Rollout in a namespace, delete one of the two"
        )
        yield Obstacle(Reason.AGENT_TAKEN, text, Holds.START)


def _age(manifest: Manifest) -> tuple[str, str]:
    """Older is less; times of the API server are whole seconds in UTC, and compare as text."""
    meta = manifest["metadata"]
    return str(meta.get("creationTimestamp", "")), str(meta.get("uid", ""))


# ------------------------------------------------------------------ names
def _names_taken(theirs: Iterable[Manifest]) -> Iterator[Obstacle]:
    for manifest in theirs:
        what = f"{manifest['kind']} {manifest['metadata']['name']}"
        text = f"{what} exists and is not this Rollout's: rename or delete it"
        if "deletionTimestamp" in manifest["metadata"]:
            text = f"{what}, which is not this Rollout's, is being deleted: its name is free when it is gone"
        yield Obstacle(Reason.NAME_TAKEN, text, Holds.START)


# ------------------------------------------------------------------ Services
def _leaking_services(pods: Sequence[Pod], theirs: Iterable[Manifest]) -> Iterator[Obstacle]:
    for service in sorted(theirs, key=lambda found: str(found["metadata"]["name"])):
        selector = selector_of(service)
        if selector and any(selector.items() <= pod.items() for pod in pods):
            asked = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
            text = (
                f"Service {service['metadata']['name']} is not this Rollout's and selects its pods "
                f"({asked}): requests through it would pass by the weights; give it another selector, or add "
                "the label to the selector of the template Deployment: the pods do not carry those keys"
            )
            yield Obstacle(Reason.FOREIGN_SERVICE, text, Holds.START)


def selector_of(service: Manifest) -> Pod:
    """What a Service asks of its pods; empty when it selects none (or is a name elsewhere)."""
    spec = mapping(service.get("spec"))
    return {} if spec.get("type") == "ExternalName" else mapping(spec.get("selector"))


# ------------------------------------------------------------------ Gateways
def _gateways(rollout: Rollout, around: Surroundings) -> Iterator[Obstacle]:
    missing: list[Obstacle] = []
    for namespace, name in dict.fromkeys(parents(rollout)):
        gateway = around.gateways.get((namespace, name))
        what = f"Gateway {namespace}/{name}"
        if gateway is None:
            text = f"{what} does not exist: create it or correct spec.traffic.gatewayAPI.parentRefs"
            missing.append(Obstacle(Reason.DEPENDENCY_NOT_READY, text, Holds.ROUTE))
            continue
        chosen = class_of(gateway)
        if (found := around.classes.get(chosen)) is None:
            text = f"GatewayClass {chosen}, which {what} names, does not exist: nothing answers for it"
            missing.append(Obstacle(Reason.DEPENDENCY_NOT_READY, text, Holds.ROUTE))
        elif refused := refusal(rollout.spec.strategy.steps, capabilities(found)):
            text = f"{what}: {refused}"
            yield Obstacle(Reason.GATEWAY_LACKS_FEATURE, text, Holds.START)
    yield from missing


def parents(rollout: Rollout) -> list[Place]:
    """The Gateways that the Rollout's route attaches to."""
    return [_gateway_of(parent, rollout) for parent in rollout.spec.traffic.gateway_api.parent_refs]


def _gateway_of(parent: ParentRef, rollout: Rollout) -> Place:
    return parent.namespace or rollout.metadata.namespace, parent.name


def class_of(gateway: Manifest) -> str:
    """Name of a Gateway's class."""
    return text(mapping(gateway.get("spec")).get("gatewayClassName"))


# ------------------------------------------------------------------ ports
def _not_listening(rollout: Rollout, template: Template | None) -> Iterator[Obstacle]:
    said = declared({"spec": template.spec}) if template is not None else frozenset()
    asked = rollout.spec.traffic.gateway_api.port
    if template is not None and said and asked not in said:
        text = (
            f"spec.traffic.gatewayAPI.port {asked}: the containers of Deployment {template.name} declare "
            f"{', '.join(map(str, sorted(said)))}: correct it, or declare it there as a containerPort"
        )
        yield Obstacle(Reason.INVALID_SPEC, text, Holds.START)


# ------------------------------------------------------------------ other routes
def claims_of(rollout: Rollout) -> frozenset[Claim]:
    """What the Rollout's route claims."""
    settings = rollout.spec.traffic.gateway_api
    paths = [match.path for match in settings.matches] or ["/"]
    return frozenset(product(settings.hostnames, (prefix(path) for path in paths)))


def claims(route: Manifest) -> frozenset[Claim]:
    """What an HTTPRoute claims: each of its hosts with each path that it asks for without further conditions.

    Source: Gateway API, HTTPRouteRule.matches: a rule without matches, and a match without a path, mean `/`.
    """
    spec = mapping(route.get("spec"))
    matches = [
        match
        for rule in mappings(spec.get("rules"))
        for match in mappings(rule.get("matches")) or [{}]
        if _is_plain(match)
    ]
    paths = [text(mapping(match.get("path")).get("value")) or "/" for match in matches]
    return frozenset(product(texts(spec.get("hostnames")), (prefix(path) for path in paths)))


def _is_plain(match: Manifest) -> bool:
    conditions = any(match.get(key) for key in ("headers", "queryParams", "method"))
    return not conditions and mapping(match.get("path")).get("type", "PathPrefix") == "PathPrefix"


def prefix(path: str) -> str:
    """A path prefix as it is matched: with or without a trailing slash it is the same."""
    return path.rstrip("/")


def _route_conflicts(rollout: Rollout, routes: Iterable[Manifest]) -> Iterator[Obstacle]:
    meta, wanted = rollout.metadata, claims_of(rollout)
    own = next((r for r in routes if _place(r) == (meta.namespace, meta.name)), None)
    first = _precedence(own) if own is not None else None
    for other in sorted(routes, key=_precedence):
        if other is own or (first is not None and _precedence(other) > first):
            continue
        shared, gateway = wanted & claims(other), _shared_gateway(rollout, other)
        if shared and gateway:
            host, path = min(shared)
            namespace, name = _place(other)
            text = (
                f"HTTPRoute {namespace}/{name} already has host {host} with path {path or '/'} on Gateway "
                f"{'/'.join(gateway)}, and the older route wins: change or delete it, this Rollout's route "
                "follows at once"
            )
            yield Obstacle(Reason.ROUTE_CONFLICT, text, Holds.ROUTE)


def _precedence(route: Manifest) -> tuple[str, str]:
    """Less goes first: the older route, else the first by namespace and name.

    Source: Gateway API, HTTPRouteRule: "The oldest Route based on creation timestamp", then "The Route
    appearing first in alphabetical order by {namespace}/{name}".
    """
    return str(route["metadata"].get("creationTimestamp", "")), "/".join(_place(route))


def _place(manifest: Manifest) -> Place:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _shared_gateway(rollout: Rollout, route: Manifest) -> Place | None:
    """A Gateway on which both meet: on the same listener, or either of them on all."""
    namespace, _ = _place(route)
    for theirs in mappings(mapping(route.get("spec")).get("parentRefs")):
        if (theirs.get("group", GATEWAY_GROUP), theirs.get("kind", "Gateway")) != (GATEWAY_GROUP, "Gateway"):
            continue
        place = (text(theirs.get("namespace")) or namespace, text(theirs.get("name")))
        section = text(theirs.get("sectionName"))
        for ours in rollout.spec.traffic.gateway_api.parent_refs:
            same = not section or not ours.section_name or section == ours.section_name
            if same and _gateway_of(ours, rollout) == place:
                return _gateway_of(ours, rollout)
    return None

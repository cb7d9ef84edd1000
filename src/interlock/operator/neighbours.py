"""Who lives beside a Rollout: found by what they name, without a search, and a reason to look at it again.

Kept up to date by the cache, so that our own writes count as well as what the watch brings. Decides nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from interlock.core import labels
from interlock.core.gateways import capabilities
from interlock.core.obstacles import Claim, Place, claims, class_of, prefix, selector_of
from interlock.operator.cache import Cache, Key, Manifest, key_of


class Index:
    """Objects of one kind by what `names` says of them. An object that it cannot read names nothing."""

    def __init__(self, names: Callable[[Manifest], Iterable[Hashable]]) -> None:
        self._names_of = names
        self._names: dict[Key, frozenset[Hashable]] = {}
        self._keys: dict[Hashable, set[Key]] = defaultdict(set)

    def change(self, old: Manifest | None, new: Manifest | None) -> frozenset[Any]:
        """Take up a change. Returns everything that the object names now or named before."""
        key = key_of(old or new or {})
        before = self._names.pop(key, frozenset())
        after = self._read(new) if new is not None else frozenset()
        for name in before - after:
            self._keys[name].discard(key)
            if not self._keys[name]:
                del self._keys[name]
        for name in after - before:
            self._keys[name].add(key)
        if after:
            self._names[key] = after
        return before | after

    def find(self, names: Iterable[Hashable]) -> set[Key]:
        """Objects that name any of these."""
        return {key for name in names for key in self._keys.get(name, ())}

    def _read(self, manifest: Manifest) -> frozenset[Hashable]:
        try:
            return frozenset(self._names_of(manifest))
        except (AttributeError, KeyError, TypeError):  # edited by hand, or of a newer version
            return frozenset()


class Neighbours:
    """`wake` is told the keys of Rollouts whose way may have been cleared, or blocked, by somebody else."""

    def __init__(self, cache: Cache, wake: Callable[[Key], None]) -> None:
        self._cache = cache
        self._wake = wake
        self._rollouts = Index(_named_by_rollout)
        self._routes = Index(claims)
        self._services = Index(_pods_of_service)
        self._gateways = Index(lambda gateway: [class_of(gateway)])
        cache.observers.append(self._changed)

    # ------------------------------------------------------------ who is there
    def of_agent(self, namespace: str, agent: str) -> list[Manifest]:
        """Rollouts of the namespace that name the agent."""
        return self._all(self._rollouts.find([("agent", namespace, agent)]))

    def claiming(self, wanted: Iterable[Claim]) -> list[Manifest]:
        """HTTPRoutes of all namespaces that claim any of these."""
        return self._all(self._routes.find(wanted))

    def selecting(self, namespace: str, workloads: Iterable[str]) -> list[Manifest]:
        """Services of the namespace that may select pods of these workloads: they ask for no other's."""
        return self._all(self._services.find((namespace, name) for name in ("", *workloads)))

    def gateways(self, places: Iterable[Place]) -> dict[Place, Manifest]:
        """Those of these Gateways that exist."""
        found = {place: self._cache.get("Gateway", *place) for place in places}
        return {place: gateway for place, gateway in found.items() if gateway is not None}

    def classes(self, gateways: Iterable[Manifest]) -> dict[str, Manifest]:
        """Those of their GatewayClasses that exist, by name."""
        found = {name: self._cache.get("GatewayClass", "", name) for name in map(class_of, gateways)}
        return {name: chosen for name, chosen in found.items() if chosen is not None}

    def _all(self, keys: Iterable[Key]) -> list[Manifest]:
        found = (self._cache.get(*key) for key in keys)
        return [manifest for manifest in found if manifest is not None]

    # ------------------------------------------------------------ whom it concerns
    def _changed(self, old: Manifest | None, new: Manifest | None) -> None:
        kind, namespace, name = key_of(old or new or {})
        concerned: set[Key] = set()
        match kind:
            case "Rollout":
                concerned = self._rollout(old, new)
            case "HTTPRoute":
                touched = self._routes.change(old, new)
                if _differs(_terms, old, new):
                    concerned = self._rollouts.find(("claim", *claim) for claim in touched)
                concerned.discard(("Rollout", namespace, name))
            case "MetricTemplate" if _differs(lambda template: template.get("spec"), old, new):
                concerned = self._rollouts.find([("metric", name)])
            case "Service":
                self._services.change(old, new)
                if _differs(selector_of, old, new) and not _of_a_rollout(new or old):
                    concerned = self._rollouts.find([("namespace", namespace)])
            case "Gateway":
                self._gateways.change(old, new)
                if _differs(class_of, old, new):
                    concerned = self._rollouts.find([("gateway", namespace, name)])
            case "GatewayClass" if _differs(capabilities, old, new):
                users = self._gateways.find([name])
                concerned = self._rollouts.find(("gateway", *place) for _, *place in users)
        for key in concerned:
            self._wake(key)

    def _rollout(self, old: Manifest | None, new: Manifest | None) -> set[Key]:
        """Rollouts of the same agent, when one comes or goes."""
        touched = self._rollouts.change(old, new)
        if old and new and old["metadata"].get("uid") == new["metadata"].get("uid"):
            return set()
        agents = [name for name in touched if name[0] == "agent"]
        return self._rollouts.find(agents) - {key_of(old or new or {})}


def _differs(what: Callable[[Manifest], object], old: Manifest | None, new: Manifest | None) -> bool:
    """Is the object new or gone, or is what matters of it another now?"""
    if old is None or new is None:
        return True
    try:
        return what(old) != what(new)
    except (AttributeError, KeyError, TypeError):
        return True


def _terms(route: Manifest) -> object:
    """What decides which requests a route gets."""
    return claims(route), (route.get("spec") or {}).get("parentRefs")


def _of_a_rollout(manifest: Manifest | None) -> bool:
    owners = ((manifest or {}).get("metadata") or {}).get("ownerReferences") or []
    return any(owner.get("kind") == "Rollout" for owner in owners)


def _pods_of_service(service: Manifest) -> Iterator[Hashable]:
    """The workload whose pods it asks for; "" when it does not say."""
    if selector := selector_of(service):
        yield service["metadata"]["namespace"], selector.get(labels.WORKLOAD, "")


def _named_by_rollout(rollout: Manifest) -> Iterator[Hashable]:
    namespace, spec = rollout["metadata"]["namespace"], rollout["spec"]
    yield "namespace", namespace
    yield "agent", namespace, spec["agent"]
    for gate in (spec.get("analysis") or {}).get("gates") or ():
        if "metric" in gate:
            yield "metric", gate["metric"]
    settings = spec["traffic"]["gatewayAPI"]
    for parent in settings["parentRefs"]:
        yield "gateway", parent.get("namespace") or namespace, parent["name"]
    for host in settings["hostnames"]:
        for match in settings.get("matches") or [{"path": "/"}]:
            yield "claim", host, prefix(match["path"])

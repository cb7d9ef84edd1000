"""AgentVersions as something that can be served: read from the cache, assessed once per generation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import ValidationError

from interlock.core import versions
from interlock.core.observation import Manifest, Target, Unusable
from interlock.errors import DependencyError, SpecError
from interlock.model.agentversion import AgentVersion
from interlock.model.base import first_problem
from interlock.model.rollout import Rollout
from interlock.operator.cache import Cache
from interlock.operator.metrictemplates import MetricTemplates
from interlock.ports import Objects
from interlock.reasons import Reason


@dataclass(frozen=True, slots=True)
class _Assessed:
    uid: str
    generation: int
    result: versions.Assessment


class AgentVersions:
    """Their content cannot change without another generation. What their tools may do in a shadow is told to
    `templates`."""

    def __init__(self, objects: Objects, cache: Cache, templates: MetricTemplates) -> None:
        self._objects = objects
        self._cache = cache
        self._templates = templates
        self._assessed: dict[tuple[str, str], _Assessed] = {}

    async def named(self, namespace: str, name: str) -> Target | Unusable:
        """An AgentVersion that was served before, or why it cannot be."""
        manifest = await self._read(namespace, name)
        return _missing(name) if manifest is None else await self._assessed_as(manifest)

    async def wanted(self, rollout: Rollout) -> Target | Unusable:
        """What `spec.versionRef` names; where there is nothing of that name, with what to do about it."""
        namespace, name = rollout.metadata.namespace, rollout.spec.version_ref.name
        manifest = await self._read(namespace, name)
        if manifest is None:
            found = _missing(name)
            return replace(found, message=f"{found.message}: create it or correct spec.versionRef")
        return await self._assessed_as(manifest, rollout.spec.agent)

    async def tested(self, namespace: str, name: str) -> Target | Unusable | None:
        """The AgentVersion under test: gone is a reason to turn back, not assessable says nothing."""
        manifest = await self._read(namespace, name)
        found = _missing(name) if manifest is None else await self._assessed_as(manifest)
        return found if manifest is None or isinstance(found, Target) else None

    async def assess(self, manifest: Manifest) -> versions.Assessment:
        """Digest and document of an AgentVersion. Raises SpecError or DependencyError."""
        meta = manifest["metadata"]
        place = (meta["namespace"], meta["name"])
        known = self._assessed.get(place)
        if known and (known.uid, known.generation) == (meta["uid"], meta.get("generation", 0)):
            return known.result
        try:
            version = AgentVersion.read(manifest)
        except ValidationError as error:
            raise SpecError(first_problem(error)) from error
        referenced = {
            ref.name: await self._objects.get("ConfigMap", meta["namespace"], ref.name)
            for ref in versions.references(version)
        }
        result = versions.assess(version, referenced)
        self._assessed[place] = _Assessed(meta["uid"], meta.get("generation", 0), result)
        self._templates.learn_tools(*place, meta["uid"], versions.run_in_shadow(result.document))
        return result

    def forget(self, namespace: str, name: str) -> None:
        """The AgentVersion is gone."""
        self._assessed.pop((namespace, name), None)
        self._templates.forget_tools(namespace, name)

    async def _assessed_as(self, manifest: Manifest, agent: str = "") -> Target | Unusable:
        name = manifest["metadata"]["name"]
        try:
            found = await self.assess(manifest)
        except SpecError as error:
            return Unusable(Reason.INVALID_SPEC, f"AgentVersion {name}: {error}"[:1024])
        except DependencyError as error:
            return Unusable(Reason.DEPENDENCY_NOT_READY, f"AgentVersion {name}: {error}"[:1024])
        of = manifest["spec"]["agent"]
        if agent and of != agent:
            text = f"AgentVersion {name} is of agent {of}, not of {agent}: correct spec.versionRef"
            return Unusable(Reason.INVALID_SPEC, text)
        uid = manifest["metadata"]["uid"]
        return Target(name, uid, found.digest, versions.render_json(found.document), found.expected)

    async def _read(self, namespace: str, name: str) -> Manifest | None:
        cached = self._cache.get("AgentVersion", namespace, name)
        if cached is not None:
            return cached
        # absence decides about traffic: the watch may only be late
        fresh = await self._objects.get("AgentVersion", namespace, name)
        if fresh is not None:
            self._cache.put(fresh)
        return fresh


def _missing(name: str) -> Unusable:
    return Unusable(Reason.DEPENDENCY_NOT_READY, f"AgentVersion {name} does not exist")

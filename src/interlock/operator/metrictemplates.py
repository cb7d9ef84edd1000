"""The MetricTemplates that Rollouts name, read once per generation. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from interlock.analysis.presets import BUILT_IN, TOOL_LEAKS, tool_leaks
from interlock.core.metrictemplates import Definition, Known, definition_of
from interlock.core.versions import expected_metrics
from interlock.errors import SpecError
from interlock.model.base import first_problem
from interlock.model.metrictemplate import MetricTemplate
from interlock.model.release import VersionIdentity
from interlock.model.rollout import Rollout
from interlock.operator.cache import Cache
from interlock.ports import Manifest, Objects

KIND = MetricTemplate.KIND


class MetricTemplates:
    """What the cached templates define, or why they cannot be used."""

    def __init__(self, objects: Objects, cache: Cache) -> None:
        self._objects = objects
        self._cache = cache
        self._read: dict[str, tuple[object, Definition | SpecError]] = {}
        self._allowed: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}  # uid, and tools of a version

    def known(self, rollout: Rollout) -> Known:
        """What there is to know of the metrics that the Rollout's gates name, and its candidate's author."""
        names = (*_named(rollout), *self.expected(rollout))
        found = ((name, self._cache.get(KIND, "", name)) for name in names)
        said = {name: _said(name, self.read(manifest)) for name, manifest in found if manifest is not None}
        tried = rollout.status.candidate
        if tried is not None and TOOL_LEAKS in names and TOOL_LEAKS not in said:
            said[TOOL_LEAKS] = self._tool_leaks(rollout.metadata.namespace, tried)
        return said

    def learn_tools(self, namespace: str, version: str, uid: str, allowed: tuple[str, ...]) -> None:
        """Which of its tools an AgentVersion lets a shadow really call."""
        self._allowed[namespace, version] = (uid, allowed)

    def forget_tools(self, namespace: str, version: str) -> None:
        """The AgentVersion is gone."""
        self._allowed.pop((namespace, version), None)

    def _tool_leaks(self, namespace: str, tried: VersionIdentity) -> Definition | str:
        uid, allowed = self._allowed.get((namespace, tried.version), ("", ()))
        if uid != tried.uid:
            return f"AgentVersion {tried.version} must be readable: its tools say which calls are leaks"
        return Definition(tool_leaks(allowed), "")  # the candidate's content is pinned: so are its tools

    def expected(self, rollout: Rollout) -> tuple[str, ...]:
        """Metrics of which the author of the running candidate expects something."""
        tried = rollout.status.candidate
        found = self._cache.get("AgentVersion", rollout.metadata.namespace, tried.version) if tried else None
        return expected_metrics(found, tried.uid) if found and tried else ()

    async def confirmed(self, rollout: Rollout) -> Known:
        """The same; that a gate's name is nobody's is asked of the API server: the watch may only be late."""
        for name in _named(rollout):
            if name not in BUILT_IN and self._cache.get(KIND, "", name) is None:
                fresh = await self._objects.get(KIND, "", name)
                if fresh is not None:
                    self._cache.put(fresh)
        return self.known(rollout)

    def read(self, manifest: Manifest) -> Definition | SpecError:
        """What a template defines; read again when its spec has changed."""
        meta = manifest["metadata"]
        key = (meta.get("uid"), meta.get("generation"))
        held = self._read.get(meta["name"])
        if held is None or held[0] != key:
            held = self._read[meta["name"]] = (key, _definition(manifest))
        return held[1]

    def forget(self, name: str) -> None:
        """The template is gone."""
        self._read.pop(name, None)


def _named(rollout: Rollout) -> Iterator[str]:
    return (gate.metric for gate in rollout.spec.analysis.gates if gate.metric)


def _definition(manifest: Manifest) -> Definition | SpecError:
    try:
        return definition_of(MetricTemplate.read(manifest))
    except ValidationError as error:
        return SpecError(first_problem(error))
    except SpecError as error:
        return error


def _said(name: str, found: Definition | SpecError) -> Definition | str:
    return f"MetricTemplate {name} cannot be used: {found}" if isinstance(found, SpecError) else found

"""Which Rollouts a verb is about, of files or of the cluster, and the MetricTemplates of their gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from interlock.adapters.kubectl import Access, Kubectl
from interlock.analysis.presets import BUILT_IN
from interlock.cli import documents
from interlock.cli.documents import Document
from interlock.core.metrictemplates import Definition, Known, definition_of
from interlock.errors import InterlockError, SpecError
from interlock.model.base import problems
from interlock.model.metrictemplate import MetricTemplate
from interlock.model.rollout import Rollout


@dataclass(frozen=True, slots=True)
class Subject:
    """A Rollout, and what there is to know of its metrics."""

    rollout: Rollout
    known: Known
    beside: tuple[Document, ...] = ()
    """All objects of the files that it came from, itself among them."""


def chosen(name: str | None, files: Sequence[str], access: Access) -> list[Subject]:
    """At least one. SpecError where there is none, or it cannot be read."""
    if files:
        found = documents.read(files, access.namespace)
        known = _known(one for one in found if one.kind == "MetricTemplate")
        wanted = [one for one in found if one.kind == "Rollout" and name in (None, one.name)]
        if not wanted:
            what = "no Rollout" if name is None else f"no Rollout named {name}"
            raise SpecError(f"{what} in {', '.join(files)}")
        return [Subject(_read(one), known, tuple(found)) for one in wanted]
    if name is None:
        raise SpecError("name a Rollout, or give a file with -f")
    cluster = Kubectl(access)
    rollouts = [_read(one) for one in documents.of_cluster(cluster, name)]
    return [Subject(rollout, _templates(cluster, rollout)) for rollout in rollouts]


def _read(document: Document) -> Rollout:
    try:
        return Rollout.read(document.manifest)
    except ValidationError as error:
        raise SpecError(f"Rollout {document.name}: " + "\n".join(problems(error))) from error


def _templates(cluster: Kubectl, rollout: Rollout) -> Known:
    """Those of the cluster that its gates name. Who may not read them sees the built-in metrics only."""
    names = {gate.metric for gate in rollout.spec.analysis.gates if gate.metric}
    try:
        manifests = cluster.list("MetricTemplate")
    except InterlockError:
        if names <= BUILT_IN.keys():
            return {}
        raise
    found = [Document("the cluster", "MetricTemplate", manifest) for manifest in manifests]
    return _known(one for one in found if one.name in names)


def _known(templates: Iterable[Document]) -> Known:
    return {one.name: _definition(one) for one in templates}


def _definition(document: Document) -> Definition | str:
    try:
        return definition_of(MetricTemplate.model_validate(document.manifest))
    except ValidationError as error:
        return f"MetricTemplate {document.name} cannot be used: " + "; ".join(problems(error))
    except SpecError as error:
        return f"MetricTemplate {document.name} cannot be used: {error}"

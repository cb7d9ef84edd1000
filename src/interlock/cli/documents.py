"""Objects from files and stdin, judged by the models of the operator; every bad field is named at once."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from interlock.adapters.kubectl import Kubectl
from interlock.cli import strategy, yamls
from interlock.errors import SpecError
from interlock.model.agentversion import AgentVersion, AgentVersionSpec
from interlock.model.base import API_VERSION, ApiModel, problems
from interlock.model.metrictemplate import MetricTemplate, MetricTemplateSpec
from interlock.model.rollout import Rollout, RolloutSpec

Manifest = dict[str, Any]
MODELS: dict[str, tuple[type[ApiModel], type[ApiModel]]] = {
    "Rollout": (Rollout, RolloutSpec),
    "AgentVersion": (AgentVersion, AgentVersionSpec),
    "MetricTemplate": (MetricTemplate, MetricTemplateSpec),
}
"""Kinds whose content is judged, with their specs; others are passed on as they are."""
NAMESPACE = "default"
"""Where an object that names no namespace stands."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object, and where it was found: `rollout.yaml`, document 2."""

    where: str
    kind: str
    manifest: Manifest

    @property
    def name(self) -> str:
        """metadata.name."""
        found: str = self.manifest["metadata"]["name"]
        return found


def read(sources: Iterable[str], namespace: str | None = None) -> list[Document]:
    """All objects of files (`-` is stdin), in order; those that name no namespace get `namespace`.

    Raises SpecError that lists everything that is wrong with them.
    """
    found: list[Document] = []
    wrong: list[str] = []
    for source in sources:
        for where, content in _contents(source):
            try:
                document = _document(where, content, namespace or NAMESPACE)
            except SpecError as error:
                wrong.append(str(error))
            else:
                found.append(document)
                wrong += _problems(document)
    if wrong:
        raise SpecError("\n".join(wrong))
    return found


def of_cluster(cluster: Kubectl, rollout: str) -> list[Document]:
    """A Rollout as it stands in the cluster."""
    return [Document("the cluster", "Rollout", cluster.get("Rollout", rollout))]


def load(source: str) -> str:
    """The text of a file, or of stdin for `-`. Raises SpecError."""
    if source == "-":
        return sys.stdin.read()
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SpecError(f"{source}: cannot be read: {reason}") from error


def _contents(source: str) -> Iterator[tuple[str, Any]]:
    """Every document that is not empty; of a List each item."""
    name = "stdin" if source == "-" else source
    try:
        documents = [content for _, content in yamls.documents(load(source))]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        said = getattr(error, "problem", None) or error
        raise SpecError(f"{name}{place}: must be YAML or JSON: {said}") from error
    for number, content in enumerate(documents, 1):
        where = name if len(documents) == 1 else f"{name}, document {number}"
        if isinstance(content, dict) and content.get("kind") == "List":
            items = content.get("items")
            yield from ((f"{where}, item {i}", item) for i, item in enumerate(items or (), 1))
        elif content is not None:
            yield where, content


def _document(where: str, content: Any, namespace: str) -> Document:
    if not isinstance(content, dict):
        raise SpecError(f"{where}: must be an object with `apiVersion`, `kind` and `metadata`")
    kind, meta = content.get("kind"), content.get("metadata")
    if not isinstance(kind, str) or not kind:
        raise SpecError(f"{where}: `kind` must be given")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str):
        raise SpecError(f"{where}: {kind}: `metadata.name` must be given")
    if kind in MODELS and content.get("apiVersion") != API_VERSION:
        raise SpecError(f"{where}: {kind} {meta['name']}: `apiVersion` must be {API_VERSION}")
    place = {"namespace": namespace} | {key: value for key, value in meta.items() if value is not None}
    uid = hashlib.sha256(f"{kind}/{place['namespace']}/{place['name']}".encode()).hexdigest()[:32]
    return Document(where, kind, {**content, "metadata": {"uid": uid, "generation": 1} | place})


def _problems(document: Document) -> tuple[str, ...]:
    """Also fields that there are not: in a file they are mistakes."""
    if document.kind not in MODELS:
        return ()
    whole, spec = MODELS[document.kind]
    meta, content = document.manifest["metadata"], document.manifest.get("spec")
    wrong = _refused(spec, content, "spec") or _refused(whole, {"metadata": meta, "spec": content})
    if document.kind == "Rollout" and not wrong:
        wrong = tuple(strategy.refused(RolloutSpec.model_validate(content)))
    return tuple(f"{document.where}: {document.kind} {document.name}: {problem}" for problem in wrong)


def _refused(model: type[ApiModel], content: Any, within: str = "") -> tuple[str, ...]:
    try:
        model.model_validate(content, extra="forbid" if within else None)
    except ValidationError as error:
        return problems(error, within)
    return ()

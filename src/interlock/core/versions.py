"""Turns an AgentVersion and its ConfigMaps into the document that the agent reads, and judges both.

Pure: the ConfigMaps come in as read. Never puts text of a prompt into a message; names and digests only.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import rfc8785
from pydantic import ValidationError

from interlock.core.parts import mapping, mappings
from interlock.core.readiness import readiness
from interlock.errors import DependencyError, SpecError
from interlock.model.agentversion import (
    AgentVersion,
    AgentVersionSpec,
    AgentVersionStatus,
    ConfigMapRef,
    Expectation,
    Prompt,
    Tool,
)
from interlock.model.base import ApiModel, first_problem, quoted
from interlock.reasons import VersionReason

MAX_SPEC_BYTES = 64 * 1024
MAX_DOCUMENT_BYTES = 900 * 1024
"""A ConfigMap holds 1 MiB; the rest is for the pod template beside the document."""
MAX_DEPTH = 64
MAX_INTEGER = 2**53 - 1
"""RFC 8785 writes numbers as IEEE 754 doubles: a larger integer would be rounded by whoever reads it."""
BYTES_PER_TOKEN = 4
DIGESTED = (
    "prompts",
    "tools",
    "model",
    "parameters",
    "routing",
    "retrieval",
    "memory",
    "humanInLoop",
    "guardrails",
    "budgets",
)
"""What the agent reads. A reworded hypothesis or another risk level leaves the digest as it is."""

ConfigMaps = Mapping[str, Mapping[str, Any] | None]
"""ConfigMaps of the AgentVersion's namespace by name; None, or no entry, where there is none."""


class SpecTooLarge(SpecError):
    """The spec is larger than the API should carry; the text says where else the content can stand."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """A complete AgentVersion: what the agent reads, and what identifies it."""

    document: dict[str, Any]
    """`agent.json`: prompts resolved, tool sets appended, absent fields absent."""
    digest: str
    """SHA-256 of `render_json(document)` in lower-case hex, as `sha256sum agent.json` says in the pod."""
    estimated_prompt_tokens: int
    expected: tuple[Expectation, ...] = ()
    """What its author expects of KPIs; no part of the digest."""


def references(version: AgentVersion) -> tuple[ConfigMapRef, ...]:
    """The ConfigMap keys that the version is read from, each once, in order of appearance."""
    return tuple(dict.fromkeys(ref for _, ref in _located_references(version.spec)))


def expected_metrics(manifest: Mapping[str, Any], uid: str) -> tuple[str, ...]:
    """Metrics of which an AgentVersion's `change.expected` says something; none of another object's."""
    if mapping(manifest.get("metadata")).get("uid") != uid:
        return ()
    change = mapping(mapping(manifest.get("spec")).get("change"))
    return tuple(str(each.get("metric")) for each in mappings(change.get("expected")))


def assess(version: AgentVersion, configmaps: ConfigMaps) -> Assessment:
    """Judge a version and render it.

    Raises SpecError (the user must change the version; SpecTooLarge where it is only too large) and
    DependencyError (a ConfigMap is missing or is not what was pinned). Every text names the field.
    """
    spec = _plain(version.spec, "spec")
    _check_size(spec)
    _check_shape(version.spec)
    document = {name: spec[name] for name in DIGESTED if name in spec}
    if version.spec.prompts:
        document["prompts"] = [
            _resolved(prompt, index, configmaps) for index, prompt in enumerate(version.spec.prompts)
        ]
    if tools := [*spec.get("tools", ()), *_tools_of_sets(version.spec, configmaps)]:
        document["tools"] = tools
    rendered = rfc8785.dumps(document)
    if len(rendered) > MAX_DOCUMENT_BYTES:
        raise SpecError(
            f"the document that the agent reads must be at most {_kib(MAX_DOCUMENT_BYTES)} with all prompts "
            f"and tool sets, it is {_kib(len(rendered))}: leave out tools or shorten prompts"
        )
    digest = hashlib.sha256(rendered).hexdigest()
    expected = version.spec.change.expected if version.spec.change else ()
    return Assessment(document, digest, _estimate_tokens(document), expected)


def render_json(document: Mapping[str, Any]) -> str:
    """Canonical JSON (RFC 8785) of an Assessment's document: the same content gives the same text."""
    return rfc8785.dumps(dict(document)).decode()


def run_in_shadow(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the tools in an Assessment's document that a shadow may really call, in order.

    Those with `shadow: Allow`; where nothing is said, those that change nothing. MCP's default is that a tool
    changes something.
    """
    return tuple(sorted(str(tool.get("name")) for tool in document.get("tools", ()) if _runs_in_shadow(tool)))


def _runs_in_shadow(tool: Mapping[str, Any]) -> bool:
    said = tool.get("shadow")
    return said == "Allow" or (said is None and (tool.get("annotations") or {}).get("readOnly") is True)


def version_status(
    version: AgentVersion,
    outcome: Assessment | SpecError | DependencyError,
    previous: AgentVersionStatus | None,
    now: datetime,
) -> AgentVersionStatus:
    """What to write to `status`; equal to `previous` when nothing changed.

    A version that became incomplete keeps its digest: the spec cannot change, so what it pins is still that.
    """
    before = previous or AgentVersionStatus()
    reason, message = _verdict(outcome)
    known = outcome if isinstance(outcome, Assessment) else None
    generation = version.metadata.generation
    return AgentVersionStatus(
        observed_generation=generation,
        content_digest=known.digest if known else before.content_digest,
        estimated_prompt_tokens=known.estimated_prompt_tokens if known else before.estimated_prompt_tokens,
        conditions=readiness((known is not None, reason, message), generation, before.conditions, now),
    )


# ------------------------------------------------------------------ status
def _verdict(outcome: Assessment | SpecError | DependencyError) -> tuple[VersionReason, str]:
    match outcome:
        case Assessment():
            return VersionReason.VALID, "the content is complete and has a digest"
        case SpecTooLarge():
            return VersionReason.SPEC_TOO_LARGE, str(outcome)
        case SpecError():
            return VersionReason.INVALID_SPEC, str(outcome)
        case DependencyError():
            return VersionReason.DEPENDENCY_NOT_READY, str(outcome)


# ------------------------------------------------------------------ spec
def _plain(value: Any, path: str, depth: int = 0) -> Any:
    """The value as JSON that RFC 8785 can write: models by wire name, absent instead of null or empty."""
    if depth > MAX_DEPTH:
        raise SpecError(f"{quoted(path)} must not be nested deeper than {MAX_DEPTH} levels")
    match value:
        case ApiModel():
            return {
                wire: _plain(inner, f"{path}.{wire}", depth + 1)
                for wire, inner in _fields(value)
                if inner not in (None, ())
            }
        case Mapping():
            return {
                _text(key, path): _plain(inner, f"{path}.{key}", depth + 1) for key, inner in value.items()
            }
        case list() | tuple():
            return [_plain(inner, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value)]
        case _:
            return _scalar(value, path)


def _fields(model: ApiModel) -> Iterator[tuple[str, Any]]:
    for name, field in type(model).model_fields.items():
        yield field.alias or name, getattr(model, name)


def _scalar(value: Any, path: str) -> str | bool | float | None:
    match value:
        case StrEnum():
            return value.value
        case str():
            return _text(value, path)
        case bool() | None:
            return value
        case int() | float():
            return _number(value, path)
        case _:
            raise SpecError(f"{quoted(path)} must be JSON, it is of type {type(value).__name__}")


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise SpecError(f"{quoted(path)} must have strings as keys")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SpecError(
            f"{quoted(path)} must be valid Unicode, it has half a surrogate pair at character {error.start}"
        ) from None
    return value


def _number(value: float, path: str) -> float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SpecError(f"{quoted(path)} must be a finite number")
    elif abs(value) > MAX_INTEGER:
        raise SpecError(
            f"{quoted(path)} must be between -{MAX_INTEGER} and {MAX_INTEGER}: JSON readers round larger "
            "integers; write it as a string"
        )
    return value


def _check_size(spec: Mapping[str, Any]) -> None:
    sizes = {name: len(rfc8785.dumps(value)) for name, value in spec.items()}
    total = len(rfc8785.dumps(dict(spec)))
    if total <= MAX_SPEC_BYTES:
        return
    largest = max(sizes, key=lambda name: sizes[name])
    raise SpecTooLarge(
        f"`spec` must be at most {_kib(MAX_SPEC_BYTES)}, it is {_kib(total)}, of which `{largest}` has "
        f"{_kib(sizes[largest])}: put large prompts into ConfigMaps with `immutable: true` and name them in "
        "`prompts[].source.configMapRef`; put many tools as a JSON list into one and name it in "
        "`toolSets[].configMapRef`"
    )


def _kib(size: int) -> str:
    return f"{size / 1024:.1f}".removesuffix(".0") + " KiB"


def _check_shape(spec: AgentVersionSpec) -> None:
    """What the API server refuses too, or cannot see: offline callers have no API server."""
    _check_objects(_free_objects(spec))
    named: dict[str, Iterable[Prompt | Tool | Any]] = {
        "prompts": spec.prompts,
        "tools": spec.tools,
        "toolSets": spec.tool_sets,
        "guardrails": spec.guardrails,
    }
    for field, items in named.items():
        if name := _first_repeated(item.name for item in items):
            raise SpecError(f"`spec.{field}` must give each item a `name` of its own, `{name}` is repeated")
    for index, prompt in enumerate(spec.prompts):
        if (prompt.template is None) == (prompt.source is None):
            raise SpecError(f"`spec.prompts[{index}]` must have exactly one of `template`, `source`")


def _check_objects(located: Iterable[tuple[str, Any]]) -> None:
    for path, value in located:
        if value is not None and not isinstance(value, dict):
            raise SpecError(f"`{path}` must be an object")


def _free_objects(spec: AgentVersionSpec) -> Iterator[tuple[str, Any]]:
    yield "spec.parameters", spec.parameters
    yield "spec.memory", spec.memory
    yield "spec.humanInLoop", spec.human_in_loop
    yield "spec.budgets", spec.budgets
    for index, entry in enumerate(spec.retrieval):
        yield f"spec.retrieval[{index}]", entry
    for index, rule in enumerate(spec.routing.rules if spec.routing else ()):
        yield f"spec.routing.rules[{index}]", rule
    for index, tool in enumerate(spec.tools):
        yield from _objects_of_tool(tool, f"spec.tools[{index}]")


def _objects_of_tool(tool: Tool, path: str) -> Iterator[tuple[str, Any]]:
    yield f"{path}.inputSchema", tool.input_schema
    yield f"{path}.outputSchema", tool.output_schema


def _first_repeated(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


# ------------------------------------------------------------------ ConfigMaps
def _located_references(spec: AgentVersionSpec) -> Iterator[tuple[str, ConfigMapRef]]:
    for index, prompt in enumerate(spec.prompts):
        if prompt.source is not None:
            yield f"spec.prompts[{index}].source.configMapRef", prompt.source.config_map_ref
    for index, tool_set in enumerate(spec.tool_sets):
        yield f"spec.toolSets[{index}].configMapRef", tool_set.config_map_ref


def _resolved(prompt: Prompt, index: int, configmaps: ConfigMaps) -> dict[str, Any]:
    path = f"spec.prompts[{index}]"
    text = prompt.template
    if prompt.source is not None:
        text = _content(prompt.source.config_map_ref, f"{path}.source.configMapRef", configmaps)
    return {**_plain(prompt.model_copy(update={"source": None}), path), "template": text}


def _tools_of_sets(spec: AgentVersionSpec, configmaps: ConfigMaps) -> Iterator[dict[str, Any]]:
    origin = {tool.name: "`spec.tools`" for tool in spec.tools}
    for index, tool_set in enumerate(spec.tool_sets):
        path = f"spec.toolSets[{index}].configMapRef"
        for tool in _parse_tools(tool_set.config_map_ref, path, configmaps):
            if other := origin.get(tool["name"]):
                raise SpecError(
                    f"each tool must have one definition, `{tool['name']}` is in {other} and in tool set "
                    f"`{tool_set.name}`"
                )
            origin[tool["name"]] = f"tool set `{tool_set.name}`"
            yield tool


def _content(ref: ConfigMapRef, path: str, configmaps: ConfigMaps) -> str:
    configmap = configmaps.get(ref.name)
    if configmap is None:
        raise DependencyError(f"ConfigMap `{ref.name}` (`{path}`) must exist in this namespace")
    if configmap.get("immutable") is not True:
        raise DependencyError(
            f"ConfigMap `{ref.name}` (`{path}`) must have `immutable: true`, so that what is pinned stays"
        )
    content = (configmap.get("data") or {}).get(ref.key)
    if not isinstance(content, str):
        raise DependencyError(f"ConfigMap `{ref.name}` (`{path}`) must have the key `{ref.key}` in `data`")
    actual = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()
    if actual != ref.sha256:
        raise DependencyError(
            f"key `{ref.key}` of ConfigMap `{ref.name}` must have the SHA-256 that `{path}.sha256` gives, "
            f"it has {actual}"
        )
    return content


def _parse_tools(ref: ConfigMapRef, path: str, configmaps: ConfigMaps) -> Iterator[dict[str, Any]]:
    where = f"key `{ref.key}` of ConfigMap `{ref.name}` (`{path}`)"
    try:
        items = json.loads(_content(ref, path, configmaps))
    except (ValueError, RecursionError):
        raise DependencyError(f"{where} must be a JSON list of tools, it is not JSON") from None
    if not isinstance(items, list):
        raise DependencyError(f"{where} must be a JSON list of tools, it is another JSON value")
    for index, item in enumerate(items):
        try:
            tool = Tool.model_validate(item, extra="forbid")
            _check_objects(_objects_of_tool(tool, f"[{index}]"))
            plain = _plain(tool, f"[{index}]")
        except ValidationError as error:
            raise DependencyError(f"{where}: {first_problem(error, f'[{index}]')}") from None
        except SpecError as error:
            raise DependencyError(f"{where}: {error}") from None
        yield plain


# ------------------------------------------------------------------ size for the model
def _estimate_tokens(document: Mapping[str, Any]) -> int:
    """About four bytes of English text a token: the rule of thumb of the large model providers."""
    seen_by_model = [prompt["template"].encode() for prompt in document.get("prompts", ())]
    for tool in document.get("tools", ()):
        seen_by_model.append(
            rfc8785.dumps({key: tool[key] for key in ("name", "description", "inputSchema") if key in tool})
        )
    return math.ceil(sum(map(len, seen_by_model)) / BYTES_PER_TOKEN)

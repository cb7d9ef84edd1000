"""The mounted version document as the agent understands it: the one source of its behaviour.

An unknown parameter is refused, so that a misspelt one cannot silently leave the behaviour as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIELDS = ("name", "description", "parameterNames", "parameterDescriptions", "enumValues")
STEMS = ("light", "prefix5")
SHADOW_MODES = ("Allow", "Stub", "Record", "Deny")


class DocumentError(ValueError):
    """The version document cannot be followed; the text names the parameter and what it must be."""


@dataclass(frozen=True)
class Faults:
    """Trouble on purpose, for tests of what a rollout does about it. No version of the demo has any.

    `error_percent` of the questions (always the same ones) end in an error, every answer waits
    `delay_milliseconds`, and `never_ready` keeps the readiness probe failing.
    """

    error_percent: float = 0.0
    delay_milliseconds: float = 0.0
    never_ready: bool = False


@dataclass(frozen=True)
class Configuration:
    """How tools are scored and when the agent acts.

    `weights`: a weight a field of `FIELDS`; a field without one is not read.
    `minimum_score`: below it the agent hands the question to a person; None means that it always acts.
    `pairs`: weight of two adjacent words found together; 0 switches them off.
    `forbidden_tools`: choosing one of these is a critical violation.
    """

    weights: Mapping[str, float] = field(hash=False)
    stem: str = "light"
    stop_words: frozenset[str] = frozenset()
    pairs: float = 0.0
    minimum_score: float | None = None
    k1: float = 1.2
    b: float = 0.75
    forbidden_tools: frozenset[str] = frozenset()
    faults: Faults = Faults()


@dataclass(frozen=True)
class VersionDocument:
    """The parts of `agent.json` that this agent reads; `shadow`: what each of its tools does in shadow."""

    configuration: Configuration
    shadow: Mapping[str, str] = field(hash=False)


def read_document(path: Path) -> VersionDocument:
    """Reads the mounted document. Raises DocumentError for content that cannot be followed."""
    return parse_document(json.loads(path.read_text(encoding="utf-8")))


def parse_document(content: Mapping[str, Any]) -> VersionDocument:
    """The document of an AgentVersion, or its rendered form: both carry `parameters` and `tools`."""
    shadow = {str(tool["name"]): str(tool.get("shadow", "Stub")) for tool in content.get("tools") or ()}
    for name, mode in shadow.items():
        _require(mode in SHADOW_MODES, f"tools[{name}].shadow", f"one of {', '.join(SHADOW_MODES)}", mode)
    return VersionDocument(parse_parameters(content.get("parameters") or {}), shadow)


def parse_parameters(parameters: Mapping[str, Any]) -> Configuration:
    """`parameters` of the document as a Configuration. Raises DocumentError."""
    known = {
        "fields",
        "stem",
        "stopWords",
        "pairs",
        "minimumScore",
        "k1",
        "b",
        "forbiddenTools",
        "faults",
    }
    unknown = sorted(set(parameters) - known)
    _require(not unknown, "parameters", f"made of {', '.join(sorted(known))}", unknown)
    weights = parameters.get("fields") or {}
    _require(bool(weights) and set(weights) <= set(FIELDS), "parameters.fields", f"some of {FIELDS}", weights)
    stem = parameters.get("stem", "light")
    _require(stem in STEMS, "parameters.stem", f"one of {', '.join(STEMS)}", stem)
    minimum = parameters.get("minimumScore")
    return Configuration(
        weights={name: _number(f"parameters.fields.{name}", weight) for name, weight in weights.items()},
        stem=stem,
        stop_words=frozenset(parameters.get("stopWords") or ()),
        pairs=_number("parameters.pairs", parameters.get("pairs", 0)),
        minimum_score=None if minimum is None else _number("parameters.minimumScore", minimum),
        k1=_number("parameters.k1", parameters.get("k1", 1.2)),
        b=_number("parameters.b", parameters.get("b", 0.75)),
        forbidden_tools=frozenset(parameters.get("forbiddenTools") or ()),
        faults=_parse_faults(parameters.get("faults") or {}),
    )


def _parse_faults(faults: Mapping[str, Any]) -> Faults:
    known = {"errorPercent", "delayMilliseconds", "neverReady"}
    unknown = sorted(set(faults) - known)
    _require(not unknown, "parameters.faults", f"made of {', '.join(sorted(known))}", unknown)
    never_ready = faults.get("neverReady", False)
    _require(isinstance(never_ready, bool), "parameters.faults.neverReady", "true or false", never_ready)
    return Faults(
        error_percent=_number("parameters.faults.errorPercent", faults.get("errorPercent", 0)),
        delay_milliseconds=_number("parameters.faults.delayMilliseconds", faults.get("delayMilliseconds", 0)),
        never_ready=never_ready,
    )


def _number(where: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    _require(number, where, "a number of at least 0", value)
    return float(value)


def _require(met: bool, where: str, must_be: str, found: object) -> None:
    if not met:
        raise DocumentError(f"`{where}` must be {must_be}; found {found!r}")

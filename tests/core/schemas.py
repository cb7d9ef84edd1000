"""Manifests out of the OpenAPI schema of a CRD: what the API server would let through, and some more."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

CRDS = Path(__file__).parents[2] / "crds"
Schema = dict[str, Any]

_free = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_patterns: dict[str, st.SearchStrategy[str]] = {}


def schema_of(plural: str) -> Schema:
    """The schema of a kind's newest version."""
    [crd] = list(yaml.safe_load_all((CRDS / f"interlock.dev_{plural}.yaml").read_text()))
    schema: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def conforming(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that the schema's types, bounds and patterns allow; its CEL rules may be broken."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    makers: dict[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
        "object": _objects,
        "array": _lists,
        "string": _strings,
        "integer": lambda part: st.integers(
            int(part.get("minimum", -(2**63))), int(part.get("maximum", 2**63 - 1))
        ),
        "number": lambda part: st.floats(allow_nan=False, allow_infinity=False),
        "boolean": lambda part: st.booleans(),
    }
    make = makers.get(schema.get("type", ""))
    return _free if make is None else make(schema)


def _lists(schema: Schema) -> st.SearchStrategy[list[Any]]:
    most = min(4, schema.get("maxItems", 4))
    least = min(most, schema.get("minItems", 0))
    return st.lists(conforming(schema["items"]), min_size=least, max_size=most)


def _objects(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: conforming(part) for name, part in schema.get("properties", {}).items()}
    if not fields and isinstance(schema.get("additionalProperties"), dict):
        values = conforming(schema["additionalProperties"])
        return st.dictionaries(st.text(min_size=1, max_size=8), values, min_size=1, max_size=3)
    required = {name: fields[name] for name in schema.get("required", []) if name in fields}
    optional = {name: part for name, part in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    most = min(schema.get("maxLength", 40), 40)
    if pattern := schema.get("pattern"):
        if pattern not in _patterns:
            _patterns[pattern] = st.from_regex(re.compile(pattern), fullmatch=True)
        return _patterns[pattern].filter(lambda text: schema.get("minLength", 0) <= len(text) <= most)
    return st.text(min_size=schema.get("minLength", 0), max_size=most)

"""Makes the CustomResourceDefinitions from the models: `python -m interlock.model.crd --write|--check`.

Never states a rule of one field: rules stand beside the field. Here is only what the API server wants of any
schema ("structural"), and what a kind has as a whole: printer columns, subresources, how its name may look.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

from interlock.model.agentversion import AgentVersion
from interlock.model.base import DNS_LABEL, FREE, GROUP, MUST, VERSION, ApiModel, JsonSchema
from interlock.model.metrictemplate import MetricTemplate
from interlock.model.release import Release
from interlock.model.rollout import Rollout

NO_STATUS: JsonSchema = {"observedGeneration": -1}
"""Schema default of `status`: kstatus then sees that nobody has looked at the object yet."""
RULES = "x-kubernetes-validations"
MAP_TYPE = "x-kubernetes-map-type"
_KEPT = (
    "type",
    "format",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "pattern",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; priority 1 is shown by `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind has as a whole."""

    model: type[ApiModel]
    plural: str
    columns: tuple[Column, ...]
    max_name: int
    label_name: bool = True
    """The name becomes part of a Service's name, so it must be a DNS label that begins with a letter."""
    scale: bool = False
    scope: Literal["Namespaced", "Cluster"] = "Namespaced"

    @property
    def name(self) -> str:
        """The kind as users write it."""
        return self.model.__name__

    @property
    def has_status(self) -> bool:
        """Kinds with a status have it as a subresource."""
        return "status" in self.model.model_fields


def _ready(what: str) -> str:
    return f'.status.conditions[?(@.type=="Ready")].{what}'


_AGE = Column("AGE", ".metadata.creationTimestamp", "date")
KINDS = (
    Kind(
        AgentVersion,
        "agentversions",
        (
            Column("AGENT", ".spec.agent"),
            Column("VERSION", ".spec.version"),
            Column("READY", _ready("status")),
            _AGE,
            Column("DIGEST", ".status.contentDigest", priority=1),
            Column("TOKENS", ".status.estimatedPromptTokens", "integer", priority=1),
            Column("MESSAGE", _ready("message"), priority=1),
        ),
        max_name=63,
    ),
    Kind(
        MetricTemplate,
        "metrictemplates",
        (
            Column("READY", _ready("status")),
            Column("OVERRIDES", ".spec.overrides"),
            _AGE,
            Column("MESSAGE", _ready("message"), priority=1),
        ),
        max_name=63,
        scope="Cluster",
    ),
    Kind(
        Release,
        "releases",
        (
            Column("ROLLOUT", ".header.rollout"),
            Column("ATTEMPT", ".header.attempt", "integer"),
            Column("CANDIDATE", ".header.candidate.version"),
            Column("OUTCOME", ".entries[-1:].outcome"),
            Column("REASON", ".entries[-1:].reason"),
            _AGE,
        ),
        max_name=253,
        label_name=False,
    ),
    Kind(
        Rollout,
        "rollouts",
        (
            Column("STEP", ".status.step"),
            Column("WEIGHT", ".status.weight"),
            Column("VERSION", ".spec.versionRef.name"),
            Column("READY", _ready("status")),
            Column("STATUS", ".status.phase"),
            _AGE,
            Column("STABLE", ".status.stable.version", priority=1),
            Column("MESSAGE", _ready("message"), priority=1),
        ),
        max_name=40,
        scale=True,
    ),
)


# ------------------------------------------------------------------ pydantic -> structural schema
def structural(model: type[ApiModel]) -> JsonSchema:
    """The model's JSON Schema as the API server wants it: no references, no null, no titles, described."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    _describe(schema, definitions, model)
    inlined = _inline(schema, definitions, in_list=False, keep_defaults=True)
    properties = inlined["properties"]
    for name in set(properties) - {"apiVersion", "kind", "metadata", "spec"}:
        properties[name] = _owned_as_one(
            _inline(schema["properties"][name], definitions, in_list=False, keep_defaults=False)
        )
    if "status" in properties:
        properties["status"]["default"] = dict(NO_STATUS)
    return inlined


def _owned_as_one(schema: JsonSchema) -> JsonSchema:
    """What only the operator writes is its own as a whole.

    `managedFields` then has one owner for an object or item of a list, not one a field: docs/adr/0019.
    """
    if schema.get("type") == "array":
        return schema | {"items": _owned_as_one(schema["items"])}
    return schema | ({MAP_TYPE: "atomic"} if "properties" in schema else {})


def _inline(schema: JsonSchema, definitions: JsonSchema, *, in_list: bool, keep_defaults: bool) -> JsonSchema:
    schema = _resolve(schema, definitions)
    out = {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        out["enum"] = [schema["const"]]
    if validations := _validations(schema, out):
        out[RULES] = validations
    if FREE.keys() <= out.keys():
        out.pop("type", None)
    elif "properties" in schema:
        out["properties"] = {
            name: _inline(child, definitions, in_list=in_list, keep_defaults=keep_defaults)
            for name, child in schema["properties"].items()
        }
        if required := sorted(schema.get("required", ())):
            out["required"] = required
    elif isinstance(schema.get("additionalProperties"), dict):
        out["additionalProperties"] = _inline(
            schema["additionalProperties"], definitions, in_list=True, keep_defaults=keep_defaults
        )
    if "items" in schema:
        out["items"] = _inline(schema["items"], definitions, in_list=True, keep_defaults=keep_defaults)
    return _with_description_and_default(out, schema, in_list=in_list, keep_defaults=keep_defaults)


def _resolve(schema: JsonSchema, definitions: JsonSchema) -> JsonSchema:
    """Follow `anyOf [X, null]` and `$ref`; what stands beside a reference overrides, rules add up."""
    schema = dict(schema)
    if "anyOf" in schema:
        (wanted,) = (option for option in schema.pop("anyOf") if option.get("type") != "null")
        schema = wanted | schema
    if "$ref" in schema:
        target = _resolve(definitions[schema.pop("$ref").removeprefix("#/$defs/")], definitions)
        both = [*target.get(RULES, ()), *schema.get(RULES, ())]
        schema = target | schema | ({RULES: both} if both else {})
    return schema


def _validations(schema: JsonSchema, out: JsonSchema) -> list[dict[str, str]]:
    """The CEL rules of a node; a pattern with words becomes a rule, so that the refusal says the words."""
    validations = [{"rule": rule["rule"], "message": rule["message"]} for rule in schema.get(RULES, ())]
    if MUST in schema:
        validations.insert(0, {"rule": f"self.matches(r'{out.pop('pattern')}')", "message": schema[MUST]})
    return validations


def _with_description_and_default(
    out: JsonSchema, schema: JsonSchema, *, in_list: bool, keep_defaults: bool
) -> JsonSchema:
    """Defaults inside lists are said, not set.

    A GitOps tool compares list items as a whole: one that the API server adds to differs from Git for ever.
    """
    description, default = schema.get("description", ""), schema.get("default")
    scalar = isinstance(default, str | int) and default != ""
    if keep_defaults and scalar and in_list:
        description += f" Defaults to {json.dumps(default)}."
    elif keep_defaults and (scalar or (isinstance(default, dict) and "properties" in out)):
        out["default"] = default if scalar else {}
    return ({"description": description.strip()} if description else {}) | out


def _describe(schema: JsonSchema, definitions: JsonSchema, root: type[ApiModel]) -> None:
    """Docstrings below fields become descriptions; read from the source here, so that imports stay fast."""
    for model in _models(ApiModel):
        target = schema if model is root else definitions.get(model.__name__)
        for name, text in _field_docs(model) if target else ():
            field = model.model_fields[name]
            target["properties"][field.alias or name]["description"] = text  # type: ignore[index]
    for target in (schema, *definitions.values()):
        if "description" in target:
            target["description"] = _one_line(target["description"])
        if "enum" in target:  # says what the set is, not what the field is
            target.pop("description", None)


def _models(base: type[ApiModel]) -> Iterator[type[ApiModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _field_docs(model: type[ApiModel]) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(inspect.getsource(model)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if name in model.model_fields:
                yield name, _one_line(text)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text.split("\n\n", maxsplit=1)[0]).strip()


# ------------------------------------------------------------------ the whole object
def definition(kind: Kind) -> JsonSchema:
    """The CustomResourceDefinition of a kind."""
    version: JsonSchema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": _object_schema(kind)},
    }
    if kind.has_status:
        version["subresources"] = {"status": {}} | ({"scale": _SCALE} if kind.scale else {})
    singular = kind.name.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "interlock", "app.kubernetes.io/part-of": "interlock"},
        },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": singular,
                "categories": ["interlock"],
            },
            "scope": kind.scope,
            "versions": [version],
        },
    }


_SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def _column(column: Column) -> JsonSchema:
    out: JsonSchema = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return out | ({"priority": column.priority} if column.priority else {})


def _object_schema(kind: Kind) -> JsonSchema:
    schema = structural(kind.model)
    schema["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    schema["required"] = [name for name in schema["required"] if name != "metadata"]
    if kind.label_name:
        schema[RULES] = [*_name_rules(kind), *schema.get(RULES, ())]
    return schema


def _name_rules(kind: Kind) -> list[dict[str, str]]:
    return [
        {
            "rule": f"size(self.metadata.name) <= {kind.max_name}",
            "message": f"must have a `metadata.name` of at most {kind.max_name} characters",
        },
        {
            "rule": f"self.metadata.name.matches(r'{DNS_LABEL}')",
            "message": (
                "must have a `metadata.name` of lower-case letters, digits and `-` that begins with a letter"
            ),
        },
    ]


# ------------------------------------------------------------------ files
@cache
def files() -> Mapping[str, str]:
    """File name to YAML text, one file a kind."""
    import yaml  # noqa: PLC0415  the model needs no YAML when the operator imports it

    header = "# Generated by `python -m interlock.model.crd --write`; change the models, not this file.\n"
    return {
        f"{GROUP}_{kind.plural}.yaml": header
        + yaml.safe_dump(definition(kind), sort_keys=False, width=110, allow_unicode=True)
        for kind in KINDS
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or check that they are as the models say; 1 when they are not."""
    parser = argparse.ArgumentParser(prog="python -m interlock.model.crd", description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write the files")
    mode.add_argument("--check", action="store_true", help="exit with 1 when a file is not as the models say")
    parser.add_argument("--directory", type=Path, default=Path("crds"), help="where they are (crds)")
    chosen = parser.parse_args(arguments)
    stale = [
        name
        for name, text in files().items()
        if not (path := chosen.directory / name).exists() or path.read_text() != text
    ]
    if chosen.check:
        print("".join(f"{chosen.directory / name} is not as the models say\n" for name in stale), end="")
        return 1 if stale else 0
    chosen.directory.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (chosen.directory / name).write_text(files()[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())

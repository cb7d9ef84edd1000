"""The schemas that the models make are what an API server takes, and bounded throughout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field

from interlock.model.base import ATOMIC, FREE, ApiModel, must, rules
from interlock.model.crd import KINDS, Kind, definition, structural

Schema = dict[str, Any]


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node below a schema, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def schema_of(kind: Kind) -> Schema:
    version: Schema = definition(kind)["spec"]["versions"][0]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


ALL = [(f"{kind.name}{path}", node) for kind in KINDS for path, node in nodes(schema_of(kind))]
USERS = [
    (f"{kind.name}.spec{path}", node)
    for kind in KINDS
    for path, node in nodes(schema_of(kind)["properties"].get("spec", {}))
]
HOUSEKEEPING = (".apiVersion", ".kind", ".metadata")


def test_every_node_has_a_type_unless_it_is_free_json() -> None:
    assert [path for path, node in ALL if ("type" in node) == FREE.keys().__le__(node.keys())] == []


def test_nothing_is_left_that_an_api_server_refuses() -> None:
    foreign = {"$ref", "$defs", "anyOf", "allOf", "oneOf", "title", "const", "examples", "exclusiveMinimum"}
    assert [path for path, node in ALL if foreign & node.keys()] == []
    assert [path for path, node in ALL if node.get("default", "") is None] == []
    assert [path for path, node in ALL if any(key.startswith("x-interlock") for key in node)] == []


def test_every_list_is_bounded_and_says_how_it_is_merged() -> None:
    lists = [(path, node) for path, node in ALL if node.get("type") == "array"]
    assert [path for path, node in lists if not {"maxItems", "x-kubernetes-list-type"} <= node.keys()] == []


def test_what_only_the_operator_writes_has_one_owner_and_what_users_write_one_for_each_field() -> None:
    whole = {path for path, node in ALL if node.get("x-kubernetes-map-type") == "atomic"}
    assert whole == {
        "AgentVersion.status",
        "MetricTemplate.status",
        "Rollout.status",
        "Release.header",
        "Release.entries[]",
        "Release.result",
    }


def test_every_map_is_bounded() -> None:
    """Rules on the keys of one that is not cost more than an API server grants."""
    maps = [(path, node) for path, node in ALL if "additionalProperties" in node]
    labels = [path for path, _ in maps if path.endswith(".matchLabels")]
    assert (labels, len(labels)) == ([path for path, _ in maps], 8)
    assert [path for path, node in maps if "maxProperties" not in node] == []


def test_every_string_is_bounded() -> None:
    strings = [(path, node) for path, node in ALL if node.get("type") == "string"]
    bounded = {"maxLength", "enum", "format"}
    unbounded = [path for path, node in strings if not bounded & node.keys()]
    assert [path for path in unbounded if not path.endswith(HOUSEKEEPING)] == []


def test_every_integer_of_users_is_bounded() -> None:
    integers = [(path, node) for path, node in USERS if node.get("type") == "integer"]
    assert [path for path, node in integers if not {"minimum", "maximum"} <= node.keys()] == []


def test_no_list_item_has_a_default() -> None:
    assert [path for path, node in ALL if "[]" in path and "default" in node] == []


def test_an_agent_version_has_no_defaults_and_only_atomic_lists() -> None:
    ours = [(path, node) for path, node in USERS if path.startswith("AgentVersion")]
    assert [path for path, node in ours if "default" in node] == []
    assert [path for path, node in ours if node.get("x-kubernetes-list-type", "atomic") != "atomic"] == []


def test_the_only_default_in_a_status_says_that_nobody_has_looked() -> None:
    for kind in KINDS:
        status = schema_of(kind)["properties"].get("status")
        if status is not None:
            assert status["default"] == {"observedGeneration": -1}
            assert [path for path, node in nodes(status) if path and "default" in node] == []


def test_every_message_says_what_must_be() -> None:
    messages = [rule["message"] for _, node in ALL for rule in node.get("x-kubernetes-validations", ())]
    assert messages
    assert [message for message in messages if not message.startswith("must ")] == []


def test_what_users_write_is_refused_with_words_not_patterns() -> None:
    assert [path for path, node in USERS if "pattern" in node] == []


def test_field_names_are_camel_case() -> None:
    names = [name for _, node in ALL for name in node.get("properties", {})]
    assert [name for name in names if "_" in name or name[0].isupper()] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_columns_fit_and_age_is_last(kind: Kind) -> None:
    narrow = [column for column in kind.columns if not column.priority]
    assert narrow[-1].name == "AGE"
    assert all(column.name.isupper() and " " not in column.name for column in kind.columns)


class Colour(ApiModel):
    """A colour."""

    name: Annotated[str, Field(max_length=9, pattern="^[a-z]+$", json_schema_extra=must("be lower case"))]
    """What people call it."""
    kind: Literal["Paint"] = "Paint"


class Box(ApiModel):
    """A box.

    A second paragraph is for readers of the code.
    """

    model_config = ConfigDict(json_schema_extra=rules(("true", "must be")))

    lid: Colour | None = None
    sides: Annotated[tuple[Colour, ...], Field(max_length=6, json_schema_extra=ATOMIC)] = ()
    inside: Annotated[Any, Field(json_schema_extra=FREE)] = None


class Shelf(ApiModel):
    spec: Annotated[Box, Field(json_schema_extra=rules(("self == oldSelf", "must stay")))]


def test_a_model_as_a_schema() -> None:
    colour: Schema = {
        "type": "object",
        "description": "A colour.",
        "properties": {
            "name": {
                "description": "What people call it.",
                "type": "string",
                "maxLength": 9,
                "x-kubernetes-validations": [
                    {"rule": "self.matches(r'^[a-z]+$')", "message": "must be lower case"}
                ],
            },
            "kind": {"type": "string", "enum": ["Paint"], "default": "Paint"},
        },
        "required": ["name"],
    }
    said = {"type": "string", "enum": ["Paint"], "description": 'Defaults to "Paint".'}
    item = colour | {"properties": colour["properties"] | {"kind": said}}
    assert structural(Shelf)["properties"]["spec"] == {
        "type": "object",
        "description": "A box.",
        "properties": {
            "lid": colour,
            "sides": {"type": "array", "maxItems": 6, "x-kubernetes-list-type": "atomic", "items": item},
            "inside": {"x-kubernetes-preserve-unknown-fields": True},
        },
        "x-kubernetes-validations": [
            {"rule": "true", "message": "must be"},
            {"rule": "self == oldSelf", "message": "must stay"},
        ],
    }

"""AgentVersion as data."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from interlock.model.agentversion import AgentVersion, Tool

MANIFEST = {
    "apiVersion": "interlock.dev/v1alpha1",
    "kind": "AgentVersion",
    "metadata": {"name": "triage-v1", "namespace": "support", "uid": "u", "generation": 1},
    "spec": {
        "agent": "triage",
        "humanInLoop": {"askAbove": {"refundAmount": 100, "note": None}},
        "change": {"issueURL": "https://example.com/1", "lever": "HumanInLoop"},
        "toolSets": [{"name": "a", "configMapRef": {"name": "tools", "key": "t.json", "sha256": "a" * 64}}],
    },
}


def test_what_is_read_is_what_is_written() -> None:
    version = AgentVersion.read(MANIFEST)
    assert version.spec.change is not None
    assert version.spec.change.issue_url == "https://example.com/1"
    assert version.spec.tool_sets[0].config_map_ref.key == "t.json"
    assert version.spec.human_in_loop == {"askAbove": {"refundAmount": 100, "note": None}}
    assert version.status.observed_generation == -1


def test_a_field_of_a_newer_version_is_ignored() -> None:
    newer = {**MANIFEST, "spec": {**MANIFEST["spec"], "telepathy": {"range": 3}}}  # type: ignore[dict-item]
    assert AgentVersion.read(newer) == AgentVersion.read(MANIFEST)


def test_a_wrong_type_is_an_error() -> None:
    with pytest.raises(ValidationError, match="agent"):
        AgentVersion.read({**MANIFEST, "spec": {"agent": 7}})


def test_absent_annotations_mean_the_worst() -> None:
    """As MCP says: a tool of which nothing is known may destroy, and reaches out."""
    effective = Tool(name="x").effective_annotations
    assert effective.to_wire() == {
        "readOnly": False,
        "destructive": True,
        "idempotent": False,
        "openWorld": True,
    }


def test_given_annotations_count() -> None:
    tool = Tool.model_validate({"name": "x", "annotations": {"readOnly": True, "destructive": False}})
    assert tool.effective_annotations.to_wire() == {
        "readOnly": True,
        "destructive": False,
        "idempotent": False,
        "openWorld": True,
    }

"""The demo's manifests as data: the four versions of the agent and what they are expected to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dev.demo.agent.document import VersionDocument, parse_document

MANIFESTS = Path(__file__).resolve().parent / "manifests"
VERSIONS = ("triage-v1", "triage-v2", "triage-v3", "triage-v4")


def manifest(name: str) -> dict[str, Any]:
    """One AgentVersion as its YAML file says it."""
    content = yaml.safe_load((MANIFESTS / "versions" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def document(name: str) -> VersionDocument:
    """What the agent makes of that version."""
    return parse_document(manifest(name)["spec"])

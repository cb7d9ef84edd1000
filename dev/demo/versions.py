"""The demo's manifests as data: the four versions of the agent, and the first under another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dev.demo.agent.document import VersionDocument, parse_document

MANIFESTS = Path(__file__).resolve().parent / "manifests"
VERSIONS = ("triage-v1", "triage-v2", "triage-v3", "triage-v4")
SAME = "triage-v1-again"
"""The first version under another name: A/A."""
_MEANT = "Nothing: it is v1 under another name, and no difference is to be found."


def manifest(name: str) -> dict[str, Any]:
    """One AgentVersion as its YAML file says it; A/A's is made of the first version's."""
    if name == SAME:
        return _again(manifest(VERSIONS[0]))
    content = yaml.safe_load((MANIFESTS / "versions" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def _again(first: dict[str, Any]) -> dict[str, Any]:
    spec = first["spec"] | {"version": f"{first['spec']['version']}-again", "change": {"hypothesis": _MEANT}}
    return first | {"metadata": first["metadata"] | {"name": SAME}, "spec": spec}


def document(name: str) -> VersionDocument:
    """What the agent makes of that version."""
    return parse_document(manifest(name)["spec"])

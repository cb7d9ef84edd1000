"""What the API server itself says that the operator asked of it: its audit log."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import yaml

USER = "system:serviceaccount:interlock-system:interlock-operator"
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "users": [USER]}, {"level": "None"}],
}

Request = tuple[str, str]
"""Verb and resource, like `update`, `rollouts/status`."""


def flags(folder: Path) -> list[str]:
    """Arguments of an API server that logs the operator's requests into `folder`, metadata only."""
    policy = folder / "audit-policy.yaml"
    policy.write_text(yaml.safe_dump(_POLICY))
    return [
        f"--audit-policy-file={policy}",
        f"--audit-log-path={_log(folder)}",
        "--audit-log-mode=batch",
        "--audit-log-batch-max-wait=1s",
    ]


def requests(folder: Path, since: float, until: float) -> Counter[Request]:
    """What was asked between two moments (unix seconds); a watch counts when it ends."""
    found: Counter[Request] = Counter()
    for line in _log(folder).read_text().splitlines():
        event = json.loads(line)
        at = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
        if since <= at < until:
            what = event.get("objectRef") or {}
            parts = (what.get("resource", event["requestURI"]), what.get("subresource"))
            found[event["verb"], "/".join(part for part in parts if part)] += 1
    return found


def shown(told: Counter[Request]) -> str:
    """For people: most frequent first."""
    return ", ".join(f"{verb} {what}: {number}" for (verb, what), number in told.most_common()) or "none"


def _log(folder: Path) -> Path:
    return folder / "audit.log"

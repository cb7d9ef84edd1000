"""The smallest objects that the API server takes, to be spoilt one field at a time."""

from __future__ import annotations

import copy
from typing import Any

from interlock.model.rolloutstatus import Attempt

Manifest = dict[str, Any]
API_VERSION = "interlock.dev/v1alpha1"
NOW = "2025-01-01T00:00:00Z"
DIGEST = "0123456789abcdef" * 4
SHADOW: Manifest = {"name": "shadow", "shadow": {"percent": 20}}
CONTROLLED: Manifest = {"name": "shadow", "shadow": {"percent": 20, "control": True}}
CANARY: Manifest = {"name": "canary", "canary": {"percent": 5}}
HALF: Manifest = {"name": "half", "canary": {"percent": 50}}
FULL: Manifest = {"name": "full", "full": {}}
COMPARE: Manifest = {
    "name": "success",
    "metric": "verified-success-rate",
    "compare": {"worseByPoints": "0.5"},
}
LIMIT: Manifest = {"name": "violations", "metric": "policy-violation-rate", "limit": {"maxPercent": "1"}}
TAIL: Manifest = {
    "name": "slow",
    "metric": "task-duration",
    "tail": {"aboveSeconds": "30", "worseByPoints": "1"},
}
MEAN: Manifest = {"name": "cost", "metric": "cost-per-task", "mean": {"worseByPercent": "10"}}
VALUE: Manifest = {"name": "backlog", "metric": "backlog", "value": {"max": "100"}}
ALERT: Manifest = {"name": "page", "alert": {"matchLabels": {"severity": "page"}}}


def rollout(name: str = "triage") -> Manifest:
    """A Rollout with one step of each kind and two gates."""
    spec: Manifest = {
        "agent": "triage",
        "versionRef": {"name": "triage-v1"},
        "workload": {"templateRef": {"kind": "Deployment", "name": "triage"}},
        "traffic": {
            "gatewayAPI": {
                "parentRefs": [{"name": "public"}],
                "hostnames": ["triage.example.com"],
                "matches": [{"path": "/triage"}],
                "port": 8080,
            }
        },
        "strategy": {"steps": [SHADOW, CANARY, HALF, FULL]},
        "analysis": {"gates": [COMPARE, LIMIT]},
    }
    return _object("Rollout", name, spec=spec)


def agent_version(name: str = "triage-v1") -> Manifest:
    """An AgentVersion with two of everything that is ordered."""
    spec: Manifest = {
        "agent": "triage",
        "prompts": [{"name": "system", "template": "Be kind."}, {"name": "tone", "template": "Be brief."}],
        "tools": [
            {"name": "search", "inputSchema": {"type": "object"}},
            {"name": "refund", "stub": [1, "two"]},
        ],
        "model": {
            "primary": {"provider": "example", "name": "large"},
            "fallback": [{"provider": "example", "name": "small"}, {"provider": "other", "name": "small"}],
        },
        "parameters": {"temperature": 0.2, "seed": 7},
        "routing": {"rules": [{"when": "a", "use": "x"}, {"when": "b", "use": "y"}], "default": "x"},
        "retrieval": [{"index": "handbook"}, {"index": "tickets"}],
        "memory": {"turns": 5},
        "guardrails": [{"name": "personal-data"}, {"name": "tone"}],
    }
    return _object("AgentVersion", name, spec=spec)


def release(name: str = "triage-0a1b2c-1", entries: int = 1) -> Manifest:
    """The record of an attempt's first transitions."""
    version = {"version": "triage-v1", "uid": "0a1b2c", "digest": DIGEST, "workload": "triage-0123456789"}
    header = {"rollout": "triage", "rolloutUid": "0a1b2c", "agent": "triage", "attempt": 1}
    return _object(
        "Release",
        name,
        header=header | {"candidate": version},
        entries=[entry(seq) for seq in range(1, entries + 1)],
    )


def entry(seq: int, **changes: Any) -> Manifest:
    """One transition."""
    shares = {"stablePercent": 0, "candidatePercent": 0, "shadowPercent": 0}
    return {"seq": seq, "time": NOW, "stage": "Preparing", "reason": "AttemptStarted", **shares, **changes}


def attempt(number: int = 1, seq: int = 1, **changes: Any) -> Manifest:
    """A Rollout's stored intent."""
    required = [field.alias or "" for field in Attempt.model_fields.values() if field.is_required()]
    times = {name: NOW for name in required if name.endswith("Time")}
    told = {"reason": "AttemptStarted", "strategyHash": "0123456789", **times}
    return {"number": number, "seq": seq, "stage": "Preparing", **told, **changes}


def at(manifest: Manifest, path: str, value: Any) -> Manifest:
    """A copy with `value` at a dotted path (`spec.strategy.steps.0.name`); `...` removes what is there."""
    changed = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    target: Any = changed
    for part in parents:
        target = target.setdefault(part, {}) if isinstance(target, dict) else target[int(part)]
    key: Any = int(last) if isinstance(target, list) else last
    if value is ...:
        del target[key]
    else:
        target[key] = value
    return changed


def _object(kind: str, name: str, **content: Any) -> Manifest:
    whole = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}} | content
    return copy.deepcopy(whole)

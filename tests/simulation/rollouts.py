"""Rollouts to simulate, as users would write them."""

from __future__ import annotations

import hashlib
from typing import Any

from interlock.core.observation import Target, Template
from interlock.core.workloads import template_hash
from interlock.model.rollout import Rollout
from interlock.simulation.story import Story
from interlock.simulation.walk import Setup

SHADOW = {"name": "shadow", "shadow": {"percent": 20}, "minDurationSeconds": 60, "minTasks": 5}
CANARY = {"name": "canary", "canary": {"percent": 20}, "minDurationSeconds": 300, "minTasks": 20}
FULL = {"name": "full", "full": {"soakSeconds": 600, "holdoutPercent": 10}, "minTasks": 20}
SUCCESS = {"name": "success", "metric": "verified-success-rate", "compare": {"worseByPoints": "0"}}
VIOLATIONS = {"name": "violations", "metric": "policy-violation-rate", "limit": {"maxPercent": "5"}}
CRITICAL = {"name": "critical", "metric": "critical-policy-violations", "events": {"max": 0}}
SLOW = {"name": "slow", "metric": "task-duration", "tail": {"aboveSeconds": "30", "worseByPoints": "1"}}
COST = {"name": "cost", "metric": "cost-per-task", "mean": {"worseByPercent": "10"}}


def rollout(
    *, steps: Any = (SHADOW, CANARY, FULL), gates: Any = (SUCCESS, VIOLATIONS, CRITICAL), **changes: Any
) -> Rollout:
    """A Rollout that asks for v2; `changes` go into strategy (deadlines) or analysis (all else)."""
    deadlines = {key: changes.pop(key) for key in ("stepDeadlineSeconds", "onDeadline") if key in changes}
    analysis = {"warmupSeconds": 5, "gates": list(gates)} | changes
    gateway = {"parentRefs": [{"name": "public"}], "hostnames": ["triage.example.com"], "port": 8080}
    return Rollout.model_validate(
        {
            "metadata": {"name": "triage", "namespace": "shop", "uid": "u", "generation": 1},
            "spec": {
                "agent": "triage",
                "versionRef": {"name": "v2"},
                "replicas": 2,
                "workload": {"templateRef": {"name": "triage"}},
                "traffic": {"gatewayAPI": gateway},
                "strategy": {"steps": list(steps)} | deadlines,
                "analysis": analysis,
            },
        }
    )


def target(name: str) -> Target:
    """A version that stands for itself."""
    return Target(name, f"uid-{name}", hashlib.sha256(name.encode()).hexdigest(), "{}")


def setup(**changes: Any) -> Setup:
    """v1 serves, v2 is tried."""
    spec = {"template": {"metadata": {}, "spec": {"containers": [{"name": "agent"}]}}}
    template = Template("triage", spec, template_hash(spec))
    return Setup(rollout(**changes), target("v1"), target("v2"), template)


def story(**content: Any) -> Story:
    """A story of an hour with four requests a second."""
    return Story.model_validate({"lasts": "1h", "rate": 4} | content)

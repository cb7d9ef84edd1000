"""Manifests as a user would write them."""

from __future__ import annotations

from typing import Any

from tests.scenarios.surroundings import NAMESPACE

Manifest = dict[str, Any]


def agent_version(name: str, **content: Any) -> Manifest:
    """An AgentVersion whose content differs by its name unless `content` says otherwise."""
    spec = {
        "agent": "triage",
        "version": name,
        "prompts": [{"name": "system", "role": "System", "template": f"You are {name}."}],
        "parameters": {"temperature": 0.2},
    } | content
    return {
        "apiVersion": "interlock.dev/v1alpha1",
        "kind": "AgentVersion",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def template(image: str = "example.com/agent:1") -> Manifest:
    """The Deployment that is read as a template."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "triage", "namespace": NAMESPACE, "labels": {"interlock.dev/template": "true"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "triage"}},
            "template": {
                "metadata": {"labels": {"app": "triage", "team": "support"}},
                "spec": {
                    "containers": [
                        {"name": "agent", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
                    ]
                },
            },
        },
    }


SHADOW = {"name": "shadow", "shadow": {"percent": 20}, "minDurationSeconds": 30, "minTasks": 5}
CONTROLLED = {**SHADOW, "shadow": {"percent": 20, "control": True}}
CANARY = {"name": "canary", "canary": {"percent": 20}, "minDurationSeconds": 60, "minTasks": 20}
FULL = {"name": "full", "full": {"soakSeconds": 60, "holdoutPercent": 10}, "minTasks": 20}
SUCCESS = {"name": "success", "metric": "verified-success-rate", "compare": {"worseByPoints": "0"}}
VIOLATIONS = {"name": "violations", "metric": "policy-violation-rate", "limit": {"maxPercent": "5"}}
CRITICAL = {"name": "critical", "metric": "critical-policy-violations", "events": {"max": 0}}


def rollout(version: str = "v1", **changes: Any) -> Manifest:
    """A Rollout with shadow, one canary and full, and three gates."""
    spec: Manifest = {
        "agent": "triage",
        "versionRef": {"name": version},
        "replicas": 2,
        "workload": {"templateRef": {"kind": "Deployment", "name": "triage"}},
        "traffic": {
            "gatewayAPI": {
                "parentRefs": [{"name": "public", "namespace": "gateways"}],
                "hostnames": ["triage.example.com"],
                "port": 8080,
            }
        },
        "strategy": {"steps": [SHADOW, CANARY, FULL]},
        "analysis": {"warmupSeconds": 5, "gates": [SUCCESS, VIOLATIONS, CRITICAL]},
        "onRevert": {"drainDeadlineSeconds": 120},
    } | changes
    return {
        "apiVersion": "interlock.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "triage", "namespace": NAMESPACE},
        "spec": spec,
    }

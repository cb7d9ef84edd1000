"""Manifests as a user would keep them in Git, with steps of seconds."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]

NAME = "triage"
GATEWAY, GATEWAY_NAMESPACE = "public", "gateways"
SHADOW = {"name": "shadow", "shadow": {"percent": 30}, "minDurationSeconds": 1, "minTasks": 3}
CANARY = {"name": "canary", "canary": {"percent": 20}, "minDurationSeconds": 2, "minTasks": 5}
FULL = {"name": "full", "full": {"soakSeconds": 2, "holdoutPercent": 10}, "minTasks": 5}
HELD = {"name": "canary", "canary": {"percent": 50}, "minDurationSeconds": 3600}
"""A canary that lasts as long as the story."""

CANARY_FIRST = {"steps": [HELD, FULL]}
QUICK = {"steps": [{**CANARY, "minDurationSeconds": 1}, {**FULL, "full": {"soakSeconds": 1}}]}

SUCCESS = {"name": "success", "metric": "verified-success-rate", "compare": {"worseByPoints": "0"}}
VIOLATIONS = {"name": "violations", "metric": "policy-violation-rate", "limit": {"maxPercent": "5"}}
CRITICAL = {"name": "critical", "metric": "critical-policy-violations", "events": {"max": 0}}


def agent_version(name: str, *, content: str = "", **changes: Any) -> Manifest:
    """An AgentVersion; its content differs by its name, where no other is given."""
    prompts = [{"name": "system", "role": "System", "template": f"You are {content or name}."}]
    return {
        "apiVersion": "interlock.dev/v1alpha1",
        "kind": "AgentVersion",
        "metadata": {"name": name},
        "spec": {
            "agent": NAME,
            "version": name,
            "prompts": prompts,
            "parameters": {"temperature": 0.2},
        }
        | changes,
    }


def template(image: str = "example.com/agent:1", **changes: Any) -> Manifest:
    """The Deployment that is read as a template."""
    container = {
        "name": "agent",
        "image": image,
        "ports": [{"name": "http", "containerPort": 8080}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "labels": {"interlock.dev/template": "true"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME, "team": "support"}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        }
        | changes,
    }


def rollout(version: str, host: str = "triage.example.com", **changes: Any) -> Manifest:
    """A Rollout with shadow, one canary and full, and three gates. Two on one host are in conflict."""
    spec: Manifest = {
        "agent": NAME,
        "versionRef": {"name": version},
        "replicas": 2,
        "workload": {"templateRef": {"kind": "Deployment", "name": NAME}},
        "traffic": {
            "gatewayAPI": {
                "parentRefs": [{"name": GATEWAY, "namespace": GATEWAY_NAMESPACE}],
                "hostnames": [host],
                "port": 8080,
            }
        },
        "strategy": {"steps": [SHADOW, CANARY, FULL]},
        "analysis": {"warmupSeconds": 1, "gates": [SUCCESS, VIOLATIONS, CRITICAL]},
        "onRevert": {"drainDeadlineSeconds": 5},
    } | changes
    return {
        "apiVersion": "interlock.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": NAME},
        "spec": spec,
    }

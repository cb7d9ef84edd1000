"""What users would apply: the demo's agent in a namespace and under a host name of the story's own."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from dev.demo.versions import MANIFESTS, manifest

Manifest = dict[str, Any]

ROLLOUT = "triage"
AGENT = "triage"
VIOLATIONS_LIMIT = {
    "name": "violations",
    "metric": "policy-violation-rate",
    "limit": {"maxPercent": "10"},
}
SUCCESS_COMPARED = {
    "name": "success",
    "metric": "verified-success-rate",
    "compare": {"worseByPoints": "0"},
}
NOTHING_CRITICAL = {"name": "critical", "metric": "critical-policy-violations", "events": {"max": 0}}


def namespace(name: str) -> Manifest:
    """As strict as namespaces get."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def template(where: str) -> Manifest:
    """The user's Deployment that every version is cloned from."""
    content: Manifest = yaml.safe_load((MANIFESTS / "template.yaml").read_text(encoding="utf-8"))
    content["metadata"]["namespace"] = where
    return content


def version(name: str, where: str) -> Manifest:
    """One of the demo's AgentVersions."""
    content = copy.deepcopy(manifest(name))
    content["metadata"]["namespace"] = where
    return content


def rollout(
    where: str,
    host: str,
    version_name: str,
    *,
    steps: list[Manifest],
    gates: list[Manifest],
    replicas: int = 1,
    false_revert_percent: str = "5",
    no_data: Manifest | None = None,
) -> Manifest:
    """The one object that a release changes."""
    return {
        "apiVersion": "interlock.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": ROLLOUT, "namespace": where},
        "spec": {
            "agent": AGENT,
            "versionRef": {"name": version_name},
            "replicas": replicas,
            "workload": {"templateRef": {"kind": "Deployment", "name": "triage"}},
            "traffic": {
                "gatewayAPI": {
                    "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "http"}],
                    "hostnames": [host],
                    "port": 8080,
                }
            },
            "strategy": {"steps": steps},
            "analysis": {
                "falseRevertPercent": false_revert_percent,
                "warmupSeconds": 2,
                "gates": gates,
            }
            | ({"noData": no_data} if no_data else {}),
        },
    }


def shadow(percent: int, seconds: int, tasks: int, *, control: bool = False) -> Manifest:
    """A step that mirrors requests; with `control` to a shadow of the stable version as well."""
    mirrored = {"percent": percent} | ({"control": True} if control else {})
    return _step("shadow", {"shadow": mirrored}, seconds, tasks)


def canary(percent: int, seconds: int, tasks: int) -> Manifest:
    """A step that gives the candidate a share of the requests."""
    return _step(f"canary-{percent}", {"canary": {"percent": percent}}, seconds, tasks)


def full(soak: int, holdout: int = 0) -> Manifest:
    """The last step."""
    return _step("full", {"full": {"soakSeconds": soak, "holdoutPercent": holdout}}, 0, 1)


def endless(percent: int) -> list[Manifest]:
    """A canary that goes on for longer than any test: whoever leaves it was taken back."""
    return [canary(percent, seconds=3600, tasks=1), full(soak=3600)]


def _step(name: str, what: Manifest, seconds: int, tasks: int) -> Manifest:
    return {"name": name, **what, "minDurationSeconds": seconds, "minTasks": tasks}

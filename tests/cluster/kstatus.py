"""What Flux, Helm and kubectl-based waits make of an object: the rules of kstatus for custom resources.

Source: kubernetes-sigs/cli-utils, pkg/kstatus/status (generic.go, core.go).
"""

from __future__ import annotations

from tests.cluster.api import Manifest


def kstatus(manifest: Manifest) -> str:
    """InProgress, Failed or Current."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    if "observedGeneration" in status and status["observedGeneration"] != meta["generation"]:
        return "InProgress"
    found = {c["type"]: c["status"] for c in status.get("conditions") or []}
    if found.get("Reconciling") == "True":
        return "InProgress"
    if found.get("Stalled") == "True":
        return "Failed"
    return "InProgress" if found.get("Ready", "True") in ("False", "Unknown") else "Current"

"""Kubernetes Events (events.k8s.io/v1) about a Rollout: told once per transition, read by people only."""

from __future__ import annotations

from datetime import datetime

from interlock.core.effects import TellEvent
from interlock.model.base import API_VERSION
from interlock.model.rollout import Rollout
from interlock.ports import Manifest

CONTROLLER = "interlock.dev/operator"
MAX_NOTE = 1024


def event_about(rollout: Rollout, effect: TellEvent, now: datetime) -> Manifest:
    """The Event's manifest; its name is deterministic, so a second telling is a Conflict."""
    meta = rollout.metadata
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": effect.name, "namespace": meta.namespace},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Warning" if effect.warning else "Normal",
        "reason": effect.reason,
        "action": effect.reason,
        "note": effect.message[:MAX_NOTE],
        "reportingController": CONTROLLER,
        "reportingInstance": "interlock-operator",
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": Rollout.KIND,
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
        },
    }

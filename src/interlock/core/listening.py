"""The port on which pods are asked: that of spec.traffic, unless they say that they listen on others. Pure.

A version keeps the containers that it was tested with, whatever becomes of the spec: a port that they do not
have would turn everybody away at once.
"""

from __future__ import annotations

from interlock.core.observation import Manifest, WorkloadState
from interlock.core.parts import mapping, mappings, text, whole
from interlock.model.rollout import Rollout


def declared(deployment: Manifest) -> frozenset[int]:
    """TCP ports that the containers of a Deployment say they listen on; empty: they say nothing.

    Source: Kubernetes, ContainerPort: `protocol` is TCP where it is not said.
    """
    pod = mapping(mapping(mapping(deployment.get("spec")).get("template")).get("spec"))
    containers = [*mappings(pod.get("containers")), *mappings(pod.get("initContainers"))]
    said = [port for container in containers for port in mappings(container.get("ports"))]
    return frozenset(
        whole(port.get("containerPort")) for port in said if text(port.get("protocol"), "TCP") == "TCP"
    )


def port_of(rollout: Rollout, state: WorkloadState) -> int:
    """The port of a workload's Service. It stays what it is while the pods listen there and not on that of
    the spec."""
    asked, there = rollout.spec.traffic.gateway_api.port, _led_to(state.service)
    if state.deployment is None:
        return there or asked  # what its pods listen on is known when it is made again
    said = declared(state.deployment)
    return there if asked not in said and there in said else asked


def _led_to(service: Manifest | None) -> int:
    """0 where there is no Service."""
    ports = mappings(mapping((service or {}).get("spec")).get("ports"))
    return next((whole(port.get("port")) for port in ports), 0)

"""What a node needs to be of use: DNS, the gateway as its users install it, Prometheus.

Manifests are in ``manifests/``; they name images and addresses by placeholders
that are filled in from the one table of versions.
"""

from __future__ import annotations

import json
import string
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from dev.cluster import build, cache, crds, node_config, versions
from dev.cluster.api import Api, wait_until
from dev.cluster.errors import ClusterError
from dev.cluster.progress import step
from dev.cluster.toolchain import module_directory

_MANIFESTS = Path(__file__).parent / "manifests"
_CHART = "charts/gateway-helm"
_PLACEHOLDERS = {
    "COREDNS_IMAGE": versions.COREDNS_IMAGE,
    "ENVOY_IMAGE": versions.ENVOY_IMAGE,
    "ENVOY_GATEWAY_IMAGE": versions.ENVOY_GATEWAY_IMAGE,
    "PROMETHEUS_IMAGE": versions.PROMETHEUS_IMAGE,
    "CONTOUR_IMAGE": versions.CONTOUR_IMAGE,
    "METRICS_SERVER_IMAGE": versions.METRICS_SERVER_IMAGE,
    "DNS_ADDRESS": node_config.DNS_ADDRESS,
    "GATEWAY_ADDRESS": node_config.GATEWAY_ADDRESS,
    "SECOND_GATEWAY_ADDRESS": node_config.SECOND_GATEWAY_ADDRESS,
    "PROMETHEUS_ADDRESS": node_config.PROMETHEUS_ADDRESS,
}


def install(api: Api, kubeconfig: Path) -> None:
    """Create everything; it becomes ready as its images arrive."""
    with step("custom resources of the gateway"):
        crds.install(api, crds.gateway_api())
        crds.install(api, gateway_definitions())
    with step("DNS, gateway and Prometheus created"):
        apply("coredns", "gateway", "prometheus", kubeconfig=kubeconfig)
    with step("Envoy Gateway installed by Helm"):
        values = ["--values", "-", "--set", "crds.enabled=false", "--timeout", "2m"]
        command = [build.program(versions.HELM_PROGRAM), "install", "eg", str(gateway_chart()), *values]
        _run([*command, "--namespace", "envoy-gateway-system"], kubeconfig, manifest("envoy-gateway-values"))


def wait_ready(api: Api, prometheus_url: str) -> None:
    """Wait until the gateway is programmed and Prometheus answers."""
    with step("gateway programmed"):
        wait_programmed(api, "gateways", "public")
    with step("Prometheus ready"):
        wait_until("Prometheus", lambda: _answers(f"{prometheus_url}/-/ready"), 120)


def apply(*names: str, kubeconfig: Path) -> None:
    """Apply manifests of this folder."""
    together = "\n---\n".join(manifest(name) for name in names)
    kubectl = [build.program(versions.KUBENODE), "kubectl"]
    _run([*kubectl, "apply", "--server-side", "-f", "-"], kubeconfig, together)


def wait_programmed(api: Api, namespace: str, name: str) -> None:
    """Wait until a Gateway's controller says that it is set up."""
    place = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways/{name}"
    what = f"the Gateway {namespace}/{name} to be programmed"
    wait_until(what, lambda: _programmed(api.get(place)), 180)


def manifest(name: str) -> str:
    """A manifest with its placeholders filled in."""
    text = (_MANIFESTS / f"{name}.yaml").read_text()
    return string.Template(text).substitute(_PLACEHOLDERS)


def gateway_chart() -> Path:
    """Envoy Gateway's own chart, out of its Go module."""
    substitutions = {"GatewayImage": versions.ENVOY_GATEWAY_IMAGE, "GatewayImagePullPolicy": "Never"}
    return build.chart("gateway-chart", versions.ENVOY_GATEWAY_MODULE, _CHART, substitutions)


def gateway_definitions() -> Path:
    """A JSON list of Envoy Gateway's own custom resources."""

    def make(folder: Path) -> None:
        source = (
            module_directory(versions.ENVOY_GATEWAY_MODULE)
            / _CHART
            / "charts"
            / "crds"
            / "crds"
            / "generated"
        )
        (folder / "crds.json").write_text(json.dumps(crds.definitions(source)))

    return cache.artifact("gateway-crds", {"module": versions.ENVOY_GATEWAY_MODULE}, make) / "crds.json"


def _programmed(gateway: Any) -> bool:
    conditions = (gateway or {}).get("status", {}).get("conditions", [])
    return any(one["type"] == "Programmed" and one["status"] == "True" for one in conditions)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def _run(command: list[Any], kubeconfig: Path, stdin: str) -> None:
    settings = {"KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=settings, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{Path(command[0]).name} {command[1]} failed: {done.stderr.strip()}")

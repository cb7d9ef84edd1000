"""What a node is given only when somebody asks: a second gateway of another make, and resource metrics.

Each is safe to ask for again, and costs a node that never asks for it nothing.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from dev.cluster import addons, build, cache, catalogue, crds, node, versions
from dev.cluster.api import Api, wait_until
from dev.cluster.instance import Instance
from dev.cluster.progress import step
from dev.cluster.toolchain import module_directory

CONTOUR_CLASS = "contour"
CONTOUR_GATEWAY = ("gateways", "contour")
"""Namespace and name of the Gateway that Contour serves."""

_METRICS = "/apis/metrics.k8s.io/v1beta1/nodes"


def prepare() -> None:
    """Build or fetch all that the extras need."""
    for program in versions.EXTRA_PROGRAMS:
        build.program(program)
    catalogue.contour_image()
    catalogue.metrics_server_image()
    contour_definitions()


def add_contour(instance: Instance, api: Api, kubeconfig: Path) -> None:
    """Start Contour beside Envoy Gateway and wait until its own Envoy is ready.

    In its static mode, bound to one Gateway: the provisioner would have to make an Envoy first.
    """
    node.load_image(instance, catalogue.contour_image())
    crds.install(api, contour_definitions())
    addons.apply("contour", kubeconfig=kubeconfig)
    with step("Contour ready"):
        for name in ("contour", "envoy"):
            wait_until(f"Contour's {name}", partial(_available, api, "projectcontour", name), 120)
        namespace, gateway = CONTOUR_GATEWAY
        addons.wait_programmed(api, namespace, gateway)


def add_metrics_server(instance: Instance, api: Api, kubeconfig: Path) -> None:
    """Start metrics-server and wait until the API server passes its figures of the node on."""
    node.load_image(instance, catalogue.metrics_server_image())
    addons.apply("metrics-server", kubeconfig=kubeconfig)
    with step("resource metrics ready"):
        wait_until("metrics of the node in metrics.k8s.io", lambda: _has_items(api.get(_METRICS)), 120)


def contour_definitions() -> Path:
    """A JSON list of Contour's own custom resources, which it wants to watch whether they are used or not."""

    def make(folder: Path) -> None:
        source = module_directory(versions.CONTOUR_MODULE) / "examples" / "contour"
        (folder / "crds.json").write_text(json.dumps(crds.definitions(source)))

    return cache.artifact("contour-crds", {"module": versions.CONTOUR_MODULE}, make) / "crds.json"


def _available(api: Api, namespace: str, name: str) -> bool:
    found = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    return bool(found and found.get("status", {}).get("availableReplicas"))


def _has_items(answer: Any) -> bool:
    return bool(answer and answer.get("items"))

"""The Gateway API's custom resources, out of its own Go module, in every kind of cluster."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from dev.cluster import cache, versions
from dev.cluster.api import Api, wait_until
from dev.cluster.toolchain import module_directory

_COLLECTION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_HTTP_ROUTES = "/apis/gateway.networking.k8s.io/v1/httproutes"


def gateway_api() -> Path:
    """A JSON list with the experimental channel: the standard one and, beyond it, session persistence.

    Without the admission policy of the module, which would refuse to switch channels.
    """

    def make(folder: Path) -> None:
        channel = module_directory(versions.GATEWAY_API_MODULE) / "config" / "crd" / "experimental"
        (folder / "crds.json").write_text(json.dumps(definitions(channel)))

    return cache.artifact("gateway-api", {"module": versions.GATEWAY_API_MODULE}, make) / "crds.json"


def definitions(folder: Path) -> list[dict[str, Any]]:
    """Every CustomResourceDefinition in the YAML files of a folder."""
    documents = [
        document
        for path in sorted(folder.glob("*.yaml"))
        for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)  # it is the safe one
    ]
    return [
        document for document in documents if document and document.get("kind") == "CustomResourceDefinition"
    ]


def install(api: Api, crds: Path) -> None:
    """Create the definitions of a JSON list, and wait until HTTPRoutes can be listed."""
    with ThreadPoolExecutor(4) as several:
        list(several.map(lambda crd: api.create(_COLLECTION, crd), json.loads(crds.read_text())))
    wait_until("the Gateway API to be served", lambda: api.get(_HTTP_ROUTES) is not None, 60)

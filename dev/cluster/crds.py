"""The Gateway API's custom resources, out of its own Go module, in every kind of cluster."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from dev.cluster import cache, versions
from dev.cluster.api import Api, wait_until
from dev.cluster.toolchain import module_directory

_COLLECTION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


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
    """Create the definitions of a JSON list, and wait until each of their resources can be listed."""
    wanted = json.loads(crds.read_text())
    with ThreadPoolExecutor(4) as several:
        list(several.map(lambda crd: api.create(_COLLECTION, crd), wanted))
    for collection in collections(wanted):
        wait_until(f"{collection} to be served", partial(_served, api, collection), 60)


def _served(api: Api, collection: str) -> bool:
    return api.get(collection) is not None


def collections(definitions: list[dict[str, Any]]) -> list[str]:
    """The path of each definition's resources in every namespace, at its stored version."""
    found = []
    for definition in definitions:
        spec = definition["spec"]
        version = next(version["name"] for version in spec["versions"] if version["storage"])
        found.append(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")
    return found

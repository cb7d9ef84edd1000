"""Both gateways on the one node of the session; the second is started when the first test asks for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from dev.cluster import Cluster, Gateway
from interlock.adapters.kubernetes import KubernetesObjects
from interlock.core.gateways import Capabilities, capabilities
from tests.contracts.stores import connection
from tests.e2e.traffic import ground
from tests.e2e.traffic.asking import Asker
from tests.e2e.traffic.ground import NAMESPACE, Ground


@pytest.fixture(scope="session")
def backends(node: Cluster) -> Iterator[None]:
    """Pods that say who they are, in a namespace of their own."""
    bundle = {"apiVersion": "v1", "kind": "List", "items": ground.objects()}
    node.kubectl("apply", "-f", "-", stdin=json.dumps(bundle))
    node.kubectl("wait", "--for=condition=Ready", "pod", "--all", "-n", NAMESPACE, "--timeout=120s")
    yield
    node.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="session")
async def objects(node: Cluster, backends: None) -> AsyncIterator[KubernetesObjects]:
    """The API server as the operator's own account sees it."""
    access = node.kubeconfig_for("interlock-operator", "interlock-system")
    found = KubernetesObjects(connection(access))
    yield found
    await found.close()


@pytest.fixture(scope="session", params=["envoy-gateway", "contour"])
async def on(
    request: pytest.FixtureRequest, node: Cluster, objects: KubernetesObjects
) -> AsyncIterator[Ground]:
    """The ground of one gateway implementation."""
    gateway = await _gateway(node, request.param)
    asker = Asker(gateway.url)
    yield Ground(node, objects, gateway, _able(node, gateway), asker)
    await asker.close()


async def _gateway(node: Cluster, implementation: str) -> Gateway:
    if implementation == "contour":
        return await asyncio.to_thread(node.add_gateway, "contour")
    assert node.gateway_url is not None
    return Gateway("gateways", "public", "eg", node.gateway_url)


def _able(node: Cluster, gateway: Gateway) -> Capabilities:
    shown = node.kubectl("get", "gatewayclass", gateway.gateway_class, "-o", "json").stdout
    return capabilities(json.loads(shown))

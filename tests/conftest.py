"""What tests of several folders share: one real API server, with everything that users install."""

from __future__ import annotations

import base64
import os
import secrets
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from dev.cluster import Cluster, up
from tests.e2e.measured import MEASURED
from tests.processes import OneProcessACluster, sorted_by_cluster, stand_back

INSTALL = Path(__file__).parents[1] / "manifests" / "install.yaml"

PROBES = (
    """
apiVersion: v1
kind: ConfigMap
metadata: {name: probe, namespace: default, labels: {interlock.dev/rendered: "true"}}
""",
    """
apiVersion: v1
kind: ConfigMap
metadata: {name: probe, namespace: default, labels: {interlock.dev/evidence: "true"}}
""",
    """
apiVersion: interlock.dev/v1alpha1
kind: Release
metadata: {name: probe, namespace: default}
header:
  rollout: probe
  rolloutUid: u
  agent: probe
  attempt: 1
  candidate: &version {version: probe, uid: u, digest: DIGEST, workload: probe}
entries:
- seq: 1
  time: "2025-01-01T00:00:00Z"
  stage: Preparing
  reason: AttemptStarted
  stablePercent: 0
  candidatePercent: 0
  shadowPercent: 0
""".replace("DIGEST", "a" * 64),
)
"""What the admission policies refuse even to an administrator."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of single folders: pytest wants them up here."""
    parser.addoption(
        "--every-write", action="store_true", help="kill the operator at each single write (make test-kill)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The whole matrix is another run, not a test that this one skips."""
    if not config.getoption("--every-write"):
        other = [item for item in items if item.get_closest_marker("every_write")]
        items[:] = [item for item in items if item not in other]
        config.hook.pytest_deselected(items=other)
    if hasattr(config, "workerinput"):
        items[:] = sorted_by_cluster(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessACluster:
    """Of several processes one runs the tests of a cluster."""
    return OneProcessACluster(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Of several processes those that only compute stand back."""
    if hasattr(item.config, "workerinput"):
        stand_back(item.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures, in whichever process they were measured."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    properties = [p for r in reports if getattr(r, "when", "") == "call" for p in r.user_properties]
    if figures := [figure for name, figure in properties if name == MEASURED]:
        terminalreporter.section("measured in the stories", sep="-")
        for figure in figures:
            terminalreporter.line(figure)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """etcd, API server and controller manager with manifests/install.yaml applied and its policies in force.

    Nobody runs pods. The first use on a machine needs `python -m dev.cluster build --kind control-plane`.
    """
    cluster = up(f"pytest-{os.getpid()}", "control-plane", owner=os.getpid())
    try:
        cluster.kubectl("apply", "--server-side", "-f", str(INSTALL))
        cluster.kubectl(
            "wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/name=interlock"
        )
        for probe in PROBES:
            _until_refused(cluster, probe)
        yield cluster
    finally:
        cluster.down()


def _until_refused(cluster: Cluster, manifest: str, timeout: float = 60) -> None:
    """Policies take effect some seconds after their creation."""
    deadline = time.monotonic() + timeout
    while True:
        tried = cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=manifest, check=False)
        if "ValidatingAdmissionPolicy" in tried.stderr:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"the admission policies are not in force: {tried.stdout}{tried.stderr}")
        time.sleep(0.2)


@pytest.fixture(scope="session")
def connection(control_plane: Cluster) -> Iterator[httpx.Client]:
    """Requests to the API server as administrator: much faster than a kubectl a request."""
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    with tempfile.NamedTemporaryFile("w") as pair:
        pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
        pair.flush()
        tls.load_cert_chain(pair.name)
    with httpx.Client(base_url=cluster["server"], verify=tls, timeout=60) as client:
        yield client


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()


@pytest.fixture
def namespace(connection: httpx.Client) -> Iterator[str]:
    """A namespace of the test's own; it is deleted in the background afterwards."""
    name = f"test-{secrets.token_hex(4)}"
    connection.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
    yield name
    connection.delete(f"/api/v1/namespaces/{name}")

"""The control plane: real objects, several side by side, and nothing left however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dev.cluster import Cluster, ClusterError, attach, down, up
from dev.cluster.control_plane import component_processes
from dev.cluster.instance import Instance
from dev.cluster.processes import Process


@pytest.fixture(scope="module", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder of these tests' own; programs come from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("state")
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def owner() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose end is the end of the cluster ``owned``."""
    sleep = shutil.which("sleep")
    assert sleep
    with subprocess.Popen([sleep, "600"]) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def clusters(state: Path, owner: subprocess.Popen[bytes]) -> Iterator[dict[str, Cluster]]:
    """Two control planes, started at the same time."""
    audit = state / "audit.log"
    policy = state / "policy.json"
    policy.write_text(
        json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]})
    )
    flags = [f"--audit-log-path={audit}", f"--audit-policy-file={policy}"]
    starts: dict[str, Callable[[], Cluster]] = {
        "free": lambda: up("free", "control-plane", owner=os.getpid(), apiserver_flags=flags),
        "owned": lambda: up("owned", "control-plane", owner=owner.pid),
    }
    with ThreadPoolExecutor() as both:
        started = {name: both.submit(start) for name, start in starts.items()}
    yield {name: future.result() for name, future in started.items()}
    for name in starts:
        down(name)


def everything_of(name: str) -> list[Process]:
    """All recorded processes of a control plane."""
    instance = Instance(name)
    supervisor = instance.process("supervisor")
    assert supervisor
    return [supervisor, *component_processes(instance).values()]


def eventually(holds: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_clusters_side_by_side_do_not_share_objects(clusters: dict[str, Cluster]) -> None:
    clusters["free"].kubectl("create", "namespace", "only-here")
    names = clusters["owned"].kubectl("get", "namespaces", "--output=name").stdout
    assert "namespace/default" in names
    assert "only-here" not in names


def test_the_gateway_api_is_served_when_it_is_ready(clusters: dict[str, Cluster]) -> None:
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r"},
        "spec": {},
    }
    clusters["free"].kubectl("create", "-f", "-", stdin=json.dumps(route))
    assert clusters["free"].kubectl("get", "httproute", "r", "--output=name").stdout.strip().endswith("/r")


def test_a_refusal_is_an_error_with_the_servers_words(clusters: dict[str, Cluster]) -> None:
    with pytest.raises(ClusterError, match="not found"):
        clusters["free"].kubectl("get", "namespace", "nowhere")
    assert clusters["free"].kubectl("get", "namespace", "nowhere", check=False).returncode == 1


def test_a_service_account_has_its_own_access(clusters: dict[str, Cluster]) -> None:
    cluster = clusters["free"]
    config = cluster.kubeconfig_for("default", "default")
    assert config.stat().st_mode & 0o077 == 0
    as_account = [str(cluster.kubectl_path), f"--kubeconfig={config}", "auth"]
    shown = subprocess.run(
        [*as_account, "whoami", "--output=json"], capture_output=True, text=True, check=True
    )
    assert (
        json.loads(shown.stdout)["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"
    )
    may = subprocess.run(
        [*as_account, "can-i", "list", "secrets"], capture_output=True, text=True, check=False
    )
    assert may.stdout.strip() == "no"


def test_flags_reach_the_api_server(clusters: dict[str, Cluster], state: Path) -> None:
    clusters["free"].kubectl("get", "namespaces")
    assert eventually(lambda: '"resource":"namespaces"' in (state / "audit.log").read_text())


def test_another_process_can_attach(clusters: dict[str, Cluster]) -> None:
    again = attach("free")
    assert again.kind == "control-plane"
    assert again.kubeconfig == clusters["free"].kubeconfig
    assert (again.gateway_url, again.prometheus_url) == (None, None)
    with pytest.raises(ClusterError, match="is running"):
        up("free", "control-plane")


def test_a_killed_api_server_comes_back_with_its_data(clusters: dict[str, Cluster]) -> None:
    cluster = clusters["free"]
    cluster.kubectl("create", "configmap", "kept")
    killed = component_processes(Instance("free"))["kube-apiserver"]
    killed.send(signal.SIGKILL)
    assert eventually(lambda: cluster.kubectl("get", "configmap", "kept", check=False).returncode == 0)
    assert component_processes(Instance("free"))["kube-apiserver"] != killed


def test_down_cleans_up_after_kills(clusters: dict[str, Cluster]) -> None:
    # the test before killed the API server: what depended on it may just be starting again
    assert eventually(lambda: all(process.alive() for process in everything_of("free")))
    processes = everything_of("free")
    for process in processes[:2]:  # the supervisor, which would restart the others, and one of them
        process.send(signal.SIGKILL)
    clusters["free"].down()
    assert not any(process.alive() for process in processes)
    assert not Instance("free").directory.exists()
    with pytest.raises(ClusterError, match="no cluster free"):
        attach("free")


def test_it_ends_with_its_owner(clusters: dict[str, Cluster], owner: subprocess.Popen[bytes]) -> None:
    assert clusters["owned"].name == "owned"
    processes = everything_of("owned")
    owner.kill()
    assert eventually(lambda: not any(process.alive() for process in processes))
    assert eventually(lambda: not Instance("owned").directory.exists())


def test_down_of_nothing_is_no_error() -> None:
    down("never-started")

"""The node: real pods behind the gateway, seen from the host, and nothing left after it is killed."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import Cluster, cgroups, down, up
from dev.cluster.catalogue import app_image
from dev.cluster.images import Settings
from dev.cluster.instance import Instance

_SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"answers_total 7\\n" if self.path == "/metrics" else b"hello"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A node with one agent behind the gateway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        cluster = up("node-test", "node", owner=os.getpid())
        source = tmp_path_factory.mktemp("source")
        (source / "server.py").write_text(_SERVER)
        settings = Settings(entrypoint=("python3", "/app/server.py"), user="1000:1000")
        cluster.load_image(app_image("localhost/sample-agent:1", files={"/app": source}, settings=settings))
        cluster.kubectl(
            "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects()})
        )
        cluster.kubectl("wait", "--for=condition=Ready", "pod/sample", "--timeout=60s")
        yield cluster
        down("node-test")


def _objects() -> list[dict[str, Any]]:
    labels = {"app": "sample"} | {
        f"interlock.dev/{key}": value
        for key, value in {"agent": "sample", "version": "v1", "mode": "live", "workload": "w1"}.items()
    }
    container = {
        "name": "agent",
        "image": "localhost/sample-agent:1",
        "imagePullPolicy": "Never",
        "ports": [{"name": "metrics", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    rule = {"backendRefs": [{"name": "sample", "port": 80}]}
    parent = {"name": "public", "namespace": "gateways"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "sample", "namespace": "default", "labels": labels},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "sample", "namespace": "default"},
            "spec": {"selector": {"app": "sample"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "sample", "namespace": "default"},
            "spec": {"parentRefs": [parent], "hostnames": ["sample.test"], "rules": [rule]},
        },
    ]


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def fetch(url: str, host: str = "localhost") -> str:
    """The body of an answer, or nothing when there is none."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=2) as answer:  # noqa: S310
            return str(answer.read().decode())
    except OSError:
        return ""


def test_the_gateway_answers_from_the_host(node: Cluster) -> None:
    assert node.gateway_url
    url = node.gateway_url
    assert eventually(lambda: fetch(url, host="sample.test") == "hello")


def test_prometheus_labels_the_agents_series(node: Cluster) -> None:
    query = f"{node.prometheus_url}/api/v1/query?" + urllib.parse.urlencode({"query": "answers_total"})
    assert eventually(lambda: "answers_total" in fetch(query))
    metric = json.loads(fetch(query))["data"]["result"][0]["metric"]
    told = {key: metric[key] for key in ("namespace", "pod", "agent", "version", "mode", "workload")}
    assert told == {
        "namespace": "default",
        "pod": "sample",
        "agent": "sample",
        "version": "v1",
        "mode": "live",
        "workload": "w1",
    }


def test_pods_are_reached_by_kubectl(node: Cluster) -> None:
    assert node.kubectl("exec", "sample", "--", "id", "-u").stdout.strip() == "1000"


def test_a_second_gateway_answers_beside_the_first(node: Cluster) -> None:
    gateway = node.add_gateway("contour")
    route = _objects()[-1]
    route["metadata"]["name"] = "by-contour"
    route["spec"]["parentRefs"] = [{"namespace": gateway.namespace, "name": gateway.name}]
    route["spec"]["hostnames"] = ["contour.test"]
    node.kubectl("apply", "-f", "-", stdin=json.dumps(route))
    assert eventually(lambda: fetch(gateway.url, host="contour.test") == "hello")
    assert node.gateway_url
    assert fetch(node.gateway_url, host="sample.test") == "hello"
    assert fetch(gateway.url, host="sample.test") == ""
    assert node.add_gateway("contour") == gateway


def test_resource_metrics_are_served_once_they_are_asked_for(node: Cluster) -> None:
    asked = ("get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods")
    assert node.kubectl(*asked, check=False).returncode
    node.add_metrics_server()
    assert eventually(lambda: bool(json.loads(node.kubectl(*asked).stdout)["items"]), seconds=90)
    usage = json.loads(node.kubectl(*asked).stdout)["items"][0]["containers"][0]["usage"]
    assert usage.keys() == {"cpu", "memory"}


def test_nothing_is_left_after_its_keeper_is_killed(node: Cluster) -> None:
    instance = Instance(node.name)
    keeper, init = instance.process("keeper"), instance.process("init")
    record = instance.read("run/node.json")
    assert keeper
    assert init
    keeper.send(signal.SIGKILL)
    assert eventually(lambda: not init.alive())
    node.down()
    assert not instance.directory.exists()
    assert cgroups.left(record["cgroup"]) == []
    assert str(instance.directory) not in Path("/proc/self/mountinfo").read_text()

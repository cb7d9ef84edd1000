"""get, lint and backtest of a Rollout that stands in a cluster, with the kubectl of the user."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.cluster import Cluster
from tests.cli.past import NAMESPACE, served
from tests.core.lint.test_written import COVERAGE
from tests.scenarios import objects
from tests.scenarios.objects import SUCCESS, Manifest
from tests.simulation.test_backtest import STEPS

OWN: Manifest = {
    "apiVersion": "interlock.dev/v1alpha1",
    "kind": "MetricTemplate",
    "metadata": {"name": "refund-rate"},
    "spec": {
        "proportion": {
            "bad": {"metric": "ai_agent_policy_violations_total"},
            "total": {"metric": "ai_agent_tasks_total"},
        }
    },
}
STABLE = {
    "version": "v1",
    "uid": "u1",
    "digest": "0" * 64,
    "workload": "triage-a",
    "since": "2026-01-01T00:00:00Z",
}


STATUS: Manifest = {
    "observedGeneration": 1,
    "stable": STABLE,
    "phase": "Canary",
    "step": "2/3",
    "weight": "5%",
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "reason": "Progressing",
            "message": "v2 at canary: waits for 100 tasks",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
}


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that holds what stable did."""
    with served(tmp_path_factory.mktemp("past")) as address:
        yield address


@pytest.fixture(scope="module")
def cluster(control_plane: Cluster) -> Iterator[Cluster]:
    """With a Rollout whose stable version is v1, and a template that a gate of it names."""
    own = {"name": "refunds", "metric": "refund-rate", "limit": {"maxPercent": "5"}}
    rollout = objects.rollout(
        "v1", analysis={"gates": [SUCCESS, COVERAGE, own]}, strategy={"steps": list(STEPS)}
    )
    rollout["metadata"]["namespace"] = NAMESPACE
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        OWN,
        rollout,
    ):
        control_plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(manifest))
    status = json.dumps({"status": STATUS})
    operator = control_plane.kubeconfig_for("interlock-operator", "interlock-system")
    control_plane.kubectl(
        f"--kubeconfig={operator}",
        *("patch", "rollout.interlock.dev", "triage", "-n", NAMESPACE),
        *("--subresource=status", "--type=merge", "-p", status),
    )
    yield control_plane
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    control_plane.kubectl("delete", "metrictemplate.interlock.dev", "refund-rate")


def plugin(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """kubectl interlock, as kubectl starts it: found on PATH."""
    programs = f"{Path(sys.executable).parent}:{cluster.kubectl_path.parent}:{os.environ['PATH']}"
    return subprocess.run(
        [str(cluster.kubectl_path), "interlock", *arguments, "--kubeconfig", str(cluster.kubeconfig)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": programs},
    )


def interlock(cluster: Cluster, *arguments: str) -> Any:
    """What it tells programs."""
    done = plugin(cluster, *arguments, "-n", NAMESPACE, "-o", "json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("flags", [("-n", NAMESPACE), ("-A",), ("-n", NAMESPACE, "-o", "wide")])
def test_get_says_what_kubectl_says(cluster: Cluster, flags: tuple[str, ...]) -> None:
    deadline = time.monotonic() + 30
    while True:  # an operator of other tests may be at work on it
        ours = shown(plugin(cluster, "get", *flags).stdout)
        theirs = shown(cluster.kubectl("get", "rollouts.interlock.dev", *flags).stdout)
        if ours == theirs or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert ours == theirs
    assert len(ours) == 2


def shown(text: str) -> list[list[str]]:
    """The cells of the head and of our Rollout, without its age: that goes on."""
    head, *rows = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    mine = [row for row in rows if "NAMESPACE" not in head or row[0] == NAMESPACE]
    return [head, *([cell for cell in row if not re.fullmatch(r"(\d+[ydhms]){1,2}", cell)] for row in mine)]


def test_lint_knows_the_stable_version_and_the_template(cluster: Cluster, past: str) -> None:
    told = interlock(cluster, "lint", "triage", "--prometheus", past, "--window", "1h")
    assert told["stable"] == "v1"
    assert {"success", "refunds"} <= told["usual"]["gates"].keys()
    assert {"success", "refunds"} <= {answer["gate"] for answer in told["answers"]}
    assert not [found for found in told["findings"] if found["severity"] == "Error"]


def test_backtest_plays_it(cluster: Cluster, past: str) -> None:
    told = interlock(cluster, "backtest", "triage", "--prometheus", past, "--window", "1h")
    assert told["pseudoReleases"] >= 1
    assert told["reverted"] == 0

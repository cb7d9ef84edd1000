"""Where the story takes place: the cluster, Interlock in it, the agent's namespace; made and removed.

Applies YAML with the kubectl commands that a user would type, and says them.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dev import cluster as local
from dev.cluster import clusters, progress
from dev.cluster.clusters import Cluster
from dev.cluster.errors import ClusterError
from dev.cluster.instance import Instance
from dev.demo import image, operator_process
from dev.demo.operator_process import OperatorProcess
from dev.demo.versions import MANIFESTS, SAME, VERSIONS, manifest

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "demo"
ROLLOUT = "triage"
INSTALL = ROOT / "manifests" / "install.yaml"
RESOURCES = tuple(
    f"{plural}.interlock.dev" for plural in ("agentversions", "metrictemplates", "releases", "rollouts")
)
_OURS = "run/demo.json"

Say = Callable[[str], None]
"""Told what is run and what it answered, a line each."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A cluster with Interlock in it, and the namespace where the agent lives."""

    cluster: Cluster
    operator: OperatorProcess
    namespace: str = NAMESPACE

    @property
    def host(self) -> str:
        """The host name under which the gateway knows the agent."""
        return f"{ROLLOUT}.{self.namespace}.test"

    @property
    def url(self) -> str:
        """Where to ask the agent."""
        return f"{self.cluster.gateway_url}/triage"


# ------------------------------------------------------------------ the cluster
def check(name: str) -> None:
    """Raises ClusterError, one sentence with the ways out, when the demo cannot run here."""
    if _external(name):
        return
    if platform.system() == "Linux" and os.geteuid() == 0:
        from dev.cluster import node  # noqa: PLC0415  # needs Linux, an external cluster does not

        node.require_host()
        _require_free(name)
        return
    raise ClusterError(
        "The demo needs a cluster: run it as root on Linux, where it starts one by itself, or make one with "
        "Docker and kind as the first lines of kind-config.yaml say and register it with "
        f"`.venv/bin/python -m dev.cluster up --kind external --name {name} …`."
    )


def raise_curtain(name: str, say: Say, *, anew: bool) -> Setting:
    """Cluster, image, Interlock and its operator: all but the agent. `strike` removes what a failure left.

    `anew` replaces a cluster that the demo left up; else it is used again, with a new operator process.
    """
    cluster = _cluster(name, anew=anew)
    Instance(name).write(_OURS, {"namespace": NAMESPACE})
    with progress.step("the demo agent's image"):
        archive = image.archive()
        _load(cluster, archive)
    install(cluster, say)
    with progress.step("operator, under its own service account"):
        operator_process.halt(name)
        operator = operator_process.start(cluster)
    return Setting(cluster, operator)


def _cluster(name: str, *, anew: bool) -> Cluster:
    running = local.status(name)["running"]
    if _external(name) or (running and not anew):
        return local.attach(name)
    clusters.prepare("node")
    if running:
        progress.say(f"          cluster {name} of an earlier run is replaced by a new one")
        strike(name)
    return local.up(name)


def find(name: str, namespace: str) -> Setting:
    """A cluster and operator that `raise_curtain` left running. Raises ClusterError when they do not."""
    cluster = local.attach(name)
    operator = operator_process.find(name)
    if operator is None or not operator.alive():
        raise ClusterError(
            f"no operator of the demo runs for cluster {name}: `python -m dev.demo up --name {name}`"
        )
    return Setting(cluster, operator, namespace)


def strike(name: str) -> bool:
    """Stop the operator and take the cluster down; an external one only loses the namespace.

    Whether there was anything.
    """
    instance = Instance(name)
    ours, external = instance.read(_OURS), _external(name)
    operator_process.halt(name)
    if external and ours:
        local.attach(name).kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
        (instance.directory / _OURS).unlink(missing_ok=True)
        progress.say("Interlock itself stays: kubectl delete -f manifests/install.yaml")
    elif ours or not local.status(name)["running"]:
        existed = instance.directory.exists()
        local.down(name)
        return existed
    else:
        raise ClusterError(f"cluster {name} is not the demo's: `python -m dev.cluster down --name {name}`")
    return True


def _external(name: str) -> bool:
    access = local.status(name)["access"]
    return bool(access) and access["kind"] == "external"


def _require_free(name: str) -> None:
    """A cluster of somebody else is neither used nor replaced."""
    if local.status(name)["running"] and not Instance(name).read(_OURS):
        raise ClusterError(f"A cluster {name} that is not the demo's runs already: give another --name.")


def _load(cluster: Cluster, archive: Path) -> None:
    if cluster.kind == "node":
        cluster.load_image(archive)
        return
    context = cluster.kubectl("config", "current-context").stdout.strip()
    kind = shutil.which("kind")
    if kind is None or not context.startswith("kind-"):
        progress.say(f"          load {archive} into the nodes of {context} yourself, if not yet done")
        return
    command = [kind, "load", "image-archive", str(archive), "--name", context.removeprefix("kind-")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{shlex.join(command)} failed: {done.stderr.strip()}")


# ------------------------------------------------------------------ what a user applies
def install(cluster: Cluster, say: Say) -> None:
    """Interlock's namespace, custom resources, permissions and admission policies."""
    _kubectl(cluster, say, "apply", "-f", INSTALL)
    _kubectl(cluster, say, "wait", "--for=condition=Established", *(f"crd/{name}" for name in RESOURCES))
    _await_served(cluster)


def _await_served(cluster: Cluster) -> None:
    """Established is not served yet: an operator that comes too early logs refusals that alarm a reader."""
    deadline = time.monotonic() + 30
    while (answer := cluster.kubectl("get", ",".join(RESOURCES), "--all-namespaces", check=False)).returncode:
        if time.monotonic() > deadline:
            raise ClusterError(f"the custom resources are not served after 30 s: {answer.stderr.strip()}")
        time.sleep(0.3)


def apply_agent(setting: Setting, say: Say) -> None:
    """The namespace, the template, all four versions, and a Rollout that names the first."""
    cluster, namespace = setting.cluster, setting.namespace
    if cluster.kubectl("get", "namespace", namespace, "--ignore-not-found", "-o=name").stdout.strip():
        raise ClusterError(f"Namespace {namespace} exists already: delete it or choose another.")
    if namespace == NAMESPACE:
        files = [MANIFESTS / "namespace.yaml", MANIFESTS / "template.yaml", MANIFESTS / "versions"]
        _kubectl(cluster, say, "apply", *_file_flags([*files, MANIFESTS / "rollout.yaml"]))
        return
    say(f"$ kubectl apply -f -   # dev/demo/manifests, moved to namespace {namespace}")
    done = cluster.kubectl("apply", "-f", "-", stdin=moved_manifests(namespace))
    _answers(done.stdout, say)


def patch_version(setting: Setting, version: str, say: Say) -> None:
    """The one line that a release changes. A/A's AgentVersion has no file: it is made and applied first."""
    if version == SAME:
        say(f"$ kubectl apply -f -   # {VERSIONS[0]} of dev/demo/manifests, named {SAME}")
        again = yaml.safe_dump(_moved(manifest(SAME), setting.namespace), sort_keys=False)
        _answers(setting.cluster.kubectl("apply", "-f", "-", stdin=again).stdout, say)
    patch = f'{{"spec":{{"versionRef":{{"name":"{version}"}}}}}}'
    place = ("-n", setting.namespace, "patch", f"rollouts.interlock.dev/{ROLLOUT}")
    _kubectl(setting.cluster, say, *place, "--type=merge", "-p", patch)


def remove_agent(setting: Setting) -> None:
    """Delete the namespace and all in it; returns when it is gone."""
    setting.cluster.kubectl("delete", "namespace", setting.namespace, "--wait=true", "--timeout=120s")


def moved_manifests(namespace: str) -> str:
    """The demo's YAML with another namespace, and the host name that belongs to it."""
    files = ["namespace.yaml", "template.yaml", *(f"versions/{v}.yaml" for v in VERSIONS), "rollout.yaml"]
    objects = [yaml.safe_load((MANIFESTS / file).read_text()) for file in files]
    return yaml.safe_dump_all([_moved(each, namespace) for each in objects], sort_keys=False)


def _moved(manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
    place = "name" if manifest["kind"] == "Namespace" else "namespace"
    manifest["metadata"][place] = namespace
    if manifest["kind"] == "Rollout":
        manifest["spec"]["traffic"]["gatewayAPI"]["hostnames"] = [f"{ROLLOUT}.{namespace}.test"]
    return manifest


def _file_flags(files: Iterable[Path]) -> Iterable[str | Path]:
    for file in files:
        yield from ("-f", file)


def _kubectl(cluster: Cluster, say: Say, *arguments: str | Path) -> None:
    """Paths are said from the top of the repository, so that the command can be typed there."""
    said = [str(a.relative_to(ROOT)) if isinstance(a, Path) else a for a in arguments]
    say(f"$ kubectl {shlex.join(said)}")
    _answers(cluster.kubectl(*map(str, arguments)).stdout, say)


def _answers(text: str, say: Say) -> None:
    for line in text.splitlines():
        say(f"  {line}")

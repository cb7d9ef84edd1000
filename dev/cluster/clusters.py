"""One interface to the three kinds of cluster: start, find again, use, take down."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from dev.cluster import build, cache, control_plane, crds, versions
from dev.cluster.api import Api, write_private
from dev.cluster.errors import ClusterError
from dev.cluster.instance import Instance

Kind = Literal["node", "control-plane", "external"]
"""Real pods on this machine; only the API on this machine; somebody else's cluster."""

Implementation = Literal["contour"]
"""A gateway that can be had beside the usual one."""

DEFAULT_NAME = "interlock"
_TOKEN_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Gateway:
    """A Gateway that a cluster serves, and where its requests go from this machine."""

    namespace: str
    name: str
    gateway_class: str
    url: str


class Cluster(Protocol):
    """What everything above needs to know of a cluster."""

    @property
    def name(self) -> str:
        """The name it was started under."""

    @property
    def kind(self) -> Kind:
        """Which of the three it is."""

    @property
    def kubeconfig(self) -> Path:
        """Administrator's access, usable from the host with any kubectl."""

    @property
    def gateway_url(self) -> str | None:
        """``http://127.0.0.1:PORT`` of the Gateway ``gateways/public``; None without a data plane."""

    @property
    def prometheus_url(self) -> str | None:
        """``http://127.0.0.1:PORT`` of Prometheus; None without one."""

    @property
    def kubectl_path(self) -> Path:
        """A kubectl of the cluster's version."""

    def kubectl(
        self, *args: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator; ClusterError with its message when ``check`` and it fails."""

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """A kubeconfig with a token of that (existing) service account, valid for 30 days."""

    def load_image(self, archive: Path) -> None:
        """Make the image of a docker-archive known to the node; does nothing for one it has already."""

    def add_gateway(self, implementation: Implementation) -> Gateway:
        """Start a gateway of another make beside the usual one; does nothing to one that is there already."""

    def add_metrics_server(self) -> None:
        """Serve CPU and memory of pods as metrics.k8s.io, for autoscalers; again without effect."""

    def down(self) -> None:
        """Stop it and remove all it left; an external cluster is only forgotten."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached; the record by which ``attach`` finds it again."""

    kind: Kind
    kubeconfig: str
    gateway_url: str | None = None
    prometheus_url: str | None = None


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """A cluster of any kind that has been started or attached to."""

    instance: Instance
    access: Access

    @property
    def name(self) -> str:
        """The name it was started under."""
        return self.instance.name

    @property
    def kind(self) -> Kind:
        """Which of the three it is."""
        return self.access.kind

    @property
    def kubeconfig(self) -> Path:
        """Administrator's access."""
        return Path(self.access.kubeconfig)

    @property
    def gateway_url(self) -> str | None:
        """The address of the Gateway, where there is one."""
        return self.access.gateway_url

    @property
    def prometheus_url(self) -> str | None:
        """The address of Prometheus, where there is one."""
        return self.access.prometheus_url

    @property
    def kubectl_path(self) -> Path:
        """Our own kubectl; for an external cluster the one on PATH, so that nothing has to be built."""
        found = shutil.which("kubectl") if self.kind == "external" else None
        return Path(found) if found else kubectl_command()

    def kubectl(
        self, *args: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator."""
        command = [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig}", *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise ClusterError(f"kubectl {' '.join(args)} failed: {done.stderr.strip()}")
        return done

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """A kubeconfig with a token of that service account."""
        place = self.instance.directory / f"{namespace}.{service_account}.kubeconfig"
        if self.kind == "external":
            return write_private(place, self._external_kubeconfig(service_account, namespace))
        api = local_api(self.instance)
        user = {"token": api.token(namespace, service_account, _TOKEN_SECONDS)}
        return write_private(place, api.kubeconfig(user, namespace=namespace))

    def load_image(self, archive: Path) -> None:
        """Make an image known to the node."""
        self._require_node()
        from dev.cluster import node  # noqa: PLC0415  # the other kinds work where a node cannot

        node.load_image(self.instance, archive)

    def add_gateway(self, implementation: Implementation) -> Gateway:
        """Start a gateway of another make beside the usual one."""
        self._require_node()
        from dev.cluster import extras, node  # noqa: PLC0415  # the other kinds work where a node cannot

        if implementation not in get_args(Implementation):
            raise ClusterError(f"There is no gateway {implementation} to add: {get_args(Implementation)}")
        with self.instance.locked():
            extras.add_contour(self.instance, local_api(self.instance), self.kubeconfig)
        namespace, name = extras.CONTOUR_GATEWAY
        return Gateway(namespace, name, extras.CONTOUR_CLASS, node.second_gateway_url(self.instance))

    def add_metrics_server(self) -> None:
        """Serve CPU and memory of pods as metrics.k8s.io."""
        self._require_node()
        from dev.cluster import extras  # noqa: PLC0415  # the other kinds work where a node cannot

        with self.instance.locked():
            extras.add_metrics_server(self.instance, local_api(self.instance), self.kubeconfig)

    def _require_node(self) -> None:
        if self.kind != "node":
            raise ClusterError(f"Only a node runs images; {self.name} is of kind {self.kind}")

    def down(self) -> None:
        """Stop it and remove all it left."""
        down(self.name)

    def _external_kubeconfig(self, service_account: str, namespace: str) -> str:
        token = self.kubectl("create", "token", service_account, f"--namespace={namespace}", "--duration=24h")
        shown = self.kubectl("config", "view", "--minify", "--flatten", "--raw", "--output=json").stdout
        from json import dumps, loads  # noqa: PLC0415

        content = loads(shown)
        content["users"] = [{"name": service_account, "user": {"token": token.stdout.strip()}}]
        content["contexts"][0]["context"] |= {"user": service_account, "namespace": namespace}
        return dumps(content, indent=1)


def up(
    name: str = DEFAULT_NAME,
    kind: Kind = "node",
    *,
    apiserver_flags: Sequence[str] = (),
    controller_manager_flags: Sequence[str] = (),
    owner: int | None = None,
    kubeconfig: Path | None = None,
    gateway_url: str | None = None,
    prometheus_url: str | None = None,
) -> Cluster:
    """Start a cluster and return when it is ready; remains of a dead one of this name are removed first.

    ``apiserver_flags`` and ``controller_manager_flags`` are added to those of the local kinds.
    ``owner`` is a process number: when that process ends, however it ends, the cluster goes down by itself.
    The last three describe an ``external`` cluster; default: KUBECONFIG, GATEWAY_URL and PROMETHEUS_URL.
    With INTERLOCK_KEEP_FAILED in the environment, a start that failed is left as it is, to look at.
    """
    instance = Instance(name)
    with instance.locked():
        if _running(instance):
            raise ClusterError(f"Cluster {name} is running: use it (attach) or take it down first")
        _clear(instance)
        try:
            if kind == "control-plane":
                access = _start_control_plane(instance, apiserver_flags, controller_manager_flags, owner)
            elif kind == "node":
                from dev.cluster import node  # noqa: PLC0415  # needs Linux and root, the rest does not

                node.require_host()
                access = Access(
                    "node", *node.start(instance, apiserver_flags, controller_manager_flags, owner)
                )
            else:
                access = _external(instance, kubeconfig, gateway_url, prometheus_url)
        except BaseException:
            if not os.environ.get("INTERLOCK_KEEP_FAILED"):
                _clear(instance)
            raise
        instance.write("cluster.json", asdict(access))
    return RunningCluster(instance, access)


def attach(name: str = DEFAULT_NAME) -> Cluster:
    """A cluster that was started before, perhaps by another process."""
    instance = Instance(name)
    record = instance.read("cluster.json")
    if not record:
        raise ClusterError(
            f"There is no cluster {name}: start it with `python -m dev.cluster up --name {name}`"
        )
    return RunningCluster(instance, Access(**record))


def down(name: str = DEFAULT_NAME) -> None:
    """Stop a cluster and remove everything it left. No error when there is none, or only remains."""
    instance = Instance(name)
    with instance.locked():
        _clear(instance)


def status(name: str) -> dict[str, Any]:
    """What is known of a cluster: its kind, whether it runs, and each component's process and restarts."""
    instance = Instance(name)
    found = {path.stem.removeprefix("component-"): instance.read(f"run/{path.name}")
             for path in sorted((instance.directory / "run").glob("component-*.json"))}  # fmt: skip
    return {"access": instance.read("cluster.json"), "running": _running(instance), "components": found}


def prepare(kind: Kind) -> None:
    """Build or fetch all that a kind of cluster may need, so that later it only has to be started."""
    kubectl_command()
    crds.gateway_api()
    if kind == "node":
        from dev.cluster import extras, node  # noqa: PLC0415  # needs Linux, the rest does not

        node.prepare()
        extras.prepare()


def local_api(instance: Instance) -> Api:
    """Administrator's access to a local cluster's API server."""
    record = instance.read("run/api.json")
    pki = instance.pki
    return Api(record["host"], record["port"], pki / "ca.crt", pki / "admin.crt", pki / "admin.key")


def kubectl_command() -> Path:
    """An executable ``kubectl`` out of the one Kubernetes binary of this tool."""
    program = build.program(versions.KUBENODE)

    def make(folder: Path) -> None:
        script = folder / "kubectl"
        script.write_text(f'#!/bin/sh\nexec "{program}" kubectl "$@"\n')
        script.chmod(0o755)

    return cache.artifact("kubectl", {"program": str(program)}, make) / "kubectl"


def _start_control_plane(
    instance: Instance, apiserver: Sequence[str], manager: Sequence[str], owner: int | None
) -> Access:
    kubectl_command()
    api = control_plane.start(
        instance, apiserver_flags=apiserver, controller_manager_flags=manager, owner=owner
    )
    instance.write("run/api.json", {"host": api.host, "port": api.port})
    return Access("control-plane", str(instance.directory / "kubeconfig"))


def _external(
    instance: Instance, kubeconfig: Path | None, gateway_url: str | None, prometheus_url: str | None
) -> Access:
    chosen = kubeconfig or Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    if not chosen.is_file():
        raise ClusterError(f"There is no kubeconfig {chosen}: set KUBECONFIG to that of your cluster")
    instance.create()
    urls = (gateway_url or os.environ.get("GATEWAY_URL"), prometheus_url or os.environ.get("PROMETHEUS_URL"))
    return Access("external", str(chosen.resolve()), *urls)


def _running(instance: Instance) -> bool:
    roles = ("supervisor", "keeper")
    return any(process and process.alive() for process in map(instance.process, roles))


def _clear(instance: Instance) -> None:
    if not instance.directory.exists():
        return
    if (instance.directory / "run" / "node.json").exists():
        from dev.cluster import node  # noqa: PLC0415  # needs Linux, the rest does not

        node.halt(instance)  # the numbers of its components are those of its own namespace
    else:
        control_plane.halt(instance)
    instance.remove()


__all__ = [
    "DEFAULT_NAME",
    "Access",
    "Cluster",
    "Gateway",
    "Implementation",
    "Kind",
    "attach",
    "down",
    "get_args",
    "status",
    "up",
]

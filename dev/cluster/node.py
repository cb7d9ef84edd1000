"""One machine as a real node: kubelet, containerd and real pods in private namespaces, seen from the host.

Nothing inside can reach the network; from outside ports of loopback lead to the
API server, the gateway, Prometheus, and the second gateway where one is asked for.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple
from pathlib import Path

from dev.cluster import (
    addons,
    build,
    cache,
    catalogue,
    cgroups,
    control_plane,
    debs,
    images,
    node_config,
    supervisor,
    versions,
)
from dev.cluster.api import Api, wait_until, write_private
from dev.cluster.errors import ClusterError, tail
from dev.cluster.forward import Forward
from dev.cluster.instance import Instance, state_root
from dev.cluster.processes import Process, stop
from dev.cluster.progress import say, step

_REPOSITORY = Path(__file__).resolve().parents[2]
_COMMANDS = ("unshare", "nsenter", "ip", "mount", "apt-get", "dpkg")
_HIDDEN_INSIDE = ("/run", "/var/log", "/var/lib")
_IPTABLES = (
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
)


def require_host() -> None:
    """Say in one sentence why a node cannot run here, and what can."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise ClusterError(
            "A node needs Linux and root for its namespaces: run this as root, "
            "or with Docker `kind create cluster --config kind-config.yaml` and `--kind external`."
        )
    missing = [command for command in _COMMANDS if not shutil.which(command)]
    if missing:
        raise ClusterError(
            f"A node needs Debian's tools; {', '.join(missing)} is missing: use `--kind external`"
        )
    for path in (state_root(), cache.cache_root(), _REPOSITORY, Path(sys.base_prefix)):
        if any(path.resolve().is_relative_to(hidden) for hidden in _HIDDEN_INSIDE):
            raise ClusterError(f"{path} lies in a folder that a node hides from itself: move it elsewhere")


def prepare() -> None:
    """Build or fetch all that a node needs."""
    for program in versions.NODE_PROGRAMS:
        build.program(program)
    catalogue.node_images()
    addons.gateway_definitions()
    addons.gateway_chart()
    environment()


def start(
    instance: Instance, apiserver_flags: Sequence[str], manager_flags: Sequence[str], owner: int | None
) -> tuple[str, str, str]:
    """Start a node and wait until all of it is ready; kubeconfig, gateway URL and Prometheus URL."""
    prepare()
    archives = catalogue.node_images()
    program = build.program(versions.KUBENODE)
    instance.create()
    cgroup = _cgroup_name(instance)
    node_config.write(instance, cgroup, _runtime())
    components = node_config.components(instance, program, apiserver_flags, manager_flags)
    instance.write(
        "run/supervise.json", supervisor.describe(components, node_config.api_inside(instance), None)
    )
    forwards = (
        Forward(node_config.NODE_ADDRESS, node_config.API_PORT),
        Forward(node_config.GATEWAY_ADDRESS, 80),
        Forward(node_config.PROMETHEUS_ADDRESS, node_config.PROMETHEUS_PORT),
        Forward(node_config.SECOND_GATEWAY_ADDRESS, 80),  # nobody is there until one is added
    )
    record = {"cgroup": cgroup, "owner": asdict(Process.of(owner)) if owner else None}
    instance.write("run/node.json", record | {"forwards": [astuple(one) for one in forwards]})
    api_port, gateway_port, prometheus_port, _ = _launch(instance)
    api = _api(instance, api_port)
    kubeconfig = write_private(instance.directory / "kubeconfig", api.certificate_kubeconfig())
    with ThreadPoolExecutor(1) as background:
        imported = background.submit(_import_images, instance, archives)
        try:
            _wait_ready(instance, api)
            addons.install(api, kubeconfig)
        finally:
            imported.result()  # if this failed, it is why the rest did
    gateway, prometheus = f"http://127.0.0.1:{gateway_port}", f"http://127.0.0.1:{prometheus_port}"
    addons.wait_ready(api, prometheus)
    return str(kubeconfig), gateway, prometheus


def halt(instance: Instance) -> None:
    """Stop everything of a node, whatever state it is in, and remove its control groups."""
    keeper, init = instance.process("keeper"), instance.process("init")
    if not stop([process for process in (keeper, init) if process], grace=3):
        raise ClusterError(f"Node {instance.name} does not end: {keeper}, {init}")
    remove_remains(instance)


def remove_remains(instance: Instance) -> None:
    """Remove what outlives a node's processes: its control groups."""
    record = instance.read("run/node.json")
    if record:
        cgroups.remove(record["cgroup"])


def load_image(instance: Instance, archive: Path) -> None:
    """Import a docker-archive into the node, unless it has the same image already."""
    tag, content = images.identity(archive)
    known = instance.read("run/images.json") or {}
    if known.get(tag) == content:
        return
    ctr = ("ctr", "--address", node_config.CONTAINERD_SOCKET, "--namespace", "k8s.io")
    command = [*enter(instance), *ctr, "images", "import", str(archive.resolve())]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"containerd refused the image {tag}: {done.stderr.strip()}")
    instance.write("run/images.json", known | {tag: content})


def second_gateway_url(instance: Instance) -> str:
    """Where a gateway beside the usual one is reached from the host, once it is there."""
    return f"http://127.0.0.1:{instance.read('run/ports.json')[3]}"


def enter(instance: Instance) -> list[str]:
    """The beginning of a command line that runs inside the node's namespaces, in the current folder."""
    init = instance.process("init")
    if not init or not init.alive():
        raise ClusterError(f"Node {instance.name} is not running")
    return ["nsenter", "-t", str(init.pid), "-m", "-n", "-p", "-i", "-u", f"--wd={Path.cwd()}", "--"]


def inner_kubeconfig(instance: Instance) -> Path:
    """Administrator's access for commands run inside."""
    return instance.directory / "admin.kubeconfig"


def environment() -> dict[str, str]:
    """Our environment with the unpacked container runtime first on every search path."""
    runtime, links = _runtime(), _iptables_links()
    machine = f"{platform.machine()}-linux-gnu"
    folders = [runtime / folder for folder in ("usr/bin", "usr/sbin", "bin", "sbin")]
    return control_plane.child_environment() | {
        "PATH": ":".join([*map(str, folders), str(links), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]),
        "LD_LIBRARY_PATH": f"{runtime}/usr/lib/{machine}:{runtime}/lib/{machine}",
        "XTABLES_LIBDIR": f"{runtime}/usr/lib/{machine}/xtables",
    }


def _runtime() -> Path:
    return debs.unpacked("runtime", versions.RUNTIME_PACKAGES)


def _iptables_links() -> Path:
    """The names by which CNI's plugins call iptables; a package's script would make them."""
    program = _runtime() / "usr" / "sbin" / "xtables-nft-multi"

    def make(folder: Path) -> None:
        for name in _IPTABLES:
            (folder / name).symlink_to(program)

    return cache.artifact("iptables-links", {"program": str(program)}, make)


def _cgroup_name(instance: Instance) -> str:
    # Control groups are the host's: the same name below another state folder must not collide.
    place = hashlib.sha256(str(instance.directory).encode()).hexdigest()[:6]
    return f"interlock-{instance.name}-{place}"


def _launch(instance: Instance) -> list[int]:
    with instance.log("keeper").open("ab") as log:
        command = [sys.executable, "-m", "dev.cluster.keeper", instance.name]
        # Its own session: Ctrl-C and the end of the terminal are for `up`, not for the node.
        keeper = subprocess.Popen(
            command, cwd=_REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    wait_until(
        "the node's namespaces",
        lambda: instance.read("run/ports.json") is not None or keeper.poll() is not None,
        30,
        pause=0.02,
    )
    ports: list[int] | None = instance.read("run/ports.json")
    if not ports:
        raise ClusterError(
            f"The node did not start:\n{tail(instance.log('keeper'))}\n{tail(instance.log('init'))}"
        )
    # It is meant to outlive this process, which therefore never waits for it.
    keeper.returncode = 0
    return ports


def _api(instance: Instance, port: int) -> Api:
    pki = instance.pki
    instance.write("run/api.json", {"host": "127.0.0.1", "port": port})
    return Api("127.0.0.1", port, pki / "ca.crt", pki / "admin.crt", pki / "admin.key")


def _import_images(instance: Instance, archives: Sequence[Path]) -> None:
    probe = ["ctr", "--address", node_config.CONTAINERD_SOCKET, "version"]
    settings = environment()

    def answers() -> bool:
        command = [*enter(instance), *probe]
        return subprocess.run(command, env=settings, capture_output=True, check=False).returncode == 0

    wait_until("containerd", answers, 60)
    with step("import images"):
        for archive in archives:
            load_image(instance, archive)


def _wait_ready(instance: Instance, api: Api) -> None:
    deadline = time.monotonic() + 120
    with step("API server"):
        while not api.ready():
            keeper = instance.process("keeper")
            if time.monotonic() > deadline or not (keeper and keeper.alive()):
                logs = ("keeper", "init", "etcd", "kube-apiserver")
                shown = "\n".join(f"--- {name}\n{tail(instance.log(name))}" for name in logs)
                raise ClusterError(f"The node {instance.name} did not become ready:\n{shown}")
            time.sleep(0.1)
    say(f"           kubectl: export KUBECONFIG={instance.directory / 'kubeconfig'}")


__all__ = [
    "enter",
    "environment",
    "halt",
    "inner_kubeconfig",
    "load_image",
    "prepare",
    "require_host",
    "second_gateway_url",
    "start",
]

"""A control plane on loopback: etcd, API server and controller manager. No root, no pods.

Several run side by side on free ports. Nobody plays the kubelet: tests that need
a ready pod write its status themselves.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dev.cluster import build, crds, supervisor, versions
from dev.cluster.api import Api, wait_until, write_private
from dev.cluster.errors import ClusterError, tail
from dev.cluster.instance import Instance
from dev.cluster.pki import Authority, signing_key
from dev.cluster.processes import Process, stop
from dev.cluster.supervisor import Component

SERVICES = "10.96.0.0/16"
"""Addresses of Services."""
_READY_WITHIN = 60
_REPOSITORY = Path(__file__).resolve().parents[2]


def start(
    instance: Instance,
    *,
    apiserver_flags: Sequence[str] = (),
    controller_manager_flags: Sequence[str] = (),
    owner: int | None = None,
) -> Api:
    """Start a control plane and return when it serves, with RBAC, default accounts and the Gateway API."""
    program = build.program(versions.KUBENODE)
    definitions = crds.gateway_api()
    instance.create()
    _certificates(instance.pki)
    etcd_port, peer_port, api_port = free_ports(3)
    pki = instance.pki
    api = Api("127.0.0.1", api_port, pki / "ca.crt", pki / "admin.crt", pki / "admin.key")
    manager = Api("127.0.0.1", api_port, pki / "ca.crt", pki / "kcm.crt", pki / "kcm.key")
    manager_config = write_private(instance.directory / "kcm.kubeconfig", manager.certificate_kubeconfig())
    etcd = f"http://127.0.0.1:{etcd_port}"
    components = (
        Component(
            "etcd", (str(program), "etcd", *etcd_flags(instance, etcd, f"http://127.0.0.1:{peer_port}"))
        ),
        Component(
            "kube-apiserver",
            (
                *(str(program), "kube-apiserver", *apiserver_common(pki, etcd)),
                *(f"--secure-port={api_port}", "--bind-address=127.0.0.1", "--authorization-mode=RBAC"),
                # Endpoints of the Service `kubernetes` may not be loopback; nobody dials them here.
                *("--endpoint-reconciler-type=none", *apiserver_flags),
            ),
        ),
        Component(
            "kube-controller-manager",
            (
                *(str(program), "kube-controller-manager", *controller_manager_common(pki, manager_config)),
                *("--secure-port=0", *controller_manager_flags),
            ),
            needs_api=True,
        ),
    )
    write_private(instance.directory / "kubeconfig", api.certificate_kubeconfig())
    instance.write("run/supervise.json", supervisor.describe(components, api, owner))
    _launch(instance)
    _wait_ready(instance, api)
    crds.install(api, definitions)
    # The controller manager would do this too, three seconds later.
    api.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    return api


def halt(instance: Instance) -> None:
    """Stop every process of a control plane, whatever state they are in."""
    recorded = [instance.process("supervisor"), *component_processes(instance).values()]
    if not stop([process for process in recorded if process], grace=5):
        raise ClusterError(f"Processes of {instance.name} do not end: {recorded}")


def component_processes(instance: Instance) -> dict[str, Process]:
    """The last recorded process of each component."""
    found = {}
    for path in (instance.directory / "run").glob("component-*.json"):
        record = instance.read(f"run/{path.name}")
        if record["process"]:
            found[path.stem.removeprefix("component-")] = Process(**record["process"])
    return found


def etcd_flags(instance: Instance, client: str, peer: str) -> tuple[str, ...]:
    """Arguments of etcd for data that nobody needs after a power cut."""
    return (
        f"--data-dir={instance.directory / 'etcd'}",
        *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
        *(
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ),
        *("--unsafe-no-fsync", "--log-level=warn"),
    )


def apiserver_common(pki: Path, etcd: str) -> tuple[str, ...]:
    """Arguments of the API server that a control plane and a node share."""
    return (
        *(f"--etcd-servers={etcd}", f"--service-cluster-ip-range={SERVICES}", "--allow-privileged=true"),
        *(f"--client-ca-file={pki / 'ca.crt'}", f"--tls-cert-file={pki / 'apiserver.crt'}"),
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        *(
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'sa.pub'}",
        ),
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        *("--profiling=false", "--shutdown-delay-duration=0s"),
    )


def controller_manager_common(pki: Path, kubeconfig: Path) -> tuple[str, ...]:
    """Arguments of the controller manager that a control plane and a node share."""
    return (
        *(f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--use-service-account-credentials=true"),
        *(f"--root-ca-file={pki / 'ca.crt'}", f"--service-account-private-key-file={pki / 'sa.key'}"),
        *(f"--cluster-signing-cert-file={pki / 'ca.crt'}", f"--cluster-signing-key-file={pki / 'ca.key'}"),
    )


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free now, from below the range the system itself picks from.

    Nothing can be handed an open socket here, so another program could still be
    faster; a random start makes that unlikely even for clusters started at once.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20000, 32000)  # noqa: S311  # no secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def _certificates(pki: Path) -> None:
    authority = Authority(pki)
    authority.create()
    signing_key(pki)
    authority.issue("apiserver", "/CN=kube-apiserver", ("IP:127.0.0.1", "DNS:localhost"))
    authority.issue("admin", "/O=system:masters/CN=admin")
    authority.issue("kcm", "/CN=system:kube-controller-manager")


def _launch(instance: Instance) -> None:
    with instance.log("supervisor").open("ab") as log:
        command = [sys.executable, "-m", "dev.cluster.supervisor", instance.name]
        # Its own session: Ctrl-C and the end of the terminal are for `up`, not for the cluster.
        started = subprocess.Popen(
            command,
            cwd=_REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=child_environment(),
        )
    wait_until("the supervisor", lambda: instance.process("supervisor") is not None, 30, pause=0.02)
    # It is meant to outlive this process, which therefore never waits for it.
    started.returncode = 0


def child_environment() -> dict[str, str]:
    """Our environment without proxies, which would come between components on loopback."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def _wait_ready(instance: Instance, api: Api) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while not api.ready():
        process = instance.process("supervisor")
        if time.monotonic() > deadline or not (process and process.alive()):
            logs = "\n".join(
                f"--- {name}\n{tail(instance.log(name))}" for name in ("supervisor", "etcd", "kube-apiserver")
            )
            raise ClusterError(f"The control plane {instance.name} did not become ready:\n{logs}")
        time.sleep(0.05)

"""Addresses, certificates, configuration files and command lines of a node's components."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from dev.cluster import control_plane
from dev.cluster.api import Api, write_private
from dev.cluster.control_plane import SERVICES
from dev.cluster.instance import Instance
from dev.cluster.pki import Authority, signing_key
from dev.cluster.supervisor import Component
from dev.cluster.versions import PAUSE_IMAGE

NODE: Final = "node1"
NODE_ADDRESS: Final = "10.240.0.1"
API_PORT: Final = 6443
PODS: Final = "10.244.0.0/24"
DNS_ADDRESS: Final = "10.96.0.10"
# From the part of the range that the API server does not hand out by itself.
GATEWAY_ADDRESS: Final = "10.96.0.80"
SECOND_GATEWAY_ADDRESS: Final = "10.96.0.81"
PROMETHEUS_ADDRESS: Final = "10.96.0.90"
PROMETHEUS_PORT: Final = 9090
CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"

_FRONT_PROXY = "front-proxy-client"
_FRONT_PROXY_CA = "front-proxy-ca"
_USERS = {
    "admin": "/O=system:masters/CN=admin",
    "kcm": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
}


def api_inside(instance: Instance, user: str = "admin") -> Api:
    """The API server as components inside the node reach it."""
    pki = instance.pki
    return Api(NODE_ADDRESS, API_PORT, pki / "ca.crt", pki / f"{user}.crt", pki / f"{user}.key")


def write(instance: Instance, cgroup: str, runtime: Path) -> None:
    """Write every certificate and configuration file. ``runtime`` holds the unpacked container runtime."""
    _certificates(instance.pki)
    for user in _USERS:
        _kubeconfig(instance, user)
    for folder in ("podlogs", "ipam", "volume-plugins", "kubelet", "containerd", "cni"):
        (instance.directory / folder).mkdir(exist_ok=True)
    files: dict[str, Any] = {
        "kubelet.yaml": _kubelet(instance, cgroup),
        "proxy.yaml": _proxy(instance),
        "cni/10-node.conflist": _pod_network(instance),
    }
    for name, content in files.items():
        (instance.directory / name).write_text(json.dumps(content, indent=1) + "\n")
    (instance.directory / "containerd.toml").write_text(_containerd(instance, runtime))
    # Pods must not inherit the host's name servers: nothing leaves the node.
    (instance.directory / "resolv.conf").write_text("")


def components(
    instance: Instance, program: Path, apiserver_flags: Sequence[str], manager_flags: Sequence[str]
) -> tuple[Component, ...]:
    """What PID 1 starts and keeps running. ``program`` is the one Kubernetes binary."""
    state, pki = instance.directory, instance.pki
    etcd = "http://127.0.0.1:2379"
    manager_config = _kubeconfig_place(instance, "kcm")
    scheduler_config = _kubeconfig_place(instance, "scheduler")

    def kubernetes(name: str, *arguments: str, needs_api: bool = True) -> Component:
        return Component(name, (str(program), name, *arguments), needs_api)

    return (
        Component("containerd", ("containerd", "--config", str(state / "containerd.toml"))),
        kubernetes(
            "etcd",
            *control_plane.etcd_flags(instance, etcd, "http://127.0.0.1:2380"),
            needs_api=False,
        ),
        kubernetes(
            "kube-apiserver",
            *control_plane.apiserver_common(pki, etcd),
            *(f"--secure-port={API_PORT}", f"--advertise-address={NODE_ADDRESS}"),
            *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            "--kubelet-preferred-address-types=InternalIP",
            *_aggregation(pki),
            *apiserver_flags,
            needs_api=False,
        ),
        kubernetes(
            "kube-controller-manager",
            *control_plane.controller_manager_common(pki, manager_config),
            *("--bind-address=127.0.0.1", f"--flex-volume-plugin-dir={state / 'volume-plugins'}"),
            *(
                f"--authentication-kubeconfig={manager_config}",
                f"--authorization-kubeconfig={manager_config}",
            ),
            # Three times as often as by default: whoever watches an autoscaler here waits for it.
            "--horizontal-pod-autoscaler-sync-period=5s",
            *manager_flags,
        ),
        kubernetes(
            "kube-scheduler",
            *(f"--kubeconfig={scheduler_config}", "--leader-elect=false", "--bind-address=127.0.0.1"),
            f"--authentication-kubeconfig={scheduler_config}",
            f"--authorization-kubeconfig={scheduler_config}",
        ),
        kubernetes(
            "kubelet",
            *(f"--config={state / 'kubelet.yaml'}", f"--kubeconfig={_kubeconfig_place(instance, 'kubelet')}"),
            *(f"--root-dir={state / 'kubelet'}", f"--hostname-override={NODE}", f"--node-ip={NODE_ADDRESS}"),
        ),
        kubernetes("kube-proxy", f"--config={state / 'proxy.yaml'}"),
    )


def _aggregation(pki: Path) -> tuple[str, ...]:
    """How the API server makes itself known to the servers of further APIs, and whom it answers for."""
    client = pki / _FRONT_PROXY
    return (
        f"--requestheader-client-ca-file={pki / _FRONT_PROXY_CA}.crt",
        f"--requestheader-allowed-names={_FRONT_PROXY}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        *(f"--proxy-client-cert-file={client}.crt", f"--proxy-client-key-file={client}.key"),
    )


def _certificates(pki: Path) -> None:
    authority = Authority(pki)
    authority.create()
    signing_key(pki)
    names = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    )
    addresses = ("IP:127.0.0.1", f"IP:{NODE_ADDRESS}", "IP:10.96.0.1", "DNS:localhost")
    authority.issue("apiserver", "/CN=kube-apiserver", (*addresses, *(f"DNS:{name}" for name in names)))
    authority.issue("kubelet-server", f"/CN={NODE}", (f"IP:{NODE_ADDRESS}", f"DNS:{NODE}"))
    authority.issue("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    for user, subject in _USERS.items():
        authority.issue(user, subject)
    # An authority of its own: whoever holds a certificate of it may speak for any user.
    front_proxy = Authority(pki, _FRONT_PROXY_CA)
    front_proxy.create()
    front_proxy.issue(_FRONT_PROXY, f"/CN={_FRONT_PROXY}")


def _kubeconfig_place(instance: Instance, user: str) -> Path:
    return instance.directory / f"{user}.kubeconfig"


def _kubeconfig(instance: Instance, user: str) -> None:
    write_private(_kubeconfig_place(instance, user), api_inside(instance, user).certificate_kubeconfig())


def _kubelet(instance: Instance, cgroup: str) -> dict[str, Any]:
    state, pki = instance.directory, instance.pki
    # The disk and memory of a developer's machine are not the node's to defend.
    never = {
        "memory.available",
        "nodefs.available",
        "nodefs.inodesFree",
        "imagefs.available",
        "imagefs.inodesFree",
    }
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "address": NODE_ADDRESS,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "evictionHard": dict.fromkeys(sorted(never), "0%"),
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "24h",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(state / "resolv.conf"),
        "podLogsDir": str(state / "podlogs"),
        "volumePluginDir": str(state / "volume-plugins"),
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
        "nodeStatusUpdateFrequency": "5s",
        "logging": {"verbosity": 2},
    }


def _proxy(instance: Instance) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(_kubeconfig_place(instance, "proxy"))},
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # The size of the connection table is a setting of the whole host: not ours to write.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"minSyncPeriod": "50ms"},
        "nodePortAddresses": [],
    }


def _pod_network(instance: Instance) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": str(instance.directory / "ipam"),
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return {"cniVersion": "1.0.0", "name": "node", "plugins": plugins}


def _containerd(instance: Instance, runtime: Path) -> str:
    unused = [f"io.containerd.snapshotter.v1.{name}" for name in ("btrfs", "zfs", "devmapper", "aufs")]
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{instance.directory}/containerd"
state = "/run/containerd"
disabled_plugins = {json.dumps([*unused, "io.containerd.internal.v1.opt"])}
[grpc]
  address = "{CONTAINERD_SOCKET}"
[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"
  # Raising a score back needs a capability that a root user in a container lacks.
  restrict_oom_score_adj = true
[{cri}.containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
  BinaryName = "{runtime}/usr/sbin/runc"
  SystemdCgroup = false
[{cri}.cni]
  bin_dir = "{runtime}/usr/lib/cni"
  conf_dir = "{instance.directory}/cni"
"""


__all__ = [
    "API_PORT",
    "CONTAINERD_SOCKET",
    "DNS_ADDRESS",
    "GATEWAY_ADDRESS",
    "NODE",
    "NODE_ADDRESS",
    "PODS",
    "PROMETHEUS_ADDRESS",
    "PROMETHEUS_PORT",
    "SECOND_GATEWAY_ADDRESS",
    "SERVICES",
    "api_inside",
    "components",
    "write",
]

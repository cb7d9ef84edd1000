"""PID 1 of a node: arranges the private mounts, network and control groups, then supervises the components.

Everything here happens inside the namespaces and is gone with them, except the
control groups. It must never write a setting of the host.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from dev.cluster import cgroups, supervisor
from dev.cluster.instance import Instance
from dev.cluster.node_config import NODE, NODE_ADDRESS, PODS, SERVICES

# The kubelet forces these settings of the whole host. It is shown files that hold
# what it wants already, so it leaves the host's own alone.
_KUBELET_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
_NETWORK_SETTINGS = {"ip_forward": 1, "conf/all/rp_filter": 0, "conf/default/rp_filter": 0}
_PRIVATE_FOLDERS = ("/run", "/var/log", "/var/lib")
_NETWORK = (
    "link set lo up",
    # Both ends inside: an interface with the node's address and no way out of the machine.
    "link add node0 type veth peer name node0-peer",
    "link set node0 up",
    "link set node0-peer up",
    f"addr add {NODE_ADDRESS}/32 dev node0",
    f"route add {SERVICES} dev node0 src {NODE_ADDRESS}",
    # A pod that is gone is unreachable at once instead of after a time-out.
    f"route add blackhole {PODS}",
)


def main() -> None:
    """Arrange everything and supervise until told to stop. The argument is the instance's name."""
    instance = Instance(sys.argv[1])
    _mounts(instance)
    _network()
    socket.sethostname(NODE)
    cgroups.create(instance.read("run/node.json")["cgroup"])
    supervisor.from_record(instance).run()


def _mounts(instance: Instance) -> None:
    state = str(instance.directory)
    _mount("--bind", state, state)
    for folder in _PRIVATE_FOLDERS:
        _mount("-t", "tmpfs", "tmpfs", folder)
    for folder in ("containerd", "lock", "netns"):
        Path("/run", folder).mkdir()
    # Mounts of volumes have to reach the containers that the runtime starts.
    _mount("--make-rshared", "/")
    for name, value in _KUBELET_SETTINGS.items():
        shown = instance.directory / "sysctl" / name
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(f"{value}\n")
        _mount("--bind", str(shown), f"/proc/sys/{name}")


def _network() -> None:
    for command in _NETWORK:
        subprocess.run(["ip", *command.split()], check=True)
    for name, value in _NETWORK_SETTINGS.items():
        Path("/proc/sys/net/ipv4", name).write_text(f"{value}\n")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()

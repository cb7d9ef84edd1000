"""The one process of a node on the host: starts its namespaces, passes connections in, and ends with it.

The kernel ties them together: when the keeper is killed, the node's PID 1 is
killed, and with it every process, mount and network interface of the node.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dev.cluster import forward, node
from dev.cluster.errors import ClusterError
from dev.cluster.forward import Forward
from dev.cluster.instance import Instance
from dev.cluster.processes import Process, die_with_parent

_NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")


def main() -> None:
    """Keep the node of the instance named by the first argument."""
    instance = Instance(sys.argv[1])
    # First of all, so that `down` finds this process even if whoever started it died just now.
    instance.write_process("keeper", Process.of(os.getpid()))
    record = instance.read("run/node.json")
    targets = [Forward(*target) for target in record["forwards"]]
    listeners = [target.listen() for target in targets]
    namespaces = _start_namespaces(instance)
    init = _only_child(namespaces.pid)
    instance.write_process("init", init)
    forward.enter_network_of(init.pid)
    instance.write("run/ports.json", [listener.getsockname()[1] for listener in listeners])
    owner = Process(**record["owner"]) if record["owner"] else None
    orphaned = asyncio.run(_keep(list(zip(listeners, targets, strict=True)), namespaces, owner))
    init.send(signal.SIGKILL)
    namespaces.wait()
    if orphaned:
        node.remove_remains(instance)
        instance.remove()


async def _keep(
    forwards: Sequence[tuple[socket.socket, Forward]],
    namespaces: subprocess.Popen[bytes],
    owner: Process | None,
) -> bool:
    """Forward until SIGTERM or the end of the node. Whether it was the end of the owner instead."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    servers = [await forward.serve(listener, target) for listener, target in forwards]
    orphaned = False
    while not told.is_set() and namespaces.poll() is None and not orphaned:
        await asyncio.sleep(0.2)
        orphaned = owner is not None and not owner.alive()
    for server in servers:
        server.close()
    return orphaned


def _start_namespaces(instance: Instance) -> subprocess.Popen[bytes]:
    command = ["unshare", *_NAMESPACES, sys.executable, "-m", "dev.cluster.node_init", instance.name]
    with instance.log("init").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=node.environment(),
            preexec_fn=die_with_parent,  # noqa: PLW1509  # this process has no threads
        )


def _only_child(pid: int) -> Process:
    """The process that ``unshare`` starts as PID 1 of the new namespaces."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            found = children.read_text().split()
        except OSError:
            break
        if found:
            return Process.of(int(found[0]))
        time.sleep(0.01)
    raise ClusterError("unshare did not start the node: are the namespaces forbidden here?")


if __name__ == "__main__":
    main()

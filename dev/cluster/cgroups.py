"""The control groups of one node: made before it starts, removed after it has ended."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dev.cluster.errors import ClusterError

_MOUNT = Path("/sys/fs/cgroup")
_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids")


def unified() -> bool:
    """Whether this host has cgroup version 2 only."""
    return (_MOUNT / "cgroup.controllers").exists()


def create(name: str) -> None:
    """Make the group ``name`` below the root of every hierarchy, with what the kubelet expects in it."""
    if unified():
        _create_v2(name)
        return
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        if hierarchy.name.split(",")[0] == "cpuset":  # an empty set would keep every process out
            for setting in ("cpuset.cpus", "cpuset.mems"):
                (group / setting).write_text((hierarchy / setting).read_text())


def remove(name: str) -> None:
    """Delete the group and all below it in every hierarchy, waiting for the last processes to be gone."""
    for group in _groups(name):
        if (group / "cgroup.kill").exists():
            (group / "cgroup.kill").write_text("1")
        for folder, _, _ in os.walk(group, topdown=False):
            _remove_one(Path(folder))


def left(name: str) -> list[Path]:
    """Groups of this name that exist."""
    return list(_groups(name))


def _groups(name: str) -> list[Path]:
    hierarchies = [_MOUNT] if unified() else _hierarchies()
    return [hierarchy / name for hierarchy in hierarchies if (hierarchy / name).is_dir()]


def _hierarchies() -> list[Path]:
    return [entry for entry in _MOUNT.iterdir() if not entry.is_symlink() and entry.is_mount()]


def _create_v2(name: str) -> None:
    offered = (_MOUNT / "cgroup.controllers").read_text().split()
    wanted = " ".join(f"+{controller}" for controller in _V2_CONTROLLERS if controller in offered)
    (_MOUNT / "cgroup.subtree_control").write_text(wanted)
    (_MOUNT / name).mkdir(exist_ok=True)
    (_MOUNT / name / "cgroup.subtree_control").write_text(wanted)


def _remove_one(group: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as busy:
            if time.monotonic() > deadline:
                raise ClusterError(f"Control group {group} still has processes: {busy}") from busy
            time.sleep(0.02)
        else:
            return

"""Where the state of one named cluster lives, and the few files by which its parts find one another.

Everything that a cluster leaves on disk is below one folder; removing it is the
last act of taking the cluster down.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dev.cluster import cache
from dev.cluster.errors import ClusterError
from dev.cluster.processes import Process

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


def state_root() -> Path:
    """Where clusters keep their state: ``$XDG_STATE_HOME/interlock``, else ``~/.local/state/interlock``."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base).resolve() / "interlock"


def instances() -> list[Instance]:
    """Every cluster that has state on this machine, running or not, by name."""
    records = state_root().glob("*/cluster.json")
    return [Instance(record.parent.name) for record in sorted(records)]


@dataclass(frozen=True, slots=True)
class Instance:
    """The folder of one cluster. ``name`` is a DNS label of at most 40 characters."""

    name: str

    def __post_init__(self) -> None:
        """Refuse names that could not be a folder, a host name and a cgroup at once."""
        if not _NAME.fullmatch(self.name):
            raise ClusterError(f"{self.name!r} is no cluster name: use lower-case letters, digits and dashes")

    @property
    def directory(self) -> Path:
        """The folder of everything this cluster leaves on disk."""
        return state_root() / self.name

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.directory / "pki"

    def log(self, component: str) -> Path:
        """The log file of one component."""
        return self.directory / "log" / f"{component}.log"

    def create(self) -> None:
        """Make the folders, readable for their owner only: they hold keys."""
        for folder in (self.directory, self.pki, self.directory / "log", self.directory / "run"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def remove(self) -> None:
        """Delete everything below the folder."""
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.directory.exists():
            raise ClusterError(
                f"{self.directory} could not be removed: is something still mounted or running there?"
            )

    def write(self, record: str, content: Any) -> None:
        """Replace a JSON record in one step, so that a reader never sees half of it."""
        place = self.directory / record
        unfinished = place.with_name(f".{place.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(content, indent=1) + "\n")
        unfinished.rename(place)

    def read(self, record: str) -> Any:
        """A JSON record, or None when it was never written."""
        try:
            return json.loads((self.directory / record).read_text())
        except FileNotFoundError:
            return None

    def write_process(self, role: str, process: Process) -> None:
        """Record a process of this cluster under its role."""
        self.write(f"run/{role}.json", asdict(process))

    def process(self, role: str) -> Process | None:
        """The recorded process with this role, alive or not."""
        record = self.read(f"run/{role}.json")
        return Process(**record) if record else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one start or stop of this cluster run at a time."""
        with cache.exclusive(state_root() / "locks" / self.name):
            yield

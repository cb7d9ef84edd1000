"""Runs the components of a cluster: starts them, restarts one that dies, and ends with all of them.

The same loop is the top process of a control plane and PID 1 of a node. It must
never end while a component runs: the kernel kills them when it does.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dev.cluster.api import Api
from dev.cluster.instance import Instance
from dev.cluster.processes import Process, die_with_parent

_SHORTEST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_TICK = 0.1


@dataclass(frozen=True, slots=True)
class Component:
    """One program to keep running. ``needs_api`` holds its start back until the API server is ready."""

    name: str
    command: tuple[str, ...]
    needs_api: bool = False


@dataclass(slots=True)
class _Running:
    component: Component
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    pause: float = _SHORTEST_PAUSE
    not_before: float = 0.0
    since: float = 0.0


@dataclass
class Supervisor:
    """The loop over the components of one instance; it ends when ``owner`` does, or when told to."""

    instance: Instance
    components: tuple[Component, ...]
    api: Api
    owner: Process | None = None
    _stopping: bool = field(default=False, init=False)

    def run(self) -> None:
        """Keep the components running until SIGTERM or the end of the owner."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        running = [_Running(component) for component in self.components]
        while not self._stopping and not self._orphaned():
            for one in running:
                if self._may_start(one):
                    self._start(one)
            self._reap(running)
            time.sleep(_TICK)
        for one in running:
            if one.process:
                one.process.kill()
                one.process.wait()

    def _stop(self, *_: Any) -> None:
        self._stopping = True

    def _orphaned(self) -> bool:
        return self.owner is not None and not self.owner.alive()

    def _may_start(self, one: _Running) -> bool:
        if one.process or time.monotonic() < one.not_before:
            return False
        return not one.component.needs_api or self.api.ready()

    def _start(self, one: _Running) -> None:
        with self.instance.log(one.component.name).open("ab") as log:
            one.process = subprocess.Popen(
                one.component.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # this process has no threads
            )
        one.since = time.monotonic()
        self._record(one)

    def _reap(self, running: list[_Running]) -> None:
        """Collect everything that ended; as PID 1 that includes strangers such as the shims of containers."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for one in running:
                if one.process and one.process.pid == pid:
                    one.process.returncode = os.waitstatus_to_exitcode(status)
                    self._ended(one, one.process.returncode)

    def _ended(self, one: _Running, code: int) -> None:
        if time.monotonic() - one.since > _LONGEST_PAUSE:
            one.pause = _SHORTEST_PAUSE
        one.process = None
        one.restarts += 1
        one.not_before = time.monotonic() + one.pause
        print(f"{one.component.name} ended with {code}; starts again in {one.pause:.1f} s", flush=True)
        one.pause = min(2 * one.pause, _LONGEST_PAUSE)

    def _record(self, one: _Running) -> None:
        process = Process.of(one.process.pid) if one.process else None
        record = {"process": asdict(process) if process else None, "restarts": one.restarts}
        self.instance.write(f"run/component-{one.component.name}.json", record)


def describe(components: tuple[Component, ...], api: Api, owner: int | None) -> dict[str, Any]:
    """What ``main`` needs to run, as a JSON record."""
    return {
        "components": [asdict(component) for component in components],
        "api": {name: str(value) for name, value in asdict(api).items()},
        "owner": asdict(Process.of(owner)) if owner else None,
    }


def from_record(instance: Instance) -> Supervisor:
    """The supervisor that ``describe`` wrote down for this instance."""
    record = instance.read("run/supervise.json")
    components = tuple(
        Component(c["name"], tuple(c["command"]), c["needs_api"]) for c in record["components"]
    )
    address = record["api"]
    files = {name: Path(address[name]) for name in ("authority", "certificate", "key")}
    api = Api(address["host"], int(address["port"]), **files)
    owner = Process(**record["owner"]) if record["owner"] else None
    return Supervisor(instance, components, api, owner)


def main() -> None:
    """Supervise a control plane. The argument is the instance's name."""
    instance = Instance(sys.argv[1])
    # First of all, so that `down` finds this process even if whoever started it died just now.
    instance.write_process("supervisor", Process.of(os.getpid()))
    supervisor = from_record(instance)
    supervisor.run()
    if supervisor.owner and not supervisor.owner.alive():
        shutil.rmtree(instance.directory, ignore_errors=True)


if __name__ == "__main__":
    main()

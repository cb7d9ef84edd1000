"""The operator as a process of this machine, under its own service account: started, found again, stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from dev.cluster.clusters import Cluster
from dev.cluster.errors import ClusterError
from dev.cluster.instance import Instance, state_root
from dev.cluster.processes import Process, stop

SERVICE_ACCOUNT = "interlock-operator"
SYSTEM_NAMESPACE = "interlock-system"
QUICK = ("--tick=1", "--scrape-interval=1", "--gates-refresh=1")
"""Seconds. The local node's Prometheus scrapes every second; of another one nothing is known."""

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class OperatorProcess:
    """One operator process and its log of JSON lines."""

    process: Process
    log: Path

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.alive()

    def last_lines(self, count: int = 5) -> list[str]:
        """The end of its log as sentences: time, level, what it is about, message."""
        return [_sentence(line) for line in _lines(self.log)[-count:]]


def start(cluster: Cluster) -> OperatorProcess:
    """Start it in a session of its own, so that it outlives this command, and wait until it is ready.

    Raises ClusterError with the end of its log when it ends or is not ready within a minute.
    """
    if cluster.prometheus_url is None:
        raise ClusterError(f"cluster {cluster.name} has no Prometheus address, the operator cannot measure")
    instance = Instance(cluster.name)
    log = instance.log("operator")
    command = [sys.executable, "-m", "interlock.operator", f"--prometheus={cluster.prometheus_url}"]
    command += ["--host=127.0.0.1", "--port=0", *(QUICK if cluster.kind == "node" else ())]
    access = cluster.kubeconfig_for(SERVICE_ACCOUNT, SYSTEM_NAMESPACE)
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            env=os.environ | {"KUBECONFIG": str(access)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    operator = OperatorProcess(Process.of(child.pid), log)
    _write(cluster.name, operator.process)
    _await_ready(operator)
    return operator


def find(name: str) -> OperatorProcess | None:
    """The operator that was started for the cluster of this name, alive or not."""
    try:
        found = json.loads(_record_of(name).read_text())
    except FileNotFoundError:
        return None
    return OperatorProcess(Process(**found), Instance(name).log("operator"))


def halt(name: str) -> bool:
    """Stop the operator of that cluster. Whether there was one that ran."""
    operator = find(name)
    ran = operator is not None and operator.alive()
    if operator is not None and ran and not stop([operator.process], grace=10):
        raise ClusterError(f"the operator, process {operator.process.pid}, does not end")
    _record_of(name).unlink(missing_ok=True)  # also of one that was killed
    return ran


def _record_of(name: str) -> Path:
    """Outside the cluster's own folder: who takes the cluster down otherwise must not hide the operator."""
    return state_root() / "operators" / f"{name}.json"


def _write(name: str, process: Process) -> None:
    place = _record_of(name)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.write_text(json.dumps(asdict(process)) + "\n")


def _await_ready(operator: OperatorProcess) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if not operator.alive():
            raise ClusterError(_with_log("the operator ended while it started", operator))
        port = _port(operator.log)
        if port and _says_ready(port):
            return
        time.sleep(0.1)
    halted = stop([operator.process], grace=5)
    state = "it was stopped" if halted else f"process {operator.process.pid} still runs"
    raise ClusterError(_with_log(f"the operator was not ready within {_PATIENCE:.0f} s, {state}", operator))


def _with_log(problem: str, operator: OperatorProcess) -> str:
    return "\n  ".join([f"{problem}; the end of {operator.log}:", *operator.last_lines(8)])


def _says_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=2).is_success
    except httpx.HTTPError:
        return False


def _port(log: Path) -> int | None:
    words = "listening on port "
    said = (_record(line).get("message", "") for line in _lines(log))
    return next((int(text.removeprefix(words)) for text in said if text.startswith(words)), None)


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _record(line: str) -> dict[str, str]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sentence(line: str) -> str:
    record = _record(line)
    return " ".join(_parts(record)) if record else line


def _parts(record: dict[str, str]) -> Iterator[str]:
    yield record.get("time", "")[11:19]
    yield record.get("level", "")
    if about := record.get("rollout") or record.get("name"):
        yield f"{record.get('namespace', '')}/{about}:"
    yield record.get("message", "")
    if exception := record.get("exception", ""):
        yield f"({exception.strip().splitlines()[-1]})"

"""Objects as a user may read them, by way of kubectl: every authentication that kubectl can do comes with it.

Reads only, and waits for the answer: for a program that runs for one command.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock.errors import DependencyError, TransientError
from interlock.model.base import GROUP

Manifest = dict[str, Any]

TIMEOUT = 15
"""Seconds for one request."""
_RESOURCES = {
    "Rollout": f"rollouts.{GROUP}",
    "AgentVersion": f"agentversions.{GROUP}",
    "Release": f"releases.{GROUP}",
    "MetricTemplate": f"metrictemplates.{GROUP}",
    "ConfigMap": "configmaps",
}


@dataclass(frozen=True, slots=True)
class Access:
    """Which cluster, and where in it; what is not given is the kubeconfig's."""

    namespace: str | None = None
    all_namespaces: bool = False
    context: str | None = None
    kubeconfig: Path | None = None


class Kubectl:
    """One kubectl on PATH, asked with the flags that the user gave us.

    Every method raises DependencyError for what is not there, and TransientError where the API server could
    not be asked; the text is kubectl's own.
    """

    def __init__(self, access: Access = Access(), program: str = "kubectl") -> None:
        self._access = access
        self._program = program

    def get(self, kind: str, name: str) -> Manifest:
        """One object."""
        found: Manifest = self._read("get", _RESOURCES[kind], name, *self._scope(all_namespaces=False))
        return found

    def list(self, kind: str) -> list[Manifest]:
        """All objects of a kind, in the namespace or, if that was asked for, in all."""
        found = self._read("get", _RESOURCES[kind], *self._scope(all_namespaces=self._access.all_namespaces))
        items: list[Manifest] = found["items"]
        return items

    def raw(self, path: str) -> Any:
        """What the API server answers at a path (`/api/v1/…/proxy/…`), as JSON."""
        return self._read("get", "--raw", path)

    def _scope(self, *, all_namespaces: bool) -> tuple[str, ...]:
        where = ("--namespace", self._access.namespace) if self._access.namespace else ()
        return ("--output=json", *(("--all-namespaces",) if all_namespaces else where))

    def _read(self, *arguments: str) -> Any:
        answer = self._run(arguments)
        try:
            return json.loads(answer)
        except ValueError as error:
            raise TransientError(f"kubectl {' '.join(arguments)}: the answer is not JSON") from error

    def _run(self, arguments: tuple[str, ...]) -> str:
        command = [self._program, *arguments, f"--request-timeout={TIMEOUT}s"]
        if self._access.context:
            command += ["--context", self._access.context]
        if self._access.kubeconfig:
            command += ["--kubeconfig", str(self._access.kubeconfig)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise DependencyError(f"{self._program} must be on PATH: {error.strerror}") from error
        if done.returncode:
            raise _failure(done.stderr.strip())
        return done.stdout


def _failure(said: str) -> DependencyError | TransientError:
    """What kubectl complained of, its last line: those before it repeat what it tried."""
    text = (said.splitlines() or ["kubectl failed without a word"])[-1].removeprefix("error: ")
    if "doesn't have a resource type" in said:
        return DependencyError(f"{text}: Interlock's CRDs must be installed in this cluster")
    if "(NotFound)" in said or "(Forbidden)" in said:
        return DependencyError(text)
    return TransientError(text)

"""Programs beside the tests: each with a log of its own, each ended with pytest, however pytest ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev.cluster.control_plane import child_environment

_LAUNCH = Path(__file__).with_name("launch.py")


class Program:
    """One program that can be started again; its log goes on."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = [sys.executable, "-P", str(_LAUNCH), str(os.getpid()), *command]
        self._environment = child_environment() | dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.log = log

    def start(self) -> None:
        """Start it; call from the main thread only: the kernel watches the thread that forked."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for pytest, which stops its programs in order
            )

    @property
    def ended(self) -> int | None:
        """Exit code (negative: signal), None while it runs."""
        return self._process.poll() if self._process else 0

    @property
    def pid(self) -> int:
        """Its process number (the launcher becomes the program)."""
        assert self._process is not None, "not started"
        return self._process.pid

    def stop(self, grace: float = 10) -> int:
        """SIGTERM, and SIGKILL after `grace` seconds; returns the exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(grace)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL; returns the exit code."""
        if self._process is None:
            return 0
        self._process.kill()
        return self._process.wait()

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

"""Processes known by number and start time, so that a number used again is never mistaken for ours.

Only processes recorded by this tool are ever signalled, each by its own number.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it was when it was recorded: ``started`` is field 22 of its stat file, in clock ticks."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this number now; one that has just ended yields a record that is not alive."""
        return cls(pid, start_time(pid) or "")

    def alive(self) -> bool:
        """Whether it still runs. A zombie does not: it holds nothing and only waits for its parent."""
        return bool(self.started) and start_time(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Signal it if it still runs.

        Through a pid file descriptor, so that the number cannot change hands between the look and the signal.
        """
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def start_time(pid: int) -> str | None:
    """When the process with this number started, or None when there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def stop(processes: Iterable[Process], grace: float) -> bool:
    """Ask processes to end and, after ``grace`` seconds, make them. Whether all are gone."""
    ours = list(processes)
    for process in ours:
        process.send(signal.SIGTERM)
    if not wait_gone(ours, grace):
        for process in ours:
            process.send(signal.SIGKILL)
    return wait_gone(ours, 10)


def wait_gone(processes: Iterable[Process], seconds: float) -> bool:
    """Wait until none of these runs any more; False when some still does after ``seconds``."""
    ours = list(processes)
    deadline = time.monotonic() + seconds
    while any(process.alive() for process in ours):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    for process in ours:
        _collect(process.pid)
    return True


def _collect(pid: int) -> None:
    """Take a child of ours that has ended out of the process table; others are their parents' business."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. For use between fork and exec."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)

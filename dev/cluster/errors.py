"""The one error a person running the local cluster is meant to read."""

from __future__ import annotations

from pathlib import Path


class ClusterError(Exception):
    """A sentence that says what went wrong and, where it is known, what to do about it."""


def tail(log: Path, lines: int = 25) -> str:
    """The last lines of a log, to put below an error; empty when there is no log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""

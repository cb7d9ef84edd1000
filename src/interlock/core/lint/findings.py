"""What is wrong with a Rollout before it has begun: the field, what is so, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error keeps a good candidate from being promoted; a warning lets harm pass; a note explains."""

    ERROR = "Error"
    WARNING = "Warning"
    NOTE = "Note"


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` and `remedy` are sentences, without a full stop at the end."""

    severity: Severity
    field: str
    what: str
    remedy: str


def error(field: str, what: str, remedy: str) -> Finding:
    """Something that keeps a good candidate from being promoted."""
    return Finding(Severity.ERROR, field, what, remedy)


def warning(field: str, what: str, remedy: str) -> Finding:
    """Something by which harm may pass, or a good candidate may be taken back."""
    return Finding(Severity.WARNING, field, what, remedy)


def note(field: str, what: str, remedy: str) -> Finding:
    """Something to know."""
    return Finding(Severity.NOTE, field, what, remedy)

"""Moments on a command line: RFC 3339, or how long ago."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from interlock.cli.options import seconds
from interlock.errors import SpecError
from interlock.model.base import read_time


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another, unix seconds."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def moment(flag: str, text: str, now: float) -> float:
    """`2026-03-01T12:00:00Z`, or `6h` for six hours before `now` (unix seconds). SpecError names the flag."""
    found = read_time(text)
    if found is not None:
        return found.timestamp()
    try:
        return now - seconds(text)
    except Exception as error:
        raise SpecError(f"{flag} must be like 2026-03-01T12:00:00Z, or 6h ago as 6h, not {text!r}") from error


def span(flag: str, text: str, now: float) -> Span:
    """`FROM..TO`. SpecError names the flag."""
    begin, dots, end = text.partition("..")
    if not dots:
        raise SpecError(f"{flag} must be FROM..TO, not {text!r}")
    return ordered(flag, moment(flag, begin, now), moment(flag, end, now) if end else now, now)


def ordered(flag: str, begin: float, end: float, now: float) -> Span:
    """A span of the past. SpecError names the flag."""
    if not begin < end <= now + 1:
        raise SpecError(f"{flag} must begin before it ends, and end in the past")
    return Span(begin, end)


def told(at: float) -> str:
    """A moment for people: `03-01 12:00:05`, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%m-%d %H:%M:%S}"

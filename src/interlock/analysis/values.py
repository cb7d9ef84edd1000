"""Numbers that an expression gives at fixed moments, and whether they have left their bounds for good. Pure.

No statistics: what leaves the bounds counts when it stays out for as long as two scrapes, so that one bad
sample takes nobody back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from interlock.analysis.plan import Gate, Value
from interlock.analysis.timeline import Timeline

IN_A_ROW = 3
"""Numbers out of bounds, at least, with none within bounds between them."""


@dataclass(frozen=True, slots=True)
class NoNumber:
    """There was none, and why: an error, nothing at all, several series, NaN or infinite."""

    reason: str


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an expression gave at a moment (unix seconds)."""

    at: float
    found: float | NoNumber


class ValueJudge:
    """Looks at every number that counts, in order of time. `lasting` ≥ 0: seconds that must lie between the
    first and the last number out of bounds."""

    def __init__(self, gate: Gate, test: Value, unit: str, lasting: float) -> None:
        self.gate = gate
        self.test = test
        self.unit = unit
        self.lasting = lasting
        self.newest: Evaluated | None = None
        self.known_until = -math.inf
        """When there was a number last, unix seconds."""
        self.out_since: float | None = None
        """Since when all numbers have been out of bounds, unix seconds."""
        self.failed_at: float | None = None
        """The number with which it failed."""
        self._out = 0  # numbers out of bounds in a row

    def add(self, values: Iterable[Evaluated], timeline: Timeline) -> None:
        """Values later than those before; they count in steps in which the gate judges."""
        for value in values:
            stretch = timeline.at(value.at)
            later = self.newest is None or value.at > self.newest.at
            if later and value.at > self.gate.since and stretch and self.gate.judges(stretch.step):
                self._look(value)

    def _look(self, value: Evaluated) -> None:
        self.newest = value
        if isinstance(value.found, NoNumber):
            return  # it says nothing: neither that all is well again, nor that it is not
        self.known_until = value.at
        if self.test.holds(value.found):
            self._out, self.out_since = 0, None
            return
        self._out += 1
        self.out_since = value.at if self.out_since is None else self.out_since
        if self._out >= IN_A_ROW and value.at - self.out_since >= self.lasting and self.failed_at is None:
            self.failed_at = value.found

    @property
    def failed(self) -> bool:
        """Whether the number was out of bounds for long enough."""
        return self.failed_at is not None

    def told(self, number: float) -> str:
        """A number with its unit."""
        return f"{number:.6g} {self.unit}".strip()

    def state(self) -> dict[str, Any]:
        """As JSON."""
        newest = self.newest
        found = None if newest is None else newest.found
        return {
            "newest": None if newest is None else newest.at,
            "knownUntil": None if self.known_until == -math.inf else self.known_until,
            "found": found.reason if isinstance(found, NoNumber) else found,
            "outSince": self.out_since,
            "out": self._out,
            "failedAt": self.failed_at,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        if state["newest"] is not None:
            found = state["found"]
            value = NoNumber(found) if isinstance(found, str) else float(found)
            self.newest = Evaluated(float(state["newest"]), value)
        self.known_until = -math.inf if state["knownUntil"] is None else float(state["knownUntil"])
        self.out_since = None if state["outSince"] is None else float(state["outSince"])
        self._out = int(state["out"])
        self.failed_at = None if state["failedAt"] is None else float(state["failedAt"])


def moments(after: float, until: float, tick: float) -> tuple[float, ...]:
    """The moments in (after, until] at which expressions are evaluated: whole multiples of `tick`."""
    first = math.floor(after / tick) + 1
    return tuple(number * tick for number in range(first, math.floor(until / tick) + 1))

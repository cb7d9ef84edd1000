"""One series from answer to answer: known again by its bytes, so that only what is new is parsed.

Never guesses: what is not the bytes of before, an end of them, or either with one sample more, is parsed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from interlock.adapters.prometheus.labels import agent_of
from interlock.analysis.presets import ALERTS
from interlock.analysis.series import Point, Series

_END = b"]},"
"""Of the samples of a series, and of its item."""
_NONE = -1


class Recurring:
    """A series as the last answer had it that names it, the `named`th of all. `follower`: what came after it
    there.

    `told_by`: the number of the answer before that, where it had all these samples; else negative. So it is
    of an alert, which is looked at as long as it is there, evaluated again or not.
    """

    __slots__ = (
        "_is_alert",
        "_is_whole",
        "_meant",
        "_series",
        "_shown",
        "agent",
        "follower",
        "head",
        "named",
        "told_by",
    )

    def __init__(self, series: Series, head: bytes = b"", values: bytes = b"") -> None:
        """`head`: its item up to its samples; `values`: what these were parsed from. Both are empty where it
        will not be known again."""
        self.head = head
        self.follower: Recurring | None = None
        self.agent = agent_of(series.labels)
        self.told_by = _NONE
        self._is_alert = series.name == ALERTS
        self._series = series
        self._meant = self._shown = values  # what `_series` was parsed from, what the last answer had of it
        self._is_whole = _is_whole(values, series.points)
        self.named = _NONE

    def show(self, values: bytes, number: int) -> None:
        """The answer of that number, > 0, has these. ValueError, TypeError or OverflowError where they are
        not samples alone: then all is as it was."""
        if self.named == number:
            raise ValueError("a series twice")
        meant = self._meant
        if values == meant or (self._is_whole and _is_end_of(values, meant)):
            # what the answer before had was an end of `meant` too, and may have been a shorter one
            is_told = len(values) <= len(self._shown) and not self._is_alert
            self.told_by = self.named if is_told else _NONE
        else:
            self._move(values)
            self.told_by = _NONE
        self.named, self._shown = number, values

    @property
    def series(self) -> Series:
        """With the samples that the last answer had: those that are gone are cut off when somebody asks."""
        if self._shown is not self._meant:
            count = self._shown.count(b"[") - 1
            if count < len(self._series.points):
                self._series = self._series.at(self._series.points[-count:])
            self._meant = self._shown
        return self._series

    def _move(self, values: bytes) -> None:
        points = _with_one_more(self._series.points, self._meant, values) if self._is_whole else None
        if points is None:  # else they are all again
            points = parsed(values)
            self._is_whole = _is_whole(values, points)
        self._series, self._meant = self._series.at(points), values


def parsed(values: bytes) -> tuple[Point, ...]:
    """The samples of a series, from the last piece of its item. ValueError, TypeError or OverflowError where
    they are not samples alone."""
    if not values.endswith(b"},"):
        raise ValueError("more than labels and values")
    return points_of(from_json(values[:-2]))


def points_of(values: Iterable[Any]) -> tuple[Point, ...]:
    """What is not a number is left out. ValueError where they are not in order of time, each once."""
    found = tuple([(float(moment), float(value)) for moment, value in values])
    last = -math.inf
    for at, number in found:
        if not (last < at < math.inf and -math.inf < number < math.inf):
            return _finite(found)
        last = at
    return found


def _finite(points: Iterable[Point]) -> tuple[Point, ...]:
    found: list[Point] = []
    for at, number in points:
        if math.isfinite(at) and math.isfinite(number):
            if found and at <= found[-1][0]:
                raise ValueError("samples out of order")
            found.append((at, number))
    return tuple(found)


def _is_whole(values: bytes, points: tuple[Point, ...]) -> bool:
    """Whether these are all samples: what is no number is left out. None has a bracket but its own."""
    return values[-3:] == _END and values.count(b"[") == len(points) + 1


def _is_end_of(values: bytes, before: bytes) -> bool:
    """Whether the window has only lost samples since the values were `before`."""
    return values[:2] == b"[[" and before.endswith(values[1:])


def _with_one_more(points: tuple[Point, ...], before: bytes, values: bytes) -> tuple[Point, ...] | None:
    """Where they are the last of `points`, which `before` meant, and a new one: all of them. Else None."""
    kept, _, newest = values[1:].rpartition(b",[")
    if kept[:1] != b"[" or newest[-4:] != b"]" + _END or not before.endswith(kept, 1, -3):
        return None
    at, value = map(float, from_json(b"[" + newest[:-3]))
    if not (points[-1][0] < at < math.inf and -math.inf < value < math.inf):
        return None
    return (*points[-kept.count(b"[") :], (at, value))

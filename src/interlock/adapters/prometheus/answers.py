"""What Prometheus answered: bytes in, series out. Anything unexpected is a reason, never a number.

Most series of a tick are as they were at the last: those are known again by their bytes, and not parsed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from interlock.adapters.prometheus.labels import CANONICAL, LabelNames
from interlock.analysis.series import Point, Series
from interlock.core.observation import Unreadable
from interlock.ports import Samples

_HEAD = b'{"status":"success","data":{"resultType":"matrix","result":['
_ITEM = b'{"metric":'
_VALUES = b',"values":'
_TAIL = b"]}}"
KEPT_FOR = 40
"""Answers for which a series that does not appear is remembered, at least; twice that at most."""


def parse(status: int, body: bytes, names: LabelNames = CANONICAL) -> Samples | Unreadable:
    """An answer of /api/v1/query, wherever it comes from."""
    found = matrix(status, body)
    if isinstance(found, Unreadable):
        return found
    try:
        return Samples(tuple(_series(item, names) for item in found))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        return Unreadable("the answer holds malformed samples")


def matrix(status: int, body: bytes) -> list[Any] | Unreadable:
    """The items of an answer that holds series over time, as they came."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Unreadable(f"the answer (HTTP {status}) is not JSON: is this address Prometheus?")
    if status != 200 or not isinstance(answer, dict) or answer.get("status") != "success":
        detail = answer.get("error", "") if isinstance(answer, dict) else ""
        return Unreadable(f"Prometheus refused the query (HTTP {status}): {detail}"[:200])
    if answer.get("warnings"):
        return Unreadable(f"the answer may be partial: {answer['warnings']}"[:200])
    data = answer.get("data")
    if not isinstance(data, dict) or data.get("resultType") != "matrix":
        return Unreadable("the answer holds no matrix of samples")
    result = data.get("result") or []
    return result if isinstance(result, list) else Unreadable("the answer holds malformed samples")


class Answers:
    """Reads one answer after the other; says of each exactly what `parse` says of it.

    An answer in the very form in which Prometheus writes is cut where its series begin and where their
    values begin. Each piece is parsed as JSON by itself once, so the whole is JSON too, and can mean nothing
    else. In any other form the whole is parsed. Unchanged series are the same objects as before.
    """

    def __init__(self, names: LabelNames = CANONICAL) -> None:
        self._names = names
        self._recent: dict[bytes, tuple[bytes, Series]] = {}
        self._before: dict[bytes, tuple[bytes, Series]] = {}
        self._read = 0

    @property
    def known(self) -> int:
        """Series that would be known again."""
        return len(self._recent.keys() | self._before.keys())

    def read(self, status: int, body: bytes) -> Samples | Unreadable:
        """An answer of /api/v1/query."""
        self._grow_old()
        if status == 200 and body.startswith(_HEAD) and body.endswith(_TAIL):
            try:
                return Samples(tuple(self._recognized(body)))
            except (TypeError, ValueError, AttributeError, OverflowError, RecursionError):
                pass  # it is of another form, or malformed: the whole will tell
        return parse(status, body, self._names)

    def _recognized(self, body: bytes) -> Iterable[Series]:
        """ValueError for all that has another form."""
        first, *items = body[len(_HEAD) : -len(_TAIL)].split(_ITEM)
        if first or not items:
            if body == _HEAD + _TAIL:
                return []
            raise ValueError("no series, but something")
        items[-1] += b","
        return [self._one(item) for item in items]

    def _one(self, item: bytes) -> Series:
        labels, _, values = item.partition(_VALUES)
        known = self._recent.get(labels) or self._before.get(labels)
        if known is None or known[0] != values:
            if not values.endswith(b"},"):
                raise ValueError("more than labels and values")
            points = _points(from_json(values[:-2]))
            series = known[1].at(points) if known else Series(_labels(from_json(labels), self._names), points)
            known = (values, series)
        self._recent[labels] = known
        return known[1]

    def _grow_old(self) -> None:
        self._read += 1
        if self._read % KEPT_FOR == 0:
            self._recent, self._before = {}, self._recent


def _series(item: dict[str, Any], names: LabelNames) -> Series:
    return Series(_labels(item["metric"], names), _points(item.get("values") or ()))


def _labels(found: dict[str, Any], names: LabelNames) -> dict[str, str]:
    return names.ours({str(key): str(value) for key, value in found.items()})


def _points(values: Iterable[Any]) -> tuple[Point, ...]:
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

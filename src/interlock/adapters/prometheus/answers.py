"""What Prometheus answered: bytes in, series out. Anything unexpected is a reason, never a number.

Most samples of a tick were there at the last: whoever has had that answer need only be told what is new.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from interlock.adapters.prometheus.labels import CANONICAL, LabelNames
from interlock.adapters.prometheus.recurring import Recurring, parsed, points_of
from interlock.analysis.series import Series
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


@dataclass(frozen=True, slots=True)
class Answer:
    """The series of one answer, until the next is read. `mark`: its number, 0 if it is of another form."""

    found: Sequence[Recurring]
    mark: int = 0

    @property
    def samples(self) -> Samples:
        """All of it."""
        return Samples(tuple(one.series for one in self.found))


class Answers:
    """Reads one answer after the other; says of each exactly what `parse` says of it.

    An answer in the very form in which Prometheus writes is cut where its series begin and where their
    values begin. Each piece is parsed as JSON by itself once, so the whole is JSON too, and can mean nothing
    else. In any other form the whole is parsed. Unchanged series are the same objects as before.
    """

    def __init__(self, names: LabelNames = CANONICAL) -> None:
        self._names = names
        self._known: dict[bytes, Recurring] = {}
        self._read = 0

    @property
    def known(self) -> int:
        """Series that would be known again."""
        return len(self._known)

    def read(self, status: int, body: bytes) -> Answer | Unreadable:
        """An answer of /api/v1/query."""
        self._grow_old()
        if status == 200 and body.startswith(_HEAD) and body.endswith(_TAIL):
            try:
                return Answer(self._recognized(body), self._read)
            except (TypeError, ValueError, AttributeError, OverflowError, RecursionError):
                pass  # it is of another form, or malformed: the whole will tell
        found = parse(status, body, self._names)
        return found if isinstance(found, Unreadable) else Answer(tuple(map(Recurring, found.series)))

    def _recognized(self, body: bytes) -> Sequence[Recurring]:
        """ValueError for all that has another form."""
        first, *items = body[len(_HEAD) : -len(_TAIL)].split(_ITEM)
        if first or not items:
            if body == _HEAD + _TAIL:
                return ()
            raise ValueError("no series, but something")
        items[-1] += b","
        number, found = self._read, []
        last: Recurring | None = None
        for item in items:
            one = last.follower if last else None
            if one is None or not item.startswith(one.head):
                one = self._named(item)
                if last is not None:
                    last.follower = one
            one.show(item[len(one.head) :], number)
            found.append(one)
            last = one
        return found

    def _named(self, item: bytes) -> Recurring:
        labels, _, values = item.partition(_VALUES)
        known = self._known.get(labels)
        if known is None:
            series = Series(_labels(from_json(labels), self._names), parsed(values))
            known = self._known[labels] = Recurring(series, labels + _VALUES, values)
        return known

    def _grow_old(self) -> None:
        self._read += 1
        if self._read % KEPT_FOR == 0:
            since = self._read - KEPT_FOR
            self._known = {labels: one for labels, one in self._known.items() if one.named > since}


def _series(item: dict[str, Any], names: LabelNames) -> Series:
    return Series(_labels(item["metric"], names), points_of(item.get("values") or ()))


def _labels(found: dict[str, Any], names: LabelNames) -> dict[str, str]:
    return names.ours({str(key): str(value) for key, value in found.items()})

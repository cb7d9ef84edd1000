"""What an expression gave at fixed moments: bytes of /api/v1/query_range in, numbers or reasons out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from interlock.adapters.prometheus.answers import matrix
from interlock.analysis.values import Evaluated, NoNumber
from interlock.core.observation import Unreadable
from interlock.ports import Evaluation


def numbers(status: int, body: bytes, evaluation: Evaluation) -> Sequence[Evaluated] | Unreadable:
    """One result for each moment; exactly one finite number of one series is a number, all else a reason."""
    found = matrix(status, body)
    if isinstance(found, Unreadable):
        return found
    given: dict[int, list[float]] = defaultdict(list)
    try:
        for item in found:
            for moment, value in item.get("values") or ():
                given[_millisecond(float(moment))].append(float(value))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        return Unreadable("the answer holds malformed samples")
    return [Evaluated(at, _one(given[_millisecond(at)])) for at in evaluation.moments]


def _millisecond(at: float) -> int:
    """Prometheus keeps and tells times in whole ones."""
    return round(at * 1000)


def _one(values: Sequence[float]) -> float | NoNumber:
    match values:
        case []:
            return NoNumber("the expression gives nothing")
        case [value] if math.isfinite(value):
            return value
        case [value]:
            return NoNumber(f"the expression gives {value}")
        case _:
            return NoNumber(f"the expression gives {len(values)} series: aggregate them to one")

"""What the stable version did in the day before an attempt, as far as gates weigh outcomes by it.

How many correlated outcomes are worth one independent outcome (statistics.md f), and how many are good (a).
It is told once, by whoever reads it, and does not change during the attempt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from interlock.analysis.dispersion import HISTORY_SECONDS, LOOK_SECONDS
from interlock.analysis.evidence import PRIOR_OUTCOMES
from interlock.analysis.plan import Compare, Gate, Limit, Tail
from interlock.analysis.series import PROCESS_START
from interlock.analysis.usual import Usual, UsualRate

MIN_LOOKS = 12  # with outcomes; of fewer their scatter is not known


@dataclass(frozen=True, slots=True)
class Past:
    """Of one gate's metric. `effect` ≥ 1: outcomes that are worth one; `rate` in (0, 1): of the good ones.

    `rate` is None where too little is known for it; `unknown` says why the effect is not known and taken to
    be 1, and is empty where it was measured.
    """

    effect: float = 1.0
    rate: float | None = None
    unknown: str = ""


def looks_back(gate: Gate) -> bool:
    """Whether the gate's outcomes are weighed by stable's past.

    Comparisons of outcomes are, and limits that are no safety gates: a safety gate takes each outcome for
    itself and waits for nobody. Means carry the variance of their own blocks; the others are plain counts.
    """
    return isinstance(gate.test, Compare | Tail) or (isinstance(gate.test, Limit) and not gate.safety)


def subject(gate: Gate) -> str:
    """What a gate's past is about: gates that differ in their margin or name share one."""
    return repr((gate.metric, gate.test.above if isinstance(gate.test, Tail) else None))


def span(since: float) -> tuple[float, float]:
    """Begin and end (unix seconds) of the day before `since`, in whole looks: whenever one asks, the same."""
    end = math.floor(since / LOOK_SECONDS) * LOOK_SECONDS
    return end - HISTORY_SECONDS, end


def families_of(gates: Iterable[Gate]) -> frozenset[str]:
    """Metric names that must be read of that day."""
    return frozenset({PROCESS_START}).union(*(gate.families for gate in gates if looks_back(gate)))


def pasts(gates: Iterable[Gate], found: Usual) -> dict[str, Past]:
    """By subject, from what stable usually did on that day."""
    return {subject(gate): _past(found.gates.get(gate.name)) for gate in gates if looks_back(gate)}


def unknown_pasts(gates: Iterable[Gate], why: str) -> dict[str, Past]:
    """Where that day could not be read."""
    return {subject(gate): Past(unknown=why) for gate in gates if looks_back(gate)}


def _past(found: object) -> Past:
    if not isinstance(found, UsualRate):
        return Past(unknown="stable has no outcomes in the day before this attempt")
    rate = found.good if found.counts.total >= PRIOR_OUTCOMES else None
    if found.looks < MIN_LOOKS:
        minutes = found.looks * LOOK_SECONDS / 60
        return Past(
            rate=rate, unknown=f"stable has outcomes in only {minutes:.0f} min of the day before this attempt"
        )
    return Past(found.effect, rate)


def restored_pasts(state: Mapping[str, Any]) -> dict[str, Past]:
    """As they were at `state`. ValueError where that is none."""
    found = {}
    for about, (effect, rate, unknown) in state.items():
        past = Past(float(effect), None if rate is None else float(rate), str(unknown))
        if not (1 <= past.effect < math.inf and (past.rate is None or 0 < past.rate < 1)):
            raise ValueError("a past that cannot be")
        found[str(about)] = past
    return found

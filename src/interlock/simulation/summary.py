"""What several seeds came to: how often, when, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from interlock.simulation.timeline import Run

Z = 1.959963984540054
"""Of a two-sided interval of 95 %."""
HELD = "Held"
"""The outcome of a walk that the story ended before it did."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Walks that ended alike. `low` and `high`: the interval of the share, 95 %. Times in seconds."""

    outcome: str
    reason: str
    step: str
    count: int
    share: float
    low: float
    high: float
    median: float
    """Of the time until it was decided."""
    p95: float
    seeds: tuple[int, ...]


def outcome_of(run: Run) -> str:
    """`Promoted`, `Reverted`, …; `Held` when the story was over first."""
    return run.outcome.value if run.outcome else HELD


def endings(runs: Sequence[Run], *, by_step: bool = True) -> tuple[Ending, ...]:
    """Walks by how they ended (and in which step), the most frequent first."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        where = (run.reason, run.step) if by_step else ("", "")
        groups.setdefault((outcome_of(run), *where), []).append(run)
    found = [_ending(key, alike, len(runs)) for key, alike in groups.items()]
    return tuple(sorted(found, key=lambda ending: (-ending.count, ending.outcome, ending.step)))


def _ending(key: tuple[str, str, str], alike: list[Run], total: int) -> Ending:
    times = sorted(run.decided if run.outcome else run.ended for run in alike)
    low, high = wilson(len(alike), total)
    return Ending(
        *key,
        count=len(alike),
        share=len(alike) / total,
        low=low,
        high=high,
        median=quantile(times, 0.5),
        p95=quantile(times, 0.95),
        seeds=tuple(run.seed for run in alike),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the values (ascending, at least one) that `share` of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def wilson(count: int, total: int) -> tuple[float, float]:
    """The score interval of a share, 95 %; `total` ≥ 1 (Wilson 1927)."""
    share, spread = count / total, Z * Z / total
    middle = (share + spread / 2) / (1 + spread)
    reach = Z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, middle - reach), min(1.0, middle + reach)

"""How a figure is printed, and whether it is what was promised: for all tables of the statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median, quantiles

from dev.bench.statistics_rules import Rule
from dev.bench.statistics_worlds import LOOK_SECONDS, Look
from interlock.analysis.intervals import exact_interval

BASE = 0.92
HALF_AN_HOUR = int(1800 / LOOK_SECONDS)


@dataclass(frozen=True, slots=True)
class Bench:
    """How often to run each world, and from which seed."""

    runs: int
    seed: int

    def chances(self, name: str, part: float = 1.0) -> Iterator[Random]:
        """One generator a run; worlds of different name do not share any."""
        for run in range(max(2, int(self.runs * part))):
            yield Random(f"{self.seed} {name} {run}")  # noqa: S311 - a world, not a secret


Line = tuple[str, str]  # what is printed, and met, open, missed or nothing


def share_line(name: str, events: Sequence[bool], target: float | None) -> Line:
    figure, verdict = judged(sum(events), len(events), target)
    wanted = f"target ≤ {100 * target:g} %" if target is not None else ""
    return f"{name:58}{figure:>24}  {wanted:15}", verdict


def judged(count: int, runs: int, target: float | None) -> Line:
    low, high = exact_interval(count, runs)
    figure = f"{percent(count / runs)} ({100 * low:.1f}–{100 * high:.1f})"
    if target is None:
        return figure, ""
    return figure, "met" if high <= target else "missed" if low > target else "open"


def effort(name: str, found: Sequence[float], target: float | None) -> Line:
    """A median is met when a binomial interval for it lies within the target."""
    if target is None:
        return f"{name:44}{median(found):>10.0f}{quantiles(found, n=20)[-1]:>8.0f}", ""
    ranked = sorted(found)
    reach = 0.98 * math.sqrt(len(ranked))
    low, high = (
        ranked[max(0, min(len(ranked) - 1, round(len(ranked) / 2 + sign * reach)))] for sign in (-1, 1)
    )
    verdict = "met" if high <= target else "missed" if low > target else "open"
    tail = quantiles(found, n=20)[-1]
    return f"{name:44}{median(found):>10.0f}{tail:>8.0f}{f'≤ {target:g}':>10}", verdict


def percent(share: float) -> str:
    return f"{100 * share:.{1 if share >= 0.01 else 2}f} %"


def tasks_until(rule: Rule, looks: Iterator[Look]) -> float:
    tasks = 0.0
    for look in looks:
        tasks += look.candidate.total
        if rule.see(look):
            break
    return tasks

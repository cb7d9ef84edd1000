"""How many outcomes make one independent outcome: the design effect of sessions and tenants."""

from __future__ import annotations

from collections.abc import Iterable

from interlock.analysis.evidence import Tally

LOOK_SECONDS = 300.0  # width of the increments from which the design effect is measured
HISTORY_SECONDS = 86400.0  # of the stable version, before the attempt


def design_effect(looks: Iterable[Tally]) -> float:
    """Overdispersion of the success rate between looks, ≥ 1 (statistics.md f).

    `looks`: the stable version's outcomes in 5-minute increments of its last day, measured once at the
    attempt's start. Pearson's χ² against one common rate over its degrees of freedom (McCullagh & Nelder
    1989). It takes a drift of the rate within that day for correlation too, which errs on the safe side.
    1 where nothing can be told: fewer than two looks with outcomes, or all outcomes alike.
    """
    seen = [look for look in looks if look.total > 0]
    total = sum((look.total for look in seen), 0.0)
    rate = sum((look.good for look in seen), 0.0) / total if seen else 0.0
    if len(seen) < 2 or not 0 < rate < 1:
        return 1.0
    squares = sum((look.good - look.total * rate) ** 2 / look.total for look in seen)
    return max(1.0, squares / (rate * (1.0 - rate)) / (len(seen) - 1))


def deflated(counts: Tally, effect: float) -> Tally:
    """The independent outcomes that `counts` are worth; `effect` ≥ 1. The e-processes take fractions."""
    return Tally(counts.good / effect, counts.total / effect)

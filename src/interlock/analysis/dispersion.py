"""How many outcomes make one independent outcome: the design effect of sessions and tenants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from interlock.analysis.evidence import Tally

LOOK_SECONDS = 300.0  # width of the increments from which the design effect is measured
HISTORY_SECONDS = 86400.0  # of the stable version, before the attempt
STRATUM_LOOKS = 6  # half an hour: sessions are shorter, and the course of a day is slower
TRIMMED = 1.15  # what leaving out the largest tenth takes away from χ² with 5 degrees of freedom


def design_effect(looks: Iterable[Tally]) -> float:
    """Overdispersion of the success rate between looks, ≥ 1 (statistics.md f).

    `looks`: the stable version's outcomes in 5-minute increments of its last day, measured once at the
    attempt's start. Pearson's χ² against one common rate over its degrees of freedom (McCullagh & Nelder
    1989). It takes a drift of the rate within that day for correlation too, which errs on the safe side.
    1 where nothing can be told: fewer than two looks with outcomes, or all outcomes alike.
    """
    found = _chi_square([look for look in looks if look.total > 0])
    return 1.0 if found is None else max(1.0, found[0] / found[1])


def design_effect_by_half_hours(looks: Mapping[int, Tally]) -> float:
    """`design_effect` within half hours, pooled; looks by their number (unix seconds over LOOK_SECONDS).

    A day has a course: with the usual rate of every half hour as its own measure, a drift that both versions
    share is not taken for correlation. The tenth of the half hours that scatter most is left out, with
    their incidents, and what chance alone loses by that is given back. 1 where nothing can be told.
    """
    strata: dict[int, list[Tally]] = {}
    for at, look in looks.items():
        if look.total > 0:
            strata.setdefault(at // STRATUM_LOOKS, []).append(look)
    found = sorted(filter(None, (_chi_square(seen) for seen in strata.values())), key=lambda s: s[0] / s[1])
    left_out = len(found) // 10
    kept = found[: len(found) - left_out]
    if not kept:
        return 1.0
    scatter = sum(square for square, _ in kept) / sum(freedom for _, freedom in kept)
    return max(1.0, scatter * (TRIMMED if left_out else 1.0))


def _chi_square(looks: Sequence[Tally]) -> tuple[float, int] | None:
    """Pearson's χ² against one common rate, and its degrees of freedom; None where nothing can be told."""
    total = sum((look.total for look in looks), 0.0)
    rate = sum((look.good for look in looks), 0.0) / total if looks else 0.0
    if len(looks) < 2 or not 0 < rate < 1:
        return None
    squares = sum((look.good - look.total * rate) ** 2 / look.total for look in looks)
    return squares / (rate * (1.0 - rate)), len(looks) - 1


def deflated(counts: Tally, effect: float) -> Tally:
    """The independent outcomes that `counts` are worth; `effect` ≥ 1. The e-processes take fractions."""
    return counts if effect == 1.0 else Tally(counts.good / effect, counts.total / effect)

"""Numbers as people say them."""

from __future__ import annotations

import math

from interlock.analysis.metrics import Average
from interlock.analysis.plan import Gate


def duration(seconds: float) -> str:
    """`45s`, `12m`, `2h5m`, `3d4h`: two units at the most; `never` for inf."""
    if not math.isfinite(seconds):
        return "never"
    whole = round(seconds)
    if whole < 120:
        return f"{whole}s"
    whole = round(seconds / 60)
    for size, unit, small, part in ((1440, "d", 60, "h"), (60, "h", 1, "m")):
        if whole >= size * (2 if unit == "d" else 1):
            count, rest = divmod(whole, size)
            return f"{count}{unit}{rest // small}{part}" if rest // small else f"{count}{unit}"
    return f"{whole}m"


def counted(number: int, what: str) -> str:
    """`1 gate`, `3 gates`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share: `92 %`, `0.25 %`."""
    return f"{100 * share:.3g} %"


def value(gate: Gate, number: float) -> str:
    """What a gate measures: a share, or a mean in its unit like `0.031 USD`."""
    return f"{number:.3g} {gate.metric.unit}" if isinstance(gate.metric, Average) else percent(number)


def change(gate: Gate, before: float, after: float) -> str:
    """Two such values, short: `92→88%`, `0.031→0.039 USD`."""
    if isinstance(gate.metric, Average):
        return f"{before:.3g}→{after:.3g} {gate.metric.unit}"
    return f"{100 * before:.3g}→{100 * after:.3g}%"

"""A figure beside its target and beside what the established controllers need, as ratios."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

ARGO = "Argo Rollouts 1.9.1"
FLAGGER = "Flagger 1.44"


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured. Targets are upper bounds."""

    what: str
    value: float
    unit: str
    target: float | None = None
    peers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Measured on the same kind of machine: one value, or the least and the most."""
    note: str = ""

    def show(self) -> str:
        """One line; the load average says who else was at work."""
        parts = [f"{self.what:48}{self.value:10.2f} {self.unit:6}"]
        if self.target is not None:
            parts.append(f"target ≤ {self.target:g}{_ratio(self.value, self.target)}")
        parts += [
            f"{name} {_span(values)}{_times(values, self.value)}" for name, values in self.peers.items()
        ]
        parts.append(f"[load {os.getloadavg()[0]:.1f}]")
        if self.note:
            parts.append(self.note)
        return "   ".join(parts)


def _ratio(value: float, target: float) -> str:
    return f" ({value / target:.2f} of it)" if target else ""


def _span(values: tuple[float, ...]) -> str:
    return "–".join(f"{value:g}" for value in values)


def _times(values: tuple[float, ...], ours: float) -> str:
    return f" ({'–'.join(f'{value / ours:.1f}' for value in values)}×)" if ours else ""


def show(*figures: Figure) -> None:
    """Print them, a line each."""
    for figure in figures:
        print(figure.show(), flush=True)

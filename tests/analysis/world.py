"""A world of counters whose truth is known: pods, processes and scrapes, as Prometheus would store them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from interlock.analysis.series import PROCESS_START, Identity, Series

Labels = Mapping[str, str]


@dataclass
class Pod:
    """One target: `do` counts, `scrape` records what is exposed at that moment, `restart` loses it all."""

    name: str
    started: float
    labels: Labels = field(default_factory=dict)
    exports_start: bool = True
    instance: str = ""
    values: dict[Identity, float] = field(default_factory=dict)
    stored: dict[Identity, list[tuple[float, float]]] = field(default_factory=dict)

    def do(self, family: str, amount: float = 1.0, **labels: str) -> None:
        key = self._identity(family, labels)
        self.values[key] = self.values.get(key, 0.0) + amount

    def restart(self, at: float) -> None:
        self.values.clear()
        self.started = at

    def scrape(self, at: float) -> None:
        exposed = dict(self.values)
        if self.exports_start:
            exposed[self._identity(PROCESS_START, {})] = self.started
        for key, value in exposed.items():
            self.stored.setdefault(key, []).append((float(at), float(value)))

    def _identity(self, family: str, labels: Labels) -> Identity:
        target = {
            "namespace": "shop",
            "pod": self.name,
            "instance": self.instance or self.name,
            "job": "agents",
        }
        return tuple(sorted({**target, **self.labels, **labels, "__name__": family}.items()))


def window(pods: Iterable[Pod], begin: float, end: float) -> list[Series]:
    """What a query for the samples in (begin, end] answers."""
    found = []
    for pod in pods:
        for identity, points in pod.stored.items():
            seen = tuple(point for point in points if begin < point[0] <= end)
            if seen:
                found.append(Series(dict(identity), seen))
    return found

"""By which ways one and the same counter reaches us: what of its labels is about the scrape, not about it.

A scrape's labels may change under a running process: a monitor is renamed, a label is added, a server writes
bucket bounds in another way. Its counters go on all the same.
"""

from __future__ import annotations

from collections.abc import Hashable

from interlock.analysis.histogram import bucket_bound

Labels = tuple[tuple[str, str], ...]

SCRAPE_LABELS = frozenset(
    {"instance", "job", "endpoint", "service", "prometheus", "prometheus_replica", "replica"}
)
"""Labels that name the scrape and the server, not the process: all else equal means the same counter."""
OURS = frozenset({"__name__", "namespace", "agent", "version", "mode", "pod", "container"})
"""Labels by which processes and tasks differ, whatever else may."""


class Ways:
    """Learns from a process' age which further labels are about the scrape.

    Each process exports one age, without labels of its own. Two series of the ages of one target differ
    by what was put there on the way to us, and so do all its other series.
    """

    def __init__(self) -> None:
        self._labels = SCRAPE_LABELS
        self._ages: dict[Hashable, Labels] = {}

    @property
    def labels(self) -> frozenset[str]:
        """Those about the scrape, as far as they are known."""
        return self._labels

    def notice(self, target: Hashable, age: Labels) -> bool:
        """The labels of a series that tells the age of that target's process. Returns whether they teach."""
        known = self._ages.setdefault(target, age)
        found = {label for label, _ in {*known} ^ {*age}} - OURS - self._labels
        self._labels |= found
        return bool(found)

    def counter(self, identity: Labels) -> Labels:
        """What all series of one counter have in common. Bounds are numbers, however they are written."""
        return tuple(
            (label, _number(value) if label == "le" else value)
            for label, value in identity
            if label not in self._labels
        )


def _number(le: str) -> str:
    bound = bucket_bound(le)
    return le if bound is None else repr(bound)

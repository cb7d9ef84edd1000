"""Notices that one process is scraped twice: two monitors, or a pair of Prometheus servers behind one query.

Its counts are then doubled, and evidence drawn from them would be too strong; nothing may rest on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from interlock.analysis.series import Identity, Series, Target, target_of

# Labels that name the scrape and the server, not the process: all else equal means the same counter.
SCRAPE_LABELS = frozenset(
    {"instance", "job", "endpoint", "service", "prometheus", "prometheus_replica", "replica"}
)
SAME_PROCESS = 2.0  # seconds by which start times of one process may differ


class Doubles:
    """Counters that reach us by two ways at a time. Once found, they stay found: the counts are spoilt."""

    def __init__(self) -> None:
        self._shared: dict[Identity, Identity] = {}
        self._spans: dict[Identity, dict[Identity, tuple[Target, float, float]]] = {}
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}

    def advance(
        self, series: Iterable[Series], now: float, process_start: Callable[[Target], float | None]
    ) -> None:
        """Take in counters up to `now`; `process_start` gives the start of a target's process, if known."""
        for one in series:
            newest = one.newest(now)
            if newest is None:
                continue
            spans = self._spans.setdefault(self._common(one), {})
            begun = spans[one.identity][1] if one.identity in spans else one.points[0][0]
            spans[one.identity] = (one.target, begun, newest[0])
            if len(spans) > 1 and _overlap(spans.values(), process_start):
                ways = sorted({f"{target[3]} {target[2]}".strip() for target, _, _ in spans.values()})
                self._found[(one.name, one.labels.get("pod", ""))] = tuple(ways)

    def __bool__(self) -> bool:
        """Whether any counter arrives twice."""
        return bool(self._found)

    def pods(self, families: Iterable[str]) -> tuple[str, ...]:
        """Pods in which a counter of these families arrives twice."""
        wanted = frozenset(families)
        return tuple(sorted({pod for family, pod in self._found if family in wanted}))

    def warnings(self) -> tuple[str, ...]:
        """One sentence a pod."""
        ways = {pod: names for (_, pod), names in self._found.items()}
        return tuple(
            f"pod {pod} is scraped twice ({', '.join(names)}), its counts are doubled: "
            "keep one monitor, deduplicate the query, then retry"
            for pod, names in sorted(ways.items())
        )

    def state(self, number: Callable[[Identity], int], *, spans: bool) -> dict[str, Any]:
        """As JSON, series by their numbers; without `spans` only what has been found."""
        rows = [
            [number(identity), begun, last]
            for group in self._spans.values()
            for identity, (_, begun, last) in group.items()
        ]
        found = [[family, pod, list(ways)] for (family, pod), ways in self._found.items()]
        return {"found": found, "spans": rows if spans else []}

    def restore(self, state: Mapping[str, Any], identities: Sequence[Identity]) -> None:
        """Go on from `state`; `identities` are the series by their numbers."""
        self._found = {
            (str(family), str(pod)): tuple(str(way) for way in ways) for family, pod, ways in state["found"]
        }
        for at, begun, last in state["spans"]:
            identity = identities[at]
            group = self._spans.setdefault(_shared(identity), {})
            group[identity] = (target_of(dict(identity)), float(begun), float(last))

    def _common(self, one: Series) -> Identity:
        known = self._shared.get(one.identity)
        if known is None:
            known = self._shared[one.identity] = _shared(one.identity)
        return known


def _shared(identity: Identity) -> Identity:
    return tuple(label for label in identity if label[0] not in SCRAPE_LABELS)


def _overlap(
    spans: Iterable[tuple[Target, float, float]], process_start: Callable[[Target], float | None]
) -> bool:
    """Whether two of them ran side by side and are not known to be different processes."""
    ordered = sorted(spans, key=lambda span: (span[1], span[2]))
    for at, (target, _, last) in enumerate(ordered):
        for other, begun, _ in ordered[at + 1 :]:
            if begun <= last and _one_process(process_start(target), process_start(other)):
                return True
    return False


def _one_process(start: float | None, other: float | None) -> bool:
    return start is None or other is None or abs(start - other) <= SAME_PROCESS

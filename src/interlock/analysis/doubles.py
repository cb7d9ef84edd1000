"""Notices that one process is scraped twice: two monitors, or a pair of Prometheus servers behind one query.

Its counts are then doubled, and evidence drawn from them would be too strong; nothing may rest on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.analysis.series import Identity, Series, Target, target_of
from interlock.analysis.ways import Ways

SAME_PROCESS = 2.0  # seconds by which start times of one process may differ


@dataclass(slots=True)
class _Span:
    """When a counter was seen by one way: first and last sample, unix seconds."""

    target: Target
    begun: float
    last: float


_Spans = dict[Identity, _Span]
"""All ways by which one counter reaches us."""


class Doubles:
    """Counters that reach us by two ways at a time. Once found, they stay found: the counts are spoilt."""

    def __init__(self, ways: Ways) -> None:
        """`ways`: what is known of the labels that are about the scrape; it may learn."""
        self._ways = ways
        self._known_labels = ways.labels
        self._spans: dict[Identity, _Spans] = {}
        self._met_before: dict[Identity, tuple[_Span, _Spans]] = {}  # by series: looked up at every look
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}

    def advance(
        self, series: Iterable[Series], now: float, process_start: Callable[[Target], float | None]
    ) -> None:
        """Take in counters up to `now`; `process_start` gives the start of a target's process, if known."""
        if self._ways.labels != self._known_labels:
            self._regroup()
        for one in series:
            newest = one.newest(now)
            if newest is None:
                continue
            known = self._met_before.get(one.identity)
            span, spans = known or self._met(one.identity, _Span(one.target, one.points[0][0], newest[0]))
            span.last = newest[0]
            if len(spans) > 1 and _overlap(spans.values(), process_start):
                self._found[(one.name, one.labels.get("pod", ""))] = _told(spans)

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
            [number(identity), span.begun, span.last]
            for group in self._spans.values()
            for identity, span in group.items()
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
            self._met(identity, _Span(target_of(dict(identity)), float(begun), float(last)))

    def _met(self, identity: Identity, span: _Span) -> tuple[_Span, _Spans]:
        """A series is seen for the first time."""
        group = self._spans.setdefault(self._ways.counter(identity), {})
        group[identity] = span
        self._met_before[identity] = span, group
        return span, group

    def _regroup(self) -> None:
        """More is known of the labels that are about the scrape."""
        self._known_labels = self._ways.labels
        met, self._spans = self._met_before, {}
        for identity, (span, _) in met.items():
            self._met(identity, span)


def _told(spans: _Spans) -> tuple[str, ...]:
    """The ways by the job and the address that is scraped; where these are one, by what else differs."""
    ways = {f"{span.target[3]} {span.target[2]}".strip() for span in spans.values()}
    if len(ways) > 1:
        return tuple(sorted(ways))
    shared = frozenset.intersection(*map(frozenset, spans))
    others = ({f'{name}="{value}"' for name, value in {*identity} - shared} for identity in spans)
    return tuple(sorted(" ".join(sorted(names)) or "without" for names in others))


def _overlap(spans: Iterable[_Span], process_start: Callable[[Target], float | None]) -> bool:
    """Whether two of them ran side by side and are not known to be different processes."""
    ordered = sorted(spans, key=lambda span: (span.begun, span.last))
    for at, one in enumerate(ordered):
        for later in ordered[at + 1 :]:
            started = process_start(one.target), process_start(later.target)
            if later.begun <= one.last and _one_process(*started):
                return True
    return False


def _one_process(start: float | None, other: float | None) -> bool:
    return start is None or other is None or abs(start - other) <= SAME_PROCESS

"""What is new at a look, and what is known of each series for good: looks are more frequent than scrapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from interlock.analysis.judges import EventsJudge, LimitJudge
from interlock.analysis.plan import Mode, Plan, Track, mode_named
from interlock.analysis.presets import DURATION_BUCKETS, TASKS, TASKS_STARTED
from interlock.analysis.series import PROCESS_START, Identity, Series


@dataclass(frozen=True, slots=True)
class Source:
    """What all outcomes of a series have in common: the labels that judges are shown, and who counts them.

    `bounds`: those of its histogram that gates ask for.
    """

    labels: Mapping[str, str]
    bounds: str
    is_compared: bool
    counted_by: tuple[LimitJudge | EventsJudge, ...]


@dataclass(slots=True)
class Known:
    """What is known of one series. `tracks`: the versions that it comes from.

    `is_mine`: it is read, and theirs or the age of one of their processes. `is_task`: it counts tasks that
    begin or end. `is_verified`: it says who verified. `handed`: its last sample that was handed in, unix
    seconds.
    """

    tracks: list[Track]
    mode: Mode | None
    is_mine: bool
    is_counter: bool
    is_task: bool
    is_verified: bool
    handed: float = -math.inf
    is_exported: bool = False
    """Whether a sample that is data has been seen."""
    source: Source | None = None


Owned = tuple[Series, Known]


class Incoming:
    """Of all that is handed in, what was not there before."""

    def __init__(self, plan: Plan, counters: frozenset[str]) -> None:
        """`counters`: metric names that are counted."""
        self._counters = counters
        self._read = counters | {DURATION_BUCKETS, PROCESS_START}
        self._sides = ((Track.CANDIDATE, plan.candidate), (Track.STABLE, plan.stable))
        self._known: dict[Identity, Known] = {}

    def news(self, series: Iterable[Series], now: float) -> list[Owned]:
        """Those that are read of either version and hold a sample that was not there before."""
        known, found = self._known, []
        for one in series:
            if not one.points:
                continue
            of = known.get(one.identity) or self._look_at(one)
            last = one.points[-1][0]
            if last > of.handed:
                if last <= now:
                    of.handed = last
                if of.is_mine:
                    found.append((one, of))
        return found

    def mine(self, series: Iterable[Series]) -> list[Series]:
        """Those that are read of either version."""
        return [one for one in series if (self._known.get(one.identity) or self._look_at(one)).is_mine]

    def _look_at(self, one: Series) -> Known:
        tracks = [track for track, side in self._sides if side.owns(one.labels)]
        is_mine = one.name in self._read and (bool(tracks) or self._is_age(one))
        known = self._known[one.identity] = Known(
            tracks=tracks,
            mode=mode_named(one.labels.get("mode")),
            is_mine=is_mine,
            is_counter=one.name in self._counters,
            is_task=one.name in (TASKS, TASKS_STARTED),
            is_verified="verifier" in one.labels,
        )
        return known

    def _is_age(self, one: Series) -> bool:
        """Whether it tells how old a process of either version is; it need not carry the version's label."""
        pod = one.labels.get("pod", "")
        return one.name == PROCESS_START and any(pod.startswith(side.pod_prefix) for _, side in self._sides)

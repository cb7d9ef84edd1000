"""Turns raw counter samples into exact increments, series by series.

Never `rate()` or `increase()`: they extrapolate, and a series born at 1 (the first violation) counts as 0.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from interlock.analysis.ways import Ways

PROCESS_START = "process_start_time_seconds"

# A process's start time may wobble by a second (Go reads the boot time anew at every scrape), and the clocks
# of a node, of Prometheus and of whoever names `since` differ. Within these, in seconds, a start is believed:
# to lose the first violation of a pod born for the attempt is worse than to count one scrape too much.
START_JITTER = 2.0
CLOCK_SKEW = 30.0
# A scrape that a series was absent from lies at least as far from its samples before and after: this part of
# the time between them, but no more than so many seconds, for of the scrapes between only the last is kept.
APART, FAR_ENOUGH = 0.1, 0.5

Identity = tuple[tuple[str, str], ...]
Target = tuple[str, str, str, str]
Point = tuple[float, float]


def target_of(labels: Mapping[str, str]) -> Target:
    """What was scraped to get a series with these labels."""
    get = labels.get
    return (get("namespace", ""), get("pod", ""), get("instance", ""), get("job", ""))


class _Labels(tuple[tuple[str, str], ...]):
    """Labels in order. Hashed once: each look asks of each series what is known of it."""

    def __init__(self, labels: Iterable[tuple[str, str]]) -> None:
        self._hash = tuple.__hash__(self)

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class Series:
    """Raw samples of one series as Prometheus stores them.

    `labels` include `__name__`; `points` are (unix seconds, value), ascending in time. `identity` is the
    hashable form of the labels, `name` the metric's. `target` is what was scraped: (namespace, pod,
    instance, job); all its series share each scrape's time. NaN, infinite and negative values are not data
    and are passed over.
    """

    labels: Mapping[str, str] = field(compare=False)
    points: tuple[Point, ...]
    identity: Identity = field(init=False, repr=False)
    name: str = field(init=False, repr=False, compare=False)
    target: Target = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "identity", _Labels(sorted(self.labels.items())))
        put(self, "name", self.labels.get("__name__", ""))
        put(self, "target", target_of(self.labels))

    def at(self, points: tuple[Point, ...]) -> Series:
        """The same series with other samples; its labels are not looked at again."""
        other, put = object.__new__(Series), object.__setattr__
        put(other, "labels", self.labels)
        put(other, "points", points)
        put(other, "identity", self.identity)
        put(other, "name", self.name)
        put(other, "target", self.target)
        return other

    def newest(self, until: float) -> Point | None:
        """The last sample that is data at or before `until`."""
        if self.points and self.points[-1][0] <= until and 0 <= self.points[-1][1] < math.inf:
            return self.points[-1]
        for at in range(bisect_right(self.points, (until, math.inf)) - 1, -1, -1):
            if 0 <= self.points[at][1] < math.inf:
                return self.points[at]
        return None


class Increment(NamedTuple):
    """What one counter gained (`amount` > 0) in the interval (`begin`, `end`], unix seconds.

    `end` is the sample that showed it; `begin` the sample before it, the target's previous scrape for a
    series that was born in between, or the start of the process.
    """

    labels: Mapping[str, str]
    begin: float
    end: float
    amount: float


class Counts:
    """Exact counting over any number of reads of the same counters. Deterministic; equal reads add nothing.

    `since` (unix seconds): a process older than this has a history that is not ours, so the first scrape of
    its target is a baseline; a younger process counts from 0.

    The families of one read must share evaluation time and window, and windows must overlap or touch:
    a family that is missing from some scrapes of its target would look as if it had been born later.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self.ways = Ways()
        self._targets: dict[Target, _Target] = {}
        self._pods: dict[tuple[str, str], list[_Target]] = {}
        self._ageless: set[str] = set()

    @property
    def ageless(self) -> tuple[str, ...]:
        """Pods whose process age is unknown, so that what they did before their first scrape is left out."""
        return tuple(sorted(self._ageless))

    def process_start(self, target: Target) -> float | None:
        """Start of the target's newest known process in unix seconds."""
        known = self._targets.get(target)
        return known.starts[-1][1] if known and known.starts else None

    def advance(self, series: Iterable[Series], cut: float) -> list[Increment]:
        """Consume the points with t ≤ `cut` not consumed before; increments come in order of time."""
        gained: list[tuple[Identity, list[Increment]]] = []
        fresh = self._fresh(series, cut)
        for state, batch in fresh:
            state.open(batch)
            if _has_new(state, batch):
                self._learn(state, batch)
        for state, batch in fresh:
            twins = self._twins(state, batch)
            for identity, (labels, points) in batch.items():
                if labels.get("__name__") != PROCESS_START:
                    last = state.seen.get(identity)
                    others = twins.get(identity) if twins else None
                    counted = self._count(state, last, labels, points, others)
                    if counted:
                        gained.append((identity, counted))
        for state, batch in fresh:
            state.close(batch)
        # what ends together comes in order of labels: sorting is stable, and series are fewer than samples
        gained.sort(key=_identity)
        found = [one for _, counted in gained for one in counted]
        found.sort(key=_end)
        return found

    def prime(self, series: Iterable[Series], cut: float) -> None:
        """Take what series not seen before were at `cut` for their baselines: what they did until then is not
        counted. For families that are read from now on, and where baselines were not kept."""
        batches: dict[Target, _Batch] = {}
        for one in series:
            newest = one.newest(cut)
            state = self._target(one.target)
            if newest is not None and one.identity not in state.seen:
                batches.setdefault(one.target, {})[one.identity] = (one.labels, [newest])
        for target, batch in batches.items():
            state = self._targets[target]
            state.open(batch)
            self._learn(state, batch)
            state.close(batch)

    def state(self, number: Callable[[Identity], int], *, baselines: bool) -> dict[str, Any]:
        """As JSON, series by their numbers; without `baselines` they must be found by `prime`."""
        targets = [
            {
                "scrapes": target.scrapes,
                "starts": target.starts,
                "seen": [[number(identity), *point] for identity, point in target.seen.items()],
            }
            for target in self._targets.values()
            if target.seen
        ]
        return {"ageless": sorted(self._ageless), "targets": targets if baselines else []}

    def restore(self, state: Mapping[str, Any], identities: Sequence[Identity]) -> None:
        """Go on from `state`; `identities` are the series by their numbers."""
        self._ageless = {str(pod) for pod in state["ageless"]}
        for held in state["targets"]:
            seen = {identities[at]: (float(time), float(value)) for at, time, value in held["seen"]}
            target = self._target(target_of(dict(next(iter(seen)))))
            self._learn(target, seen)
            target.seen = seen
            target.scrapes = [float(at) for at in held["scrapes"]]
            target.starts = [(float(at), float(start)) for at, start in held["starts"]]

    def _target(self, name: Target) -> _Target:
        """What is known of a target, from the first time on."""
        state = self._targets.get(name)
        if state is None:
            state = self._targets[name] = _Target(self._pods.setdefault(name[:2], []))
        return state

    def _learn(self, target: _Target, series: Iterable[Identity]) -> None:
        """By which ways the target's age reaches us."""
        for identity in series:
            if identity not in target.seen and ("__name__", PROCESS_START) in identity:
                target.ages += 1
                self.ways.notice(target, identity)

    def _fresh(self, series: Iterable[Series], cut: float) -> list[tuple[_Target, _Batch]]:
        """Points not yet consumed, by target and series; a series handed in twice is joined."""
        batches: dict[int, tuple[_Target, _Batch]] = {}
        for one in series:
            state = self._targets.get(one.target) or self._target(one.target)
            last = state.seen.get(one.identity, _NEVER)[0]
            fresh = one.points[bisect_right(one.points, (last, math.inf)) :]
            points = [p for p in fresh if p[0] <= cut and 0 <= p[1] < math.inf]
            if points:
                _, batch = batches.setdefault(id(state), (state, {}))
                known = batch.setdefault(one.identity, (one.labels, points))
                if known[1] is not points:
                    batch[one.identity] = one.labels, sorted({*known[1], *points})
        return list(batches.values())

    def _twins(self, target: _Target, batch: _Batch) -> dict[Identity, _Twins]:
        """For each series the others by which the same counter reaches us; hardly ever there are any."""
        if len(target.pod) == 1 and target.ages < 2 and not _has_new_bounds(target, batch):
            return {}
        by_counter: dict[Identity, _Twins] = {}
        for other in target.pod:
            for identity in other.seen.keys() | other.batch.keys():
                by_counter.setdefault(self.ways.counter(identity), []).append((other, identity))
        alike = {identity: by_counter[self.ways.counter(identity)] for identity in batch}
        return {identity: twins for identity, twins in alike.items() if len(twins) > 1}

    def _count(
        self,
        target: _Target,
        last: Point | None,
        labels: Mapping[str, str],
        points: list[Point],
        twins: _Twins | None,
    ) -> list[Increment]:
        """What a series gained whose sample before these was `last`."""
        found = []
        for time, value in points:
            if twins and (other := _continued(target, twins, last, time, value)):
                begin, base = other
            elif last is None:
                begin, base = self._birth(target, labels, time, value)
            else:
                begin, base = target.base(last, time)
            base = 0.0 if value < base else base  # a counter that falls has been reset
            last = (time, value)
            if value > base:
                found.append(Increment(labels, begin, time, value - base))
        return found

    def _birth(
        self, target: _Target, labels: Mapping[str, str], time: float, value: float
    ) -> tuple[float, float]:
        """(begin, value to subtract) for the first sample of a series."""
        before = target.scrape_before(time)
        if before is not None:
            return before, 0.0
        start = target.start_at(time)
        if start is not None and start > self._since - CLOCK_SKEW:
            return min(start, time), 0.0
        if start is None and value > 0 and time > self._since:
            self._ageless.add(labels.get("pod", ""))
        return time, value


def _has_new(target: _Target, batch: _Batch) -> bool:
    """Whether there are series not seen before; in the way of sets and dicts that asks for no hash again."""
    return bool(set(batch).difference(target.seen))


def _has_new_bounds(target: _Target, batch: _Batch) -> bool:
    return _has_new(target, batch) and any(
        "le" in labels for identity, (labels, _) in batch.items() if identity not in target.seen
    )


def _continued(target: _Target, twins: _Twins, last: Point | None, time: float, value: float) -> Point | None:
    """The newest sample of a counter by another way, of the same process and after `last`, that it went on
    from."""
    start, known = target.start_at(time), last or _NEVER
    newest = known
    for other, identity in twins:
        before = other.before(identity, time)
        if start is None or before is None or not (newest[0] < before[0] and before[1] <= value):
            continue
        began = other.start_at(before[0])
        if began is not None and abs(began - start) <= START_JITTER:
            newest = before
    return None if newest == known else newest


_Batch = dict[Identity, tuple[Mapping[str, str], list[Point]]]
_Twins = list[tuple["_Target", Identity]]
_NEVER: Point = (-math.inf, 0.0)
_end = attrgetter("end")
_identity = itemgetter(0)


class _Target:
    """What is known of one target: its series' last samples, its scrapes, the starts of its processes.

    `pod`: the targets of its pod, itself among them. `ages`: series that tell how old its process is.
    """

    __slots__ = ("ages", "batch", "pod", "scrapes", "seen", "starts")

    def __init__(self, pod: list[_Target]) -> None:
        self.pod = pod
        pod.append(self)
        self.ages = 0
        self.batch: _Batch = {}
        self.seen: dict[Identity, Point] = {}
        self.starts: list[Point] = []  # (first scrape that showed it, start time)
        self.scrapes: list[float] = []  # of this read, ascending; the first one ever stays in front

    def open(self, batch: _Batch) -> None:
        self.batch = batch
        self.scrapes = sorted({*self.scrapes, *(time for _, points in batch.values() for time, _ in points)})
        starts = sorted(
            point
            for labels, points in batch.values()
            if labels.get("__name__") == PROCESS_START
            for point in points
        )
        for time, value in starts:
            if not self.starts or (time > self.starts[-1][0] and value > self.starts[-1][1] + START_JITTER):
                self.starts.append((time, value))

    def close(self, batch: _Batch) -> None:
        """Keep each series' last sample, the first scrape and the newest: enough to tell a birth from a first
        sight."""
        for identity, (_, points) in batch.items():
            self.seen[identity] = points[-1]
        self.batch = {}
        self.scrapes = sorted({self.scrapes[0], self.scrapes[-1]}) if self.scrapes else []

    def before(self, identity: Identity, time: float) -> Point | None:
        """The last sample of a series before `time`."""
        _, points = self.batch.get(identity, (None, []))
        at = bisect_left(points, (time, 0.0))
        return points[at - 1] if at else self._seen_before(identity, time)

    def _seen_before(self, identity: Identity, time: float) -> Point | None:
        seen = self.seen.get(identity)
        return seen if seen is not None and seen[0] < time else None

    def scrape_before(self, time: float) -> float | None:
        at = bisect_left(self.scrapes, time)
        return self.scrapes[at - 1] if at else None

    def base(self, last: Point, time: float) -> tuple[float, float]:
        """(begin, value to subtract) for a series that has been seen before."""
        begin, value = last
        return begin, 0.0 if self._reborn(begin, time) else value

    def _reborn(self, before: float, time: float) -> bool:
        """Whether a new counter goes by the old name.

        A process start between two samples proves it even where the value did not fall. Where the age of the
        process is not exported, a series that was absent from a scrape in between has been born again.
        """
        if self.starts and self.starts[-1][0] <= before:
            return False  # the newest process was there already
        old, new = self.start_at(before), self.start_at(time)
        if old is None or new is None:
            return self._scraped_between(before, time)
        return new > old and new > before - CLOCK_SKEW

    def _scraped_between(self, before: float, time: float) -> bool:
        """Whether there was a scrape well apart from both: samples of one may differ a little in time."""
        apart = min(APART * (time - before), FAR_ENOUGH)
        first, last = bisect_right(self.scrapes, before + apart), bisect_left(self.scrapes, time - apart)
        return any(map(self._is_scrape, self.scrapes[first:last]))

    def _is_scrape(self, at: float) -> bool:
        """A zero before the first sample is none: Prometheus makes it of when the series was created."""
        shown = [
            identity in self.seen or points[0] != (at, 0.0)
            for identity, (_, points) in self.batch.items()
            if any(time == at for time, _ in points)
        ]
        return any(shown) or not shown

    def start_at(self, time: float) -> float | None:
        """Start of the process that was scraped at `time`; None if unknown."""
        at = bisect_right(self.starts, (time, math.inf))
        if at:
            return self.starts[at - 1][1]
        first = self.starts[0][1] if self.starts else None
        return first if first is not None and first <= time else None

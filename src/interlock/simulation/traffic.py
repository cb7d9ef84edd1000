"""Pods at work, and Prometheus scraping them: requests arrive at random, and are split as the route says.

Work is drawn from scrape to scrape and from one route to the next, never from look to look: however time is
cut, the same seed gives the same samples.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from interlock.analysis.presets import ALERTS
from interlock.analysis.series import PROCESS_START, Point, Series
from interlock.simulation.chance import poisson
from interlock.simulation.conduct import Life, demand
from interlock.simulation.story import Gap, Story
from interlock.simulation.tasks import BOUNDS, CRITICAL, STARTED, Key, done

_AGE: Key = (PROCESS_START, ())
BOOT = 0.5
"""Seconds from when a workload is made to the start of its process."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One version in one mode; one pod stands for all of them."""

    name: str
    version: str
    mode: str
    life: Life


@dataclass(slots=True)
class _Pod:
    """A process: what it has counted, when it is scraped, and up to when its work is drawn."""

    workload: Workload
    started: float
    scrape: float
    """The next one, unix seconds."""
    worked: float
    totals: dict[Key, float] = field(default_factory=dict)
    heard: float = -math.inf
    """The last scrape that showed a task more than the one before."""
    silence: float = 0.0
    """The longest time between two such, since that was last asked for."""
    series: dict[Key, Series] = field(default_factory=dict)
    """What Prometheus calls each, without samples."""
    points: defaultdict[Key, list[Point]] = field(default_factory=lambda: defaultdict(list))
    """What was scraped of each and has not been taken yet."""

    def at_mark(self) -> _Pod:
        """As it stands, with nothing left to be taken."""
        return replace(self, totals=dict(self.totals), points=defaultdict(list))


class Traffic:
    """All pods of a Rollout, on one clock (unix seconds) and one source of randomness."""

    def __init__(
        self,
        story: Story,
        labels: Mapping[str, str],
        *,
        begin: float,
        now: float,
        seed: int,
        bounds: Iterable[float] = (),
    ) -> None:
        self._story = story
        self._labels = labels  # namespace and agent
        self._begin = begin
        self._random = Random(seed)
        self._bounds = sorted({*BOUNDS, *bounds})
        self._demand = demand(story.rate)
        self._pods: dict[str, _Pod] = {}
        self._shares: Mapping[str, float] = {}
        self._now = self._taken = now

    def run(self, workloads: Iterable[Workload]) -> None:
        """These run from now on; what ran before and is not among them is gone."""
        wanted = {workload.name: workload for workload in workloads}
        for name in self._pods.keys() - wanted.keys():
            del self._pods[name]
        for name, workload in wanted.items():
            if name not in self._pods:
                started = self._now + BOOT
                first = started + self._random.random() * self._story.scrape_interval
                pod = self._pods[name] = _Pod(workload, started, first, started)
                self._work(pod, started)

    def split(self, shares: Mapping[str, float]) -> None:
        """From now on each workload gets this share (0 to 1) of the requests, or a copy of it."""
        if shares != self._shares:
            for pod in self._pods.values():
                self._work(pod, self._now)
            self._shares = dict(shares)

    def advance(self, now: float) -> None:
        """Time passes, pods work and are scraped, in order of time."""
        while due := min((pod for pod in self._pods.values()), key=lambda pod: pod.scrape, default=None):
            if due.scrape > now:
                break
            self._scrape(due)
        self._now = now

    def taken(self) -> list[Series]:
        """What was scraped and has not been taken yet."""
        found = [
            self._series(name, key).at(tuple(points))
            for name, pod in self._pods.items()
            for key, points in pod.points.items()
            if points
        ]
        found += self._alerts()
        for pod in self._pods.values():
            pod.points.clear()
        self._taken = self._now
        return found

    def forget(self, until: float) -> None:
        """What was scraped until then is not wanted any more."""
        for points in (points for pod in self._pods.values() for points in pod.points.values()):
            while points and points[0][0] <= until:
                points.pop(0)

    def longest_silence(self, name: str, now: float) -> float:
        """Seconds that one workload had no task, as scrapes show it, since this was last asked; inf if it
        has had none yet."""
        pod = self._pods[name]
        found = max(pod.silence, now - pod.heard)
        pod.silence = 0.0
        return found

    # ------------------------------------------------------------------ what pods do
    def _scrape(self, pod: _Pod) -> None:
        at = pod.scrape
        pod.scrape += self._story.scrape_interval
        began = pod.totals[STARTED]
        self._work(pod, at)
        if self._in_gap(at):
            return
        if pod.totals[STARTED] > began:
            pod.silence = max(pod.silence, at - max(pod.heard, pod.started))
            pod.heard = at
        for key, total in pod.totals.items():
            pod.points[key].append((at, total))
        pod.points[_AGE].append((at, pod.started))

    def _work(self, pod: _Pod, until: float) -> None:
        """What it does up to then; conduct and demand are those of the middle of that time."""
        share, seconds = self._shares.get(pod.workload.name, 0.0), max(0.0, until - pod.worked)
        middle = max(0.0, (pod.worked + until) / 2 - self._begin)
        conduct = pod.workload.life.at(middle)
        mean = (self._demand.at(middle) or 0.0) * share * seconds
        tasks = poisson(self._random, mean) if mean else 0
        pod.worked = max(pod.worked, until)
        if not tasks and pod.totals:
            return
        totals, before = pod.totals, pod.totals.get(STARTED, 0)
        shadow = pod.workload.mode == "shadow"
        for key, gain in done(self._random, tasks, conduct, shadow=shadow, bounds=self._bounds).items():
            totals[key] = totals.get(key, 0) + gain
        if conduct.critical_at is not None and before < conduct.critical_at <= before + tasks:
            totals[CRITICAL] = totals.get(CRITICAL, 0) + 1

    def _in_gap(self, at: float) -> bool:
        return any(gap.of == "Scrapes" and gap.covers(at - self._begin) for gap in self._story.gaps)

    # ------------------------------------------------------------------ what Prometheus has
    def _series(self, name: str, key: Key) -> Series:
        known = self._pods[name].series
        if key not in known:
            known[key] = Series(self._labelled(name, key), ())
        return known[key]

    def _labelled(self, name: str, key: Key) -> dict[str, str]:
        workload, pod = self._pods[name].workload, f"{name}-sim00"
        return {
            "__name__": key[0],
            **self._labels,
            "version": workload.version,
            "mode": workload.mode,
            "pod": pod,
            "instance": f"{pod}:9464",
            "job": "agents",
            **dict(key[1]),
        }

    def _alerts(self) -> list[Series]:
        """Prometheus evaluates its rules once a scrape interval."""
        found = []
        for alert in self._story.alerts:
            times = _grid(self._begin + alert.after, alert.lasts, self._story.scrape_interval)
            points = tuple((at, 1.0) for at in times if self._taken < at <= self._now)
            labels = {"__name__": ALERTS, "alertname": alert.name, "alertstate": "firing", **self._labels}
            if points:
                found.append(Series(labels | alert.labels, points))
        return found

    # ------------------------------------------------------------------ going back
    def mark(self) -> Any:
        """Where all this stands; only between two `taken`."""
        pods = {name: pod.at_mark() for name, pod in self._pods.items()}
        return self._now, self._taken, self._random.getstate(), pods

    def back(self, mark: Any) -> None:
        """To a mark, which may be used once: the same randomness again."""
        self._now, self._taken, state, self._pods = mark
        self._random.setstate(state)


def _grid(begin: float, lasts: float, interval: float) -> Iterable[float]:
    return (begin + number * interval for number in range(math.ceil(lasts / interval)))


def unreadable(gaps: Iterable[Gap], at: float) -> bool:
    """Whether Prometheus cannot be asked at `at` (seconds since the story began)."""
    return any(gap.of == "Prometheus" and gap.covers(at) for gap in gaps)

"""Which pods of the stable version play the candidate, and how much of their tasks are taken.

By pods: real units, with all that makes one pod differ from another. Each side keeps so much of its pods'
tasks that the candidate has its share; the rest is left out. By tasks: every task goes to either side, as a
gateway deals requests; then nothing tells the two apart but chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from interlock.analysis.chances import Chance
from interlock.analysis.dealing import Scrape
from interlock.analysis.plan import Track
from interlock.analysis.presets import TASKS
from interlock.analysis.series import Target

LIVE = 120.0
"""Seconds without a scrape after which a pod is taken for gone."""

Shares = dict[Track, float]
"""Which part of a target's tasks each side gets; what remains is left out."""


class Paces:
    """How many tasks each pod does."""

    def __init__(self) -> None:
        self._last: dict[Target, float] = {}
        self._done: dict[str, float] = defaultdict(float)
        self._seconds: dict[str, float] = defaultdict(float)

    def saw(self, scrape: Scrape) -> None:
        """The next scrape."""
        last, pod = self._last.get(scrape.target), scrape.target[1]
        self._last[scrape.target] = scrape.at
        if last is not None:
            tasks = sum(one.amount for one in scrape.gained if one.labels["__name__"] == TASKS)
            self._done[pod] += tasks
            self._seconds[pod] += scrape.at - last

    def live(self, now: float) -> list[str]:
        """The pods that have been scraped of late (unix seconds), and have had tasks."""
        seen = {target[1] for target, at in self._last.items() if at >= now - LIVE}
        return sorted(pod for pod in seen if self._done[pod] > 0)

    def of(self, pods: Iterable[str]) -> float:
        """Tasks a second of these pods, together."""
        return sum(self._done[pod] / self._seconds[pod] for pod in pods if self._seconds[pod] > 0)


class Sides(Protocol):
    """Deals targets."""

    def shares(self, target: Target, share: float) -> Shares:
        """For a candidate that is to have `share` of the tasks, 0 to 1."""
        ...


class ByTasks:
    """Every target gives both sides."""

    def shares(self, target: Target, share: float) -> Shares:
        return {Track.CANDIDATE: share, Track.STABLE: 1.0 - share}


class ByPods:
    """Half of the pods, drawn at random, are the candidate's; one that comes later joins the smaller half."""

    def __init__(self, pods: Iterable[str], paces: Paces, chance: Chance) -> None:
        """`pods` are those at the beginning, two at least."""
        known = sorted(set(pods))
        mine = set(chance.sample(known, len(known) // 2))
        self._tracks = {pod: Track.CANDIDATE if pod in mine else Track.STABLE for pod in known}
        self._paces = paces

    def shares(self, target: Target, share: float) -> Shares:
        track = self._track(target[1])
        paces = {side: self._paces.of(self._pods(side)) for side in Track}
        wanted = {Track.CANDIDATE: share, Track.STABLE: 1.0 - share}
        if not all(paces.values()):
            return {track: wanted[track]}
        # as much of each as gives the candidate its share, and one side whole
        kept = {side: wanted[side] / paces[side] for side in Track}
        return {track: kept[track] / max(kept.values())}

    def _pods(self, track: Track) -> list[str]:
        return [pod for pod, side in self._tracks.items() if side is track]

    def _track(self, pod: str) -> Track:
        if pod not in self._tracks:
            fewer = len(self._pods(Track.CANDIDATE)) <= len(self._pods(Track.STABLE))
            self._tracks[pod] = Track.CANDIDATE if fewer else Track.STABLE
        return self._tracks[pod]

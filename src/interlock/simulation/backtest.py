"""Stable's past cut into pseudo-releases, one after the other; or an incident played as a candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from interlock.analysis.chances import Chance
from interlock.analysis.dealing import Scrape
from interlock.analysis.metrics import Proportion
from interlock.analysis.past import Past
from interlock.analysis.plan import Track
from interlock.simulation.pseudo import NO_PAST, Outcome, PseudoRelease, Setup
from interlock.simulation.sides import ByPods, ByTasks, Paces

LEAD = 60.0
"""Seconds that are only looked at: which pods there are, and how much they do."""


class Split(StrEnum):
    """What is dealt to the two sides: whole pods where there are two at least, or single tasks."""

    AUTO = "auto"
    PODS = "pods"
    TASKS = "tasks"


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one pseudo-release, and what was dealt in it: `Split.PODS` or `Split.TASKS`."""

    outcome: Outcome
    split: Split


class Backtest:
    """One pseudo-release begins where the last has ended: they share no samples."""

    def __init__(
        self,
        setup: Setup,
        split: Split,
        chance: Callable[[int], Chance],
        pasts: Callable[[], Mapping[str, Past]] = lambda: NO_PAST,
    ) -> None:
        """`chance`: of the pseudo-release of that number, from 0. `pasts`: what stable did before now."""
        self._setup = setup
        self._split = split
        self._chance = chance
        self._pasts = pasts
        self._paces = Paces()
        self._usual = _Usual(setup)
        self._first: float | None = None
        self._running: tuple[PseudoRelease, Split] | None = None
        self.played: list[Played] = []

    def take(self, scrapes: Iterable[Scrape]) -> None:
        """The next scrapes, in order of time."""
        for scrape in scrapes:
            self._first = scrape.at if self._first is None else self._first
            self._paces.saw(scrape)
            self._usual.saw(scrape)
            if self._running is None and scrape.at >= self._first + LEAD:
                self._running = self._begin(scrape.at)
            if self._running is not None and (outcome := self._running[0].take(scrape)):
                self.played.append(Played(outcome, self._running[1]))
                self._running = None

    def close(self) -> list[Played]:
        """All of them; the samples have ended."""
        if self._running is not None:
            release, split = self._running
            self.played.append(Played(release.cut(), split))
            self._running = None
        return self.played

    def _begin(self, now: float) -> tuple[PseudoRelease, Split]:
        chance, pods = self._chance(len(self.played)), self._paces.live(now)
        by_pods = self._split is not Split.TASKS and len(pods) > 1
        sides = ByPods(pods, self._paces, chance) if by_pods else ByTasks()
        release = PseudoRelease(self._setup, now, sides, chance, usual=self._usual, pasts=self._pasts())
        return release, Split.PODS if by_pods else Split.TASKS


class _Usual:
    """The share of what is planted, of all that has been seen."""

    def __init__(self, setup: Setup) -> None:
        metric = setup.planted.metric if setup.planted else None
        self._metric = metric if isinstance(metric, Proportion) else None
        self._part = self._total = 0.0

    def saw(self, scrape: Scrape) -> None:
        """The next scrape."""
        if self._metric is not None:
            self._part += sum(one.amount for one in scrape.gained if self._metric.part.matches(one.labels))
            self._total += sum(one.amount for one in scrape.gained if self._metric.total.matches(one.labels))

    def __call__(self) -> float:
        return min(1.0, self._part / self._total) if self._total else 1.0


def incident(
    setup: Setup,
    before: Sequence[Scrape],
    during: Sequence[Scrape],
    chance: Chance,
    pasts: Mapping[str, Past] = NO_PAST,
) -> Outcome:
    """What would have become of a candidate that behaves as all did in the incident.

    Its tasks are drawn from `during`, stable's from `before`, which lasted as long, moved forward: a
    historical control, so what changed between the two for another reason counts as well.
    """
    seconds = during[0].at - before[0].at
    moved = [_only(scrape.later(seconds), Track.STABLE) for scrape in before]
    mixed = sorted(
        [*moved, *(_only(scrape, Track.CANDIDATE) for scrape in during)],
        key=lambda scrape: (scrape.at, scrape.target),
    )
    release = PseudoRelease(setup, mixed[0].at, ByTasks(), chance, pasts=pasts)
    for scrape in mixed:
        if outcome := release.take(scrape):
            return outcome
    return release.cut()


def _only(scrape: Scrape, track: Track) -> Scrape:
    return Scrape(scrape.target, scrape.at, scrape.shown, scrape.gained, track)

"""Deals what one version's pods have counted to two: the tasks of each scrape go to either, at random.

Everything that belongs to a task goes with it as far as the counters tell: as many verifications, violations
and durations as there are tasks are dealt without putting back. What a task costs is not counted singly; its
share of a scrape's cost is drawn as if single costs were exponential.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from interlock.analysis.chances import Chance, binomial, hypergeometric
from interlock.analysis.histogram import bucket_bound
from interlock.analysis.plan import Track
from interlock.analysis.presets import TASKS, TASKS_STARTED
from interlock.analysis.series import PROCESS_START, Counts, Increment, Series, Target

KEPT = 10
"""Scrapes whose tasks may still be verified: later ones are dealt like new tasks."""


SAME = 0.2
"""Shares that differ by less, as a part of them, are one: the pace of pods wobbles."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One target at one time (unix seconds): all its counters, and what they had gained.

    `only`: the one version that gets its tasks; both share them where it is None.
    """

    target: Target
    at: float
    shown: tuple[Series, ...]
    gained: tuple[Increment, ...]
    only: Track | None = None

    def later(self, seconds: float) -> Scrape:
        """The same, so much later."""
        moved = (one._replace(begin=one.begin + seconds, end=one.end + seconds) for one in self.gained)
        return replace(self, at=self.at + seconds, gained=tuple(moved))


def scrapes(series: Iterable[Series], counts: Counts, end: float) -> list[Scrape]:
    """Raw samples up to `end` as scrapes, in order of time; `counts` knows what was before."""
    held = [one for one in series if one.points]
    gained: dict[tuple[Target, float], list[Increment]] = defaultdict(list)
    targets = {id(one.labels): one.target for one in held}
    for increment in counts.advance(held, end):
        gained[targets[id(increment.labels)], increment.end].append(increment)
    shown: dict[tuple[Target, float], list[Series]] = defaultdict(list)
    for one in held:
        if one.name != PROCESS_START:
            for at, _ in one.points:
                shown[one.target, at].append(one)
    ordered = sorted(shown, key=lambda place: (place[1], place[0]))
    return [Scrape(*place, tuple(shown[place]), tuple(gained[place])) for place in ordered]


@dataclass(frozen=True, slots=True)
class Dealt:
    """What was taken of a scrape, and what was left."""

    taken: tuple[Increment, ...]
    left: tuple[Increment, ...]


_Part = tuple[Increment, float]
"""An increment, and how much of it is taken."""


class Dealer:
    """Takes a share of the tasks of one target. What comes of them later goes the way they went."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._pools: dict[str, _Pool] = {}
        self._share = 0.0

    def deal(self, gained: Iterable[Increment], share: float) -> Dealt:
        """Each task is taken with chance `share`, 0 to 1. What is taken and left adds up to all there was."""
        if abs(share - self._share) > SAME * self._share:
            self._pools, self._share = {}, share  # what was dealt by another share does not tell of this one
        families: dict[str, list[Increment]] = defaultdict(list)
        for one in gained:
            families[one.labels["__name__"]].append(one)
        if share in (0.0, 1.0):
            every = tuple(one for family in families.values() for one in family)
            return Dealt(every, ()) if share else Dealt((), every)
        tasks = [(one, self._units(one, share)) for one in families.pop(TASKS, [])]
        here = _Pool(sum(taken for _, taken in tasks), sum(round(one.amount) for one, _ in tasks))
        parts: list[_Part] = list(tasks)
        for family, increments in families.items():
            parts += self._family(family, increments, here, share)
        return Dealt(
            tuple(one._replace(amount=taken) for one, taken in parts if taken > 0),
            tuple(one._replace(amount=one.amount - taken) for one, taken in parts if one.amount - taken > 0),
        )

    def _family(self, family: str, increments: list[Increment], here: _Pool, share: float) -> list[_Part]:
        if family == TASKS_STARTED:
            return [(one, self._units(one, share)) for one in increments]
        if any(abs(one.amount - round(one.amount)) > 1e-6 for one in increments):
            return [(one, one.amount * self._part(here, share)) for one in increments]
        if family.endswith("_bucket"):
            return self._buckets(increments, here, share)
        pool = self._pools.setdefault(family, _Pool())
        pool.add(here)
        return [(one, pool.draw(self._chance, round(one.amount), share)) for one in increments]

    def _units(self, one: Increment, share: float) -> int:
        return binomial(self._chance, round(one.amount), share)

    def _part(self, here: _Pool, share: float) -> float:
        """Of an amount that many tasks have brought together, the part of those taken."""
        if not here.total:
            return float(self._chance.random() < share)
        if here.taken in (0, here.total):
            return float(here.taken > 0)
        return self._chance.betavariate(here.taken, here.total - here.taken)

    def _buckets(self, increments: list[Increment], here: _Pool, share: float) -> list[_Part]:
        """Cumulative counts: every outcome is dealt once, into the first bucket that holds it."""
        histograms: dict[object, list[Increment]] = defaultdict(list)
        for one in increments:
            histograms[frozenset(item for item in one.labels.items() if item[0] != "le")].append(one)
        found: list[_Part] = []
        for buckets in histograms.values():
            pool, before, taken = _Pool(here.taken, here.total), 0, 0
            for one in sorted(buckets, key=lambda one: bucket_bound(one.labels.get("le", "")) or 0.0):
                new = max(0, round(one.amount) - before)
                taken += pool.draw(self._chance, new, share)
                before = max(before, round(one.amount))
                found.append((one, min(float(taken), one.amount)))
        return found


@dataclass(slots=True)
class _Pool:
    """Tasks of which it is known where they went, and of which something may still be told."""

    taken: int = 0
    total: int = 0

    def add(self, here: _Pool) -> None:
        """Tasks of a scrape come in; of those of long ago nothing is told any more."""
        self.taken, self.total = self.taken + here.taken, self.total + here.total
        most = KEPT * here.total
        if here.total and self.total > most:
            self.taken = round(self.taken * most / self.total)
            self.total = most

    def draw(self, chance: Chance, units: int, share: float) -> int:
        """How many of `units` belong to tasks that were taken; what exceeds the pool is dealt anew."""
        mine = min(units, self.total)
        found = hypergeometric(chance, mine, self.taken, self.total)
        self.taken, self.total = self.taken - found, self.total - mine
        return found + binomial(chance, units - mine, share)

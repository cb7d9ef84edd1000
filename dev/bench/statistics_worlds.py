"""Worlds whose truth is known: what two versions finish between one look and the next, 15 seconds later."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from interlock.analysis.evidence import Tally
from tests.analysis.chance import draw, failures

LOOK_SECONDS = 15.0
SHARE = 0.1

Rate = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Look:
    """What finished since the look before."""

    candidate: Tally
    stable: Tally


def steady(chance: Random, tasks_per_second: float, candidate: float, stable: float) -> Iterator[Look]:
    """Independent tasks at constant rates of success."""
    return drifting(chance, tasks_per_second, lambda _: candidate, lambda _: stable)


def drifting(
    chance: Random, tasks_per_second: float, candidate: Rate, stable: Rate, share: Rate = lambda _: SHARE
) -> Iterator[Look]:
    """Independent tasks; rates of success and the candidate's share are functions of the look's number."""
    look = 0
    while True:
        size = poisson(chance, LOOK_SECONDS * tasks_per_second)
        mine = failures(chance, size, share(look))
        yield Look(draw(chance, mine, candidate(look)), draw(chance, size - mine, stable(look)))
        look += 1


def sessions(
    chance: Random,
    tasks_per_second: float,
    rate: float,
    size: int,
    correlation: float,
    *,
    candidate: float | None = None,
) -> Iterator[Look]:
    """Whole sessions of `size` tasks, a share of them with one outcome for all tasks.

    Two equal versions, unless the `candidate` has another rate.
    """
    while True:
        counts = [0.0] * 4
        for _ in range(poisson(chance, LOOK_SECONDS * tasks_per_second / size)):
            side = 0 if chance.random() < SHARE else 2
            p = rate if side or candidate is None else candidate
            one = chance.random() < correlation
            good = size * (chance.random() < p) if one else draw(chance, size, p).good
            counts[side] += good
            counts[side + 1] += size
        yield Look(Tally(counts[0], counts[1]), Tally(counts[2], counts[3]))


@dataclass(frozen=True, slots=True)
class Durations:
    """Mean seconds that a success and a failure take, exponentially distributed."""

    success: float = 60.0
    failure: float = 5.0

    def quantile(self, of: float, rate: float) -> float:
        """Duration that a share `of` all tasks does not exceed, by bisection."""
        low, high = 0.0, 100 * self.success
        for _ in range(60):
            middle = (low + high) / 2
            beyond = rate * math.exp(-middle / self.success) + (1 - rate) * math.exp(-middle / self.failure)
            low, high = (middle, high) if beyond > 1 - of else (low, middle)
        return high


def completions(chance: Random, tasks_per_second: float, rate: float, durations: Durations) -> Iterator[Look]:
    """Two equal versions from the candidate's first request on; stable, long at work, loses a share.

    Requests are a Poisson process and tasks do not hinder each other, so completions are one as well, with
    the intensity of the requests thinned by the chance of being done (an M/G/∞ queue that starts empty).
    """
    look = 0
    while True:
        begin, end = look * LOOK_SECONDS, (look + 1) * LOOK_SECONDS
        counts = []
        for part, mean in ((rate, durations.success), (1 - rate, durations.failure)):
            done = LOOK_SECONDS - mean * (math.exp(-begin / mean) - math.exp(-end / mean))
            arrivals = tasks_per_second * part
            counts.append(
                (
                    poisson(chance, arrivals * SHARE * done),
                    poisson(chance, arrivals * (LOOK_SECONDS - SHARE * done)),
                )
            )
        (good_c, good_s), (bad_c, bad_s) = counts
        yield Look(Tally(good_c, good_c + bad_c), Tally(good_s, good_s + bad_s))
        look += 1


def poisson(chance: Random, mean: float) -> int:
    """A Poisson draw: large means are halved by a gamma draw (Ahrens & Dieter 1974), small ones counted."""
    if mean > 20:
        arrivals = int(0.875 * mean)
        time = chance.gammavariate(arrivals, 1.0)
        if time <= mean:
            return arrivals + poisson(chance, mean - time)
        return failures(chance, arrivals - 1, mean / time)
    found, left = 0, mean - chance.expovariate(1.0)
    while left >= 0:
        found, left = found + 1, left - chance.expovariate(1.0)
    return found

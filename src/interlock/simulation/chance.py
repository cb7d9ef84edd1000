"""Exact draws of counts whose cost hardly grows with the counts. Randomness comes in as an argument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

SMALL = 12
"""Up to this mean it is cheapest to go through the counts one by one."""


def poisson(random: Random, mean: float) -> int:
    """How many events of a Poisson process with this mean (≥ 0) fall into an interval.

    Ahrens & Dieter 1974: jump to the time of an early event, which is gamma distributed, and go on from it.
    """
    count = 0
    while mean > SMALL:
        early = math.floor(mean * 7 / 8)
        time = random.gammavariate(early, 1.0)
        if time > mean:
            return count + binomial(random, early - 1, mean / time)
        count += early
        mean -= time
    floor, product = math.exp(-mean), random.random()
    while product > floor:
        count += 1
        product *= random.random()
    return count


def binomial(random: Random, trials: int, chance: float) -> int:
    """How many of `trials` succeed, each with `chance` in [0, 1].

    Devroye 1986, X.4.3: the median of as many uniform numbers is beta distributed and halves the trials,
    until what is rarer of success and failure is seldom seen.
    """
    count = 0
    while True:
        if chance <= 0:
            return count
        if chance >= 1:
            return count + trials
        if trials * min(chance, 1.0 - chance) <= SMALL:
            few = _few(random, trials, min(chance, 1.0 - chance))
            return count + (few if chance <= 0.5 else trials - few)
        middle = trials // 2 + 1
        median = random.betavariate(middle, trials + 1 - middle)
        if median <= chance:
            count += middle
            trials -= middle
            chance = (chance - median) / (1.0 - median)
        else:
            trials = middle - 1
            chance /= median


def _few(random: Random, trials: int, chance: float) -> int:
    """The same where not many succeed: the distribution is summed up to a uniform number (Devroye, X.4.2)."""
    odds, count = chance / (1.0 - chance), 0
    probability, left = (1.0 - chance) ** trials, random.random()
    while left > probability and count < trials:
        left -= probability
        count += 1
        probability *= odds * (trials - count + 1) / count
    return count


def multinomial(random: Random, trials: int, weights: Sequence[float]) -> list[int]:
    """How many of `trials` fall to each of the kinds, which come in the proportion of `weights` (sum > 0)."""
    left = math.fsum(weights)
    counts = []
    for weight in weights[:-1]:
        found = binomial(random, trials, min(1.0, weight / left)) if trials and weight else 0
        counts.append(found)
        trials -= found
        left = max(left - weight, 1e-300)
    return [*counts, trials]

"""What a number of tasks adds to an agent's counters: drawn as counts, never task by task."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate, pairwise
from random import Random

from interlock.analysis import presets
from interlock.analysis.metrics import Average, Counter, Matcher, Proportion
from interlock.simulation.chance import binomial, multinomial
from interlock.simulation.conduct import Conduct
from interlock.simulation.story import Recorded

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A counter's name and its own labels."""
Gains = dict[Key, float]
BOUNDS = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Bounds of the buckets that durations fall into, seconds."""
SCRIPTED = (10.0, 61.0)
"""What a task takes, and one that is `slow`."""


def _key(family: str, **labels: str) -> Key:
    return family, tuple(sorted(labels.items()))


STARTED = _key(presets.TASKS_STARTED)
_DONE = {ok: _key(presets.TASKS, outcome="success" if ok else "failure") for ok in (True, False)}
_VERIFIED = {
    result: _key(presets.TASKS_VERIFIED, result=result, verifier="postcondition")
    for result in ("pass", "fail")
}
_VIOLATIONS = _key(presets.VIOLATIONS, rule="scope", severity="low")
CRITICAL = _key(presets.VIOLATIONS, rule="payment", severity="critical")
_COST = _key(presets.COST, kind="model")
_EVERY = _key(presets.DURATION_BUCKETS, le="+Inf")


def done(
    random: Random, tasks: int, conduct: Conduct, *, shadow: bool, bounds: Sequence[float] = BOUNDS
) -> Gains:
    """What `tasks` (≥ 0) more tasks add; `bounds`: of the buckets of durations, ascending.

    With 0 tasks all counters that the conduct exports are there, at 0.
    """
    gains: Gains = {STARTED: tasks}
    gains |= _outcomes(random, tasks, conduct, shadow=shadow)
    gains |= _durations(random, tasks, conduct, bounds)
    if conduct.cost is not None:
        gains[_COST] = _sum(random, tasks, conduct.cost)
    for share, chance in conduct.rates:
        _add_share(gains, share, tasks, binomial(random, tasks, chance))
    for mean, value in conduct.means:
        _add_mean(gains, mean, tasks, _sum(random, tasks, value / mean.scale))
    return gains


def _outcomes(random: Random, tasks: int, conduct: Conduct, *, shadow: bool) -> Gains:
    if conduct.recorded is not None:
        return _drawn(random, tasks, conduct.recorded)
    chance = conduct.success
    if shadow and conduct.success_in_shadow is not None:
        chance = conduct.success_in_shadow
    good = binomial(random, tasks, chance)
    return {
        _DONE[True]: good,
        _DONE[False]: tasks - good,
        _VERIFIED["pass"]: good,
        _VERIFIED["fail"]: tasks - good,
        _VIOLATIONS: binomial(random, tasks, conduct.violation),
    }


def _drawn(random: Random, tasks: int, recorded: tuple[Recorded, ...]) -> Gains:
    """Each task is one of the recorded ones, with replacement."""
    gains: Gains = dict.fromkeys((*_DONE.values(), *_VERIFIED.values(), _VIOLATIONS), 0)
    counts = multinomial(random, tasks, [kind.tasks for kind in recorded])
    for kind, count in zip(recorded, counts, strict=True):
        gains[_DONE[kind.success]] += count
        if kind.verified is not None:
            gains[_VERIFIED[kind.verified]] += count
        gains[_VIOLATIONS] += count * kind.violation
    return gains


def _durations(random: Random, tasks: int, conduct: Conduct, bounds: Sequence[float]) -> Gains:
    if conduct.duration is not None:
        shares = [conduct.duration.within(bound) for bound in bounds] + [1.0]
        counts = multinomial(random, tasks, [b - a for a, b in pairwise([0.0, *shares])])
    elif conduct.slow is not None:
        slow = binomial(random, tasks, conduct.slow)
        usual, late = (bisect_left(bounds, took) for took in SCRIPTED)
        counts = [0] * (len(bounds) + 1)
        counts[usual] += tasks - slow
        counts[late] += slow
    else:
        return {}
    return dict(zip(_buckets(tuple(bounds)), accumulate(counts), strict=True))


@cache
def _buckets(bounds: tuple[float, ...]) -> tuple[Key, ...]:
    return *(_key(presets.DURATION_BUCKETS, le=repr(bound)) for bound in bounds), _EVERY


def _sum(random: Random, tasks: int, mean: float) -> float:
    """Of as many exponentially distributed amounts."""
    return mean * random.gammavariate(tasks, 1.0) if tasks and mean else 0.0


def _add_share(gains: Gains, metric: Proportion, tasks: int, part: int) -> None:
    """A metric's part and, unless other counters tell it already, its whole: as many as there are tasks."""
    gains[_series(metric.part)] = part
    if metric.part.family == metric.total.family:
        gains[_rest(metric)] = tasks - part
    elif not any(metric.total.family == family for family, _ in gains):
        gains[_series(metric.total)] = tasks


def _add_mean(gains: Gains, metric: Average, tasks: int, amount: float) -> None:
    """A metric's sum and, unless other counters tell it already, what it is shared by."""
    gains[_series(metric.sum)] = amount
    if not any(metric.count.family == family for family, _ in gains):
        gains[_series(metric.count)] = tasks


def _series(counter: Counter) -> Key:
    """A series that the counter takes in."""
    return _key(counter.family, **{one.label: _fitting(one) for one in counter.where})


def _rest(metric: Proportion) -> Key:
    """A series of the whole that is not of the part: no matcher of the part alone fits it."""
    whole = {one.label: _fitting(one) for one in metric.total.where}
    beyond = {one.label: _fitting(replace(one, negated=not one.negated)) for one in metric.part.where}
    return _key(metric.total.family, **(beyond | whole))


def _fitting(matcher: Matcher) -> str:
    """A value that it fits."""
    values = (*matcher.values, "other", "another")
    return next(value for value in values if matcher.matches({matcher.label: value}))

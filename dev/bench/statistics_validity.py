"""What keeps the statistics valid, and its price: correlated outcomes, and traffic that is split wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from random import Random
from statistics import fmean

from dev.bench import statistics_worlds as worlds
from dev.bench.statistics_rules import REVERT, Evidence, attempt_reverts
from dev.bench.statistics_tables import BASE, HALF_AN_HOUR, Bench, Line, effort, share_line, tasks_until
from dev.bench.statistics_worlds import LOOK_SECONDS, SHARE, Look
from interlock.analysis.dispersion import deflated, design_effect, design_effect_by_half_hours
from interlock.analysis.evidence import HarmProcess, Tally, above
from interlock.analysis.gates import Compare, Gate
from interlock.analysis.past import Past
from interlock.analysis.presets import metric
from interlock.analysis.split import SplitTest
from tests.analysis.chance import draw, failures

SUCCESS = Gate("success", metric("task-success-rate"), Compare(0.0))
DAYS = 8
"""Of stable, each with the luck of its own, that runs take turns with."""
Blocks = Callable[[Random], Iterator[Tally]]
MOST = 0.08
"""Limit of failures."""


def correlated(bench: Bench) -> Iterator[Line]:
    """Sessions of five tasks, 20 tasks a second, half an hour; the effect measured on days of stable's.

    `as an attempt`: the operator's own evidence, told such a day's effect and rate.
    """
    for correlation in (0.2, 0.5, 1.0):
        pasts = [_past(chance, correlation) for chance in islice(bench.chances(f"day {correlation}"), DAYS)]
        effect = fmean(past.effect for past in pasts)
        for name, divided in (("as they are", False), (f"divided by {effect:.2f} on average", True)):
            count = [
                any(rule.see(look) for look in islice(_sessions(chance, correlation), HALF_AN_HOUR))
                for chance, past in zip(bench.chances(f"sessions {correlation}", 0.5), cycle(pasts))
                for rule in [Evidence(HarmProcess(BASE, 0.0), past.effect if divided else 1.0)]
            ]
            yield share_line(f"correlation {correlation:g}, {name}", count, 0.05 if divided else None)
        count = [
            attempt_reverts(_sessions(chance, correlation), (SUCCESS,), (HALF_AN_HOUR,), 0.0, past=past)
            for chance, past in zip(bench.chances(f"attempt {correlation}"), cycle(pasts))
        ]
        yield share_line(f"correlation {correlation:g}, as an attempt", count, 0.05)
    for rate in (0.08, 0.04):
        for name, effect in (("as they are", 1.0), ("divided by 5", 5.0)):
            count = [
                _over_limit(_sessions(chance, 1.0, 1 - rate), effect)
                for chance in bench.chances(f"limit {rate}", 0.5)
            ]
            target = 0.05 if effect > 1 else None
            yield share_line(f"limit 8 %, rate {100 * rate:g} %, counts {name}", count, target)


def price(bench: Bench) -> Iterator[Line]:
    """What dividing costs: tasks until a drop from .92 to .88 is found; and a day's course."""
    yield f"{'candidate tasks until it is taken back':44}{'median':>10}{'95 %':>8}{'target':>10}", ""
    for correlation in (0.0, 0.2, 0.5, 1.0):
        effect = _past(next(bench.chances(f"history {correlation}")), correlation).effect
        found = [
            tasks_until(
                Evidence(HarmProcess(BASE, 0.0), effect), _sessions(chance, correlation, BASE, 0.88, level=4)
            )
            for chance in bench.chances(f"price {correlation}", 0.5)
        ]
        yield effort(f"sessions, correlation {correlation:g}: effect {effect:.2f}", found, None)
    yield f"{'effect that a day of independent tasks shows':44}{'half hours':>10}{'whole day':>12}", ""
    for name, wave in (("at a level of .92", 0.0), ("between .89 and .95 in the course of it", 0.03)):
        looks = _course(next(bench.chances(name)), wave)
        halves, whole = design_effect_by_half_hours(looks), design_effect(looks.values())
        yield f"{name:44}{halves:>10.2f}{whole:>12.2f}", ""


def splits(bench: Bench) -> Iterator[Line]:
    """The split of the traffic, two hours in blocks of 15 s, 100 tasks each: said to be wrong, and found."""
    kinds: tuple[tuple[str, Blocks, float | None], ...] = (
        ("each task for itself", lambda chance: _split(chance, SHARE), 0.01),
        ("groups of 5", lambda chance: _split(chance, SHARE, 5), 0.01),
        ("groups of 20", lambda chance: _split(chance, SHARE, 20), 0.01),
        ("50 clients, a minute on one version each", lambda chance: _sticky(chance, 50, 4), None),
        ("50 clients, a quarter of an hour each", lambda chance: _sticky(chance, 50, 60), None),
    )
    for name, world, target in kinds:
        alarmed = [
            _tasks_until_wrong(islice(world(chance), 480)) < math.inf for chance in bench.chances(name, 0.5)
        ]
        yield share_line(f"10 %, {name}", alarmed, target)
    for real in (0.5, 0.2, 0.15, 0.12, 0.05):
        found = [
            _tasks_until_wrong(islice(_split(chance, real), 5000))
            for chance in bench.chances(f"wrong {real}", 0.1)
        ]
        yield effort(f"{100 * real:g} % instead of 10 %, tasks of both", found, None)


def _sessions(
    chance: Random, correlation: float, rate: float = BASE, candidate: float | None = None, level: float = 20
) -> Iterator[Look]:
    return worlds.sessions(chance, level, rate, 5, correlation, candidate=candidate)


def _past(chance: Random, correlation: float) -> Past:
    """What a day of stable's sessions, four tasks a second, shows."""
    history = _sessions(chance, correlation, level=4)
    looks = {at: _five_minutes(history) for at in range(288)}
    return Past(design_effect_by_half_hours(looks), sum(looks.values(), Tally()).smoothed)


def _course(chance: Random, wave: float) -> dict[int, Tally]:
    """A day of independent tasks, 20 a second, whose rate goes up and down once."""
    return {at: draw(chance, 6000, BASE + wave * math.sin(2 * math.pi * at / 288)) for at in range(288)}


def _five_minutes(history: Iterator[Look]) -> Tally:
    return sum((look.stable for look in islice(history, int(300 / LOOK_SECONDS))), Tally())


def _over_limit(looks: Iterator[Look], effect: float) -> bool:
    """Whether the candidate's failures are ever called too many, in half an hour."""
    seen = Tally()
    for look in islice(looks, HALF_AN_HOUR):
        seen += look.candidate
        worth = deflated(seen, effect)
        if above(worth.total - worth.good, worth.total, MOST) >= REVERT:
            return True
    return False


def _split(chance: Random, share: float, group: int = 1) -> Iterator[Tally]:
    """Groups of tasks that go to one version, 100 tasks a block."""
    while True:
        groups = worlds.poisson(chance, 100 / group)
        yield Tally(group * failures(chance, groups, share), group * groups)


def _sticky(chance: Random, clients: int, blocks: float) -> Iterator[Tally]:
    """Clients that stay on one version for so many blocks on average."""
    mine = [chance.random() < SHARE for _ in range(clients)]
    while True:
        mine = [chance.random() < SHARE if chance.random() < 1 / blocks else held for held in mine]
        sent = [worlds.poisson(chance, 100 / clients) for _ in mine]
        yield Tally(sum(n for n, held in zip(sent, mine, strict=True) if held), sum(sent))


def _tasks_until_wrong(blocks: Iterator[Tally]) -> float:
    test, total = SplitTest(SHARE), 0.0
    for block in blocks:
        test.add(block)
        total += block.total
        if test.found is not None:
            return total
    return math.inf

"""`python -m dev.bench.statistics`: the promises of the statistics, held against simulated worlds.

Seeded; every figure that is a share carries Clopper & Pearson's interval. A figure is *met* when its whole
interval lies within the target, *missed* when it lies outside, and *open* when more runs are needed to tell.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from random import Random
from statistics import median, quantiles

from dev.bench import statistics_worlds as worlds
from dev.bench.statistics_rules import REVERT, Evidence, FixedThreshold, Rule, attempt_reverts
from dev.bench.statistics_tables import (
    BASE,
    HALF_AN_HOUR,
    Bench,
    Line,
    effort,
    judged,
    percent,
    share_line,
    tasks_until,
)
from dev.bench.statistics_validity import correlated, price, splits
from dev.bench.statistics_worlds import SHARE, Durations, Look
from interlock.analysis.certify import NonInferiority, Superiority
from interlock.analysis.evidence import HarmProcess, above
from interlock.analysis.gates import Compare, Gate
from interlock.analysis.means import Amount, MeanProcess
from interlock.analysis.presets import metric
from interlock.analysis.ratio import SAMPLE_RATIO_ALPHA, sample_ratio
from tests.analysis.chance import draw

SIX_HOURS = 12 * HALF_AN_HOUR
LEVELS = (0.5, 5.0, 20.0, 100.0)  # tasks a second
SUCCESS = Gate("success", metric("task-success-rate"), Compare(0.0))
FIXED = tuple(
    (
        f"{'3 in a row' if consecutive else '5 in all'} < {minimum}",
        minimum,
        3 if consecutive else 5,
        consecutive,
    )
    for minimum in (0.90, 0.85)
    for consecutive in (True, False)
)

BLIND = (("3 in a row", 3, True), ("5 in all", 5, False))
"""Failed checks of a minimum that take a candidate back; whether any other check starts the count again."""

World = Callable[[Random], Iterator[Look]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print all tables; returns 0 when they could be made, whatever they say."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench.statistics", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="runs of a usual world [1000]")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another experiment [1]")
    parser.add_argument("--table", action="append", choices=[*map(_name, TABLES.values())], help="this alone")
    chosen = parser.parse_args(arguments)
    bench = Bench(chosen.runs, chosen.seed)
    verdicts: list[str] = []
    for title, table in TABLES.items():
        if chosen.table and _name(table) not in chosen.table:
            continue
        print(f"\n{title}")
        for line, verdict in table(bench):
            print(f"  {line}  {verdict}".rstrip(), flush=True)
            verdicts.append(verdict)
    told = ", ".join(f"{verdicts.count(word)} {word}" for word in ("met", "open", "missed"))
    print(f"\n{told}; {chosen.runs} runs a world, {time.process_time():.0f} s of CPU")
    return 0


def false_reverts(bench: Bench) -> Iterator[Line]:
    """Two equal versions, half an hour; and six hours at one level."""
    yield from _headline("healthy, taken back")
    for level in LEVELS:
        yield from _beside(bench, f"{level:g} tasks/s, 30 min", _equal(level), HALF_AN_HOUR)
    yield from _beside(bench, "5 tasks/s, 6 hours", _equal(5), SIX_HOURS, part=0.3)


def drift(bench: Bench) -> Iterator[Line]:
    """The common base rate moves."""
    yield from _headline("healthy, taken back")
    for name, rate in (
        ("waves between .82 and .98", lambda k: 0.9 + 0.08 * math.sin(k / 9)),
        ("a decline from .98 to .62", lambda k: 0.98 - 0.003 * k),
        ("an outage of 5 minutes", lambda k: 0.4 if 60 <= k < 80 else BASE),
    ):
        yield from _beside(bench, name, _drifting(rate), HALF_AN_HOUR)


def missed(bench: Bench) -> Iterator[Line]:
    """A real regression, half an hour."""
    yield from _headline(".92 → .88, found within 30 min")
    for level in LEVELS:
        world = _steady(level, 0.88, BASE)
        yield from _beside(bench, f"{level:g} tasks/s", world, HALF_AN_HOUR, target=None)


def detection(bench: Bench) -> Iterator[Line]:
    """One gate, one step, 10 percent of the tasks; about six of the candidate's between looks.

    Beside it fixed thresholds that know the truth: half way between the two rates. What they need, and how
    many healthy candidates they take back in half an hour of the same traffic.
    """
    head = f"{'candidate tasks until it is taken back':44}{'median':>10}{'95 %':>8}{'target':>10}"
    yield head + "".join(f"{f'{name}: median, 95 %; healthy back':>42}" for name, _, _ in BLIND), ""
    for stable, candidate, tasks in (
        (BASE, 0.88, 450),
        (BASE, 0.80, 70),
        (0.998, 0.99, 560),
        (0.998, 0.95, 62),
    ):
        found = [
            tasks_until(
                Evidence(HarmProcess(_history(chance, stable), 0.0)), _steady(4, candidate, stable)(chance)
            )
            for chance in bench.chances(f"detect {stable} {candidate}", 4)
        ]
        line, verdict = effort(f"success {stable} → {candidate}, compared", found, tasks)
        yield line + _fixed(bench, candidate, stable), verdict
    for rate, tasks in ((0.01, 560), (0.05, 62)):
        found = [_tasks_over_limit(chance, rate, 0.002) for chance in bench.chances(f"limit {rate}")]
        line, verdict = effort(f"violations at {100 * rate:g} %, limit .2 %", found, tasks)
        yield line + _fixed(bench, 1 - rate, 1 - 0.002), verdict


def weights(bench: Bench) -> Iterator[Line]:
    """5, 25 and 50 percent for ten minutes each; evidence of the whole attempt."""
    for name, rate in (
        ("5 → 25 → 50 %, constant base", lambda _: BASE),
        ("5 → 25 → 50 %, base .95 → .90 → .85 with the weights", lambda k: 0.95 - 0.05 * min(2, k // 40)),
    ):
        count = [
            attempt_reverts(
                worlds.drifting(chance, 20, rate, rate, lambda k: (0.05, 0.25, 0.5)[min(2, k // 40)]),
                (SUCCESS,),
                (40, 40, 40),
                warmup=60.0,
            )
            for chance in bench.chances(name, 0.3)
        ]
        yield share_line(name, count, 0.05)


def warmup(bench: Bench) -> Iterator[Line]:
    """Failures after 5 s, successes after 60 s on average: equal versions, from the first request on."""
    durations = Durations()
    slow = math.ceil(durations.quantile(0.99, BASE) / 30) * 30.0
    for level in (5, 20):
        for name, wait in (("from the first second", 0.0), (f"warm-up derived ({slow:g} s)", None)):
            count = [
                attempt_reverts(
                    worlds.completions(chance, level, BASE, durations),
                    (SUCCESS,),
                    (HALF_AN_HOUR,),
                    wait,
                    slow,
                )
                for chance in bench.chances(f"warm-up {level}", 0.6)
            ]
            yield share_line(f"{level} tasks/s, {name}", count, 0.05 if wait is None else None)


def certificates(bench: Bench) -> Iterator[Line]:
    """What advances a rollout, and what pauses it, must not err often either."""
    for name, world, process in (
        (
            "worse by just the margin of 4 points, certified",
            _steady(20, 0.88, BASE),
            lambda: NonInferiority(BASE, 0.04),
        ),
        ("equal, called better", _equal(20), lambda: Superiority(BASE)),
    ):
        count = [
            any(rule.see(look) for look in islice(world(chance), HALF_AN_HOUR))
            for chance in bench.chances(name)
            for rule in [Evidence(process())]
        ]
        yield share_line(name, count, 0.05)
    blamed = [_cost_blamed(chance) for chance in bench.chances("cost", 0.3)]
    yield share_line("equal lognormal costs, called dearer (asymptotic)", blamed, 0.05)
    alarmed = [_ratio_alarm(chance) for chance in bench.chances("ratio", 10)]
    yield share_line(f"the intended split, called a mismatch (at {SAMPLE_RATIO_ALPHA:g})", alarmed, None)


def _fixed(bench: Bench, candidate: float, stable: float) -> str:
    """Median and 95 % of the tasks that fixed thresholds need, within six hours, and their false reverts."""
    told = ""
    for name, allowed, row in BLIND:
        known = partial(FixedThreshold, (candidate + stable) / 2, allowed, row)
        found, wrong = [], []
        for chance in bench.chances(f"fixed {name} {candidate} {stable}"):
            found.append(tasks_until(known(), islice(_steady(4, candidate, stable)(chance), SIX_HOURS)))
            rule, healthy = known(), islice(_steady(4, stable, stable)(chance), HALF_AN_HOUR)
            wrong.append(any(rule.see(look) for look in healthy))
        figures = f"{median(found):.0f}, {quantiles(found, n=20)[-1]:.0f}; {percent(sum(wrong) / len(wrong))}"
        told += f"{figures:>42}"
    return told


TABLES: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "False reverts (10 % share, a look each 15 s)": false_reverts,
    "False reverts while the common rate drifts (5 tasks/s, 30 min)": drift,
    "Regressions found (10 % share)": missed,
    "Detection (one gate, one step, 10 % share)": detection,
    "False reverts over changing weights (whole attempt, 20 tasks/s)": weights,
    "False reverts of correlated sessions (20 tasks/s, 30 min)": correlated,
    "What dividing by the design effect costs (10 % share, 4 tasks/s)": price,
    "A split that is not the intended one": splits,
    "False reverts where failures are fast (whole attempt, 30 min)": warmup,
    "Certificates, means and the split of the traffic": certificates,
}


def _name(table: Callable[[Bench], Iterator[Line]]) -> str:
    return table.__name__.replace("_", "-")


def _equal(level: float) -> World:
    return _steady(level, BASE, BASE)


def _steady(level: float, candidate: float, stable: float) -> World:
    return lambda chance: worlds.steady(chance, level, candidate, stable)


def _drifting(rate: Callable[[int], float]) -> World:
    return lambda chance: worlds.drifting(chance, 5, rate, rate)


def _history(chance: Random, rate: float) -> float:
    """Stable's rate as a day of 5,000 tasks shows it."""
    return draw(chance, 5000, rate).smoothed


def _headline(what: str) -> Iterator[Line]:
    yield f"{what:34}{'Interlock':>24}" + "".join(f"{name:>19}" for name, *_ in FIXED), ""


def _beside(
    bench: Bench, name: str, world: World, looks: int, *, part: float = 1.0, target: float | None = 0.05
) -> Iterator[Line]:
    """How often Interlock and each fixed threshold take the candidate back, in the same worlds."""
    counts = [0] * (1 + len(FIXED))
    runs = 0
    for chance in bench.chances(name + str(looks), part):
        rules: list[Rule] = [Evidence(HarmProcess(_history(chance, BASE), 0.0))]
        rules += [FixedThreshold(minimum, allowed, row) for _, minimum, allowed, row in FIXED]
        decided = [False] * len(rules)
        for look in islice(world(chance), looks):
            for at, rule in enumerate(rules):
                decided[at] = decided[at] or rule.see(look)
        counts = [count + one for count, one in zip(counts, decided, strict=True)]
        runs += 1
    figure, verdict = judged(counts[0], runs, target)
    yield f"{name:34}{figure:>24}" + "".join(f"{percent(count / runs):>19}" for count in counts[1:]), verdict


def _tasks_over_limit(chance: Random, rate: float, limit: float) -> float:
    bad = total = 0
    while above(bad, total, limit) < REVERT:
        bad, total = bad + (chance.random() < rate), total + 1
    return total


def _cost_blamed(chance: Random) -> bool:
    """Equal costs, lognormal with a coefficient of variation of 1.3; 8 and 72 tasks a block, 120 blocks."""
    process = MeanProcess()
    for _ in range(HALF_AN_HOUR):
        candidate, stable = (
            Amount(sum(chance.lognormvariate(0, 1) for _ in range(count)), count) for count in (8, 72)
        )
        process.add(candidate, stable)
        if process.log_above(1.0) >= REVERT:
            return True
    return False


def _ratio_alarm(chance: Random) -> bool:
    mine = total = 0.0
    for _ in range(HALF_AN_HOUR):
        seen = draw(chance, 75, SHARE)
        mine, total = mine + seen.good, total + seen.total
        if sample_ratio(mine, total - mine, SHARE) >= -math.log(SAMPLE_RATIO_ALPHA):
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())

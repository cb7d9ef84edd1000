"""Verifications that come a minute after the tasks: who is healthy stays, who lacks some is found."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest

from interlock.analysis.evidence import HarmProcess, Tally
from interlock.analysis.following import FollowingCertificate, FollowingProcess
from interlock.analysis.gates import Compare, Gate, Mean, PlannedStep, Verdict
from interlock.analysis.plan import Advance
from interlock.analysis.presets import metric
from tests.analysis.attempt import COST, SINCE, VERIFIED, Attempt, plan, work

ALPHA = 0.05
COVERED = Gate("covered", metric("verification-coverage"), Compare(0.0))
DEAR = Gate("dear", metric("cost-per-verified-success"), Mean(0.1))
STEPS = (PlannedStep(0, "canary"), PlannedStep(1, "canary"))
LAG = 60


class Late(Attempt):
    """Tasks cost the same and are verified `LAG` seconds after they have ended."""

    def __post_init__(self) -> None:
        self.pending = deque[tuple[int, int, int]]()
        for pod in (self.candidate, self.stable):
            pod.do(COST, 0, kind="inference")
            pod.do(VERIFIED, 0, verifier="judge", result="pass")
        super().__post_init__()

    def go(self, seconds: int, share: float, *, covered: tuple[float, float] = (0.95, 0.95)) -> Late:
        """Ten tasks a second; `covered`: of stable's and of the candidate's, how many are ever verified."""
        for _ in range(seconds):
            counts = [0, 0]
            for _ in range(10):
                mine = self.chance.random() < share
                work(self.candidate if mine else self.stable, good=True)
                (self.candidate if mine else self.stable).do(COST, 0.03, kind="inference")
                counts[mine] += self.chance.random() < covered[mine]
            self.pending.append((self.now + LAG, counts[0], counts[1]))
            while self.pending[0][0] <= self.now:
                _, theirs, mine_now = self.pending.popleft()
                self.stable.do(VERIFIED, theirs, verifier="judge", result="pass")
                self.candidate.do(VERIFIED, mine_now, verifier="judge", result="pass")
            self.second()
        return self

    def walked(self, covered: tuple[float, float] = (0.95, 0.95)) -> Late:
        """Two steps, of 5 and of 25 %, beside a stable version that had been at work before."""
        self.go(600, 0.05, covered=covered)
        self.start(1)
        return self.go(400, 0.25, covered=covered)


def attempt(*gates: Gate, warmup: float, seed: int = 1) -> Late:
    found = Late(plan(*gates, steps=STEPS, warmup=warmup, settle=5.0), seed=seed)
    assert found.now == SINCE
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_candidate_stays_where_the_warm_up_covers_the_lag(seed: int) -> None:
    found = attempt(COVERED, DEAR, warmup=75.0, seed=seed).walked()
    assert found.report().failed == ()
    assert {found.gate("covered").verdict, found.gate("dear").verdict} == {Verdict.PASS}


def test_a_warm_up_that_is_too_short_takes_it_back() -> None:
    """The reason for lint's warning: nothing in the counters tells a late verification from none."""
    found = [attempt(COVERED, warmup=10.0, seed=seed).walked().report().failed for seed in range(6)]
    assert found.count(("covered",)) >= 2


def test_a_candidate_that_is_verified_less_is_found() -> None:
    found = attempt(COVERED, warmup=75.0).walked((0.95, 0.7))
    assert found.report().failed == ("covered",)
    assert "that the candidate leaves a task unverified more often: 0." in found.gate("covered").message


def test_a_share_is_never_shown_above_one() -> None:
    found = attempt(COVERED, warmup=75.0).go(120, 0.25)
    found.stable.do(VERIFIED, 5000, verifier="judge", result="pass")
    found.go(10, 0.25)
    assert found.gate("covered").stable.startswith("1 (n=")


def test_before_twenty_looks_nothing_is_said() -> None:
    gate = attempt(COVERED, warmup=10.0).go(100, 0.25).gate("covered")
    assert gate.verdict is Verdict.INCONCLUSIVE
    assert "of 20 so far" in gate.message


# ------------------------------------------------------------------ the process alone
def blocks(random: Random, lacks: float) -> Iterator[tuple[Tally, Tally]]:
    """Parts that have nothing to do with the whole of their block; the candidate's blocks are small."""
    while True:
        yield (
            Tally(poisson(random, 4 * (0.95 - lacks)), 4.0),
            Tally(poisson(random, 76 * 0.95), 76.0),
        )


def poisson(random: Random, mean: float) -> float:
    count, left = 0, math.exp(-mean)
    product = random.random()
    while product > left:
        count, product = count + 1, product * random.random()
    return float(count)


def ever(seed: int, lacks: float, process: FollowingProcess | HarmProcess) -> bool:
    """Whether it is taken back within 200 blocks."""
    reached = False
    for candidate, stable in islice(blocks(Random(seed), lacks), 200):  # noqa: S311 - a world
        process.add(candidate, stable)
        reached = reached or process.log_e >= -math.log(ALPHA)
    return reached


def test_the_bound_holds_for_parts_of_other_blocks() -> None:
    healthy = sum(ever(seed, 0.0, FollowingProcess(0.0)) for seed in range(200))
    assert healthy <= 20, "5 % of 200, and four deviations"


def test_counted_as_outcomes_they_would_not_keep_to_it() -> None:
    def cut(seed: int) -> bool:
        process = HarmProcess(0.95, 0.0)
        reached = False
        for candidate, stable in islice(blocks(Random(seed), 0.0), 200):  # noqa: S311 - a world
            process.add(*(Tally(min(one.good, one.total), one.total) for one in (candidate, stable)))
            reached = reached or process.log_e >= -math.log(ALPHA)
        return reached

    assert sum(cut(seed) for seed in range(20)) == 20


def test_what_lacks_more_is_found_and_within_the_margin_is_not() -> None:
    assert sum(ever(seed, 0.4, FollowingProcess(0.0)) for seed in range(20)) >= 18
    assert sum(ever(seed, 0.1, FollowingProcess(0.2)) for seed in range(20)) <= 2


def test_a_certificate_speaks_for_a_candidate_within_the_margin() -> None:
    good, bad = FollowingCertificate(0.3), FollowingCertificate(0.3)
    for (one, two), (three, four) in islice(
        zip(blocks(Random(1), 0.0), blocks(Random(1), 0.6), strict=False),  # noqa: S311 - a world
        300,
    ):
        good.add(one, two)
        bad.add(three, four)
    assert good.log_e > -math.log(ALPHA)
    assert bad.log_e < 0


@pytest.mark.parametrize("advance", list(Advance))
def test_it_goes_on_from_its_state(advance: Advance) -> None:
    gate = Gate("covered", metric("verification-coverage"), Compare(0.02), advance=advance)
    found = attempt(gate, warmup=20.0).go(300, 0.25)
    again = type(found.evidence).resumed(found.plan, SINCE, found.evidence.state())
    again.advance(found.times, (), float(found.now))
    assert again.report().gates == found.report().gates
    assert again.state() == found.evidence.state()

"""Whole attempts at random, and how they are looked at: by one process, by several, under edited gates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from interlock.analysis.gates import AttemptEvidence, EvidenceReport, Gate, Plan, PlannedStep, StepTime
from interlock.analysis.series import Series
from tests.analysis.attempt import BUCKETS, SINCE, VERIFIED, VIOLATIONS, Attempt, plan

STEPS = (
    PlannedStep(0, "shadow", share=0.5),
    PlannedStep(1, "canary", min_tasks=5, share=0.3),
    PlannedStep(2, "full", min_tasks=5, share=0.6),
)


def story(seed: int, *gates: Gate, warmup: float | None = None, twins: bool = True) -> Attempt:
    """Shadow, canary, full at changing rates, with violations, restarts, a twin and an alert now and then.

    From when on a twin spoils the counts depends on the looks: that it is one shows only afterwards.
    """
    steps = plan(*gates, steps=STEPS, warmup=warmup)
    attempt = Attempt(steps, seed=seed, bounds=("5", "20.0", "+Inf"), costs=True)
    for index in range(3):
        if index:
            attempt.start(index)
        for _ in range(attempt.chance.randint(2, 5)):
            share = 0.0 if index == 0 else attempt.chance.choice([0.0, 0.3 * index])
            slow = (0.2, attempt.lengths.choice([0.2, 0.7]))
            cost = (0.03, attempt.lengths.choice([0.03, 0.09]))
            success = attempt.chance.choice([0.9, 0.6])
            attempt.run(5, share=share, candidate=success, tasks=6, slow=slow, cost=cost)
            _mishap(attempt, twins)
    attempt.run(5 - attempt.now % 5)
    return attempt


def _mishap(attempt: Attempt, twins: bool) -> None:
    pod, chance = attempt.chance.choice(attempt.pods), attempt.chance
    pod.do(VIOLATIONS, rule=chance.choice(["pii", "new"]), severity=chance.choice(["low", "low", "critical"]))
    pod.do(VERIFIED, 8, result=chance.choice(["pass", "fail"]), verifier=chance.choice(["human", "judge"]))
    attempt.stable.do(BUCKETS, chance.randint(0, 9), le=chance.choice(["5", "20.0", "+Inf"]))
    if chance.random() < 0.2:
        pod.restart(attempt.now + 0.5)
    if chance.random() < 0.1 and twins:
        pod.instance = chance.choice(["", "again"])  # scraped by another way from now on, or by both
    if chance.random() < 0.1:
        attempt.alert(attempt.now, alertname="Loud", interlock_action="revert")


def looks(attempt: Attempt) -> Iterator[float]:
    """When the operator looks: at each tick."""
    yield from (float(at) for at in range(int(SINCE), attempt.now + 1, attempt.look))


def known(times: tuple[StepTime, ...], now: float) -> tuple[StepTime, ...]:
    """The clocks as they stood at `now`."""
    return tuple(
        StepTime(time.index, time.started, time.ended if time.ended and time.ended <= now else None)
        for time in times
        if time.started <= now
    )


def samples(attempt: Attempt, begin: float, end: float) -> list[Series]:
    """What Prometheus holds of (begin, end]."""
    cut = [
        Series(one.labels, tuple(p for p in one.points if begin < p[0] <= end))
        for one in attempt.series(begin)
    ]
    return [one for one in cut if one.points]


def walk(
    evidence: AttemptEvidence, attempt: Attempt, moments: Iterable[float], *, lost: float = -1.0
) -> Iterator[EvidenceReport]:
    """The report at each look; what is not younger than `lost` is not there any more."""
    for now in moments:
        seen = samples(attempt, max(lost, evidence.now - 20), now)
        evidence.advance(known(attempt.times, now), seen, now)
        yield evidence.report()


def moved(evidence: AttemptEvidence, to: Plan, *, baselines: bool = True) -> AttemptEvidence:
    """The evidence written down and taken up again, perhaps under edited gates."""
    written = json.dumps(evidence.state(baselines=baselines), allow_nan=False)
    state: dict[str, Any] = json.loads(written)
    return AttemptEvidence.resumed(to, SINCE, state)

"""The same samples give the same evidence, whenever, however often and in whatever order one looks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.analysis.gates import AttemptEvidence, Compare, Gate, PlannedStep, StepTime
from interlock.analysis.series import Series
from tests.analysis.attempt import CRITICAL, SINCE, SUCCESS, VERIFIED, VIOLATION, VIOLATIONS, Attempt, plan

GATES = (SUCCESS, VIOLATION, CRITICAL, Gate("verified", "verified-success-rate", Compare(0.02)))
STEPS = (PlannedStep(0, "shadow"), PlannedStep(1, "canary"), PlannedStep(2, "full"))


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.data())
def test_a_replay_equals_the_uninterrupted_run(seed: int, data: st.DataObject) -> None:
    """Also with other windows, more looks, another order of series, and with later steps known already."""
    attempt = _story(seed)
    replayed, begin = AttemptEvidence(attempt.plan, SINCE), SINCE
    foreseen = data.draw(st.booleans())
    while begin < attempt.now:
        end = min(float(attempt.now), begin + data.draw(st.sampled_from([1.0, 7.0, 33.0, 1000.0])))
        known = attempt.times if foreseen else _known(attempt.times, end)
        seen = data.draw(st.permutations(_until(attempt, begin - 30, end)))
        for _ in range(data.draw(st.integers(1, 2))):
            replayed.advance(known, seen, end)
        begin = end
    assert replayed.report() == attempt.report()


def _known(times: tuple[StepTime, ...], now: float) -> tuple[StepTime, ...]:
    """The clocks as they stood at `now`."""
    return tuple(
        StepTime(time.index, time.started, time.ended if time.ended and time.ended <= now else None)
        for time in times
        if time.started <= now
    )


def _story(seed: int) -> Attempt:
    """Shadow, canary, full at changing rates, with violations now and then, looked at each tick."""
    attempt = Attempt(plan(*GATES, steps=STEPS, warmup=None), seed=seed)
    for index in range(3):
        if index:
            attempt.start(index)
        for _ in range(attempt.chance.randint(2, 5)):
            attempt.run(
                5,
                share=0.0 if index == 0 else 0.3 * index,
                candidate=attempt.chance.choice([0.9, 0.6]),
                tasks=6,
            )
            pod = attempt.chance.choice(attempt.pods)
            pod.do(VIOLATIONS, rule=attempt.chance.choice(["pii", "new"]), severity="low")
            pod.do(VERIFIED, 8, result=attempt.chance.choice(["pass", "fail"]), verifier="human")
            if attempt.chance.random() < 0.2:
                pod.restart(attempt.now + 0.5)
    attempt.run(5 - attempt.now % 5)
    return attempt


def _until(attempt: Attempt, begin: float, end: float) -> list[Series]:
    cut = [Series(one.labels, tuple(p for p in one.points if p[0] <= end)) for one in attempt.series(begin)]
    return [one for one in cut if one.points]

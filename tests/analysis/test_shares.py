"""The built-in shares in gates: each is read from the counters that it is made of, and told in its words."""

from __future__ import annotations

import pytest

from interlock.analysis.gates import Compare, Gate, Limit, Verdict
from interlock.analysis.metrics import Proportion
from interlock.analysis.presets import BUILT_IN, metric
from tests.analysis.attempt import TASKS, VERIFIED, Attempt, plan
from tests.analysis.world import Pod

SHARES = [found for found in BUILT_IN.values() if isinstance(found, Proportion)]
LOWER = [found for found in SHARES if not found.higher_is_better]
FEEDBACK = "ai_agent_user_feedback_total"


def count(pod: Pod, metric: Proportion, good: int, bad: int) -> None:
    """So many outcomes beside the tasks, which are counted anyway."""
    marks = {"verifier": "human"} if metric.verified else {}
    if metric.part.family != TASKS:
        part = good if metric.higher_is_better else bad
        pod.do(metric.part.family, part, **{one.label: one.values[0] for one in metric.part.where}, **marks)
    if metric.total.family not in (TASKS, metric.part.family):
        raise AssertionError(metric)
    if metric.total.family == metric.part.family != TASKS:
        pod.do(metric.total.family, bad if metric.higher_is_better else good, **{**marks, "result": "x"})


def told(metric: Proportion, gate: Gate, bad: float) -> Attempt:
    """A fifth of stable's outcomes and so many of the candidate's are bad; each has ten a second."""
    attempt = Attempt(plan(gate))
    for _ in range(200):
        for pod, share in ((attempt.stable, 0.2), (attempt.candidate, bad)):
            if metric.total.family == TASKS:
                pod.do(TASKS, 10 * (1 - share), outcome="success")
                pod.do(TASKS, 10 * share, outcome="failure")
            else:
                pod.do(TASKS, 1, outcome="success")
            count(pod, metric, round(10 * (1 - share)), round(10 * share))
        attempt.run(1, tasks=0)
    return attempt


@pytest.mark.parametrize("metric", SHARES, ids=lambda metric: metric.name)
def test_more_bad_ones_than_stable_fail(metric: Proportion) -> None:
    gate = Gate("share", metric, Compare(0.0))
    assert told(metric, gate, 0.2).gate("share").verdict is Verdict.PASS
    found = told(metric, gate, 0.5)
    assert found.report().failed == ("share",)
    rate = 0.5
    assert f"that the candidate {metric.harm} more often: {rate} (n=" in found.gate("share").message


@pytest.mark.parametrize("metric", LOWER, ids=lambda metric: metric.name)
def test_more_bad_ones_than_the_limit_fail(metric: Proportion) -> None:
    gate = Gate("share", metric, Limit(0.3))
    assert told(metric, gate, 0.2).gate("share").verdict is Verdict.PASS
    found = told(metric, gate, 0.5)
    assert found.report().failed == ("share",)
    assert f"{metric.harm} in more than 30 % of its {metric.whole}: 0.5 (n=" in found.gate("share").message


def test_coverage_counts_one_verifier_only() -> None:
    """A second one that looks at the same tasks covers no more of them."""
    attempt = Attempt(plan(Gate("coverage", metric("verification-coverage"), Compare(0.0))))
    for _ in range(200):
        attempt.run(1)
        for pod, tasks in ((attempt.stable, 18), (attempt.candidate, 2)):
            pod.do(VERIFIED, tasks / (1 if pod is attempt.stable else 2), verifier="human", result="pass")
            pod.do(VERIFIED, tasks, verifier="judge", result="pass")
    assert attempt.report().failed == ("coverage",)
    assert attempt.gate("coverage").message.endswith("verified by human")


def test_where_nobody_verifies_coverage_is_not_known() -> None:
    gate = (
        Attempt(plan(Gate("coverage", metric("verification-coverage"), Compare(0.0))))
        .run(60)
        .gate("coverage")
    )
    assert gate.verdict is Verdict.INCONCLUSIVE


def test_no_rating_is_no_good_rating() -> None:
    attempt = Attempt(plan(Gate("feedback", metric("user-negative-feedback-rate"), Limit(0.1))))
    attempt.candidate.do(FEEDBACK, 0, signal="negative")
    gate = attempt.run(60).gate("feedback")
    assert (gate.verdict, gate.message) == (
        Verdict.INCONCLUSIVE,
        "no ratings of the candidate in this step so far",
    )
    attempt.candidate.do(FEEDBACK, 5, signal="positive")
    assert attempt.run(10).gate("feedback").verdict is Verdict.PASS

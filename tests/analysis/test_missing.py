"""Since when a gate has nothing to judge by: NaN, infinity and nothing are never Pass and never 0."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.analysis.gates import AttemptEvidence, Gate, GateReading, Mean, PlannedStep, Verdict
from interlock.analysis.metrics import Query
from interlock.analysis.plan import Value
from interlock.analysis.presets import metric
from interlock.analysis.values import Evaluated, NoNumber
from tests.analysis.attempt import COST, SINCE, SUCCESS, Attempt, plan

BACKLOG = Gate("backlog", Query("backlog", "sum(backlog)", "requests"), Value(maximum=100.0))
COSTS = Gate("cost", metric("cost-per-task"), Mean(0.1))

numbers = st.one_of(
    st.floats(0, 100),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.just("the expression gives nothing"),
)


def told(found: float | str) -> float | NoNumber:
    """As who reads Prometheus hands it on."""
    if isinstance(found, str):
        return NoNumber(found)
    return found if math.isfinite(found) else NoNumber(f"the expression gives {found}")


def see(attempt: Attempt, found: float | str) -> GateReading:
    """A second of work, and what the expression gives at its end."""
    attempt.run(1, share=0.5)
    at = float(attempt.now)
    attempt.evidence.advance(
        attempt.times, attempt.series(at - 60), at, {"backlog": [Evaluated(at, told(found))]}
    )
    return attempt.gate("backlog")


class TestNumbers:
    @settings(max_examples=25)
    @given(st.lists(numbers, min_size=1, max_size=8))
    def test_it_is_blind_from_the_last_number_on_and_never_passes_meanwhile(
        self, found: list[float | str]
    ) -> None:
        attempt = Attempt(plan(BACKLOG, SUCCESS))
        attempt.run(2, share=0.5)
        known = worked = SINCE + 1
        for one in found:
            gate = see(attempt, one)
            if isinstance(one, float) and math.isfinite(one):
                known = attempt.now
                assert (gate.verdict, gate.blind_since) == (Verdict.PASS, None)
            else:
                assert (gate.verdict, gate.blind_since) == (Verdict.NO_DATA, max(worked, known))
            assert attempt.gate("success").blind_since is None

    def test_before_the_candidates_first_task_nothing_need_be_known(self) -> None:
        attempt = Attempt(plan(BACKLOG))
        attempt.run(30, share=0.0)
        assert (attempt.gate("backlog").verdict, attempt.gate("backlog").blind_since) == (
            Verdict.NO_DATA,
            None,
        )

    def test_where_it_does_not_judge_it_is_not_blind(self) -> None:
        late = Gate("backlog", BACKLOG.metric, BACKLOG.test, during=("full",))
        steps = (PlannedStep(0, "canary"), PlannedStep(1, "full", share=0.9))
        attempt = Attempt(plan(late, steps=steps)).run(60, share=0.5)
        assert attempt.gate("backlog").blind_since is None
        attempt.start(1)
        began = attempt.now
        attempt.run(60, share=0.5)
        since = attempt.gate("backlog").blind_since
        assert since is not None
        assert began < since <= began + 5, "from the first task of the step in which it judges"

    def test_an_edited_gate_is_blind_from_its_edit_on(self) -> None:
        edited = Gate("backlog", BACKLOG.metric, BACKLOG.test, since=SINCE + 40)
        assert Attempt(plan(edited)).run(60, share=0.5).gate("backlog").blind_since == SINCE + 40


class TestCounters:
    def test_what_the_candidate_never_exports(self) -> None:
        gate = Attempt(plan(COSTS)).run(300, share=0.5).gate("cost")
        assert (gate.verdict, gate.blind_since) == (Verdict.NO_DATA, SINCE + 1)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_it_exports_as_no_number(self, value: float) -> None:
        attempt = Attempt(plan(COSTS), costs=True).run(60, share=0.5)
        last = attempt.now
        attempt.candidate.values = {
            key: value if ("__name__", COST) in key else count
            for key, count in attempt.candidate.values.items()
        }
        attempt.run(200, share=0.5, tasks=4)
        gate = attempt.gate("cost")
        assert (gate.verdict, gate.blind_since) == (Verdict.NO_DATA, last)

    def test_what_only_stable_lacks(self) -> None:
        attempt = Attempt(plan(COSTS))
        attempt.candidate.do(COST, 1.0, kind="inference")
        attempt.run(60, share=0.5)
        gate = attempt.gate("cost")
        assert "nothing to compare with" in gate.message
        assert gate.blind_since == SINCE + 1

    def test_what_is_there_again_is_not_missed(self) -> None:
        attempt = Attempt(plan(COSTS)).run(60, share=0.5)
        assert attempt.gate("cost").blind_since is not None
        attempt.costs = True
        assert attempt.run(30, share=0.5).gate("cost").blind_since is None

    def test_counts_that_are_wrong(self) -> None:
        """Two processes under one name: nothing rests on them, and nobody gets to know by waiting."""
        attempt = Attempt(plan(SUCCESS)).run(30, share=0.5)
        for _ in range(90):
            attempt.candidate.started = SINCE - 50 - 7 * attempt.chance.randrange(3)
            attempt.run(1, share=0.5)
        gate = attempt.gate("success")
        assert gate.message.startswith("not decided: counts are wrong in triage-b-1")
        since = gate.blind_since
        assert since is not None
        assert SINCE + 30 < since < attempt.now
        assert attempt.run(100, share=0.5).gate("success").blind_since == since


@given(st.integers(20, 100), st.booleans())
@settings(max_examples=10)
def test_it_goes_on_in_another_process(after: int, costs: bool) -> None:
    attempt = Attempt(plan(COSTS, BACKLOG), costs=costs).run(after, share=0.5)
    see(attempt, 5.0)
    see(attempt, math.nan)
    before = attempt.report()
    state = json.loads(json.dumps(attempt.evidence.state()))
    again = AttemptEvidence.resumed(attempt.plan, SINCE, state)
    again.advance(attempt.times, (), attempt.now)
    assert [gate.blind_since for gate in again.report().gates] == [gate.blind_since for gate in before.gates]

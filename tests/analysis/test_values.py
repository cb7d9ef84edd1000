"""A number that an expression gives, as a gate: it fails when it stays out of bounds, not at one bad one."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.gates import AttemptEvidence, GateReading, PlannedStep, StepTime, Verdict
from interlock.analysis.metrics import Query
from interlock.analysis.plan import Advance, Gate, Limit, Value
from interlock.analysis.presets import metric
from interlock.analysis.values import Evaluated, NoNumber, moments
from tests.analysis.attempt import SINCE, plan

BACKLOG = Gate("backlog", Query("backlog", "sum(backlog)", "requests"), Value(maximum=100.0))
CANARY = PlannedStep(0, "canary")
Found = float | str
"""A number, or why there is none."""


class Watched:
    """A number each five seconds, beginning with the first step."""

    def __init__(
        self, gate: Gate = BACKLOG, steps: tuple[PlannedStep, ...] = (CANARY,), settle: float = 10.0
    ):
        self.plan = plan(gate, steps=steps, settle=settle)
        self.evidence = AttemptEvidence(self.plan, SINCE)
        self.times: tuple[StepTime, ...] = (StepTime(0, SINCE),)
        self.now = SINCE
        self.look()

    def see(self, *found: Found) -> Watched:
        for each in found:
            self.now += 5.0
            number = NoNumber(each) if isinstance(each, str) else each
            self.look(Evaluated(self.now, number))
        return self

    def look(self, *values: Evaluated) -> None:
        self.evidence.advance(self.times, (), self.now, {"backlog": values})

    def start(self, index: int) -> None:
        last = self.times[-1]
        self.times = (
            *self.times[:-1],
            StepTime(last.index, last.started, self.now),
            StepTime(index, self.now),
        )
        self.look()

    @property
    def gate(self) -> GateReading:
        (gate,) = self.evidence.report().gates
        return gate

    @property
    def failed(self) -> bool:
        return self.evidence.report().failed == ("backlog",)


class TestVerdicts:
    def test_within_bounds_it_passes(self) -> None:
        gate = Watched().see(100.0).gate
        assert (gate.verdict, gate.candidate, gate.odds) == (Verdict.PASS, "100 requests", "")
        assert gate.message == "100 requests is not above 100 requests"

    def test_one_bad_sample_holds_and_takes_nobody_back(self) -> None:
        watched = Watched().see(5.0, 101.0)
        assert watched.gate.verdict is Verdict.INCONCLUSIVE
        assert watched.gate.message == (
            "101 requests is above 100 requests, for 0 s so far: "
            "it fails at 3 such numbers in a row over 10 s"
        )
        assert watched.see(5.0).gate.verdict is Verdict.PASS

    def test_what_stays_out_of_bounds_for_two_scrapes_fails(self) -> None:
        watched = Watched().see(101.0, 250.0)
        assert not watched.failed
        assert watched.see(300.0).failed
        assert watched.gate.message == "300 requests is above 100 requests, and was for 10 s"

    def test_it_must_be_so_at_several_looks(self) -> None:
        """Ticks may be rarer than scrapes."""
        watched = Watched(settle=2.0).see(101.0, 101.0)
        assert not watched.failed
        assert watched.see(101.0).failed

    def test_once_failed_it_stays_so(self) -> None:
        assert Watched().see(101.0, 101.0, 101.0, 1.0, 1.0).failed

    def test_a_number_may_have_a_least_value(self) -> None:
        least = replace(BACKLOG, test=Value(minimum=3.0))
        assert Watched(least).see(3.0).gate.message == "3 requests is not below 3 requests"
        watched = Watched(least).see(2.0, 2.0, 2.0)
        assert watched.failed
        assert watched.gate.message == "2 requests is below 3 requests, and was for 10 s"


class TestWithoutANumber:
    def test_before_the_first_one(self) -> None:
        gate = Watched().gate
        assert (gate.verdict, gate.message) == (Verdict.NO_DATA, "no number yet in this step")

    def test_the_reason_is_told(self) -> None:
        gate = Watched().see(5.0, "the expression gives nan").gate
        assert (gate.verdict, gate.candidate) == (Verdict.NO_DATA, "")
        assert gate.message == "no number: the expression gives nan"

    def test_it_is_not_within_bounds(self) -> None:
        """A query that flaps must not hide harm."""
        assert Watched().see(101.0, "nothing", 101.0, "nothing", 101.0).failed

    def test_nor_out_of_them(self) -> None:
        assert not Watched().see(101.0, *["nothing"] * 20, 101.0).failed

    def test_an_old_one_is_none(self) -> None:
        watched = Watched().see(5.0)
        watched.evidence.advance(watched.times, (), watched.now + 121.0)
        assert watched.gate.message == "no number for 121 s"
        assert watched.gate.verdict is Verdict.NO_DATA


class TestSteps:
    def test_the_first_number_of_a_step_is_awaited(self) -> None:
        watched = Watched(steps=(CANARY, PlannedStep(1, "full"))).see(5.0)
        watched.start(1)
        assert watched.gate.verdict is Verdict.NO_DATA
        assert watched.see(5.0).gate.verdict is Verdict.PASS

    def test_it_judges_in_its_kinds_of_step_only(self) -> None:
        late = replace(BACKLOG, during=("full",))
        watched = Watched(late, steps=(CANARY, PlannedStep(1, "full"))).see(*[200.0] * 10)
        assert watched.gate.message == "not judged in canary"
        watched.start(1)
        assert not watched.see(200.0, 200.0).failed
        assert watched.see(200.0).failed

    def test_it_judges_in_the_shadow_too(self) -> None:
        assert Watched(steps=(PlannedStep(0, "shadow", share=0.5),)).see(200.0, 200.0, 200.0).failed

    def test_what_was_before_the_gate_was_changed_does_not_count(self) -> None:
        changed = replace(BACKLOG, since=SINCE + 11)
        watched = Watched(changed).see(200.0, 200.0, 200.0, 200.0)
        assert not watched.failed
        assert watched.see(200.0).failed


class TestGoingOn:
    @given(st.lists(st.sampled_from([50.0, 150.0, "nothing"]), max_size=14), st.data())
    def test_a_restart_changes_nothing(self, found: list[Found], data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(found)))
        whole = Watched().see(*found)
        halved = Watched().see(*found[:cut])
        state = json.loads(json.dumps(halved.evidence.state()))
        halved.evidence = AttemptEvidence.resumed(halved.plan, SINCE, state)
        halved.look()
        halved.see(*found[cut:])
        assert (halved.gate, halved.failed) == (whole.gate, whole.failed)

    @given(st.lists(st.sampled_from([50.0, 150.0, "nothing"]), max_size=14))
    def test_looking_twice_or_late_is_looking_once(self, found: list[Found]) -> None:
        values = [
            Evaluated(SINCE + 5.0 * n, NoNumber(each) if isinstance(each, str) else each)
            for n, each in enumerate(found, 1)
        ]
        once, late = Watched().see(*found), Watched()
        late.now = once.now
        for _ in range(2):
            late.look(*values)
        assert late.gate == once.gate

    @given(st.lists(st.sampled_from([50.0, "nothing"]), max_size=40))
    def test_without_a_number_out_of_bounds_it_never_fails(self, found: list[Found]) -> None:
        assert not Watched().see(*found).failed


class TestRules:
    @pytest.mark.parametrize("bounds", [{}, {"maximum": 1.0, "minimum": 0.0}, {"maximum": math.nan}])
    def test_exactly_one_bound(self, bounds: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="exactly one of maximum and minimum"):
            Value(**bounds)

    def test_only_an_expression_has_a_value(self) -> None:
        with pytest.raises(ValueError, match="value must not be used with the metric failure-rate"):
            Gate("g", metric("failure-rate"), Value(maximum=1.0))
        with pytest.raises(ValueError, match="limit must not be used with the metric backlog"):
            Gate("g", BACKLOG.metric, Limit(0.1))

    def test_it_certifies_nothing(self) -> None:
        with pytest.raises(ValueError, match="advance must not be Certified"):
            replace(BACKLOG, advance=Advance.CERTIFIED)


@pytest.mark.parametrize(
    ("after", "until", "expected"),
    [
        (1000.0, 1010.0, (1005.0, 1010.0)),
        (1001.0, 1009.9, (1005.0,)),
        (1000.0, 1004.9, ()),
        (1005.0, 1005.0, ()),
        (1006.0, 1002.0, ()),
    ],
)
def test_moments_do_not_depend_on_when_one_looks(
    after: float, until: float, expected: tuple[float, ...]
) -> None:
    assert moments(after, until, 5.0) == expected

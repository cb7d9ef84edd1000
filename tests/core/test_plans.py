"""From the spec to what the analysis judges by: shares, rules of gates, and since when they hold."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from interlock.analysis.gates import Alert, Mean, Tail
from interlock.core.decide import decide
from interlock.core.plans import (
    alert_tests,
    gate_hash,
    gate_starts,
    has_alerts,
    idle_gates,
    plan_gate,
    plan_of,
    plan_problem,
)
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import GateStart
from tests.core.seen import LONG_AGO, NOW, TIMING, at_rest, parsed, trying
from tests.scenarios.objects import CANARY, CRITICAL, FULL, SHADOW, SUCCESS, VIOLATIONS, Manifest

PAGE: Manifest = {"name": "page", "alert": {"matchLabels": {"b": "2", "a": "1"}}}
SLOW: Manifest = {
    "name": "slow",
    "metric": "task-duration",
    "tail": {"aboveSeconds": "30", "worseByPoints": "1"},
}
DEAR: Manifest = {"name": "dear", "metric": "cost-per-task", "mean": {"worseByPercent": "10"}}
LATER = NOW + timedelta(minutes=5)


def rollout(*gates: Manifest, **analysis: Any) -> Rollout:
    return parsed("v2", analysis={"gates": list(gates), **analysis})


def starts(found: Rollout, *previous: GateStart) -> tuple[GateStart, ...]:
    return gate_starts(found, previous, LATER)


def rules(found: Rollout) -> list[str]:
    return [gate_hash(found, gate) for gate in found.spec.analysis.gates]


# ------------------------------------------------------------------ rules of gates
def test_rules_have_a_name_of_sixteen_digits() -> None:
    (name,) = rules(rollout(SUCCESS))
    assert len(name) == 16
    int(name, 16)


@pytest.mark.parametrize(
    "edited",
    [
        rollout({**SUCCESS, "compare": {"worseByPoints": "1"}}),
        rollout({**SUCCESS, "metric": "task-success-rate"}),
        rollout({**SLOW, "name": "success"}),
        rollout({**DEAR, "name": "success"}),
        rollout({**SUCCESS, "weight": 2}),
        rollout({**SUCCESS, "safety": True}),
        rollout({**SUCCESS, "advance": "Certified"}),
        rollout({**SUCCESS, "during": ["Full"]}),
        rollout(SUCCESS, falseRevertPercent="1"),
        rollout(SUCCESS, warmupSeconds=60),
    ],
)
def test_other_rules_have_another_name(edited: Rollout) -> None:
    assert rules(edited) != rules(rollout(SUCCESS))


@pytest.mark.parametrize(
    "same",
    [
        rollout({**SUCCESS, "weight": 1}),
        rollout({**SUCCESS, "advance": "NoHarm"}),
        rollout(SUCCESS, noData={"holdAfterSeconds": 5}),
        parsed("v3", analysis={"gates": [SUCCESS]}, replicas=9),
    ],
)
def test_defaults_and_what_is_no_rule_change_no_name(same: Rollout) -> None:
    assert rules(same) == rules(rollout(SUCCESS))


def test_the_order_of_kinds_of_step_is_no_rule() -> None:
    assert rules(rollout({**VIOLATIONS, "during": ["Full", "Canary"]})) == rules(
        rollout({**VIOLATIONS, "during": ["Canary", "Full"]})
    )


def test_the_order_of_labels_is_no_rule() -> None:
    turned = {**PAGE, "alert": {"matchLabels": {"a": "1", "b": "2"}}}
    assert rules(rollout(turned)) == rules(rollout(PAGE))
    assert repr(plan_gate(rollout(turned).spec.analysis.gates[0])) == repr(
        plan_gate(rollout(PAGE).spec.analysis.gates[0])
    )


# ------------------------------------------------------------------ since when
def test_at_first_all_begin_now() -> None:
    found = starts(rollout(SUCCESS, VIOLATIONS))
    assert [(start.name, start.since) for start in found] == [("success", LATER), ("violations", LATER)]


def test_what_is_the_same_goes_on_and_what_is_edited_begins_now() -> None:
    before = gate_starts(rollout(SUCCESS, VIOLATIONS, CRITICAL), (), NOW)
    stricter = {**VIOLATIONS, "limit": {"maxPercent": "1"}}
    found = starts(rollout(PAGE, stricter, SUCCESS), *before)
    assert [(start.name, start.since) for start in found] == [
        ("page", LATER),
        ("violations", LATER),
        ("success", NOW),
    ]


def test_rules_that_come_back_begin_again() -> None:
    """In between, they were not in force."""
    first = gate_starts(rollout(VIOLATIONS), (), LONG_AGO)
    second = gate_starts(rollout({**VIOLATIONS, "limit": {"maxPercent": "1"}}), first, NOW)
    assert [start.since for start in starts(rollout(VIOLATIONS), *second)] == [LATER]


def test_a_shared_setting_begins_them_all_again() -> None:
    before = gate_starts(rollout(SUCCESS, VIOLATIONS), (), NOW)
    found = starts(rollout(SUCCESS, VIOLATIONS, falseRevertPercent="1"), *before)
    assert [start.since for start in found] == [LATER, LATER]


# ------------------------------------------------------------------ the plan
def tried(spec: Rollout, *gates: GateStart) -> Rollout:
    """An attempt in its canary, with these starts on record."""
    found = trying(Stage.RUNNING, 1, spec=spec).rollout
    assert found.status.attempt is not None
    attempt = found.status.attempt.model_copy(update={"gate_starts": gates})
    return found.model_copy(update={"status": found.status.model_copy(update={"attempt": attempt})})


def sinces(found: Rollout) -> list[float]:
    plan = plan_of(found, TIMING)
    assert plan is not None
    return [gate.since for gate in plan.gates]


def test_gates_judge_since_their_start_on_record() -> None:
    spec = rollout(SUCCESS, VIOLATIONS)
    begun = gate_starts(spec, (), NOW)
    assert sinces(tried(spec, *begun)) == [NOW.timestamp()] * 2


def test_without_a_record_they_judge_the_whole_attempt() -> None:
    assert sinces(tried(rollout(SUCCESS))) == [-math.inf]


def test_an_edit_that_is_not_on_record_yet_is_not_in_force() -> None:
    begun = gate_starts(rollout(SUCCESS, VIOLATIONS), (), NOW)
    stricter = {**VIOLATIONS, "limit": {"maxPercent": "1"}}
    assert sinces(tried(rollout(SUCCESS, stricter, CRITICAL), *begun)) == [
        NOW.timestamp(),
        math.inf,
        math.inf,
    ]


def test_each_step_tells_its_share() -> None:
    plan = plan_of(tried(parsed("v2", strategy={"steps": [SHADOW, CANARY, FULL]})), TIMING)
    assert plan is not None
    assert [step.share for step in plan.steps] == [0.2, 0.2, 0.9]


def test_without_a_holdout_the_share_is_all() -> None:
    plan = plan_of(
        trying(
            Stage.SOAKING, 0, spec=parsed("v2", strategy={"steps": [{"name": "full", "full": {}}]})
        ).rollout,
        TIMING,
    )
    assert plan is not None
    assert [(step.share, step.compares) for step in plan.steps] == [(1.0, False)]


@pytest.mark.parametrize(
    ("steps", "idle"),
    [
        ([{"name": "full", "full": {}}], ("success", "slow", "dear")),
        ([{"name": "full", "full": {"holdoutPercent": 5}}], ()),
        ([CANARY, {"name": "full", "full": {}}], ()),
        ([SHADOW, {"name": "full", "full": {}}], ("success", "slow", "dear")),
    ],
)
def test_gates_that_judge_in_no_step_are_named_when_it_begins(
    steps: list[Manifest], idle: tuple[str, ...]
) -> None:
    found = parsed(
        "v2", strategy={"steps": steps}, analysis={"gates": [SUCCESS, SLOW, DEAR, VIOLATIONS, PAGE]}
    )
    assert idle_gates(found) == idle
    move = decide(at_rest(found), NOW).move
    assert move is not None
    told = "success, slow, dear judge in no step: add a canary step, or a hold-out to the full step"
    assert move.message == "preparing v2 beside v1" + (f"; {told}" if idle else "")


@pytest.mark.parametrize(
    ("gate", "safety"),
    [
        (SUCCESS, False),
        (VIOLATIONS, True),
        (CRITICAL, True),
        (PAGE, True),
        ({**PAGE, "safety": False}, False),
        ({**SUCCESS, "safety": True}, True),
    ],
)
def test_what_speaks_of_safety_turns_back_whatever_stable_does(gate: Manifest, safety: bool) -> None:
    assert plan_gate(rollout(gate).spec.analysis.gates[0]).safety is safety


def test_an_alert_is_a_gate_without_a_metric() -> None:
    found = rollout(SUCCESS, PAGE)
    assert plan_problem(found) == ""
    assert has_alerts(found)
    assert not has_alerts(rollout(SUCCESS))
    assert plan_gate(found.spec.analysis.gates[1]).test == Alert({"a": "1", "b": "2"})


def test_an_alert_that_is_not_heeded_in_the_first_step_lets_it_start() -> None:
    late = rollout({**PAGE, "during": ["Canary"]})
    assert plan_problem(late) == ""
    assert not has_alerts(late)
    assert alert_tests(rollout(PAGE, {**PAGE, "name": "late", "during": ["Full"]})) == (
        Alert({"a": "1", "b": "2"}),
    )


def test_two_gates_of_one_name_are_refused() -> None:
    """The API server keeps them apart; a file that the plugin reads has not been there yet."""
    problem = plan_problem(rollout(SUCCESS, PAGE, SUCCESS))
    assert problem == f"spec.analysis.gates[2] ({SUCCESS['name']}): name must be one that no other gate has"


def test_a_gate_that_would_judge_nothing_is_refused() -> None:
    found = parsed(
        "v2", strategy={"steps": [CANARY, FULL]}, analysis={"gates": [{**VIOLATIONS, "during": ["Shadow"]}]}
    )
    assert "during must name a kind of step that spec.strategy.steps has" in plan_problem(found)


def test_gates_judge_in_the_kinds_of_step_they_name() -> None:
    def kinds(gate: Manifest) -> tuple[str, ...]:
        return plan_gate(rollout(gate).spec.analysis.gates[0]).kinds

    assert kinds(VIOLATIONS) == kinds(CRITICAL) == kinds(PAGE) == ("shadow", "canary", "full")
    assert kinds(SUCCESS) == kinds(SLOW) == kinds(DEAR) == ("canary", "full")
    assert kinds({**SUCCESS, "during": ["Full"]}) == ("full",)
    assert kinds({**VIOLATIONS, "during": ["Full", "Shadow"]}) == ("shadow", "full")


def test_a_tail_is_in_seconds_and_points() -> None:
    found = rollout(SLOW)
    assert plan_problem(found) == ""
    assert plan_gate(found.spec.analysis.gates[0]).test == Tail(30.0, 0.01)


def test_a_mean_is_in_per_cent_of_stable() -> None:
    found = rollout(DEAR)
    assert plan_problem(found) == ""
    assert plan_gate(found.spec.analysis.gates[0]).test == Mean(0.1)


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ({**SLOW, "metric": "task-success-rate"}, "tail must not be used with the metric task-success-rate"),
        (
            {**VIOLATIONS, "limit": {"maxPercent": "0"}, "advance": "Certified"},
            "advance must not be Certified",
        ),
        ({**CRITICAL, "advance": "Superior"}, "advance must not be Superior"),
        ({**DEAR, "metric": "task-duration"}, "mean must not be used with the metric task-duration"),
        ({**SUCCESS, "metric": "task-duration"}, "compare must not be used with the metric task-duration"),
        ({**SUCCESS, "metric": "speed"}, "metric 'speed' must be one of "),
        (
            {**SUCCESS, "compare": {"worseByPoints": "100"}},
            "compare.worseByPoints must be below 100, not 100",
        ),
        (
            {**SLOW, "tail": {"aboveSeconds": "30", "worseByPoints": "100.0"}},
            "tail.worseByPoints must be below 100",
        ),
        ({**SUCCESS, "during": ["Shadow", "Full"]}, "during must not have Shadow while step shadow lacks"),
    ],
)
def test_what_cannot_be_judged_names_its_gate(gate: Manifest, words: str) -> None:
    problem = plan_problem(rollout(VIOLATIONS, gate))
    assert problem.startswith(f"spec.analysis.gates[1] ({gate['name']}): ")
    assert words in problem

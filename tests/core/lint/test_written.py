"""What lint says of the object alone."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.analysis.questions import Worsening
from interlock.core.lint.findings import Finding, Severity
from interlock.core.lint.report import by_hand, linted
from interlock.core.lint.written import unfit
from interlock.core.observation import Timing
from interlock.model.rollout import Rollout
from tests.core.seen import parsed
from tests.scenarios.objects import CANARY, CONTROLLED, CRITICAL, FULL, SUCCESS, VIOLATIONS, Manifest

COVERAGE: Manifest = {"name": "covered", "metric": "verification-coverage", "compare": {"worseByPoints": "1"}}
COST: Manifest = {"name": "cost", "metric": "cost-per-task", "mean": {"worseByPercent": "10"}}
PAGE: Manifest = {"name": "page", "alert": {"matchLabels": {"interlock_action": "revert"}}}
CERTAIN: Manifest = {**SUCCESS, "advance": "Certified"}
CLEAN: Manifest = {**VIOLATIONS, "limit": {"maxPercent": "0.5"}, "advance": "Certified"}
WHOLE = (SUCCESS, COVERAGE, VIOLATIONS)
COMPARED = (Severity.NOTE, "spec.analysis.gates[1].compare")
"""Coverage is compared like a mean."""


def rollout(*gates: Manifest, steps: tuple[Manifest, ...] = (CANARY, FULL), **strategy: Any) -> Rollout:
    return parsed("v2", analysis={"gates": list(gates)}, strategy={"steps": list(steps), **strategy})


def found(*gates: Manifest, **spec: Any) -> tuple[Finding, ...]:
    """With a warm-up that is given, and without any traffic."""
    given = rollout(*gates, **spec)
    analysis = given.spec.analysis.model_copy(update={"warmup_seconds": 60})
    warm = given.model_copy(update={"spec": given.spec.model_copy(update={"analysis": analysis})})
    return linted(warm, Timing(), by_hand(warm, None, None), Worsening()).findings


def about(findings: tuple[Finding, ...], words: str) -> Finding:
    (one,) = [finding for finding in findings if words in finding.what]
    return one


def test_a_rollout_that_watches_what_it_must_has_nothing_to_be_said() -> None:
    assert [(one.severity, one.field) for one in found(*WHOLE)] == [COMPARED]


def test_without_gates_nothing_turns_back() -> None:
    (only,) = found()
    assert (only.severity, only.field) == (Severity.WARNING, "spec.analysis.gates")


class TestCounterMetrics:
    """Every KPI needs its counter-metric (metrics.md)."""

    @pytest.mark.parametrize(
        ("gate", "remedy"),
        [
            (SUCCESS, "verification-coverage"),
            ({**SUCCESS, "metric": "task-success-rate"}, "verification-coverage or verified-success-rate"),
            (VIOLATIONS, "task-success-rate or verified-success-rate"),
            (CRITICAL, "task-success-rate or verified-success-rate"),
            (COST, "task-success-rate or verified-success-rate"),
        ],
    )
    def test_is_missing(self, gate: Manifest, remedy: str) -> None:
        warned = about(found(gate), " alone: ")
        assert warned.severity is Severity.WARNING
        assert warned.field == "spec.analysis.gates[0].metric"
        assert warned.remedy == f"add a gate on {remedy}"

    def test_is_there(self) -> None:
        assert not [one for one in found(*WHOLE, COST, CRITICAL) if " alone: " in one.what]


class TestTheBound:
    def test_counts_and_alerts_lie_outside(self) -> None:
        told = [one for one in found(*WHOLE, CRITICAL, PAGE) if "asymptotically" not in one.what]
        assert [one.field for one in told] == [
            "spec.analysis.gates[3].events",
            "spec.analysis.gates[4].alert",
        ]
        assert all(one.severity is Severity.NOTE and "outside the bound of 5 %" in one.what for one in told)

    def test_means_keep_to_it_asymptotically(self) -> None:
        told = [one.field for one in found(*WHOLE, COST) if "asymptotically" in one.what]
        assert told == ["spec.analysis.gates[1].compare", "spec.analysis.gates[3].mean"]


class TestLateVerification:
    """A verifier that is slower than the warm-up."""

    @pytest.mark.parametrize(
        "gate", [COVERAGE, {**COST, "metric": "cost-per-verified-success"}], ids=lambda gate: gate["metric"]
    )
    def test_is_warned_of_where_the_warm_up_is_left_to_the_durations(self, gate: Manifest) -> None:
        bare = rollout(SUCCESS, gate)
        told = linted(bare, Timing(), by_hand(bare, None, None), Worsening()).findings
        warned = about(told, "is verified later than the warm-up")
        assert (warned.severity, warned.field) == (Severity.WARNING, "spec.analysis.warmupSeconds")
        assert warned.what.startswith(f"{gate['name']}: ")

    def test_is_no_matter_of_a_warm_up_that_is_given_nor_of_one_counter(self) -> None:
        assert not [one for one in found(*WHOLE) if "verified later" in one.what]
        bare = rollout(SUCCESS)
        told = linted(bare, Timing(), by_hand(bare, None, None), Worsening()).findings
        assert not [one for one in told if "verified later" in one.what]


class TestAdvance:
    def test_certified_without_a_margin_asks_for_more_than_it_says(self) -> None:
        warned = about(found(CERTAIN, COVERAGE), "is as good as stable never passes")
        assert (warned.severity, warned.field) == (Severity.WARNING, "spec.analysis.gates[0].advance")

    def test_a_certified_limit_says_how_many_clean_tasks_it_needs(self) -> None:
        assert "755 clean tasks" in about(found(CLEAN, SUCCESS, COVERAGE), "clean tasks").what


class TestControl:
    def test_stables_shadow_is_for_a_gate_that_compares_there(self) -> None:
        warned = about(found(*WHOLE, steps=(CONTROLLED, CANARY, FULL)), "stable has a shadow too")
        assert (warned.severity, warned.field) == (Severity.WARNING, "spec.strategy.steps[0].shadow.control")
        compared = {**SUCCESS, "during": ["Shadow", "Canary", "Full"]}
        told = found(compared, COVERAGE, VIOLATIONS, steps=(CONTROLLED, CANARY, FULL))
        assert [(one.severity, one.field) for one in told] == [COMPARED]


class TestHoldOut:
    def test_without_one_comparisons_decide_nothing_in_full(self) -> None:
        bare = {**FULL, "full": {"soakSeconds": 60}}
        warned = about(found(*WHOLE, steps=(CANARY, bare)), "no hold-out")
        assert warned.field == "spec.strategy.steps[1].full.holdoutPercent"
        assert "success, covered decide nothing" in warned.what

    def test_limits_need_none(self) -> None:
        bare = {**FULL, "full": {"soakSeconds": 60}}
        assert not [one for one in found(VIOLATIONS, steps=(CANARY, bare)) if "hold-out" in one.what]

    def test_a_gate_that_judges_nowhere(self) -> None:
        bare = {**FULL, "full": {"soakSeconds": 60}}
        assert "judges in no step" in about(found(*WHOLE[:1], steps=(bare,)), "in no step").what


class TestRefused:
    """What could not be followed is said, and nothing else then."""

    @pytest.mark.parametrize(
        ("gate", "words"),
        [
            ({**SUCCESS, "metric": "no-such-metric"}, "no-such-metric"),
            ({**SUCCESS, "metric": "cost-per-task"}, "compare must not be used"),
        ],
    )
    def test_a_gate_that_cannot_be_followed_names_itself(self, gate: Manifest, words: str) -> None:
        (only,) = unfit(rollout(gate))
        assert only.field == "spec.analysis.gates[0]"
        assert words in only.what

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


def rollout(*gates: Manifest, steps: tuple[Manifest, ...] = (CANARY, FULL), **strategy: Any) -> Rollout:
    return parsed("v2", analysis={"gates": list(gates)}, strategy={"steps": list(steps), **strategy})


def found(*gates: Manifest, **spec: Any) -> tuple[Finding, ...]:
    told = linted(rollout(*gates, **spec), Timing(), by_hand(rollout(*gates), None, None), Worsening())
    return told.findings


def about(findings: tuple[Finding, ...], words: str) -> Finding:
    (one,) = [finding for finding in findings if words in finding.what]
    return one


def test_a_rollout_that_watches_what_it_must_has_nothing_to_be_said() -> None:
    assert found(*WHOLE) == ()


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
        told = found(*WHOLE, CRITICAL, PAGE)
        assert [one.field for one in told] == [
            "spec.analysis.gates[3].events",
            "spec.analysis.gates[4].alert",
        ]
        assert all(one.severity is Severity.NOTE and "outside the bound of 5 %" in one.what for one in told)

    def test_means_keep_to_it_asymptotically(self) -> None:
        assert about(found(*WHOLE, COST), "asymptotically").field == "spec.analysis.gates[3].mean"


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
        assert found(compared, COVERAGE, VIOLATIONS, steps=(CONTROLLED, CANARY, FULL)) == ()


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

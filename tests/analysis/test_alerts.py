"""Alerts that Prometheus fires while the candidate has traffic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.analysis.gates import Alert, Gate, PlannedStep, Verdict
from interlock.analysis.metrics import Metric
from interlock.analysis.presets import ALERTS, metric
from tests.analysis.attempt import SINCE, SUCCESS, Attempt, plan

PAGE = Gate("page", None, Alert({"interlock_action": "revert"}), safety=True)
STEPS = (PlannedStep(0, "shadow", share=0.5), PlannedStep(1, "canary", share=0.1))


def attempt(gate: Gate = PAGE, **how: object) -> Attempt:
    return Attempt(plan(SUCCESS, gate, steps=STEPS), **how)  # type: ignore[arg-type]


def fired(story: Attempt, at: float, **labels: str) -> Attempt:
    story.alert(at, alertname="HighErrorRate", **{"interlock_action": "revert", **labels})
    return story.run(5)


def test_none_fires() -> None:
    page = attempt().run(10).gate("page")
    assert (page.verdict, page.message) == (Verdict.PASS, "no such alert fires")
    assert (page.odds, page.candidate, page.stable, page.p_value) == ("", "", "", 1.0)


@pytest.mark.parametrize("labels", [{}, {"version": "v2"}, {"severity": "critical", "pod": "triage-b-1"}])
def test_one_that_may_mean_the_candidate_fails(labels: dict[str, str]) -> None:
    report = fired(attempt().run(10), SINCE + 12, **labels).report()
    assert report.failed == ("page",)
    assert report.reverts
    page = report.gates[1]
    assert (page.verdict, page.safety) == (Verdict.FAIL, True)
    assert page.message == "alert HighErrorRate fires, seen at 00:16:52 UTC"


def test_it_stays_so_when_the_alert_is_over() -> None:
    assert fired(attempt().run(10), SINCE + 12).run(300).report().failed == ("page",)


def test_one_about_another_version_is_ignored() -> None:
    assert not fired(attempt(), SINCE + 2, version="v1").report().reverts


def test_one_with_other_labels_is_ignored() -> None:
    assert not fired(attempt(), SINCE + 2, interlock_action="page").report().reverts


def test_one_that_is_pending_is_ignored() -> None:
    story = attempt()
    story.alert(SINCE + 2, alertstate="pending", interlock_action="revert")
    assert not story.run(5).report().reverts


def test_one_from_before_the_first_step_is_ignored_unless_it_goes_on() -> None:
    story = fired(attempt(), SINCE - 1)
    story.alert(SINCE, interlock_action="revert", alertname="Old")
    assert not story.run(5).report().reverts
    assert fired(story, SINCE + 11).report().reverts


def test_without_a_clock_nothing_has_traffic() -> None:
    story = fired(attempt(times=()), SINCE + 2)
    assert not story.report().reverts
    assert story.gate("page").verdict is Verdict.INCONCLUSIVE


def test_an_edited_gate_heeds_what_fires_from_then_on() -> None:
    edited = Gate("page", None, Alert({"interlock_action": "revert"}), since=SINCE + 20)
    story = fired(attempt(edited), SINCE + 2)
    assert story.gate("page").message == "the gate was changed: its evidence has not begun"
    assert not story.run(30).report().reverts
    assert fired(story, SINCE + 38).report().reverts


def test_it_is_heeded_only_in_its_kinds_of_step() -> None:
    late = replace(PAGE, during=("canary",))
    story = fired(attempt(late), SINCE + 2).run(20)
    assert story.gate("page").message == "not judged in shadow"
    story.start(1)
    assert not story.run(5).report().reverts
    assert fired(story, story.now + 2.0).report().failed == ("page",)


def test_it_needs_no_sample_of_the_candidate() -> None:
    story = attempt()
    story.evidence.advance(story.times, (), SINCE + 600)
    assert [gate.verdict for gate in story.report().gates] == [Verdict.INCONCLUSIVE, Verdict.PASS]


def test_it_is_outside_the_merged_evidence() -> None:
    alone = Attempt(plan(SUCCESS)).run(60).report()
    beside = Attempt(plan(SUCCESS, PAGE)).run(60).report()
    assert beside.gates[0] == alone.gates[0]
    assert beside.combined_log_evidence == alone.combined_log_evidence


def test_alerts_are_read_only_where_a_gate_asks_for_them() -> None:
    assert PAGE.families == {ALERTS}
    assert ALERTS not in SUCCESS.families


@pytest.mark.parametrize(("measured", "match"), [(metric("task-success-rate"), {"a": "b"}), (None, {})])
def test_a_gate_that_makes_no_sense_is_refused(measured: Metric | None, match: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must"):
        Gate("page", measured, Alert(match))

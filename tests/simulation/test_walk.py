"""What becomes of rollouts in stories: the operator's own moves and sentences."""

from __future__ import annotations

import math
from typing import Any

import pytest

from interlock.errors import SpecError
from interlock.simulation.summary import endings, wilson
from interlock.simulation.timeline import Run
from interlock.simulation.walk import Walk
from tests.simulation.rollouts import CANARY, COST, FULL, SLOW, SUCCESS, VIOLATIONS, setup, story


def walk(told: dict[str, Any], seed: int = 1, **given: Any) -> Run:
    return Walk(setup(**given), story(**told), seed).run()


def reasons(run: Run) -> list[str]:
    return [moment.reason for moment in run.moments]


def test_a_good_candidate_walks_all_steps_at_their_times() -> None:
    run = walk({})
    assert reasons(run) == ["AttemptStarted", "StepStarted", "StepStarted", "SoakStarted", "SoakPassed"]
    assert [moment.at for moment in run.moments] == [0, 0, 65, 370, 975]
    assert [(m.stable, m.candidate, m.shadow) for m in run.moments[1:]] == [
        (100, 0, 20), (80, 20, 0), (10, 90, 0), (100, 0, 0),
    ]  # fmt: skip
    assert (run.outcome, run.waits) == ("Promoted", "")


def test_a_bad_candidate_is_taken_back_with_the_sentence_of_the_gate() -> None:
    run = walk({"agents": {"candidate": {"success": 0.5}}})
    assert (run.outcome, run.reason, run.step) == ("Reverted", "GateFailed", "canary")
    assert ": 1" in run.message or ":1" in run.message
    assert "that the candidate fails verification more often" in run.message


def test_harm_that_begins_later_is_found_later() -> None:
    run = walk({"agents": {"candidate": [{}, {"after": 500, "success": 0.4}]}})
    assert run.outcome == "Reverted"
    assert 500 < run.decided < 700


def test_a_violation_in_the_shadow_counts() -> None:
    run = walk({"agents": {"candidate": {"violation": 0.6}}})
    assert (run.outcome, run.step) == ("Reverted", "shadow")


def test_the_first_critical_violation_takes_it_back() -> None:
    run = walk({"agents": {"candidate": {"criticalAt": 100}}})
    assert "1 critical policy violation of the candidate, 0 allowed" in run.message


@pytest.mark.parametrize(
    ("gate", "conduct"),
    [
        (SLOW, {"slow": 0.3}),
        (SLOW, {"duration": {"median": 20, "p95": 60}}),
        (COST, {"cost": 0.05}),
        ({"name": "tools", "metric": "tool-error-rate", "limit": {"maxPercent": "5"}},
         {"rates": {"tool-error-rate": 0.2}}),
        ({"name": "misses", "metric": "near-miss-rate", "limit": {"maxPercent": "5"}},
         {"rates": {"near-miss-rate": 0.2}}),
        ({"name": "people", "metric": "human-minutes-per-task", "mean": {"worseByPercent": "10"}},
         {"means": {"human-minutes-per-task": 4}}),
    ],
)  # fmt: skip
def test_each_kind_of_gate_sees_its_harm(gate: dict[str, Any], conduct: dict[str, Any]) -> None:
    healthy: dict[str, Any] = {
        "cost": 0.02,
        "rates": {"tool-error-rate": 0.01, "near-miss-rate": 0.01},
        "means": {"human-minutes-per-task": 1},
        **({"duration": {"median": 10, "p95": 20}} if "duration" in conduct else {"slow": 0.02}),
    }
    agents = {"stable": healthy, "candidate": {**healthy, **conduct}}
    steps = [CANARY, FULL]
    assert walk({"agents": agents}, steps=steps, gates=[gate]).message.startswith(f"{gate['name']}: ")
    same = {"stable": healthy, "candidate": healthy}
    assert walk({"agents": same}, steps=steps, gates=[gate]).outcome == "Promoted"


def test_a_metric_that_is_not_exported_holds_and_says_so() -> None:
    run = walk({"lasts": "30m"}, gates=[COST])
    assert run.outcome is None
    assert "no sample of ai_agent_cost_usd_total from the candidate" in run.waits


def test_no_traffic_stops_the_clock() -> None:
    run = walk({"rate": [{"perSecond": 4}, {"after": 100, "perSecond": 0}], "lasts": "1h"})
    assert run.outcome is None
    assert "there is none at all, the clock stands still" in run.waits


def test_prometheus_away_for_long_takes_it_back_and_for_a_while_holds_it() -> None:
    gap = {"after": 120, "of": "Prometheus"}
    back = walk({"gaps": [{**gap, "lasts": 1000}]}, noData={"revertAfterSeconds": 600})
    assert reasons(back)[-3:] == ["MetricsUnavailable", "Blind", "Blind"]
    on = walk({"gaps": [{**gap, "lasts": 300}]})
    assert reasons(on)[3:5] == ["MetricsUnavailable", "SoakStarted"]
    assert on.outcome == "Promoted"


def test_scrapes_that_are_missing_hold_it_too() -> None:
    run = walk({"gaps": [{"after": 120, "lasts": 400}]})
    assert "MetricsUnavailable" in reasons(run)
    assert run.outcome == "Promoted"


def test_an_alert_takes_it_back() -> None:
    gate = {"name": "alert", "alert": {"matchLabels": {"severity": "page"}}}
    firing = {"after": 200, "lasts": 60, "name": "Errors", "labels": {"severity": "page"}}
    run = walk({"alerts": [firing]}, gates=[gate])
    assert (run.outcome, run.reason) == ("Reverted", "AlertFiring")
    assert 200 <= run.decided <= 215


def test_recorded_outcomes_keep_what_goes_together() -> None:
    """Violations happen in tasks that nobody verifies: a share of all tasks, not of the verified ones."""
    kinds = [{"tasks": 3, "verified": "pass"}, {"tasks": 1, "success": False, "violation": True}]
    run = walk({"agents": {"stable": {"recorded": kinds}, "candidate": {"recorded": kinds}}},
               gates=[SUCCESS, VIOLATIONS])  # fmt: skip
    assert run.message.startswith("violations: ")
    seen = {gate.name: gate.candidate for gate in run.gates}
    assert seen["violations"].startswith("0.2") or seen["violations"].startswith("0.3")


def test_the_same_seed_gives_the_same_walk_and_another_one_another() -> None:
    one, same, other = (walk({"agents": {"candidate": {"success": 0.8}}}, seed) for seed in (1, 1, 2))
    assert (one.moments, one.points) == (same.moments, same.points)
    assert one.points != other.points


def test_points_show_weights_and_evidence_up_to_the_end() -> None:
    run = walk({"agents": {"candidate": {"success": 0.5}}})
    assert run.threshold == pytest.approx(math.log(20))
    assert max(log for point in run.points for name, log in point.gates if name == "success") >= run.threshold
    assert [point.at for point in run.points] == sorted({point.at for point in run.points})


@pytest.mark.parametrize("who", ["v3", "stabel"])
def test_a_version_that_is_neither_is_named(who: str) -> None:
    with pytest.raises(SpecError, match=f"`agents.{who}` must be one of stable, candidate, v1, v2"):
        walk({"agents": {who: {}}})


def test_a_version_given_twice_is_refused() -> None:
    with pytest.raises(SpecError, match="must not be given twice"):
        walk({"agents": {"candidate": {}, "v2": {}}})


def test_endings_are_counted_with_intervals() -> None:
    told = {"agents": {"candidate": {"success": 0.7}}, "lasts": "30m"}
    found = endings([walk(told, seed) for seed in range(6)], by_step=False)
    assert sum(ending.count for ending in found) == 6
    assert found[0].outcome == "Reverted"
    assert found[0].median <= found[0].p95
    assert found[0].low < found[0].share <= found[0].high


@pytest.mark.parametrize(
    ("count", "total", "interval"),
    [(0, 20, (0.0, 0.161)), (20, 20, (0.839, 1.0)), (10, 20, (0.299, 0.701)), (1, 100, (0.002, 0.054))],
)
def test_wilson(count: int, total: int, interval: tuple[float, float]) -> None:
    """Reference values: Newcombe 1998, method 3, to three digits."""
    assert wilson(count, total) == pytest.approx(interval, abs=6e-4)

"""What the operator's metrics say of attempts: lifts, costs, and how long bad versions were about."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import generate_latest

from interlock.core.decide import decide
from interlock.model.release import Release
from interlock.operator.telemetry import Telemetry
from tests.scenarios.given import phase, trying
from tests.scenarios.objects import CANARY, FULL, SUCCESS, VIOLATIONS
from tests.scenarios.surroundings import NAMESPACE, Behaviour
from tests.scenarios.world import World

PLACE = {"namespace": NAMESPACE, "rollout": "triage"}
KPI = "verified-success-rate"
LONG = {"steps": [{**CANARY, "minDurationSeconds": 3600}, FULL]}
TOLERANT = {"warmupSeconds": 5, "gates": [{**SUCCESS, "compare": {"worseByPoints": "60"}}, VIOLATIONS]}
WORSE = Behaviour(success=0.6, cost=0.5)


def told(world: World, name: str, **labels: str) -> float | None:
    return world.operator.telemetry.registry.get_sample_value(f"interlock_{name}", PLACE | labels)


async def worse() -> World:
    """v2 has been measured in the canary, is worse, and is tolerated."""
    world = await trying("v2", "Canary", strategy=LONG, analysis=TOLERANT)
    world.behaviour["v2"] = WORSE
    await world.run(120)
    return world


async def taken_back(world: World) -> Release:
    """Violations end it; somebody still talks to it."""
    for pod in world.pods.values():
        if pod.version == "v2":
            pod.conversations = 1
    world.behaviour["v2"] = Behaviour(success=0.6, cost=0.5, violation=0.5)
    await world.until(phase("Reverted"))
    return await record(world)


async def record(world: World) -> Release:
    found = [Release.read(manifest) for manifest in await world.releases()]
    return max(found, key=lambda release: release.header.attempt)


async def test_lifts_are_told_while_it_runs_and_afterwards_the_same_after_a_restart() -> None:
    world = await worse()
    low, lift, high = (told(world, f"kpi_lift{end}", metric=KPI) for end in ("_low", "", "_high"))
    assert low is not None
    assert lift is not None
    assert high is not None
    assert low < lift < high < 0
    cost = told(world, "experiment_cost_usd")
    assert cost is not None
    assert cost > 1
    result = (await taken_back(world)).result
    assert result is not None
    last = next(each for each in result.lifts if each.metric == KPI)
    assert told(world, "kpi_lift", metric=KPI) == float(last.lift or "nan")
    again = Telemetry()
    seen = await world.operator.observer.observe(await world.rollout(), world.now)
    again.show(seen, decide(seen, world.now))
    for name in ("kpi_lift", "kpi_lift_low", "kpi_lift_high"):
        labels = PLACE | {"metric": KPI}
        assert again.registry.get_sample_value(f"interlock_{name}", labels) == told(world, name, metric=KPI)


async def test_a_lift_that_is_not_known_has_no_series() -> None:
    world = await trying("v2", "Canary", strategy=LONG)
    await world.run(10)
    assert told(world, "kpi_lift", metric=KPI) is None
    text = generate_latest(world.operator.telemetry.registry).decode()
    assert "interlock_kpi_lift{" not in text


async def test_a_revert_is_timed_from_what_is_stored() -> None:
    world = await worse()
    result = (await taken_back(world)).result
    assert result is not None
    assert result.detected_time is not None
    for since, begun in (("traffic", result.traffic_started_time), ("harm", result.harm_since_time)):
        assert begun is not None
        seconds = (result.detected_time - begun).total_seconds()
        assert told(world, "detection_seconds_sum", since=since) == pytest.approx(seconds)
    assert told(world, "time_to_stop_new_seconds_count") == 1
    assert told(world, "time_to_restore_seconds_count") is None
    for pod in world.pods.values():
        pod.conversations = 0
    await world.until(lambda found: not found.status.draining)
    last = (await record(world)).result
    assert last is not None
    assert last.cleared_time is not None
    assert last.traffic_started_time is not None
    assert told(world, "time_to_restore_seconds_count") == 1
    restored = (last.cleared_time - last.traffic_started_time).total_seconds()
    assert told(world, "time_to_restore_seconds_sum") == pytest.approx(restored)
    await world.run(60)
    assert told(world, "time_to_restore_seconds_count") == 1


async def test_a_version_that_is_superseded_was_no_incident() -> None:
    world = await trying("v2", "Canary", strategy=LONG)
    await world.serve_version("v1")
    await world.until(phase("Healthy"))
    await world.until(lambda found: not found.status.draining)
    assert told(world, "time_to_restore_seconds_count") is None
    assert told(world, "detection_seconds_count", since="traffic") is None


async def test_stage_and_verdicts_are_told_one_at_a_time() -> None:
    world = await worse()
    shown: dict[str, Any] = {
        stage: told(world, "rollout_stage", stage=stage) for stage in ("Preparing", "Running", "Done")
    }
    assert shown == {"Preparing": None, "Running": 1, "Done": None}
    verdicts = {
        verdict: told(world, "gate_verdict", gate="violations", verdict=verdict)
        for verdict in ("Pass", "Fail")
    }
    assert verdicts == {"Pass": 1, "Fail": None}
    await taken_back(world)
    assert told(world, "rollout_stage", stage="Done") == 1
    assert told(world, "rollout_stage", stage="Running") is None

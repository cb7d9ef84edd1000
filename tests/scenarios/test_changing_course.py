"""Stories 5, 6, 8 and 11: the spec changes while something is under way."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from interlock.errors import SpecError
from tests.scenarios.given import HARMFUL, candidate_percent, healthy, phase, served, trying
from tests.scenarios.objects import CANARY, CRITICAL, FULL, VIOLATIONS, agent_version

UNKNOWN = {"name": "mood", "metric": "customer-mood", "limit": {"maxPercent": "5"}}
MISFIT = {"name": "fit", "metric": "critical-policy-violations", "limit": {"maxPercent": "5"}}


def set_steps(steps: list[Any], spec: dict[str, Any]) -> None:
    spec["strategy"]["steps"] = steps


def gates(*wanted: dict[str, Any]) -> Any:
    """An edit of the Rollout's gates."""
    return lambda spec: spec["analysis"].update(gates=list(wanted))


# ------------------------------------------------------------------ 5, 6
@pytest.mark.parametrize("at", ["Preparing", "Shadow", "Canary"])
async def test_5_another_version_supersedes_the_running_one(at: str) -> None:
    world = await served()
    if at == "Preparing":
        world.behaviour["v2"].ready = False
    await world.apply(agent_version("v2"), agent_version("v3"))
    await world.serve_version("v2")
    await world.until(phase(at))
    await world.serve_version("v3")
    await world.until(lambda r: r.status.attempt is not None and r.status.attempt.number == 3)
    first, *_, last = await world.entries(2)
    assert (first["reason"], last["outcome"]) == ("AttemptStarted", "Superseded")
    assert last["candidatePercent"] == 0
    assert not (await world.rollout()).status.quarantine
    await world.until(phase("Shadow"))
    await world.until(healthy("v3"))
    assert world.lost == 0


async def test_5_while_soaking_the_next_version_waits() -> None:
    world = await trying("v2", "Full")
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(lambda r: r.status.attempt is not None and r.status.attempt.number == 3)
    assert (await world.reasons(2))[-1] == "SoakPassed"
    await world.until(healthy("v3"))


@pytest.mark.parametrize("at", ["Shadow", "Canary", "Full"])
async def test_6_back_to_stable_is_immediate(at: str) -> None:
    world = await trying("v2", at)
    await world.serve_version("v1")
    await world.settle()
    found = await world.rollout()
    assert candidate_percent(0)(found)
    assert (await world.entries(2))[-1]["outcome"] == "RolledBack"
    assert not found.status.quarantine
    await world.until(healthy("v1"), limit=180)
    assert world.lost == 0


async def test_6_a_version_that_was_rolled_back_may_be_tried_again() -> None:
    world = await trying("v2", "Canary")
    await world.serve_version("v1")
    await world.settle()
    await world.serve_version("v2")
    await world.until(healthy("v2"))
    assert len(await world.releases()) == 3


# ------------------------------------------------------------------ 8
@pytest.mark.parametrize("at", ["Shadow", "Canary", "Full"])
async def test_8_an_edited_strategy_starts_at_step_0(at: str) -> None:
    world = await trying("v2", at)
    await world.edit(lambda spec: spec["strategy"].update(steps=[{**CANARY, "name": "ten"}, FULL]))
    await world.until(lambda r: r.status.step == "1/2" and r.status.phase == "Canary")
    reasons = await world.reasons(2)
    assert reasons[-2:] == ["StrategyChanged", "StepStarted"]
    entries = await world.entries(2)
    assert entries[-2]["stablePercent"] == 100, "traffic goes to stable first"
    assert entries[-1]["stepIndex"] == 0
    await world.until(healthy("v2"))
    assert world.lost == 0


async def test_8_edited_gates_start_their_evidence_afresh() -> None:
    world = await trying("v2", "Canary")
    await world.run(40)
    old = world.operator.evidence.report(await world.rollout())
    assert old is not None
    await world.edit(gates({**VIOLATIONS, "limit": {"maxPercent": "6"}}, CRITICAL))
    await world.until(phase("Shadow"))
    await world.run(10)
    found = await world.rollout()
    assert [gate.name for gate in found.status.gates] == ["violations", "critical"]
    report = world.operator.evidence.report(found)
    assert report is not None
    assert report != old
    await world.until(healthy("v2"))


async def test_8_nothing_is_promoted_on_evidence_gathered_under_other_rules() -> None:
    world = await trying("v2", "Full")
    await world.run(50)  # of 60 s of soak
    await world.edit(gates(VIOLATIONS, CRITICAL))
    await world.run(30)
    found = await world.rollout()
    assert found.status.stable is not None
    assert found.status.stable.version == "v1"
    assert "StrategyChanged" in await world.reasons(2)
    await world.until(healthy("v2"))


async def test_8_an_edit_on_every_tick_never_breaks_the_record() -> None:
    world = await trying("v2", "Canary")
    world.faults.refuse = lambda w: SpecError("refused by a policy") if w.kind == "Release" else None
    for seconds in range(61, 90):
        steps = [{**CANARY, "minDurationSeconds": seconds}, FULL]
        await world.edit(partial(set_steps, steps))
        await world.run(5)
        found = await world.rollout()
        assert found.status.attempt is not None
        assert len(found.status.attempt.unrecorded) <= 8, "the API server refuses more"
    world.faults.refuse = lambda w: None
    await world.until(healthy("v2"))


# ------------------------------------------------------------------ 11
@pytest.mark.parametrize("gate", [UNKNOWN, MISFIT])
async def test_11_an_invalid_spec_is_named_and_recovers_when_corrected(gate: dict[str, Any]) -> None:
    world = await served()
    await world.apply(agent_version("v2"))
    await world.edit(gates(VIOLATIONS, gate))
    await world.serve_version("v2")
    await world.run(60)
    status, reason, message = await world.condition("Stalled")
    assert (status, reason) == ("True", "InvalidSpec")
    assert "spec.analysis.gates[1]" in message
    assert candidate_percent(0)(await world.rollout())
    await world.edit(gates(VIOLATIONS))
    await world.until(healthy("v2"))


async def test_11_the_message_is_about_the_newest_edit() -> None:
    world = await served()
    await world.edit(gates(UNKNOWN))
    await world.settle()
    assert "gates[0] (mood)" in (await world.condition("Stalled"))[2]
    await world.edit(gates(VIOLATIONS, MISFIT))
    await world.settle()
    assert "gates[1] (fit)" in (await world.condition("Stalled"))[2]


async def test_11_gates_made_invalid_in_mid_rollout_give_the_candidate_no_traffic() -> None:
    world = await trying("v2", "Canary")
    await world.edit(gates(UNKNOWN))
    await world.run(300)
    found = await world.rollout()
    assert candidate_percent(0)(found)
    assert phase("Stalled")(found)
    route = await world.objects.get("HTTPRoute", "shop", "triage")
    assert route is not None
    assert "filters" not in route["spec"]["rules"][0]
    await world.edit(gates(VIOLATIONS))
    await world.until(healthy("v2"))


async def test_11_a_missing_version_named_in_mid_rollout_holds_it() -> None:
    world = await trying("v2", "Canary")
    await world.serve_version("v9")
    await world.run(300)
    found = await world.rollout()
    assert candidate_percent(20)(found)
    assert (await world.condition("Stalled"))[:2] == ("True", "DependencyNotReady")
    await world.serve_version("v2")
    await world.until(healthy("v2"))


async def test_11_a_missing_version_does_not_keep_a_bad_candidate_from_being_taken_back() -> None:
    world = await trying("v2", "Canary")
    await world.serve_version("v9")
    await world.run(10)
    world.behaviour["v2"] = HARMFUL
    await world.until(candidate_percent(0))


async def test_11_a_missing_version_named_while_preparing_starts_no_step() -> None:
    world = await served()
    world.behaviour["v2"].ready = False
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.settle()
    await world.serve_version("v9")
    world.behaviour["v2"].ready = True
    await world.run(120)
    assert await world.reasons(2) == ["AttemptStarted"]
    assert world.metrics.reads == 0

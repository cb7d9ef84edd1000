"""What no story can tell: a watch that is late, an edit on every tick, what is kept of deleted objects."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from interlock.errors import SpecError
from interlock.operator.evidence import Evidence
from tests.scenarios.given import (
    HARMFUL,
    candidate_percent,
    healthy,
    phase,
    served,
    trying,
)
from tests.scenarios.objects import CANARY, FULL, agent_version
from tests.scenarios.surroundings import NAMESPACE

WALKED = ["AttemptStarted", "StepStarted", "StepStarted", "SoakStarted"]


# ------------------------------------------------------------------ 27
@pytest.mark.parametrize("kinds", [("Rollout",), ("HTTPRoute",), ("Release",), ("Rollout", "Release")])
async def test_27_an_operator_whose_watch_is_late_breaks_nothing(kinds: tuple[str, ...]) -> None:
    """It sees some kinds minutes late, the others at once."""
    world = await served()
    other = world.start_another()
    hear = other.hear
    kept: list[tuple[str, dict[str, Any]]] = []

    def late(event: str, manifest: dict[str, Any]) -> None:
        if manifest["kind"] in kinds:
            kept.append((event, manifest))
        else:
            hear(event, manifest)

    world.objects.listeners[:] = [world.processes[0].hear, late]
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    for at in ("Shadow", "Canary", "Full"):
        await world.until(phase(at))
        for event in kept:
            hear(*event)
        kept.clear()
    world.behaviour["v2"] = HARMFUL
    await world.until(phase("Reverted"))
    await world.run(60)
    assert candidate_percent(0)(await world.rollout())
    assert await world.weights() == [100]
    assert await world.reasons(2) == [*WALKED, "GateFailed", "GateFailed"]


# ------------------------------------------------------------------ 28
async def test_28_a_deleted_rollout_is_forgotten_even_when_the_watch_missed_it() -> None:
    world = await trying("v2", "Canary")
    await world.run(10)
    evidence: Evidence = world.operator.evidence
    world.objects.listeners.clear()  # the watch is cut
    found = await world.rollout()
    await world.objects.delete("Rollout", NAMESPACE, "triage", found.metadata.uid)
    await world.operator.list_all()
    assert evidence.report(found) is None
    sample = partial(world.operator.telemetry.registry.get_sample_value, "interlock_rollout_weight_percent")
    assert sample({"namespace": NAMESPACE, "rollout": "triage", "track": "candidate"}) is None


# ------------------------------------------------------------------ 8, 32b
def set_steps(steps: list[Any], spec: dict[str, Any]) -> None:
    spec["strategy"]["steps"] = steps


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


async def test_32b_a_revert_that_cannot_be_recorded_is_counted_once() -> None:
    world = await trying("v2", "Canary")
    world.behaviour["v2"] = HARMFUL
    world.faults.refuse = lambda w: SpecError("exceeded quota") if w.kind == "Release" else None
    await world.until_route(stable=100)
    await world.run(60)
    counted = world.operator.telemetry.registry.get_sample_value(
        "interlock_reverts_total", {"namespace": "shop", "rollout": "triage", "reason": "GateFailed"}
    )
    assert counted == 1

"""Stories 13, 14, 16, 17 and 20 to 20c: turning back, and not turning back without need."""

from __future__ import annotations

import pytest

from interlock.model.rollout import Rollout
from interlock.operator.app import Operator
from tests.scenarios.given import HARMFUL, candidate_percent, healthy, phase, served, trying
from tests.scenarios.objects import CANARY, FULL, agent_version, template
from tests.scenarios.world import Behaviour, World


def quarantined(found: Rollout) -> list[str]:
    return [item.version for item in found.status.quarantine]


async def harmful(at: str) -> World:
    """v3 breaks rules, and has just been started; `at` is the phase in which that shows."""
    world = await served()
    world.behaviour["v3"] = Behaviour() if at == "Full" else HARMFUL
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(phase(at))
    world.behaviour["v3"] = HARMFUL
    return world


async def test_13_violations_take_it_back() -> None:
    world = await served(strategy={"steps": [CANARY, FULL]})
    world.behaviour["v3"] = HARMFUL
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(phase("Canary"))
    await world.until(phase("Reverted"))
    found = await world.rollout()
    assert found.status.stable is not None
    assert found.status.stable.version == "v1"
    assert quarantined(found) == ["v3"]
    assert candidate_percent(0)(found)
    assert await world.moves(2) == [
        "Preparing: AttemptStarted",
        "Running: StepStarted",
        "Reverting: GateFailed",
        "Done: GateFailed",
    ]
    assert (await world.condition("Ready"))[:2] == ("False", "Reverted")
    assert (await world.condition("Stalled"))[:2] == ("True", "Reverted")
    assert world.lost == 0


async def test_13_weight_0_is_written_in_the_pass_that_sees_the_evidence() -> None:
    world = await served(strategy={"steps": [CANARY, FULL]})
    world.behaviour["v3"] = HARMFUL
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(phase("Canary"))
    operator: Operator = world.operator
    while True:
        await world.run(5)  # ends with a pass over what was scraped in it
        report = operator.evidence.report(await world.rollout())
        route = await world.objects.get("HTTPRoute", "shop", "triage")
        assert route is not None
        weights = [b["weight"] for b in route["spec"]["rules"][0]["backendRefs"]]
        if weights[0] == 100:
            break
        assert report is None or not getattr(report, "reverts", False), "one pass was too late"


async def test_13_the_same_manifest_starts_nothing_however_often_it_is_synced() -> None:
    world = await harmful("Shadow")
    await world.until(phase("Reverted"))
    for _ in range(3):
        await world.apply(agent_version("v3"))
        await world.serve_version("v3")
        await world.run(120)
    found = await world.rollout()
    assert found.status.attempt is not None
    assert found.status.attempt.number == 2
    assert phase("Reverted")(found)


async def test_13_the_same_content_under_another_name_starts_nothing_either() -> None:
    world = await harmful("Shadow")
    await world.until(phase("Reverted"))
    await world.apply(agent_version("v3-again", version="v3", prompts=agent_version("v3")["spec"]["prompts"]))
    await world.serve_version("v3-again")
    await world.run(120)
    found = await world.rollout()
    assert found.status.attempt is not None
    assert found.status.attempt.number == 2
    assert phase("Reverted")(found)


async def test_13_the_workload_is_gone_when_its_conversations_are() -> None:
    world = await harmful("Shadow")
    await world.until(phase("Reverted"))
    await world.run(60)
    assert len(await world.objects.list("Deployment")) == 2
    assert not (await world.rollout()).status.draining


async def test_14_the_first_critical_violation_takes_it_back() -> None:
    world = await served(strategy={"steps": [CANARY, FULL]})
    world.behaviour["v3"] = Behaviour(success=1.0, critical_at=3)
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(phase("Canary"))
    await world.until(phase("Reverted"))
    entry = (await world.entries(2))[2]
    assert entry["reason"] == "GateFailed"
    assert "critical" in entry["message"]


async def test_16_a_fixed_version_starts_clean() -> None:
    world = await harmful("Shadow")
    await world.until(phase("Reverted"))
    await world.apply(agent_version("v4"))
    await world.serve_version("v4")
    await world.until(phase("Canary"))
    found = await world.rollout()
    assert all(gate.verdict != "Fail" for gate in found.status.gates)
    await world.until(healthy("v4"))
    assert quarantined(await world.rollout()) == ["v3"]
    assert (await world.reasons(3))[0] == "AttemptStarted"


async def test_16_going_back_to_the_stable_version_after_a_revert_is_healthy() -> None:
    world = await harmful("Shadow")
    await world.until(phase("Reverted"))
    await world.serve_version("v1")
    await world.until(healthy("v1"), limit=180)
    assert (await world.rollout()).status.attempt.number == 2  # type: ignore[union-attr]


async def test_17_failure_during_the_soak_goes_back_to_the_warm_stable() -> None:
    world = await harmful("Full")
    await world.until(phase("Reverting", "Reverted"))
    found = await world.rollout()
    assert found.status.stable is not None
    assert found.status.stable.version == "v1"
    await world.until(phase("Reverted"))
    assert await world.moves(2) == [
        "Preparing: AttemptStarted",
        "Running: StepStarted",
        "Running: StepStarted",
        "Soaking: SoakStarted",
        "Reverting: GateFailed",
        "Done: GateFailed",
    ]
    assert world.lost == 0, "stable was warm"


async def tampered() -> World:
    """An admin who can changes the content of the version under test."""
    world = await trying("v2", "Canary")
    changed = agent_version("v2", prompts=[{"name": "system", "role": "System", "template": "Obey me."}])
    await world.apply(changed)
    await world.settle()
    return world


async def test_20_changed_content_takes_it_back() -> None:
    world = await tampered()
    found = await world.rollout()
    assert candidate_percent(0)(found)
    assert (await world.condition("ImmutableIntact"))[:2] == ("False", "ContentChanged")
    assert "ContentChanged" in await world.reasons(2)


async def test_20_neither_the_old_nor_the_changed_content_goes_out_again_by_itself() -> None:
    world = await tampered()
    await world.run(300)
    found = await world.rollout()
    assert found.status.attempt is not None
    assert found.status.attempt.number == 2
    assert phase("Reverted")(found)
    assert (await world.condition("ImmutableIntact"))[0] == "False"


async def test_20_a_later_good_version_is_intact() -> None:
    world = await tampered()
    await world.run(60)
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(healthy("v3"))
    assert (await world.condition("ImmutableIntact"))[:2] == ("True", "ContentUnchanged")


async def test_20a_a_template_changed_at_rest_walks_all_steps() -> None:
    world = await served()
    await world.apply(template(image="example.com/agent:2"))
    await world.settle()
    stable = (await world.rollout()).status.stable
    assert stable is not None
    await world.until(phase("Shadow"))
    await world.until(phase("Canary"))
    assert {pod.image for pod in world.pods_of(stable.workload)} == {"example.com/agent:1"}
    await world.until(phase("Full"))
    await world.until(healthy("v1"))
    assert await world.reasons(2) == [
        "TemplateChanged",
        "StepStarted",
        "StepStarted",
        "SoakStarted",
        "SoakPassed",
    ]
    assert {pod.image for pod in world.pods.values()} == {"example.com/agent:2"}


async def test_20a_a_template_changed_in_mid_rollout_waits_its_turn() -> None:
    world = await trying("v2", "Canary")
    before = {d["metadata"]["name"]: d["spec"]["template"] for d in await world.objects.list("Deployment")}
    await world.apply(template(image="example.com/agent:2"))
    await world.run(20)
    after = {d["metadata"]["name"]: d["spec"]["template"] for d in await world.objects.list("Deployment")}
    assert {n: t for n, t in after.items() if n != "triage"} == {
        n: t for n, t in before.items() if n != "triage"
    }
    await world.until(lambda r: r.status.attempt is not None and r.status.attempt.number == 3)
    assert (await world.reasons(2))[-1] == "SoakPassed"
    await world.until(healthy("v2"))
    assert (await world.reasons(3))[0] == "TemplateChanged"
    assert {pod.image for pod in world.pods.values()} == {"example.com/agent:2"}


async def test_20a_a_bad_template_is_taken_back_by_the_evidence_of_its_own_pods() -> None:
    world = await served()
    world.behaviour["example.com/agent:2"] = HARMFUL
    await world.apply(template(image="example.com/agent:2"))
    await world.until(lambda r: r.status.attempt is not None and r.status.attempt.number == 2)
    await world.until(phase("Reverted"))
    await world.run(30)
    assert {pod.image for pod in world.pods.values()} == {"example.com/agent:1"}


async def test_20a_a_template_taken_back_by_its_owner_is_healthy_again() -> None:
    world = await served()
    world.behaviour["example.com/agent:2"] = HARMFUL
    await world.apply(template(image="example.com/agent:2"))
    await world.until(phase("Reverted"))
    await world.apply(template(image="example.com/agent:1"))
    await world.until(healthy("v1"), limit=180)


async def test_20b_a_shadow_with_stubbed_tools_is_not_compared_with_live_stable() -> None:
    world = await served()
    world.behaviour["v2"] = Behaviour(success=0.9, success_in_shadow=0.0)
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.until(phase("Shadow"))
    await world.run(120)
    await world.until(healthy("v2"))


@pytest.mark.parametrize("seed", range(2))
async def test_20c_the_same_content_under_another_version_walks_all_steps(seed: int) -> None:
    world = await served(seed)
    await world.apply(agent_version("v1-b", prompts=agent_version("v1")["spec"]["prompts"]))
    await world.serve_version("v1-b")
    await world.until(healthy("v1-b"))
    assert await world.reasons(2) == [
        "AttemptStarted",
        "StepStarted",
        "StepStarted",
        "SoakStarted",
        "SoakPassed",
    ]


async def test_20c_the_same_content_taken_back_leaves_the_stable_one_healthy() -> None:
    world = await served()
    world.behaviour["v1-b"] = HARMFUL
    await world.apply(agent_version("v1-b", prompts=agent_version("v1")["spec"]["prompts"]))
    await world.serve_version("v1-b")
    await world.until(phase("Reverted"))
    await world.serve_version("v1")
    await world.until(healthy("v1"), limit=180)

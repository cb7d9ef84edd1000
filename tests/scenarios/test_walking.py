"""Stories 1, 2, 3 and 12: walking forward."""

from __future__ import annotations

from tests.scenarios.given import candidate_percent, healthy, phase, served, trying
from tests.scenarios.objects import CANARY, FULL, agent_version, rollout, template
from tests.scenarios.world import World


async def test_1_the_first_version_serves_without_analysis() -> None:
    world = await served()
    found = await world.rollout()
    assert candidate_percent(0)(found)
    assert await world.reasons(1) == ["AttemptStarted", "FirstVersionServing"]
    assert world.metrics.reads == 0
    assert (await world.condition("Ready"))[:2] == ("True", "Promoted")


async def test_1_the_first_version_waits_until_it_is_available() -> None:
    world = World()
    world.behaviour["v1"].ready = False
    await world.apply(template(), agent_version("v1"), rollout("v1"))
    await world.run(300)
    assert await world.objects.list("HTTPRoute") == []
    assert (await world.condition("Reconciling"))[0] == "True"
    world.behaviour["v1"].ready = True
    await world.until(healthy("v1"), limit=60)


async def test_2_a_good_candidate_becomes_stable() -> None:
    world = await trying("v2", "Shadow")
    await world.until(phase("Canary"))
    await world.until(phase("Full"))
    await world.until(healthy("v2"))
    assert await world.reasons(2) == [
        "AttemptStarted",
        "StepStarted",
        "StepStarted",
        "SoakStarted",
        "SoakPassed",
    ]
    assert len(await world.objects.list("Deployment")) == 2, "the template and v2"
    assert len(await world.objects.list("Service")) == 1
    assert len(await world.objects.list("ConfigMap")) == 1
    assert world.lost == 0


async def test_2_the_shadow_gets_copies_only() -> None:
    world = await trying("v2", "Shadow")
    await world.run(20)
    candidate = (await world.rollout()).status.candidate
    assert candidate is not None
    assert world.served[candidate.workload] == 0
    assert world.mirrored[f"{candidate.workload}-shadow"] > 0


async def test_2_the_shadow_goes_when_the_last_shadow_step_is_over() -> None:
    world = await trying("v2", "Canary")
    names = {d["metadata"]["name"] for d in await world.objects.list("Deployment")}
    assert not any(name.endswith("-shadow") for name in names)


async def test_2_the_old_version_stays_warm_through_the_soak() -> None:
    world = await trying("v2", "Full")
    stable = (await world.rollout()).status.stable
    assert stable is not None
    deployment = await world.objects.get("Deployment", "shop", stable.workload)
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 2


async def test_2_the_old_workload_stays_until_its_conversations_have_ended() -> None:
    world = await trying("v2", "Full")
    stable = (await world.rollout()).status.stable
    assert stable is not None
    talking = world.pods_of(stable.workload)[0]
    talking.conversations = 3
    await world.until(lambda r: r.status.phase == "Healthy")
    await world.run(60)
    assert world.pods_of(stable.workload), "conversations are still open"
    talking.conversations = 0
    await world.until(healthy("v2"), limit=30)
    assert not world.pods_of(stable.workload)


async def test_2_conversations_that_never_end_have_a_deadline() -> None:
    world = await trying("v2", "Full")
    stable = (await world.rollout()).status.stable
    assert stable is not None
    world.pods_of(stable.workload)[0].conversations = 1
    await world.until(lambda r: r.status.phase == "Healthy")
    await world.holds(lambda r: len(r.status.draining) == 1, seconds=115)
    await world.until(healthy("v2"), limit=20)


async def test_2_a_strategy_of_one_full_step_soaks() -> None:
    world = await served(strategy={"steps": [FULL]})
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.until(phase("Full"))
    await world.until(healthy("v2"))


async def test_3_a_steps_clock_waits_for_the_gateway() -> None:
    world = await served(strategy={"steps": [CANARY, FULL]})
    world.gateway_up = False
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.until(phase("Canary"))
    await world.run(300)
    found = await world.rollout()
    assert found.status.attempt is not None
    assert found.status.attempt.step_started_time is None
    assert (await world.condition("TrafficShifted"))[:2] == ("False", "RouteNotAccepted")
    world.gateway_up = True
    accepted = world.now
    await world.run(10)
    found = await world.rollout()
    assert found.status.attempt is not None
    started = found.status.attempt.step_started_time
    assert started is not None
    assert started > accepted
    await world.until(healthy("v2"))


async def test_12_a_missing_version_is_named_and_found_when_it_comes() -> None:
    world = await served()
    await world.serve_version("v2")
    await world.settle()
    status, reason, message = await world.condition("Stalled")
    assert (status, reason) == ("True", "DependencyNotReady")
    assert "AgentVersion v2" in message
    assert candidate_percent(0)(await world.rollout())
    await world.apply(agent_version("v2"))
    await world.until(healthy("v2"))


async def test_12_a_missing_template_is_named_and_found_when_it_comes() -> None:
    world = World()
    await world.apply(agent_version("v1"), rollout("v1"))
    await world.settle()
    status, reason, message = await world.condition("Stalled")
    assert (status, reason) == ("True", "DependencyNotReady")
    assert "Deployment triage" in message
    await world.apply(template())
    await world.until(healthy("v1"))

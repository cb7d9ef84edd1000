"""Stories 24 and 25: what is counted, and counted exactly; 13: weight 0 in the very pass that sees harm."""

from __future__ import annotations

import pytest

from interlock.analysis.gates import EvidenceReport
from tests.scenarios.given import (
    HARMFUL,
    candidate_percent,
    candidate_workload,
    healthy,
    phase,
    served,
    trying,
)
from tests.scenarios.objects import CANARY, CRITICAL, FULL, VIOLATIONS, agent_version
from tests.scenarios.world import NAMESPACE, Behaviour, World

# ------------------------------------------------------------------ 24
STRANGERS = [
    {"namespace": "elsewhere"},
    {"agent": "billing"},
    {"mode": "shadow"},
    {"version": "v9"},
    {"pod": "triage-0000000000-abc-x"},
]


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda labels: next(iter(labels)))
async def test_24_series_of_others_never_count(stranger: dict[str, str]) -> None:
    world = await trying("v2", "Canary", strategy={"steps": [CANARY, FULL]})
    mine = {
        "namespace": NAMESPACE,
        "agent": "triage",
        "version": "v2",
        "mode": "live",
        "pod": f"{await candidate_workload(world)}-abc-x",
        "job": "agents",
        "instance": "10.0.0.9:9464",
    }
    for round_ in range(40):
        await world.run(5)
        target = mine | stranger
        samples = [
            ({"__name__": "ai_agent_tasks_total", **target, "outcome": "failure"}, 100.0 * round_),
            (
                {
                    "__name__": "ai_agent_policy_violations_total",
                    **target,
                    "rule": "scope",
                    "severity": "critical",
                },
                100.0 * round_,
            ),
        ]
        world.metrics.scrape(world.now.timestamp(), samples)
    await world.until(healthy("v2"), limit=120)


async def test_24_the_same_series_under_its_own_labels_does_count() -> None:
    """The guard of the stories above: without the one strange label they would turn it back."""
    with pytest.raises(AssertionError):
        await test_24_series_of_others_never_count({})


async def test_24_a_shadow_step_reads_the_shadow_only() -> None:
    world = await trying("v2", "Shadow")
    await world.run(20)
    report = world.operator.evidence.report(await world.rollout())
    assert isinstance(report, EvidenceReport)
    shadow = f"{await candidate_workload(world)}-shadow"
    counted = next(gate.candidate for gate in report.gates if gate.name == "violations")
    assert counted.endswith(f"(n={world.mirrored[shadow]})")


async def test_24_a_canary_forgets_what_the_shadow_did() -> None:
    world = await trying("v2", "Canary")
    await world.run(20)
    report = world.operator.evidence.report(await world.rollout())
    assert isinstance(report, EvidenceReport)
    counted = next(gate.candidate for gate in report.gates if gate.name == "violations")
    assert counted.endswith(f"(n={world.served[await candidate_workload(world)]})")


# ------------------------------------------------------------------ 25
async def exact(world: World, workload: str) -> None:
    """The limit gate has counted each task of the candidate once."""
    report = world.operator.evidence.report(await world.rollout())
    assert isinstance(report, EvidenceReport)
    counted = next(gate.candidate for gate in report.gates if gate.name == "violations")
    assert counted.endswith(f"(n={world.served[workload]})")


async def counting() -> tuple[World, str]:
    """A canary in which every live task of the candidate is counted by the limit gate."""
    slow = {**CANARY, "minDurationSeconds": 1200}
    world = await trying(
        "v2",
        "Canary",
        strategy={"steps": [slow, FULL]},
        analysis={"warmupSeconds": 0, "gates": [VIOLATIONS, CRITICAL]},
    )
    await world.run(60)
    return world, await candidate_workload(world)


async def test_25_counts_are_exact() -> None:
    world, workload = await counting()
    await exact(world, workload)


async def test_25_a_pod_replaced_during_a_step_is_counted_exactly() -> None:
    world, workload = await counting()
    for _ in range(3):
        world.replace_pod(world.pods_of(workload)[0].name)
        await world.run(60)
        await exact(world, workload)


async def test_25_a_pod_born_during_a_step_is_counted_exactly() -> None:
    world, workload = await counting()
    await world.edit(lambda spec: spec.update(replicas=5))
    await world.run(60)
    assert len(world.pods_of(workload)) == 5
    await exact(world, workload)


async def test_25_a_counter_reset_is_counted_exactly() -> None:
    world, workload = await counting()
    for _ in range(3):
        world.restart_container(world.pods_of(workload)[0].name)
        await world.run(60)
        await exact(world, workload)


async def test_25_a_violation_just_after_a_restart_takes_it_back() -> None:
    world, workload = await counting()
    for pod in world.pods_of(workload):
        world.restart_container(pod.name)
    world.behaviour["v2"] = Behaviour(critical_at=world.served[workload] + 1)
    await world.until(candidate_percent(0), limit=30)


# ------------------------------------------------------------------ 13
async def test_13_weight_0_is_written_in_the_pass_that_sees_the_evidence() -> None:
    world = await served(strategy={"steps": [CANARY, FULL]})
    world.behaviour["v3"] = HARMFUL
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(phase("Canary"))
    while True:
        await world.run(5)  # ends with a pass over what was scraped in it
        report = world.operator.evidence.report(await world.rollout())
        route = await world.objects.get("HTTPRoute", "shop", "triage")
        assert route is not None
        weights = [b["weight"] for b in route["spec"]["rules"][0]["backendRefs"]]
        if weights[0] == 100:
            break
        assert report is None or not getattr(report, "reverts", False), "one pass was too late"

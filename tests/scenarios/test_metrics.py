"""Stories 21 to 25: what the metrics say, and what is concluded when they say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.analysis.gates import EvidenceReport
from interlock.model.rollout import Rollout
from tests.scenarios.given import HARMFUL, candidate_percent, candidate_workload, healthy, trying
from tests.scenarios.objects import CANARY, CRITICAL, FULL, VIOLATIONS
from tests.scenarios.world import NAMESPACE, Behaviour, World

ANSWERS = [
    ("Shadow", "connection refused"),
    ("Canary", "the answer holds no matrix"),
    ("Full", "may be partial"),
]


def step(number: str) -> Any:
    """It is at this step, neither advanced nor taken back."""

    def wanted(found: Rollout) -> bool:
        attempt = found.status.attempt
        return found.status.step == number and attempt is not None and attempt.outcome is None

    return wanted


# ------------------------------------------------------------------ 21, 22
@pytest.mark.parametrize(("at", "answer"), ANSWERS)
async def test_21_metrics_that_cannot_be_read_hold_and_continue(at: str, answer: str) -> None:
    world = await trying("v2", at)
    await world.run(10)
    now = (await world.rollout()).status.step
    world.metrics.broken = answer
    await world.holds(step(str(now)), seconds=300)
    assert (await world.condition("MetricsAvailable"))[:2] == ("False", "MetricsUnavailable")
    status, reason, message = await world.condition("Ready")
    assert (status, reason) == ("False", "MetricsUnavailable")
    assert answer in message
    world.metrics.broken = None
    await world.until(healthy("v2"))
    assert world.lost == 0


async def test_21_never_promoted_on_silence() -> None:
    world = await trying("v2", "Full")
    world.metrics.broken = "connection refused"
    await world.holds(step("3/3"), seconds=1800, stride=15)


async def test_21_what_happened_in_the_meantime_counts_afterwards() -> None:
    world = await trying("v2", "Canary")
    world.metrics.broken = "connection refused"
    world.behaviour["v2"] = HARMFUL
    await world.run(120)
    assert candidate_percent(20)(await world.rollout())
    world.behaviour["v2"] = Behaviour()
    world.metrics.broken = None
    await world.until(candidate_percent(0), limit=10)


async def test_21_scrapes_that_stop_hold() -> None:
    world = await trying("v2", "Canary")
    await world.run(20)
    world.scraping = False
    await world.holds(step("2/3"), seconds=600, stride=15)
    assert (await world.condition("MetricsAvailable"))[:2] == ("False", "MetricsUnavailable")
    world.scraping = True
    await world.until(healthy("v2"))


# ------------------------------------------------------------------ 23
async def test_23_no_traffic_at_all_waits_for_ever() -> None:
    world = await trying("v2", "Canary")
    world.rate = 0
    await world.holds(step("2/3"), seconds=1800, stride=15)
    world.rate = 4
    await world.until(healthy("v2"))


async def test_23_a_candidate_that_gets_nothing_while_stable_does_is_held() -> None:
    world = await trying("v2", "Canary")
    world.gateway_skips.add("v2")
    await world.holds(step("2/3"), seconds=1800, stride=15)
    assert not (await world.rollout()).status.quarantine
    world.gateway_skips.clear()
    await world.until(healthy("v2"))


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

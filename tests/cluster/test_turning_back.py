"""Stories 13, 14, 17 to 19, and of a deleted Rollout 28: turning back on a real API server."""

from __future__ import annotations

import json

from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from tests.cluster import objects
from tests.cluster.chorus import together
from tests.cluster.kstatus import kstatus
from tests.cluster.objects import CANARY_FIRST
from tests.cluster.operator import TICK_SECONDS
from tests.cluster.prometheus import SCRAPE_SECONDS
from tests.cluster.seen import has_seen, lasted, not_ready
from tests.cluster.story import Story, condition, measured, phase
from tests.cluster.waiting import until

BUSY = 2.0
"""Seconds that two loaded cores may add to a tick and a scrape."""


async def test_13_a_violating_candidate_is_taken_back_and_stays_back(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(measured("violations"))
    harmful = story.land.clock()
    story.behaves("v2", violation=1.0)
    await story.until(phase("Reverted"))

    reverted = story.moment(Stage.REVERTING)
    zero = story.first_route_at_zero()
    assert zero.at - harmful <= TICK_SECONDS + SCRAPE_SECONDS + BUSY
    assert story.writes_between(reverted, zero) == 0, "decided and written in one pass"

    found = await story.rollout()
    assert (await story.condition("Ready"))[:2] == ("False", "Reverted")
    assert (await story.condition("Stalled"))[:2] == ("True", "Reverted")
    assert kstatus(await story.manifest()) == "Failed"
    assert [q.version for q in found.status.quarantine] == ["v2"]
    await story.recorded(2, "AttemptStarted", "StepStarted", "GateFailed", "GateFailed")
    assert (await story.told())[-2:] == ["GateFailed", "TrafficStopped"]
    assert await story.diff() == ""
    await story.sync()
    await story.holds(phase("Reverted"), 2)
    assert {r["header"]["attempt"] for r in await story.all("Release")} == {1, 2}
    await story.only_serves("v1")


async def test_14_the_first_critical_violation_takes_the_candidate_back(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(measured("critical"))
    story.behaves("v2", critical=True)
    found = await story.until(phase("Reverted"))
    assert found.status.attempt is not None
    assert found.status.attempt.message.startswith("critical:")
    assert story.weights()[await story.stable()] == 100


# ------------------------------------------------------------------ 28
async def test_28_deleted_but_kept_by_a_finalizer_it_is_still_taken_back(story: Story) -> None:
    await story.first_version(strategy={"steps": [objects.HELD, objects.FULL]})
    await story.release("v2")
    await story.until(measured("violations"))
    kept = json.dumps({"metadata": {"finalizers": ["example.com/backup"]}})
    await story.kubectl("patch", "rollout", "triage", "--type=merge", "-p", kept)
    await story.kubectl("delete", "rollout", "triage", "--wait=false")
    found = await story.until(lambda r: condition(r, "Paused")[1] == "BeingDeleted")
    assert condition(found, "Paused")[2] == "the Rollout is being deleted, and kept by example.com/backup"
    assert found.status.phase == "Paused"

    story.behaves("v2", violation=1.0)
    await story.until(phase("Reverted"))
    assert story.weights()[await story.stable()] == 100
    let_go = json.dumps({"metadata": {"finalizers": None}})
    await story.kubectl("patch", "rollout", "triage", "--type=merge", "-p", let_go)

    async def gone() -> bool:
        return not await story.all("Rollout")

    await until(gone, 20, "the Rollout to be gone")


# ------------------------------------------------------------------ 17
@together
async def test_17_a_failure_in_the_soak_goes_back_to_a_stable_that_is_still_warm(story: Story) -> None:
    soak = {**objects.FULL, "full": {"soakSeconds": 3600}}
    await story.first_version(strategy={"steps": [soak]})
    stable = await story.stable()
    warm = {pod.name for pod in await story.pods(stable)}
    await story.release("v2")
    await story.until(measured("violations"))
    candidate = await story.candidate()
    assert story.weights()[candidate] == 100
    assert (await story.condition("RollbackReady"))[:2] == ("True", "StableIsWarm")
    story.behaves("v2", violation=1.0)
    found = await story.until(phase("Reverted"))
    assert [one.version for one in found.status.quarantine] == ["v2"]
    await story.recorded(2, "AttemptStarted", "SoakStarted", "GateFailed", "GateFailed")
    assert story.writes_between(story.moment(Stage.REVERTING), story.first_route_at_zero()) == 0
    assert {pod.name for pod in await story.pods(stable)} == warm, "full size, never restarted"
    await story.only_serves("v1")
    assert story.land.agents.lost[story.namespace] == 0


# ------------------------------------------------------------------ 18
@together
async def test_18_a_failure_while_paused_turns_back(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(measured("violations"))
    await story.pause()
    await story.until(phase("Paused"))
    story.behaves("v2", violation=1.0)
    await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "GateFailed", "GateFailed")
    assert story.weights()[await story.stable()] == 100


@together
async def test_18_a_failure_in_the_very_pass_that_would_have_walked_on(story: Story) -> None:
    """All that a step waits for comes with one scrape; the second time with it a critical violation."""
    waiting = {"minDurationSeconds": 1, "minTasks": 50}
    first = {"name": "first", "canary": {"percent": 10}, **waiting}
    second = {"name": "second", "canary": {"percent": 50}, **waiting}
    gates = [objects.VIOLATIONS, objects.CRITICAL]
    story.traffic(0)
    await story.first_version(
        strategy={"steps": [first, second, objects.FULL]}, analysis={"warmupSeconds": 1, "gates": gates}
    )
    await story.release("v2")
    await story.until(lasted("first", 3))
    candidate = await story.candidate()
    story.land.agents.burst(story.namespace, candidate, 50)
    await story.until(lasted("second", 3))
    story.land.agents.burst(story.namespace, candidate, 50, critical=True)
    await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "StepStarted", "GateFailed", "GateFailed")


# ------------------------------------------------------------------ 19
TOGETHER_BAD = {"warmupSeconds": 1, "gates": [objects.SUCCESS, objects.CRITICAL]}
NO_SAFETY = {**objects.VIOLATIONS, "safety": False}


@together
async def test_19_when_both_fail_a_comparison_says_nothing(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST, analysis=TOGETHER_BAD)
    for version in ("v1", "v2"):
        story.behaves(version, success=0.0)
    await story.release("v2")
    found = await story.until(has_seen("success", 200), 60)
    assert phase("Canary")(found)
    assert all(one.verdict != "Fail" for one in found.status.gates)


@together
async def test_19_when_both_fail_a_limit_decides(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST, analysis={**TOGETHER_BAD, "gates": [objects.VIOLATIONS]})
    for version in ("v1", "v2"):
        story.behaves(version, violation=1.0)
    await story.release("v2")
    await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "GateFailed", "GateFailed")


async def blocked(story: Story) -> tuple[str, str]:
    """Stable is down, and a gate that is no matter of safety fails: the two workloads."""
    analysis = {"warmupSeconds": 1, "gates": [NO_SAFETY, objects.CRITICAL]}
    await story.first_version(strategy=CANARY_FIRST, analysis=analysis)
    await story.release("v2")
    await story.until(measured("violations"))
    stable, candidate = await story.stable(), await story.candidate()
    await story.land.kubelet.fail(story.namespace, "v1")
    await story.until(lambda r: condition(r, "RollbackReady")[:2] == ("False", "StableUnavailable"))
    story.behaves("v2", violation=1.0)
    await story.until(is_blocked)
    await story.holds(is_blocked, 2)
    assert not_ready("StableUnavailable", "violations:", "v1 has no ready endpoint")(await story.rollout())
    assert story.weights() == {stable: 50, candidate: 50}, "nobody is sent to nobody"
    return stable, candidate


def is_blocked(found: Rollout) -> bool:
    """It would be taken back, but for stable."""
    return condition(found, "RevertBlocked")[:2] == ("True", "StableUnavailable")


@together
async def test_19_a_held_revert_comes_as_soon_as_stable_is_there_again(story: Story) -> None:
    stable, _ = await blocked(story)
    await story.land.kubelet.release(story.namespace, "v1")
    await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "GateFailed", "GateFailed")
    assert story.weights()[stable] == 100


@together
async def test_19_a_safety_gate_reverts_even_to_a_stable_that_is_down(story: Story) -> None:
    stable, candidate = await blocked(story)
    story.behaves("v2", critical=True)
    await story.until(phase("Reverted"))
    attempt = (await story.rollout()).status.attempt
    assert attempt is not None
    assert attempt.message.startswith("critical:")
    assert story.weights().get(candidate, 0) == 0
    assert story.weights()[stable] == 100

"""Stories 4, 11 and 12: pods that do not come, specs that cannot be followed, objects that are missing."""

from __future__ import annotations

import json
from typing import Any

from interlock.model.rollout import Rollout
from tests.cluster import objects
from tests.cluster.chorus import together
from tests.cluster.objects import CANARY_FIRST, QUICK
from tests.cluster.seen import attempt_is, ever, ever_served, stable_is, stalled
from tests.cluster.story import Story, clock_runs, condition, healthy, phase

SECONDS = 3
"""`progressDeadlineSeconds` of the template."""


# ------------------------------------------------------------------ 4
async def with_a_deadline(story: Story, seconds: int = SECONDS, **changes: Any) -> str:
    """v1 serves, v2 would never be Available: the workload of v1."""
    story.land.kubelet.hold(story.namespace, "v2")
    template = objects.template(progressDeadlineSeconds=seconds)
    await story.begin("v1", template, **({"strategy": QUICK} | changes))
    await story.until(healthy("v1"))
    return await story.stable()


@together
async def test_4_a_candidate_that_never_comes_up_is_taken_off_and_may_come_again(story: Story) -> None:
    stable = await with_a_deadline(story)
    await story.release("v2")
    found = await story.until(phase("Reverted"))
    attempt = found.status.attempt
    assert attempt is not None
    assert (attempt.reason, found.status.quarantine) == ("ProgressDeadline", ())
    assert stalled("Reverted", "did not become Available within 3 s", "v1 serves")(found)
    await story.recorded(2, "AttemptStarted", "ProgressDeadline", "ProgressDeadline")
    assert ever_served(story) == {stable}, "stable served all the time"
    await story.sync()
    await story.holds(phase("Reverted"), SECONDS)
    assert len(await story.all("Release")) == 2, "the same release does not start again by itself"

    await story.land.kubelet.release(story.namespace, "v2")
    await story.go_to("v1")
    await story.until(healthy("v1"))
    await story.go_to("v2")
    await story.until(stable_is("v2"))
    assert story.land.agents.lost[story.namespace] == 0


@together
async def test_4_paused_the_deadline_does_not_run(story: Story) -> None:
    seconds = 6
    stable = await with_a_deadline(story, seconds)
    await story.release("v2")
    await story.until(phase("Preparing"))
    await story.pause()
    await story.until(phase("Paused"))
    await story.holds(phase("Paused"), seconds + 1)
    await story.pause(on=False)
    await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "ProgressDeadline", "ProgressDeadline")
    assert ever_served(story) == {stable}


@together
async def test_4_a_candidate_whose_pods_fail_in_the_canary_is_taken_off(story: Story) -> None:
    stable = await with_a_deadline(story, strategy=CANARY_FIRST)
    await story.land.kubelet.release(story.namespace, "v2")
    await story.release("v2")
    await story.until(clock_runs("canary"))
    await story.land.kubelet.fail(story.namespace, "v2")
    found = await story.until(phase("Reverted"))
    assert found.status.quarantine == ()
    await story.recorded(2, "AttemptStarted", "StepStarted", "ProgressDeadline", "ProgressDeadline")
    assert story.weights()[stable] == 100


@together
async def test_4_a_first_version_is_waited_for(story: Story) -> None:
    """There is nothing to go back to: somebody is told, and it serves once it is Available."""
    story.land.kubelet.hold(story.namespace, "v1")
    await story.begin("v1", objects.template(progressDeadlineSeconds=1))
    await story.until(stalled("FirstVersionFailing", "it serves once it is Available"))
    assert await story.all("HTTPRoute") == []
    await story.land.kubelet.release(story.namespace, "v1")
    await story.until(healthy("v1"))


# ------------------------------------------------------------------ the deadline of a step
@together
async def test_a_step_without_end_is_told_and_goes_on_after_all(story: Story) -> None:
    hungry = {**objects.CANARY, "minDurationSeconds": 0, "minTasks": 30}
    story.traffic(0)
    await story.first_version(strategy={"steps": [hungry, objects.FULL], "stepDeadlineSeconds": 3})
    await story.release("v2")
    await story.until(stalled("StepDeadline", "stepDeadlineSeconds: 3", "weights stay"))
    assert story.weights() == {await story.stable(): 80, await story.candidate(): 20}
    story.traffic(40)
    await story.until(stable_is("v2"), 60)
    await story.recorded(2, "AttemptStarted", "StepStarted", "SoakStarted", "SoakPassed")


@together
async def test_a_step_without_end_is_taken_back_where_that_is_wanted(story: Story) -> None:
    hungry = {**objects.CANARY, "minDurationSeconds": 0, "minTasks": 1_000_000}
    strategy = {"steps": [hungry, objects.FULL], "stepDeadlineSeconds": 3, "onDeadline": "Revert"}
    await story.first_version(strategy=strategy)
    await story.release("v2")
    found = await story.until(phase("Reverted"))
    assert found.status.quarantine == ()
    await story.recorded(2, "AttemptStarted", "StepStarted", "StepDeadline", "StepDeadline")


# ------------------------------------------------------------------ 11
UNKNOWN = {"name": "speed", "metric": "words-per-minute", "limit": {"maxPercent": "5"}}
"""The API server takes any name of a metric."""
FOLLOWED = {"warmupSeconds": 1, "gates": [objects.VIOLATIONS]}


@together
async def test_11_a_spec_that_cannot_be_followed_is_named_and_recovers(story: Story) -> None:
    await story.begin("v1", analysis={"gates": [objects.VIOLATIONS, UNKNOWN]})
    await story.until(stalled("InvalidSpec", "spec.analysis.gates[1] (speed)", "words-per-minute"))
    assert [m["metadata"]["name"] for m in await story.all("Deployment")] == [objects.NAME]
    await story.edit(analysis=FOLLOWED)
    await story.until(healthy("v1"))


@together
async def test_11_gates_that_can_no_longer_be_followed_take_traffic_back(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST, analysis=FOLLOWED)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    stable, candidate = await story.stable(), await story.candidate()
    await story.edit(analysis={"warmupSeconds": 1, "gates": [UNKNOWN]})
    await story.until(stalled("InvalidSpec", "spec.analysis.gates[0] (speed)"))
    await story.until(lambda _: story.weights() == {stable: 100})
    await story.edit(analysis=FOLLOWED)
    await story.until(clock_runs("canary"))
    assert story.weights() == {stable: 50, candidate: 50}
    assert attempt_is(2, "Canary")(await story.rollout())


@together
async def test_11_what_the_api_server_sees_it_refuses_itself(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    with_two = {"steps": [objects.FULL, objects.FULL]}
    patch = json.dumps({"spec": {"strategy": with_two}})
    refused = await story.refused("patch", "rollout", objects.NAME, "--type=merge", "-p", patch)
    assert "must have exactly one `full` step, as the last" in refused
    assert healthy("v1")(await story.rollout())


# ------------------------------------------------------------------ 12
@together
async def test_12_a_missing_version_is_waited_for(story: Story) -> None:
    await story.first_version(strategy=QUICK)
    await story.go_to("v2")
    await story.until(stalled("DependencyNotReady", "AgentVersion v2 does not exist"))
    assert len(await story.all("Release")) == 1
    await story.apply(objects.agent_version("v2"))
    await story.until(stable_is("v2"))


@together
async def test_12_a_version_that_goes_missing_in_the_canary_is_taken_off(story: Story) -> None:
    """Deleted and created again it is another object, whatever its content."""
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    await story.kubectl("delete", "agentversion", "v2")
    await story.sync()
    found = await story.until(phase("Reverted"))
    assert found.status.quarantine == ()
    await story.recorded(2, "AttemptStarted", "StepStarted", "CandidateGone", "CandidateGone")
    await story.holds(phase("Reverted"), 2)
    await story.only_serves("v1")


@together
async def test_12_a_missing_template_is_waited_for(story: Story) -> None:
    host = f"{story.namespace}.example.com"
    await story.apply(objects.agent_version("v1"), objects.rollout("v1", host))
    await story.until(stalled("DependencyNotReady", f"Deployment {objects.NAME}"))
    await story.apply(objects.template())
    await story.until(healthy("v1"))
    assert not ever(story, is_reverted)


def is_reverted(found: Rollout) -> bool:
    """Was anything taken back?"""
    return condition(found, "Ready")[1] == "Reverted"

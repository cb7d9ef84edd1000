"""Stories 5 to 10, 20a and 33: what people change while a version is tried, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from interlock.model.release import Outcome
from interlock.model.rollout import Rollout
from tests.cluster import lies, objects
from tests.cluster.chorus import together
from tests.cluster.objects import CANARY_FIRST, QUICK
from tests.cluster.seen import attempt_is, ever, gate, has_seen, lasted, not_ready, stable_is, tasks_of
from tests.cluster.story import Story, clock_runs, condition, healthy, measured, phase
from tests.cluster.waiting import until

WALK = ["AttemptStarted", "StepStarted", "SoakStarted", "SoakPassed"]
"""The record of a good version under QUICK."""
STANDING = {"steps": [objects.SHADOW, objects.CANARY, objects.FULL]}
"""Steps that need tasks: without traffic each of them lasts."""


async def in_canary(story: Story, **changes: Any) -> tuple[str, str]:
    """v1 serves, v2 has half of the requests: their workloads."""
    await story.first_version(**({"strategy": CANARY_FIRST} | changes))
    await story.release("v2")
    await story.until(clock_runs("canary"))
    return await story.stable(), await story.candidate()


# ------------------------------------------------------------------ 5, 6
@together
async def test_5_another_version_takes_the_candidate_off_first(story: Story) -> None:
    stable, second = await in_canary(story)
    await story.release("v3")
    await story.until(attempt_is(3, "Canary"))
    await story.until(clock_runs("canary"))
    third = await story.candidate()
    await story.recorded(2, "AttemptStarted", "StepStarted", "Superseded", "Superseded")
    await story.recorded(3, "AttemptStarted", "StepStarted")
    assert ever(story, lambda r: bool(r.status.attempt) and outcome(r) is Outcome.SUPERSEDED)
    walked = [{name: weight for name, weight in split.items() if weight} for split in story.splits()]
    between = walked[walked.index({stable: 50, second: 50}) + 1 :]
    assert between[0] == {stable: 100}, "v2 is taken off before v3 gets anything"
    assert between[-1] == {stable: 50, third: 50}
    assert all(second not in split for split in between)
    assert (await story.rollout()).status.quarantine == ()
    assert story.land.agents.lost[story.namespace] == 0


def outcome(found: Rollout) -> Outcome | None:
    """How the newest attempt ended."""
    return found.status.attempt.outcome if found.status.attempt else None


@together
async def test_6_back_to_stable_at_once_and_without_any_metric(story: Story) -> None:
    stable, _ = await in_canary(story)
    story.land.relay.lies[story.namespace] = lies.down()
    await story.go_to("v1")
    found = await story.until(healthy("v1"))
    assert outcome(found) is Outcome.ROLLED_BACK
    assert found.status.quarantine == ()
    await story.recorded(2, "AttemptStarted", "StepStarted", "RolledBack", "RolledBack")
    assert story.weights() == {stable: 100}
    del story.land.relay.lies[story.namespace]
    await story.go_to("v2")
    await story.until(attempt_is(3, "Canary"))
    await story.recorded(3, "AttemptStarted", "StepStarted")


# ------------------------------------------------------------------ 7
@together
async def test_7_a_version_promoted_before_goes_straight_to_full_and_is_watched_there(story: Story) -> None:
    await story.first_version(strategy=QUICK)
    await story.release("v2")
    await story.until(stable_is("v2"))
    assert (await story.condition("RollbackReady"))[:2] == ("True", "PromotedBefore")
    await story.go_to("v1")
    await story.until(stable_is("v1"))
    await story.recorded(3, "FastPathStarted", "SoakStarted", "SoakPassed")

    await story.edit(strategy={"steps": [objects.HELD, soak(3600)]})
    await story.go_to("v2")
    await story.until(clock_runs("full"))
    await story.until(measured("violations"))
    story.behaves("v2", violation=1.0)
    found = await story.until(phase("Reverted"))
    assert [one.version for one in found.status.quarantine] == ["v2"]
    await story.recorded(4, "FastPathStarted", "SoakStarted", "GateFailed", "GateFailed")
    await story.go_to("v1")
    await story.until(stable_is("v1"))
    story.behaves("v2", violation=0.0)
    await story.go_to("v2")
    await story.until(phase("Reverted"))
    await story.holds(phase("Reverted"), 2)
    assert len(await story.all("Release")) == 4, "what is in quarantine has no fast path"


def soak(seconds: int) -> dict[str, Any]:
    """The last step, with a soak of that length."""
    return {**objects.FULL, "full": {"soakSeconds": seconds, "holdoutPercent": 10}}


@together
async def test_7_outside_the_history_all_steps_are_walked(story: Story) -> None:
    await story.first_version(strategy=QUICK, historyLimit=1)
    for version in ("v2", "v3"):
        await story.release(version)
        await story.until(stable_is(version), 60)
    await story.go_to("v1")
    await story.until(stable_is("v1"), 60)
    await story.recorded(4, *WALK)


# ------------------------------------------------------------------ 8
@together
async def test_8_edited_steps_begin_anew_with_traffic_back_at_stable(story: Story) -> None:
    stable, candidate = await in_canary(story)
    await story.until(has_seen("violations", 20))
    fifth = {**objects.HELD, "name": "fifth", "canary": {"percent": 20}}
    await story.edit(strategy={"steps": [fifth, objects.FULL]})
    await story.recorded(2, "AttemptStarted", "StepStarted", "StrategyChanged", "StepStarted")
    found = await story.until(clock_runs("fifth"))
    assert story.splits()[-3:] == [
        {stable: 50, candidate: 50},
        {stable: 100},
        {stable: 80, candidate: 20},
    ]
    attempt = found.status.attempt
    assert attempt is not None
    assert (attempt.number, attempt.step_index) == (2, 0)
    assert attempt.walk_started_time > attempt.started_time


@together
async def test_8_an_edited_gate_begins_anew_and_the_others_go_on(story: Story) -> None:
    await in_canary(story)
    before = tasks_of(await story.until(has_seen("violations", 60)), "violations")
    success = {**objects.SUCCESS, "compare": {"worseByPoints": "40"}}
    gates = [success, objects.VIOLATIONS, objects.CRITICAL]
    await story.edit(analysis={"warmupSeconds": 1, "gates": gates})
    await story.recorded(2, "AttemptStarted", "StepStarted", "GatesChanged")
    story.traffic(0)
    await story.scraped(3)
    await story.until(lambda r: both_seen(r) and sum_of(r)[0] > before)
    violations, compared = sum_of(await story.rollout())
    assert violations > before, "an unchanged gate keeps what it has seen"
    assert compared < violations - before / 2, "an edited gate has seen only what came since"
    histories = story.land.witness.history(story.namespace, "Rollout")
    counts = [tasks_of(Rollout.read(seen.manifest), "violations") for seen in histories]
    assert counts == sorted(counts), "and is never set back, not for a moment"
    assert story.splits()[-1] == {await story.stable(): 50, await story.candidate(): 50}


def sum_of(found: Rollout) -> tuple[int, int]:
    """Tasks of the candidate that the limit and the comparison have seen."""
    return tasks_of(found, "violations"), tasks_of(found, "success")


def both_seen(found: Rollout) -> bool:
    """Both gates have said how many tasks they saw."""
    return all(gate(found, name) is not None for name in ("violations", "success"))


# ------------------------------------------------------------------ 9
@together
async def test_9_paused_in_each_stage_it_stays_and_goes_on_afterwards(story: Story) -> None:
    await story.first_version(strategy=STANDING)
    story.land.kubelet.hold(story.namespace, "v2")
    await story.release("v2")
    await story.until(phase("Preparing"))
    story.traffic(0)
    await story.pause()
    await story.land.kubelet.release(story.namespace, "v2")
    await story.until_pods(await story.candidate(), lambda pods: len(pods) == 2)
    await stays_paused(story)
    for step in ("shadow", "canary", "full"):
        await story.pause(on=False)
        await story.until(lasted(step, 0))
        await story.pause()
        await story.until(lambda r: condition(r, "Paused")[0] == "True")
        await has_tasks(story, await story.candidate() + ("-shadow" if step == "shadow" else ""))
        await stays_paused(story)
    story.traffic(40)
    await story.pause(on=False)
    await story.until(stable_is("v2"))
    steps = ["StepStarted", "StepStarted", "SoakStarted", "SoakPassed"]
    await story.recorded(2, "AttemptStarted", *steps)


async def has_tasks(story: Story, workload: str) -> None:
    """All the tasks that a step asks for, and then no more."""
    family, agents = "ai_agent_tasks_total", story.land.agents
    before = agents.served(story.namespace, workload, family)

    async def enough() -> bool:
        return agents.served(story.namespace, workload, family) >= before + 20

    story.traffic(40)
    await until(enough, 30, f"tasks of {workload}")
    story.traffic(0)
    await story.scraped(2)


async def stays_paused(story: Story) -> None:
    """Nothing moves for longer than any of the steps lasts; Git does not mind."""
    before, weights = (await story.rollout()).status.attempt, story.weights()
    assert before is not None

    def is_where_it_was(found: Rollout) -> bool:
        now = found.status.attempt
        return phase("Paused")(found) and now is not None and now.seq == before.seq

    await story.until(phase("Paused"))
    await story.holds(is_where_it_was, 3)
    assert story.weights() == weights
    assert not_ready("Paused", "spec.paused is true")(await story.rollout())
    assert await story.diff() == ""


@together
async def test_9_paused_at_rest_nothing_begins(story: Story) -> None:
    await story.first_version(strategy=QUICK)
    await story.pause()
    await story.release("v2")
    await story.until(not_ready("Paused", "nothing new is started"))
    await story.holds(not_ready("Paused"), 2)
    assert len(await story.all("Release")) == 1
    await story.pause(on=False)
    await story.until(stable_is("v2"))


@together
async def test_9_paused_it_still_goes_back_when_told_to(story: Story) -> None:
    stable, _ = await in_canary(story)
    await story.pause()
    await story.until(phase("Paused"))
    await story.go_to("v1")
    await story.until(lambda r: outcome(r) is Outcome.ROLLED_BACK)
    assert story.weights() == {stable: 100}


# ------------------------------------------------------------------ 10
@together
async def test_10_scaled_up_in_a_canary_both_sides_grow_and_weights_stay(story: Story) -> None:
    stable, candidate = await in_canary(story, replicas=4)
    await story.scale(8)
    for workload in (stable, candidate):
        await story.until_pods(workload, lambda pods: len(pods) == 8)
    await story.until(lambda r: r.status.replicas == 8)
    await story.scale(2)
    for workload in (stable, candidate):
        await story.until_pods(workload, lambda pods: len(pods) == 4)
    assert story.splits()[-1] == {stable: 50, candidate: 50}
    await story.recorded(2, "AttemptStarted", "StepStarted")
    assert story.land.agents.lost[story.namespace] == 0


@together
async def test_10_a_small_canary_grows_before_it_gets_a_larger_share(story: Story) -> None:
    small = {**objects.CANARY, "canary": {"percent": 20, "replicas": 1}, "minDurationSeconds": 1}
    steps = [small, {**objects.HELD, "name": "half"}, objects.FULL]
    story.traffic(0)
    await story.first_version(strategy={"steps": steps}, replicas=3)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    stable, candidate = await story.stable(), await story.candidate()
    assert len(await story.pods(candidate)) == 1
    story.land.kubelet.hold(story.namespace, "v2")
    story.traffic(40)
    waits = not_ready("Progressing", f"workload {candidate} to become Available")
    await story.until(waits)
    await story.holds(waits, 2)
    assert story.weights() == {stable: 80, candidate: 20}
    assert len(await story.pods(candidate)) == 1
    await story.land.kubelet.release(story.namespace, "v2")
    await story.until(clock_runs("half"))
    assert story.weights() == {stable: 50, candidate: 50}
    assert len(await story.pods(candidate)) == 3


# ------------------------------------------------------------------ 20a
@together
async def test_20a_a_changed_template_rolls_nothing_and_is_tried_step_by_step(story: Story) -> None:
    await story.first_version(strategy={"steps": [objects.CANARY, objects.FULL]})
    first = await story.stable()
    before = {pod.name for pod in await story.pods(first)}
    story.traffic(0)
    await story.apply(objects.template("example.com/agent:2"))
    await story.until(clock_runs("canary"))
    second = await story.candidate()
    assert {pod.name for pod in await story.pods(first)} == before, "at rest nothing rolls by itself"
    assert await image(story, second) == "example.com/agent:2"

    await story.apply(objects.template("example.com/agent:3"))
    tried = {pod.name for pod in await story.pods(second)}
    await story.holds(attempt_is(2, "Canary"), 2)
    assert {pod.name for pod in await story.pods(second)} == tried, "nor in mid-rollout"
    assert await image(story, second) == "example.com/agent:2"
    story.traffic(40)
    await story.until(attempt_is(3, "Healthy"), 60)
    await story.recorded(2, "TemplateChanged", *WALK[1:])
    await story.recorded(3, "TemplateChanged", *WALK[1:])
    assert await image(story, await story.stable()) == "example.com/agent:3"
    assert (await story.rollout()).status.quarantine == ()
    assert story.land.agents.lost[story.namespace] == 0


async def image(story: Story, workload: str) -> str:
    """What the pods of a workload run."""
    found = {m["metadata"]["name"]: m for m in await story.all("Deployment")}[workload]
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


# ------------------------------------------------------------------ 20b, 20c
@together
async def test_20b_a_shadow_with_stubbed_tools_is_not_compared_with_live_stable(story: Story) -> None:
    shadow = {**objects.SHADOW, "shadow": {"percent": 100}, "minTasks": 100}
    await story.first_version(strategy={"steps": [shadow, objects.CANARY, objects.FULL]})
    story.behaves("v2", shadow_success=0.0)
    await story.release("v2")
    await story.until(stable_is("v2"), 60)
    await story.recorded(2, "AttemptStarted", "StepStarted", "StepStarted", "SoakStarted", "SoakPassed")
    shown = story.land.witness.history(story.namespace, "Rollout")
    shadowed = [found for seen in shown if phase("Shadow")(found := Rollout.read(seen.manifest))]
    assert shadowed
    for found in shadowed:
        assert (one := gate(found, "success")) is None or one.verdict != "Fail"


@together
async def test_20b_with_a_control_a_worse_candidate_is_found_in_the_shadow(story: Story) -> None:
    """On the API server, which holds the operator to the shares of the step."""
    shadow = {**objects.SHADOW, "shadow": {"percent": 50, "control": True}, "minDurationSeconds": 3600}
    compared = {**objects.SUCCESS, "during": ["Shadow", "Canary"]}
    await story.first_version(
        strategy={"steps": [shadow, objects.CANARY, objects.FULL]}, analysis={"gates": [compared]}
    )
    story.behaves("v1", shadow_success=0.8)
    story.behaves("v2", shadow_success=0.1)
    await story.release("v2")
    found = await story.until(phase("Shadow"))
    assert found.status.traffic is not None
    assert (found.status.traffic.shadow_percent, found.status.traffic.control_percent) == (50, 50)
    stable, candidate = await story.stable(), await story.candidate()
    await story.until(phase("Reverted"), 60)
    await story.recorded(2, "AttemptStarted", "StepStarted", "GateFailed", "GateFailed")
    assert not any(
        weight for split in story.splits() for name, weight in split.items() if name == candidate
    ), "it never had a share"
    await story.only_serves("v1")
    assert {m["metadata"]["name"] for m in await story.all("Service")} == {stable}


@together
async def test_20b_the_shadow_waits_for_stables_and_blames_nobody(story: Story) -> None:
    """Stable's shadow is deleted in mid-step and its new pods do not come up for a while."""
    shadow = {**objects.SHADOW, "shadow": {"percent": 50, "control": True}, "minDurationSeconds": 4}
    compared = {**objects.SUCCESS, "during": ["Shadow", "Canary"]}
    await story.first_version(
        strategy={"steps": [shadow, objects.CANARY, objects.FULL]}, analysis={"gates": [compared]}
    )
    await story.release("v2")
    await story.until(clock_runs("shadow"))
    control = f"{await story.stable()}-shadow"
    story.land.kubelet.hold(story.namespace, "v1")
    await story.kubectl("delete", "deployment", control)
    await story.until(says("Ready", f"workload {control} to become Available"))
    await story.holds(phase("Shadow"), 6)
    await story.land.kubelet.release(story.namespace, "v1")
    await story.until(stable_is("v2"), 90)
    await story.recorded(2, "AttemptStarted", "StepStarted", "StepStarted", "SoakStarted", "SoakPassed")
    assert story.land.agents.lost[story.namespace] == 0


def says(kind: str, words: str) -> Callable[[Rollout], bool]:
    """A condition has these words in its message."""
    return lambda found: any(c.type == kind and words in c.message for c in found.status.conditions)


@together
async def test_20c_the_same_content_under_another_name_walks_all_steps(story: Story) -> None:
    await story.first_version()
    await story.apply(objects.agent_version("same", content="v1"))
    await story.go_to("same")
    found = await story.until(stable_is("same"), 60)
    await story.recorded(2, "AttemptStarted", "StepStarted", "StepStarted", "SoakStarted", "SoakPassed")
    headers = {r["header"]["attempt"]: r["header"] for r in await story.all("Release")}
    assert found.status.stable is not None
    assert found.status.stable.digest == headers[1]["candidate"]["digest"], "the content is the same"


# ------------------------------------------------------------------ 33
@together
async def test_33_git_is_at_peace_with_the_cluster_at_every_stage(story: Story) -> None:
    """Those of a good version: story 2."""
    await story.first_version(strategy=CANARY_FIRST)
    story.land.kubelet.hold(story.namespace, "v2")
    await story.release("v2")
    await peace_in(story, "Preparing")
    await story.land.kubelet.release(story.namespace, "v2")
    await story.until(clock_runs("canary"))
    await peace_in(story, "Canary")
    await story.land.gateway.switch(story.namespace, "frozen")
    await story.go_to("v1")
    await peace_in(story, "Reverting")
    await story.land.gateway.switch(story.namespace, "accept")
    await story.until(healthy("v1"))
    await peace_in(story, "Healthy")


async def peace_in(story: Story, stage: str) -> None:
    """It is there before and after: kubectl diff has nothing to say."""
    await story.until(phase(stage))
    assert await story.diff() == "", stage
    await story.sync()
    assert phase(stage)(await story.rollout())

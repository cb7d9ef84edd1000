"""Stories 1, 2 and 3: walking forward on a real API server."""

from __future__ import annotations

from tests.cluster.kstatus import kstatus
from tests.cluster.story import Story, clock_runs, condition, healthy, phase

COLUMNS = ["NAME", "STEP", "WEIGHT", "VERSION", "READY", "STATUS", "AGE"]


async def test_1_the_first_version_serves_without_analysis(story: Story) -> None:
    await story.first_version()
    await story.recorded(1, "AttemptStarted", "FirstVersionServing")
    assert story.land.relay.queries[story.namespace] == 0
    assert (await story.condition("Ready"))[:2] == ("True", "Promoted")
    assert kstatus(await story.manifest()) == "Current"


async def test_1_the_first_version_waits_until_it_is_available(story: Story) -> None:
    story.land.kubelet.hold(story.namespace, "v1")
    await story.begin("v1")
    await story.until(phase("Preparing"))
    await story.holds(phase("Preparing"), 2)
    assert await story.all("HTTPRoute") == []
    assert kstatus(await story.manifest()) == "InProgress"
    await story.land.kubelet.release(story.namespace, "v1")
    await story.until(healthy("v1"))


async def test_2_a_good_candidate_becomes_stable(story: Story) -> None:
    await story.first_version()
    await story.release("v2")
    for stage, percent in (("Shadow", 0), ("Canary", 20), ("Full", 90)):
        found = await story.until(phase(stage))
        assert found.status.traffic is not None
        assert found.status.traffic.candidate_percent == percent
        assert (condition(found, "Ready")[0], condition(found, "Reconciling")[0]) == ("False", "True")
        assert kstatus(await story.manifest()) == "InProgress"
        assert await story.diff() == "", f"33: git is at peace with the cluster in {stage}"
    await story.until(healthy("v2"))
    assert kstatus(await story.manifest()) == "Current"
    assert await story.diff() == ""
    walked = ["AttemptStarted", "StepStarted", "StepStarted", "SoakStarted", "SoakPassed"]
    await story.recorded(2, *walked)
    assert await story.told() == ["AttemptStarted", "FirstVersionServing", *walked]
    await story.only_serves("v2")
    assert story.land.agents.lost[story.namespace] == 0


async def test_2_kubectl_get_shows_where_it_is(story: Story) -> None:
    await story.first_version()
    assert await story.row() == dict(
        zip(COLUMNS, ["triage", "3/3", "100%", "v1", "True", "Healthy"], strict=False)
    )
    await story.release("v2")
    await story.until(phase("Canary"))
    assert await story.row() == dict(
        zip(COLUMNS, ["triage", "2/3", "20%", "v2", "False", "Canary"], strict=False)
    )
    wide = (await story.kubectl("get", "rollout", "-o", "wide")).splitlines()[0].split()
    assert wide == [*COLUMNS, "STABLE", "MESSAGE"]
    assert all(len(line) <= 80 for line in (await story.kubectl("get", "rollout")).splitlines())
    assert "triage" in await story.kubectl("get", "interlock")


async def test_3_a_steps_clock_waits_for_the_gateway(story: Story) -> None:
    await story.first_version()
    await story.land.gateway.switch(story.namespace, "frozen")
    await story.release("v2")
    await story.until(phase("Shadow"))
    await story.holds(lambda found: not clock_runs("shadow")(found), 3)
    assert (await story.condition("TrafficShifted"))[:2] == ("False", "RouteNotAccepted")
    await story.land.gateway.switch(story.namespace, "refuse")
    refused = await story.until(lambda r: "NotAllowedByListeners" in condition(r, "TrafficShifted")[2])
    assert not clock_runs("shadow")(refused)
    await story.land.gateway.switch(story.namespace, "accept")
    found = await story.until(clock_runs("shadow"))
    assert found.status.attempt is not None
    started, accepted = found.status.attempt.step_started_time, story.accepted_at()
    assert started is not None
    assert started >= accepted

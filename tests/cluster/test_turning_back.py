"""Stories 13 and 14: turning back on a real API server."""

from __future__ import annotations

from interlock.model.release import Stage
from tests.cluster import objects
from tests.cluster.kstatus import kstatus
from tests.cluster.operator import TICK_SECONDS
from tests.cluster.prometheus import SCRAPE_SECONDS
from tests.cluster.story import Story, measured, phase

CANARY_FIRST = {"steps": [objects.HELD, objects.FULL]}
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

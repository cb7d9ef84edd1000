"""Stories 21 and 23: what no answer, no traffic, and no traffic for one side lead to."""

from __future__ import annotations

from typing import Any

from interlock.model.rollout import Rollout
from tests.cluster import lies, objects
from tests.cluster.chorus import together
from tests.cluster.objects import CANARY_FIRST, QUICK
from tests.cluster.seen import ever, not_ready, stable_is
from tests.cluster.story import Story, clock_runs, condition, measured, phase

GATES = [objects.VIOLATIONS, objects.CRITICAL]
HELD_AFTER, REVERTED_AFTER = 2, 10


def impatient(hold: int = HELD_AFTER, revert: int = REVERTED_AFTER) -> dict[str, Any]:
    """Silence counts after seconds."""
    no_data = {"holdAfterSeconds": hold, "revertAfterSeconds": revert}
    return {"warmupSeconds": 1, "gates": GATES, "noData": no_data}


# ------------------------------------------------------------------ 21
@together
async def test_21_without_prometheus_it_is_held_and_goes_on_afterwards(story: Story) -> None:
    await story.first_version(strategy=QUICK, analysis=impatient(revert=60))
    story.land.relay.lies[story.namespace] = lies.down()
    await story.release("v2")
    silent = not_ready("MetricsUnavailable", "HTTP 503")
    await story.until(silent)
    assert (await story.condition("MetricsAvailable"))[:2] == ("False", "MetricsUnavailable")
    await story.holds(silent, 5)
    assert phase("Canary")(await story.rollout()), "never walked on in silence, long as the step is over"
    del story.land.relay.lies[story.namespace]
    await story.until(stable_is("v2"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "SoakStarted", "SoakPassed")


@together
async def test_21_without_prometheus_for_too_long_it_is_taken_off(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST, analysis=impatient())
    await story.release("v2")
    await story.until(measured("violations"))
    story.land.relay.lies[story.namespace] = lies.down()
    found = await story.until(phase("Reverted"))
    assert found.status.quarantine == ()
    assert ever(story, not_ready("MetricsUnavailable", "v2 at step canary"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "Blind", "Blind")
    del story.land.relay.lies[story.namespace]
    await story.sync()
    await story.holds(phase("Reverted"), 2)


@together
async def test_21_nothing_is_promoted_by_a_soak_in_silence(story: Story) -> None:
    await story.first_version(strategy=QUICK, analysis=impatient())
    story.land.relay.lies[story.namespace] = lies.down()
    await story.release("v2")
    await story.until(clock_runs("canary"))
    await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "Blind", "Blind")
    del story.land.relay.lies[story.namespace]
    await story.go_to("v1")
    await story.until(stable_is("v1"))
    await story.go_to("v2")
    await story.until(clock_runs("full"))
    assert phase("Full")(await story.rollout())


# ------------------------------------------------------------------ 23
@together
async def test_23_a_candidate_without_traffic_is_held_and_taken_off(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST, analysis=impatient(revert=5))
    story.behaves("v2", reached=False)
    await story.release("v2")
    found = await story.until(phase("Reverted"))
    assert found.status.quarantine == ()
    assert ever(story, not_ready("MetricsUnavailable"))
    assert ever(story, lambda r: condition(r, "MetricsAvailable")[0] == "False")
    await story.recorded(2, "AttemptStarted", "StepStarted", "Starved", "Starved")
    story.behaves("v2", reached=True)
    await story.sync()
    await story.holds(phase("Reverted"), 2)


@together
async def test_23_without_any_traffic_it_waits_and_its_clock_stands_still(story: Story) -> None:
    await story.first_version(strategy=QUICK, analysis=impatient(revert=4))
    story.traffic(0)
    await story.release("v2")
    found = await story.until(stands_still)
    assert found.status.attempt is not None
    assert condition(found, "MetricsAvailable")[:2] == ("True", "MetricsReadable")
    await story.holds(lambda r: stands_still(r) and phase("Canary")(r), 6)
    story.traffic(40)
    await story.until(stable_is("v2"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "SoakStarted", "SoakPassed")


def stands_still(found: Rollout) -> bool:
    """The step's clock does not run, because there is no traffic."""
    attempt = found.status.attempt
    if attempt is None or attempt.no_data is None:
        return False
    return attempt.no_data.kind == "Idle" and attempt.clock_stopped_time is not None

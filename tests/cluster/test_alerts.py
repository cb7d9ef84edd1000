"""Story 15: alerts that really fire, by a rule of a real Prometheus."""

from __future__ import annotations

from tests.cluster import objects
from tests.cluster.chorus import together
from tests.cluster.objects import CANARY_FIRST
from tests.cluster.prometheus import PAGE
from tests.cluster.seen import not_ready
from tests.cluster.story import Story, clock_runs, healthy, phase
from tests.cluster.waiting import until

PAGED = {"name": "page", "alert": {"matchLabels": {"interlock_action": "revert"}}}
ATTENTIVE = {"warmupSeconds": 1, "gates": [objects.VIOLATIONS, PAGED]}


def page(story: Story, value: int, **marks: str) -> None:
    """From the next scrape on, the series that the rule looks at has this value."""
    labels = {"namespace": story.namespace, "agent": objects.NAME} | marks
    shown = ",".join(f'{key}="{text}"' for key, text in labels.items())
    story.land.agents.foreign[story.namespace] = [f"{PAGE}{{{shown}}} {value}"]


async def fires(story: Story) -> None:
    """Prometheus says that the alert of the story's namespace fires."""
    query = f'ALERTS{{alertstate="firing",namespace="{story.namespace}"}}'

    async def does() -> bool:
        return bool(await story.land.relay.ask(query))

    await until(does, 20, "the alert to fire", story.land.prometheus.tail)


@together
async def test_15_a_firing_alert_takes_the_candidate_back(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST, analysis=ATTENTIVE)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    page(story, 1)
    found = await story.until(phase("Reverted"))
    attempt = found.status.attempt
    assert attempt is not None
    assert attempt.message.startswith("page:")
    assert "StoryPage" in attempt.message
    assert [one.reason for one in found.status.quarantine] == ["AlertFiring"]
    await story.recorded(2, "AttemptStarted", "StepStarted", "AlertFiring", "AlertFiring")
    assert story.weights()[await story.stable()] == 100


@together
async def test_15_an_alert_that_names_the_candidate_takes_it_back_though_metrics_say_nothing(
    story: Story,
) -> None:
    story.traffic(0)
    await story.first_version(strategy=CANARY_FIRST, analysis=ATTENTIVE)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    page(story, 1, version="v2")
    await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "AlertFiring", "AlertFiring")


@together
async def test_15_an_alert_about_another_version_another_agent_or_nothing_is_ignored(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST, analysis=ATTENTIVE)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    for marks in ({"version": "v1"}, {"agent": "billing"}):
        page(story, 1, **marks)
        await fires(story)
        await story.scraped(3)
        await story.holds(phase("Canary"), 2)
    page(story, 1)
    await story.until(phase("Reverted"))


@together
async def test_15_while_an_alert_fires_no_attempt_gets_traffic(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST, analysis=ATTENTIVE)
    page(story, 1)
    await fires(story)
    await story.release("v2")
    waits = not_ready("Progressing", "an alert that would take it back at once: alert StoryPage fires since")
    await story.until(waits)
    await story.until_pods(await story.candidate(), lambda pods: len(pods) == 2)
    await story.holds(waits, 3)
    assert phase("Preparing")(await story.rollout())
    assert story.weights() == {await story.stable(): 100}
    await story.recorded(2, "AttemptStarted")
    await story.go_to("v1")
    found = await story.until(healthy("v1"))
    assert found.status.quarantine == ()

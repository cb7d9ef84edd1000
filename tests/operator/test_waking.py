"""When a Rollout is looked at again: a pass must not leave work behind that no event will recall."""

from __future__ import annotations

from datetime import timedelta

from tests.scenarios.given import served
from tests.scenarios.objects import agent_version
from tests.scenarios.surroundings import NAMESPACE

KEY = ("Rollout", NAMESPACE, "triage")


async def test_what_waited_for_the_record_goes_on_once_it_is_written() -> None:
    """As after a crash between the status and the record, with the next version already named."""
    world = await served()
    (release,) = await world.releases()
    await world.objects.replace({**release, "entries": release["entries"][:-1]})
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    assert await world.operator.reconciler.reconcile(KEY) == timedelta(0), "our own write tells nobody"
    assert await world.reasons(1) == ["AttemptStarted", "FirstVersionServing"]
    await world.operator.reconciler.reconcile(KEY)
    found = await world.rollout()
    assert found.status.candidate is not None
    assert found.status.candidate.version == "v2"


async def test_at_rest_nobody_is_woken() -> None:
    world = await served()
    assert await world.operator.reconciler.reconcile(KEY) is None

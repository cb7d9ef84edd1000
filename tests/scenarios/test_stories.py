"""Tells the stories of stories/: one test a story; those marked `crash` again with a dying operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from interlock.model.rollout import Rollout
from tests.scenarios.expecting import roles
from tests.scenarios.rules import backends
from tests.scenarios.story import Story, read, read_stories
from tests.scenarios.surroundings import NAMESPACE
from tests.scenarios.telling import Teller

STORIES = read_stories(Path(__file__).parent / "stories")
CRASHING = {name: story for name, story in STORIES.items() if story.crash}


@pytest.mark.parametrize("name", STORIES)
async def test_story(name: str) -> None:
    teller = Teller(STORIES[name])
    await teller.begin()
    await teller.steps()


# ------------------------------------------------------------------ 26
async def told(
    story: Story, crash: tuple[int, Literal["before", "after"]] | None, every: int | None
) -> Teller:
    """The story, with an operator that dies after it has begun."""
    teller = Teller(story)
    await teller.begin()
    teller.world.faults.writes.clear()
    teller.world.faults.crash, teller.world.faults.crash_every = crash, every
    await teller.steps()
    await teller.world.settle()
    return teller


async def end_of(teller: Teller) -> dict[str, Any]:
    """What is left at the end, without times and versions of objects."""
    world = teller.world
    found: Rollout = await world.rollout()
    names = roles(found.status)
    route = await world.objects.get("HTTPRoute", NAMESPACE, "triage")
    weights = backends(route)[0] if route else {}
    held: dict[str, Any] = {
        kind: sorted(m["metadata"]["name"] for m in await world.objects.list(kind))
        for kind in ("Deployment", "Service", "ConfigMap", "Release", "Event")
    }
    return held | {
        "phase": found.status.phase,
        "stable": found.status.stable and found.status.stable.version,
        "quarantine": [item.version for item in found.status.quarantine],
        "weights": {names.get(name, name): weight for name, weight in weights.items()},
        "ledger": {
            r["metadata"]["name"]: [e["reason"] for e in r["entries"]] for r in await world.releases()
        },
    }


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", CRASHING)
async def test_26_killed_at_every_write(name: str, moment: Literal["before", "after"]) -> None:
    undisturbed = await told(CRASHING[name], None, None)
    total, end = len(undisturbed.world.faults.writes), await end_of(undisturbed)
    assert total > 10
    for number in range(1, total + 1):
        teller = await told(CRASHING[name], (number, moment), None)
        assert len(teller.world.faults.writes) >= number, "the crash took place"
        assert await end_of(teller) == end, f"{moment} write {number}"


@pytest.mark.parametrize("name", CRASHING)
async def test_26_killed_over_and_over(name: str) -> None:
    """Each process dies at its third write."""
    end = await end_of(await told(CRASHING[name], None, None))
    assert await end_of(await told(CRASHING[name], None, 3)) == end


# ------------------------------------------------------------------ the format
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"givn": {}}, "givn"),
        ({"steps": [{"until": {"phse": "Canary"}}]}, "phse"),
        ({"steps": [{"untl": {}}]}, "untl"),
        ({"steps": [{"serve": "v2", "pause": True}]}, "exactly one"),
        ({"given": {"metrics": {"agents": {"v2": {"sucess": 1}}}}}, "sucess"),
    ],
)
def test_a_key_that_is_not_known_is_named(changes: dict[str, Any], named: str) -> None:
    story = {"story": "0", "title": "t", "why": "w", "steps": [{"expect": {}}]}
    with pytest.raises(ValueError, match=named):
        read("0-t", story | changes)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"strategy": {"steps": [{"like": "canary", "weight": 30}, "full"]}}, r"like canary.*: weight"),
        ({"strategy": {"steps": [{"like": "canary", "canary": {"weight": 30}}]}}, r"canary\.weight"),
        ({"analysis": {"gates": [{"like": "success", "durring": ["Full"]}]}}, "like success.*: durring"),
        ({"stategy": {}}, "spec has keys.*: stategy"),
    ],
)
async def test_a_key_of_a_rollout_that_does_not_exist_is_named(spec: dict[str, Any], named: str) -> None:
    given = {"serves": "v1", "rollout": spec}
    story = {"story": "0", "title": "t", "why": "w", "given": given, "steps": [{"expect": {}}]}
    with pytest.raises(AssertionError, match=named):
        await Teller(read("0-t", story)["0-t"]).begin()


async def test_a_failure_tells_the_step_and_the_status() -> None:
    steps = [{"run": "5s"}, {"expect": {"phase": "Canary"}}]
    story = {"story": "0", "title": "t", "why": "w", "given": {"serves": "v1"}, "steps": steps}
    teller = Teller(read("0-t", story)["0-t"])
    await teller.begin()
    with pytest.raises(AssertionError, match=r"(?s)step 2.*phase is 'Healthy', not 'Canary'.*stable:"):
        await teller.steps()

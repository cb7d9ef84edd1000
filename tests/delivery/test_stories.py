"""Every status that the operator really writes is one that the API server takes.

The stories are told in the small world of tests/scenarios, where nobody refuses anything; then each write of
the user and of the operator is done again, in order, on the real API server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from interlock.reasons import Cause
from tests.delivery.api import Answer, Api
from tests.delivery.objects import Manifest
from tests.scenarios import faults
from tests.scenarios.given import HARMFUL, healthy, phase
from tests.scenarios.objects import CANARY, FULL, VIOLATIONS, agent_version, rollout, template
from tests.scenarios.world import Behaviour, World

Story = Callable[[World], Awaitable[None]]


@pytest.fixture(autouse=True)
def only_the_api_server_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not its twin in Python, which would stop a story at the first write that it does not know."""

    async def anything(*told: object) -> None:
        del told

    monkeypatch.setattr(faults, "check_write", anything)


async def _serve(world: World, version: str, at: str) -> None:
    """Release a version and wait until the Rollout says where it is."""
    await world.apply(agent_version(version))
    await world.serve_version(version)
    await world.until(phase(at))


async def promoted(world: World) -> None:
    """Shadow, canary, full, and stable after the soak."""
    await _serve(world, "v2", "Full")
    await world.until(healthy("v2"))


async def reverted_in_the_canary(world: World) -> None:
    """Harm, and afterwards another version."""
    world.behaviour["v2"] = HARMFUL
    await _serve(world, "v2", "Reverted")
    await _serve(world, "v3", "Full")


async def reverted_in_the_soak(world: World) -> None:
    """Harm at full weight."""
    await _serve(world, "v2", "Full")
    world.behaviour["v2"] = HARMFUL
    await world.until(phase("Reverted"))


async def superseded(world: World) -> None:
    """A newer version while one is tried."""
    await _serve(world, "v2", "Canary")
    await _serve(world, "v3", "Canary")


async def queued(world: World) -> None:
    """A newer version while one soaks."""
    await _serve(world, "v2", "Full")
    await _serve(world, "v3", "Canary")


async def rolled_back(world: World) -> None:
    """To stable in the middle of it, and forward again."""
    await _serve(world, "v2", "Canary")
    await world.serve_version("v1")
    await world.until(healthy("v1"))
    await _serve(world, "v2", "Canary")


async def gone_back(world: World) -> None:
    """To a version that was promoted before."""
    await promoted(world)
    await world.serve_version("v1")
    await world.until(healthy("v1"))


async def strategy_edited(world: World) -> None:
    """The steps change under a running attempt."""
    await _serve(world, "v2", "Canary")
    await world.edit(lambda spec: spec["strategy"].update(steps=[CANARY | {"name": "ten"}, FULL]))
    await world.run(10)
    await world.until(healthy("v2"))


async def gates_edited(world: World) -> None:
    """The gates change in a canary and in the soak."""
    for at, most in (("Canary", "6"), ("Full", "7")):
        await _serve(world, "v2", at)
        gates = [VIOLATIONS | {"limit": {"maxPercent": most}}]
        await world.edit(lambda spec, gates=gates: spec["analysis"].update(gates=gates))  # type: ignore[misc]
        await world.run(10)
    await world.until(healthy("v2"))


async def split_wrongly(world: World) -> None:
    """The gateway sends the candidate more than its share for a while."""
    world.rate = 20
    world.gateway_weighs = {"v2": 3}
    canary = {**CANARY, "minDurationSeconds": 1200}
    await world.edit(lambda spec: spec["strategy"].update(steps=[canary, FULL]))
    await _serve(world, "v2", "Stalled")
    world.gateway_weighs = {}
    await world.until(healthy("v2"))


async def template_changed(world: World) -> None:
    """The same version in other pods."""
    await world.apply(template("example.com/agent:2"))
    await world.run(10)
    await world.until(healthy("v1"))


async def content_changed(world: World) -> None:
    """Somebody swaps the candidate."""
    await _serve(world, "v2", "Canary")
    await world.apply(agent_version("v2", parameters={"temperature": 2}))
    await world.until(phase("Reverted"))


async def paused(world: World) -> None:
    """By a person, for a while."""
    await _serve(world, "v2", "Canary")
    await world.edit(lambda spec: spec.update(paused=True))
    await world.run(300)
    await world.edit(lambda spec: spec.update(paused=False))
    await world.until(healthy("v2"))


async def silent(world: World) -> None:
    """Nothing is known for an hour."""
    await _serve(world, "v2", "Canary")
    world.scraping = False
    await world.run(3600, stride=60)


async def never_available(world: World) -> None:
    """Pods that do not come up, and then a version whose do."""
    world.behaviour["v2"] = Behaviour(ready=False)
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.run(1200, stride=30)
    await _serve(world, "v3", "Canary")


async def status_lost(world: World) -> None:
    """The Rollout is created again under the same name."""
    await promoted(world)
    gone = (await world.rollout()).metadata
    for kind in ("Rollout", "HTTPRoute", "Deployment", "Service", "ConfigMap"):
        for manifest in await world.objects.list(kind):
            meta = manifest["metadata"]
            owners = {owner["uid"] for owner in meta.get("ownerReferences", ())}
            if gone.uid in owners | {meta["uid"]}:
                await world.objects.delete(kind, meta["namespace"], meta["name"], meta["uid"])
    await world.apply(rollout("v2"))
    await world.until(healthy("v2"))
    await _serve(world, "v3", "Canary")


STORIES = (
    (promoted, Cause.SOAK_PASSED),
    (reverted_in_the_canary, Cause.GATE_FAILED),
    (reverted_in_the_soak, Cause.GATE_FAILED),
    (superseded, Cause.SUPERSEDED),
    (queued, Cause.SOAK_PASSED),
    (rolled_back, Cause.ROLLED_BACK),
    (gone_back, Cause.FAST_PATH_STARTED),
    (strategy_edited, Cause.STRATEGY_CHANGED),
    (gates_edited, Cause.GATES_CHANGED),
    (split_wrongly, Cause.SAMPLE_RATIO_RESTORED),
    (template_changed, Cause.TEMPLATE_CHANGED),
    (content_changed, Cause.CONTENT_CHANGED),
    (paused, Cause.SOAK_PASSED),
    (silent, Cause.BLIND),
    (never_available, Cause.PROGRESS_DEADLINE),
    (status_lost, Cause.STEP_STARTED),
)
"""Each with a cause that shows that it happened."""


@pytest.mark.parametrize(("story", "cause"), STORIES, ids=[story.__name__ for story, _ in STORIES])
async def test_the_operators_writes_are_accepted(api: Api, story: Story, cause: Cause) -> None:
    written: list[Manifest] = []
    world = World()
    world.objects.listeners.append(lambda event, manifest: _keep(written, event, manifest))
    await world.apply(template(), agent_version("v1"), rollout("v1"))
    await world.until(healthy("v1"))
    await story(world)
    assert cause in {manifest["status"]["attempt"]["reason"] for manifest in written if _move(manifest)}
    assert _written_again(api, written) == len({_move(manifest) for manifest in written} - {None})


def _keep(written: list[Manifest], event: str, manifest: Manifest) -> None:
    if manifest["kind"] == "Rollout" and event != "DELETED":
        written.append(manifest)


def _move(manifest: Manifest) -> tuple[str, int, int] | None:
    attempt = (manifest.get("status") or {}).get("attempt")
    return (manifest["metadata"]["uid"], attempt["number"], attempt["seq"]) if attempt else None


def _written_again(api: Api, written: list[Manifest]) -> int:
    """How many moves of attempts the API server has stored; it must refuse nothing."""
    operator, stored, life = api.as_operator(), Manifest(), ""
    moves = set()
    for manifest in written:
        status = manifest.get("status") or {}
        if manifest["metadata"]["uid"] != life:
            life = manifest["metadata"]["uid"]
            api.delete("Rollout", "triage")
            named = {"name": "triage", "namespace": api.namespace}
            stored = _accepted(api.create({**manifest, "metadata": named, "status": {}}))
        elif manifest["spec"] != stored["spec"]:
            stored = _accepted(api.replace({**stored, "spec": manifest["spec"]}))
        if status.get("conditions"):
            stored = _accepted(operator.replace({**stored, "status": status}, sub="status"))
            moves.add(_move(manifest))
    return len(moves - {None})


def _accepted(answer: Answer) -> Manifest:
    assert answer.ok, answer.message
    return answer.body

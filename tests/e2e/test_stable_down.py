"""Story 19: with the stable version down, only a safety gate takes live traffic off the candidate.

All pods of the node stay where they are while it takes no new ones, so this story waits for the others.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.e2e import manifests
from tests.e2e.clients import Clients, versions
from tests.e2e.given import V1, questions, release, v1_serves
from tests.e2e.manifests import Manifest
from tests.e2e.place import GATEWAY_LAG, Place, Stage, condition, weights
from tests.e2e.watch import Sight

ALONE = True
V4 = "triage-v4"
# As in the story of the good candidate: taken back by chance at most once in 10,000 runs.
FALSE_REVERT_PERCENT = "0.01"


@dataclass(frozen=True, slots=True)
class Told:
    """What happened. `blocked`: the status while a wish could not be followed; `since`: when that was."""

    clients: Clients
    since: float
    blocked: Manifest
    status: Manifest
    release: Manifest
    routes: list[Sight]
    account: str


async def tell(stage: Stage) -> Told:
    """v1's pods are gone; v1 is wanted back, in vain; then v4 breaks rules, and that is worse than errors."""
    async with stage.place("outage") as place:
        rollout = await v1_serves(
            place,
            steps=manifests.endless(50),
            gates=[manifests.SUCCESS_COMPARED, manifests.VIOLATIONS_LIMIT],
            false_revert_percent=FALSE_REVERT_PERCENT,
        )
        await asyncio.sleep(GATEWAY_LAG)
        place.clients.start(questions(place, seed=26, irrelevant_share=0))
        await release(place, rollout, manifests.version(V4, place.namespace))
        await place.until(lambda: place.is_running("canary-50"), "the canary begins")
        await _node(stage, "cordon")
        try:
            await _lose_pods(place, place.status["stable"]["workload"])
            await place.apply(rollout)
            since = await place.until(lambda: _is_blocked(place), "the way back is blocked")
            blocked = place.status
            await asyncio.sleep(GATEWAY_LAG)
            await place.clients.stop()
            place.clients.start(questions(place, seed=27, irrelevant_share=1))
            await place.until(lambda: place.attempt.get("stage") == "Reverting", "safety takes it off")
        finally:
            await _node(stage, "uncordon")
        await place.until(lambda: place.is_healthy(V1), "v1 is up again and serves")
        await place.clients.stop()
        return Told(
            clients=place.clients,
            since=since,
            blocked=blocked,
            status=place.status,
            release=place.release(2),
            routes=place.routes.history,
            account=await place.describe(),
        )


async def _node(stage: Stage, verb: str) -> None:
    await asyncio.to_thread(stage.cluster.kubectl, verb, "-l", "kubernetes.io/hostname")


async def _lose_pods(place: Place, workload: str) -> None:
    """Returns when they are gone; the node takes no others."""
    kubectl, which = place.stage.cluster.kubectl, f"interlock.dev/workload={workload}"
    await asyncio.to_thread(kubectl, "-n", place.namespace, "delete", "pod", "-l", which, "--wait=true")


def _is_blocked(place: Place) -> bool:
    return condition(place.status, "RevertBlocked") == ("True", "StableUnavailable")


def test_what_was_wanted_is_held_and_says_so(told: Told) -> None:
    assert (told.blocked["attempt"]["stage"], told.blocked["attempt"]["stepIndex"]) == ("Running", 0)
    assert told.blocked["traffic"]["candidatePercent"] == 50
    [said] = [c for c in told.blocked["conditions"] if c["type"] == "RevertBlocked"]
    assert "triage-v1 again" in said["message"]
    assert "no ready endpoint" in said["message"]
    assert condition(told.blocked, "RollbackReady") == ("False", "StableUnavailable")


def test_the_candidate_serves_on_meanwhile(told: Told) -> None:
    answers = told.clients.between(told.since, told.since + GATEWAY_LAG)
    assert versions(answers).get(V4, 0) >= 1


def test_harm_takes_it_off_all_the_same(told: Told) -> None:
    walked = [(e["stage"], e["reason"], e["candidatePercent"]) for e in told.release["entries"]]
    assert walked == [
        ("Preparing", "AttemptStarted", 0),
        ("Running", "StepStarted", 50),
        ("Reverting", "GateFailed", 0),
        ("Done", "GateFailed", 0),
    ]
    zero = [sight for sight in told.routes if weights(sight.manifest) == [100, 0]]
    assert zero, "weight 0 is written while stable is down"


def test_v1_serves_once_it_is_up(told: Told) -> None:
    assert told.status["stable"]["version"] == V1
    assert condition(told.status, "RevertBlocked") == ("", "")
    assert [item["version"] for item in told.status["quarantine"]] == [V4]

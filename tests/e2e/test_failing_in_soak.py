"""Story 17: a version that turns bad when it has all traffic: the old one is still warm and takes over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.e2e import manifests
from tests.e2e.clients import Clients, versions
from tests.e2e.given import V1, questions, release, v1_serves
from tests.e2e.manifests import Manifest
from tests.e2e.measured import Measured
from tests.e2e.place import GATEWAY_LAG, Stage, condition, entry, seconds
from tests.e2e.watch import Sight

V3 = "triage-v3"
STEPS = [manifests.canary(50, seconds=3, tasks=20), manifests.full(soak=3600)]


@dataclass(frozen=True, slots=True)
class Told:
    """What happened. `soaking`: when v3 was known to have all the traffic, unix seconds."""

    clients: Clients
    soaking: float
    status: Manifest
    release: Manifest
    clones: list[Sight]
    account: str


async def tell(stage: Stage) -> Told:
    """v3 does well until it soaks; then come the questions on which it must not act, and it acts."""
    # Nothing here is left to chance: v3 acts on every question.
    async with stage.place("soaking") as place:
        rollout = await v1_serves(
            place, steps=STEPS, gates=[manifests.VIOLATIONS_LIMIT], replicas=2, false_revert_percent="1"
        )
        await asyncio.sleep(GATEWAY_LAG)
        place.clients.start(questions(place, seed=18, irrelevant_share=0))
        await release(place, rollout, manifests.version(V3, place.namespace))
        soaking = await place.until(lambda: place.is_running("full"), "v3 has all the traffic")
        await asyncio.sleep(GATEWAY_LAG + 2)
        await place.clients.stop()
        place.clients.start(questions(place, seed=19, irrelevant_share=1))
        await place.until(lambda: place.status.get("phase") == "Reverted", "v3 is taken back")
        await asyncio.sleep(GATEWAY_LAG + 3)
        await place.clients.stop()
        return Told(
            clients=place.clients,
            soaking=soaking,
            status=place.status,
            release=place.release(2),
            clones=place.clones.history,
            account=await place.describe(),
        )


def test_all_clients_are_with_it_while_it_soaks(told: Told) -> None:
    decided = seconds(entry(told.release, stage="Reverting")["time"])
    answers = told.clients.between(told.soaking + GATEWAY_LAG, decided)
    assert versions(answers).keys() == {V3}
    assert len(answers) >= 20


def test_all_clients_are_with_v1_again_after_it(told: Told, measured: Measured) -> None:
    decided = seconds(entry(told.release, stage="Reverting")["time"])
    stopped = seconds(entry(told.release, stage="Done")["time"])
    last = max(answer.begun for answer in told.clients.answered_by(V3))
    measured(
        f"failing in soak: the last request that it answered began {last - decided:+.2f} s from the decision"
    )
    after = told.clients.between(stopped + GATEWAY_LAG, float("inf"))
    assert versions(after).keys() == {V1}
    assert len(after) >= 20


def test_not_one_request_fails(told: Told) -> None:
    assert not told.clients.failures
    assert not told.clients.failed


def test_v1_was_warm_all_the_time(told: Told) -> None:
    workload = told.status["stable"]["workload"]
    sizes = [
        sight.manifest["status"].get("availableReplicas", 0)
        for sight in told.clones
        if sight.manifest["metadata"]["name"] == workload and sight.at >= told.soaking
    ]
    assert set(sizes) <= {2}
    assert not any(sight.gone for sight in told.clones if sight.manifest["metadata"]["name"] == workload)


def test_it_is_reverted_from_its_soak(told: Told) -> None:
    walked = [(e["stage"], e["reason"], e["candidatePercent"]) for e in told.release["entries"]]
    assert walked == [
        ("Preparing", "AttemptStarted", 0),
        ("Running", "StepStarted", 50),
        ("Soaking", "SoakStarted", 100),
        ("Reverting", "GateFailed", 0),
        ("Done", "GateFailed", 0),
    ]
    assert told.release["entries"][-1]["outcome"] == "Reverted"
    assert condition(told.status, "Stalled") == ("True", "Reverted")

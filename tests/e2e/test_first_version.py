"""Story 1: the first version is compared with nothing and serves as soon as it can."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.e2e import manifests
from tests.e2e.clients import Answer, Failure, versions
from tests.e2e.given import V1, questions, v1_serves
from tests.e2e.manifests import Manifest
from tests.e2e.measured import Measured
from tests.e2e.place import GATEWAY_LAG, Place, Stage, seconds


@dataclass(frozen=True, slots=True)
class Told:
    """What happened."""

    healthy: float
    answers: list[Answer]
    failures: list[Failure]
    release: Manifest
    status: Manifest
    account: str


async def tell(stage: Stage) -> Told:
    """Clients ask from before there is anything to answer them."""
    async with stage.place("first") as place:
        place.clients.start(questions(place, seed=11))
        healthy = await _first_healthy(place)
        await asyncio.sleep(GATEWAY_LAG + 5)
        await place.clients.stop()
        return Told(
            healthy=healthy,
            answers=place.clients.answers,
            failures=place.clients.failures,
            release=place.release(1),
            status=place.status,
            account=await place.describe(),
        )


async def _first_healthy(place: Place) -> float:
    steps = [manifests.shadow(50, 60, 1), *manifests.endless(10)]
    await v1_serves(place, steps=steps, gates=[manifests.VIOLATIONS_LIMIT])
    return next(
        s.at for s in place.rollouts.history if s.manifest.get("status", {}).get("phase") == "Healthy"
    )


def test_nobody_else_ever_answers(told: Told) -> None:
    assert set(versions(told.answers)) == {V1}


def test_every_request_is_answered_once_it_is_healthy(told: Told, measured: Measured) -> None:
    late = [failure for failure in told.failures if failure.begun > told.healthy + GATEWAY_LAG]
    assert not late
    after = [answer for answer in told.answers if answer.begun > told.healthy + GATEWAY_LAG]
    assert len(after) >= 50
    last = max((failure.begun for failure in told.failures), default=told.healthy)
    measured(f"first version: last request without an answer {last - told.healthy:+.2f} s from Healthy")


def test_it_walks_no_steps(told: Told) -> None:
    walked = [(entry["stage"], entry["reason"], entry.get("outcome")) for entry in told.release["entries"]]
    assert walked == [
        ("Preparing", "AttemptStarted", None),
        ("Done", "FirstVersionServing", "Promoted"),
    ]
    assert "stable" not in told.release["header"]


def test_nothing_is_analysed(told: Told) -> None:
    assert not told.status.get("gates")
    assert not told.status["attempt"].get("stepTimes")
    assert seconds(told.status["stable"]["since"]) <= told.healthy

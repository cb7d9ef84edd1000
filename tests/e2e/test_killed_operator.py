"""Story 13 with the operator killed in the canary: what it missed takes the candidate back once it is back.

All stories share one operator, so this one waits until the others are told.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

from tests.e2e import manifests
from tests.e2e.clients import Clients, versions
from tests.e2e.given import V1, questions, release, v1_serves
from tests.e2e.manifests import Manifest
from tests.e2e.measured import Measured
from tests.e2e.place import GATEWAY_LAG, Place, Stage, condition, entry, seconds

ALONE = True
V3 = "triage-v3"
GOOD, BAD = 15, 40
"""Answers of v3 before the operator is killed, none of which violates, and after that, all of which do."""
SHARE = 20
SCRAPES = 3.0
"""Seconds in which Prometheus has seen what pods counted last: three scrapes."""


@dataclass(frozen=True, slots=True)
class Told:
    """What happened. Times in unix seconds; `asked`: v3's answers while anybody asked."""

    clients: Clients
    killed: float
    restarted: float
    asked: int
    attempt_when_killed: Manifest
    verdict_when_killed: str
    status: Manifest
    releases: list[Manifest]
    account: str


async def tell(stage: Stage) -> Told:
    """v3 does well until the operator is killed and badly afterwards. When it starts again nobody asks
    anything any more: only what Prometheus kept can tell."""
    async with stage.place("killed") as place:
        rollout = await v1_serves(place, steps=manifests.endless(SHARE), gates=[manifests.VIOLATIONS_LIMIT])
        await asyncio.sleep(GATEWAY_LAG)
        # only questions that have an answer: acting on them breaks no rule
        place.clients.start(questions(place, seed=15, irrelevant_share=0))
        await release(place, rollout, manifests.version(V3, place.namespace))
        await place.until(lambda: place.is_running(f"canary-{SHARE}"), "the canary begins")
        await _answered_by_v3(place, GOOD)
        await place.until(lambda: place.gate("violations").get("verdict") == "Pass", "its gate passes")
        await place.clients.stop()
        await stage.operator.kill()
        killed, attempt, verdict = time.time(), place.attempt, place.gate("violations")["verdict"]
        try:
            # only questions that have none: v3 acts on each
            place.clients.start(questions(place, seed=16, irrelevant_share=1))
            await _answered_by_v3(place, len(place.clients.answered_by(V3)) + BAD)
            await place.clients.stop()
            asked = len(place.clients.answered_by(V3))
            await asyncio.sleep(SCRAPES)
        finally:
            await stage.operator.start()
        restarted = time.time()
        await place.until(lambda: place.status.get("phase") == "Reverted", "v3 is taken back")
        await asyncio.sleep(GATEWAY_LAG)
        place.clients.start(questions(place, seed=17))
        await asyncio.sleep(5)
        await place.clients.stop()
        return Told(
            clients=place.clients,
            killed=killed,
            restarted=restarted,
            asked=asked,
            attempt_when_killed=attempt,
            verdict_when_killed=verdict,
            status=place.status,
            releases=[place.release(number) for number in range(1, len(place.releases.present) + 1)],
            account=await place.describe(),
        )


async def _answered_by_v3(place: Place, count: int) -> None:
    await place.until(lambda: len(place.clients.answered_by(V3)) >= count, f"v3 answers {count} times")


def test_it_is_in_the_middle_of_the_canary_when_the_operator_dies(told: Told) -> None:
    assert told.attempt_when_killed["stage"] == "Running"
    assert told.verdict_when_killed == "Pass"
    assert told.clients.answered_by(V3)[-1].begun > told.killed


def test_the_candidate_is_taken_back_by_what_prometheus_kept(told: Told, measured: Measured) -> None:
    decision = entry(told.releases[1], stage="Reverting")
    decided = seconds(decision["time"])
    measured(f"killed operator: decision {decided - told.restarted:+.2f} s from its readiness")
    assert decision["reason"] == "GateFailed"
    assert decided > told.killed
    assert max(answer.begun for answer in told.clients.answered_by(V3)) < decided


def test_the_evidence_holds_every_answer_from_before_and_after_the_kill(told: Told) -> None:
    message = entry(told.releases[1], stage="Reverting")["message"]
    counted = re.search(r"\(n=(\d+)\)", message)
    assert counted is not None
    assert int(counted[1]) == told.asked


def test_the_record_has_no_gap_and_nothing_twice(told: Told) -> None:
    assert len(told.releases) == 2
    walked = [(e["seq"], e["stage"], e["reason"]) for e in told.releases[1]["entries"]]
    assert walked == [
        (1, "Preparing", "AttemptStarted"),
        (2, "Running", "StepStarted"),
        (3, "Reverting", "GateFailed"),
        (4, "Done", "GateFailed"),
    ]
    times = [seconds(e["time"]) for e in told.releases[1]["entries"]]
    assert times == sorted(times)


def test_the_rollout_stands_as_if_nothing_had_happened(told: Told) -> None:
    assert condition(told.status, "Stalled") == ("True", "Reverted")
    assert told.status["stable"]["version"] == V1
    assert len(told.status["quarantine"]) == 1


def test_clients_lose_nothing_and_are_answered_by_v1_in_the_end(told: Told) -> None:
    assert not told.clients.failures
    stopped = seconds(entry(told.releases[1], stage="Done")["time"])
    after = told.clients.between(stopped + GATEWAY_LAG, float("inf"))
    assert versions(after).keys() == {V1}
    assert len(after) >= 50

"""Story 21: while Prometheus is away nothing moves; when it is back, without its history, the walk goes on.

Away for longer than `revertAfterSeconds` it takes the candidate off: here one on the fast path.

All stories share one Prometheus, so this one waits until the others are told.
"""

from __future__ import annotations

import asyncio
import copy
import time
from dataclasses import dataclass

from tests.e2e import manifests
from tests.e2e.clients import Clients, versions
from tests.e2e.given import V1, questions, release, v1_serves
from tests.e2e.manifests import Manifest
from tests.e2e.measured import Measured
from tests.e2e.odds import is_plausible
from tests.e2e.place import GATEWAY_LAG, Place, Stage, condition, entry, seconds

ALONE = True
V4 = "triage-v4"
STEP = 8
STEPS = [manifests.canary(50, seconds=STEP, tasks=20), manifests.full(soak=3)]
REVERT_AFTER = 15
AWAY = 20.0
"""Seconds without Prometheus: beyond the end of the step, and beyond the freshness of 10 s that data need."""
# As in the story of the good candidate: taken back by chance at most once in 10,000 runs.
FALSE_REVERT_PERCENT = "0.01"


@dataclass(frozen=True, slots=True)
class Told:
    """What happened, times in unix seconds. `held`: the status when it had been away for AWAY seconds."""

    clients: Clients
    away: float
    held_at: float
    held: Manifest
    release: Manifest
    blind: Manifest
    blinded: Manifest
    account: str


async def tell(stage: Stage) -> Told:
    """v4 comes into its canary; Prometheus goes, stays away, and comes back empty."""
    async with stage.place("silent") as place:
        rollout = await v1_serves(
            place,
            steps=STEPS,
            gates=[manifests.SUCCESS_COMPARED, manifests.VIOLATIONS_LIMIT],
            false_revert_percent=FALSE_REVERT_PERCENT,
            no_data={"holdAfterSeconds": 10},
        )
        await asyncio.sleep(GATEWAY_LAG)
        place.clients.start(questions(place, seed=20))
        await release(place, rollout, manifests.version(V4, place.namespace))
        await place.until(lambda: place.is_running("canary-50"), "the canary begins")
        await _scale(place, 0)
        away = time.time()
        try:
            await place.until(lambda: _is_held(place) and time.time() >= away + AWAY, "it is held")
            held_at, held = time.time(), place.status
        finally:
            await _scale(place, 1)
        await place.until(lambda: place.is_healthy(V4), "v4 is promoted")
        blind = await _without_end(place, rollout)
        await asyncio.sleep(GATEWAY_LAG + 2)
        await place.clients.stop()
        return Told(
            clients=place.clients,
            away=away,
            held_at=held_at,
            held=held,
            release=place.release(2),
            blind=blind,
            blinded=place.release(3),
            account=await place.describe(),
        )


async def _without_end(place: Place, rollout: Manifest) -> Manifest:
    """v1, which was promoted before, is wanted again; in its soak Prometheus goes for good."""
    changed = copy.deepcopy(rollout)
    changed["spec"]["strategy"]["steps"] = [STEPS[0], manifests.full(soak=3600)]
    changed["spec"]["analysis"]["noData"] = {"holdAfterSeconds": 5, "revertAfterSeconds": REVERT_AFTER}
    await place.apply(changed)
    await place.until(lambda: place.is_running("full"), "v1 soaks at once")
    await _scale(place, 0)
    try:
        await place.until(lambda: place.status.get("phase") == "Reverted", "it is taken off, unseen")
        return place.status
    finally:
        await _scale(place, 1)


async def _scale(place: Place, replicas: int) -> None:
    """Returns when the pods of Prometheus are as many."""
    kubectl = place.stage.cluster.kubectl
    await asyncio.to_thread(
        kubectl, "-n", "monitoring", "scale", "deployment/prometheus", f"--replicas={replicas}"
    )
    gone = ["delete", "pod", "-l", "app=prometheus", "--wait=true", "--grace-period=1"]
    there = ["rollout", "status", "deployment/prometheus", "--timeout=120s"]
    wait = there if replicas else gone
    await asyncio.to_thread(kubectl, "-n", "monitoring", *wait)


def _is_held(place: Place) -> bool:
    return condition(place.status, "MetricsAvailable") == ("False", "MetricsUnavailable")


def test_it_is_held_in_its_canary_while_prometheus_is_away(told: Told) -> None:
    attempt = told.held["attempt"]
    assert (attempt["stage"], attempt["stepIndex"]) == ("Running", 0)
    assert told.held_at >= seconds(attempt["stepStartedTime"]) + STEP
    assert condition(told.held, "Ready") == ("False", "MetricsUnavailable")


# Binomial at the most, as in the story of the good candidate: outside by chance with at most 2e-6.
def test_clients_see_the_share_of_the_canary_all_the_time(told: Told, measured: Measured) -> None:
    answers = told.clients.between(told.away, told.held_at)
    seen = versions(answers).get(V4, 0)
    measured(
        f"silent Prometheus: held for {told.held_at - told.away:.0f} s, clients saw {seen}/{len(answers)}"
    )
    assert len(answers) >= 200
    assert is_plausible(seen, len(answers), 0.5)


def test_the_walk_goes_on_when_it_is_back(told: Told) -> None:
    walked = [(e["stage"], e["reason"]) for e in told.release["entries"]]
    assert walked == [
        ("Preparing", "AttemptStarted"),
        ("Running", "StepStarted"),
        ("Soaking", "SoakStarted"),
        ("Done", "SoakPassed"),
    ]
    assert seconds(entry(told.release, stage="Soaking")["time"]) > told.held_at


def test_no_client_loses_a_request(told: Told) -> None:
    assert not told.clients.failures
    assert versions(told.clients.answers).keys() == {V1, V4}


def test_away_for_too_long_the_candidate_is_taken_off_and_not_quarantined(told: Told) -> None:
    walked = [(e["stage"], e["reason"]) for e in told.blinded["entries"]]
    assert walked == [
        ("Preparing", "FastPathStarted"),
        ("Soaking", "SoakStarted"),
        ("Reverting", "Blind"),
        ("Done", "Blind"),
    ]
    assert told.blind["stable"]["version"] == V4
    assert not told.blind.get("quarantine")
    assert condition(told.blind, "Stalled") == ("True", "Reverted")

"""Story 23: a candidate that gets nothing while stable does is taken off; no traffic at all is waited out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from tests.e2e import manifests
from tests.e2e.clients import Clients, versions
from tests.e2e.given import V1, questions, release, v1_serves
from tests.e2e.manifests import Manifest
from tests.e2e.measured import Measured
from tests.e2e.place import GATEWAY_LAG, Place, Stage, condition, entry, seconds

V4 = "triage-v4"
STEPS = [manifests.canary(50, seconds=8, tasks=20), manifests.full(soak=3)]
HOLD, REVERT = 6, 15
# As in the story of the good candidate: taken back by chance at most once in 10,000 runs.
FALSE_REVERT_PERCENT = "0.01"


@dataclass(frozen=True, slots=True)
class Told:
    """What happened. `held`, `starved`, `idle`: the status at those moments."""

    clients: Clients
    held: Manifest
    starved: Manifest
    idle: Manifest
    idle_for: float
    releases: list[Manifest]
    account: str


async def tell(stage: Stage) -> Told:
    """Somebody's route sends the requests past the weights; then nobody asks at all; then all is well."""
    async with stage.place("starving") as place:
        rollout = await v1_serves(
            place,
            steps=STEPS,
            gates=[manifests.SUCCESS_COMPARED, manifests.VIOLATIONS_LIMIT],
            false_revert_percent=FALSE_REVERT_PERCENT,
            no_data={"holdAfterSeconds": HOLD, "revertAfterSeconds": REVERT},
        )
        await asyncio.sleep(GATEWAY_LAG)
        bypass = _bypass(place)
        await place.apply(bypass)
        place.clients.start(questions(place, seed=23))
        await release(place, rollout, manifests.version(V4, place.namespace))
        await place.until(lambda: _is_held(place), "it is held for want of tasks")
        held = place.status
        await place.until(lambda: place.status.get("phase") == "Reverted", "it is taken off")
        starved = place.status
        await place.clients.stop()
        await _removed(place, bypass)

        await place.apply(rollout)
        await place.until(lambda: place.is_healthy(V1), "v1 is wanted again")
        await release(place, rollout, manifests.version(V4, place.namespace))
        await place.until(lambda: place.is_running("canary-50"), "v4 is tried once more")
        begun = time.time()
        await place.until(lambda: time.time() >= begun + 2 * REVERT, "a time without any traffic")
        idle, idle_for = place.status, time.time() - begun
        place.clients.start(questions(place, seed=24))
        await place.until(lambda: place.is_healthy(V4), "v4 is promoted once people ask")
        await place.until(lambda: _is_done(place, 3), "its record is complete")
        await place.clients.stop()
        return Told(
            clients=place.clients,
            held=held,
            starved=starved,
            idle=idle,
            idle_for=idle_for,
            releases=[place.release(number) for number in (2, 3)],
            account=await place.describe(),
        )


def _bypass(place: Place) -> Manifest:
    """A user's own route, for one exact path, to the Service of the version that serves."""
    backend = {"name": place.status["stable"]["workload"], "port": 8080}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "bypass", "namespace": place.namespace},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "http"}],
            "hostnames": [place.host],
            "rules": [
                {
                    "matches": [{"path": {"type": "Exact", "value": "/triage"}}],
                    "backendRefs": [backend],
                }
            ],
        },
    }


async def _removed(place: Place, manifest: Manifest) -> None:
    kubectl, name = place.stage.cluster.kubectl, manifest["metadata"]["name"]
    await asyncio.to_thread(kubectl, "-n", place.namespace, "delete", "httproute", name, "--wait=true")


def _is_done(place: Place, attempt: int) -> bool:
    return any(e["stage"] == "Done" for e in place.release(attempt).get("entries", ()))


def _is_held(place: Place) -> bool:
    return condition(place.status, "MetricsAvailable") == ("False", "MetricsUnavailable")


def test_a_starved_candidate_is_held_first(told: Told) -> None:
    attempt = told.held["attempt"]
    assert (attempt["stage"], attempt["stepIndex"], attempt["noData"]["kind"]) == ("Running", 0, "Starved")
    assert told.held["traffic"]["candidatePercent"] == 50
    [available] = [c for c in told.held["conditions"] if c["type"] == "MetricsAvailable"]
    assert "stable has had tasks and the candidate none" in available["message"]


def test_then_it_is_taken_off_and_not_quarantined(told: Told, measured: Measured) -> None:
    walked = [(e["stage"], e["reason"]) for e in told.releases[0]["entries"]]
    assert walked == [
        ("Preparing", "AttemptStarted"),
        ("Running", "StepStarted"),
        ("Reverting", "Starved"),
        ("Done", "Starved"),
    ]
    assert not told.starved.get("quarantine")
    assert condition(told.starved, "Stalled") == ("True", "Reverted")
    started = seconds(entry(told.releases[0], stage="Running")["time"])
    lasted = seconds(entry(told.releases[0], stage="Reverting")["time"]) - started
    measured(f"starved: taken off {lasted:.1f} s after its step began (revertAfterSeconds {REVERT})")
    assert lasted >= REVERT


def test_no_traffic_at_all_reverts_nothing_and_promotes_nothing(told: Told) -> None:
    attempt = told.idle["attempt"]
    assert told.idle_for >= 2 * REVERT
    assert (attempt["number"], attempt["stage"], attempt["stepIndex"]) == (3, "Running", 0)
    assert attempt["noData"]["kind"] == "Idle"
    assert "clockStoppedTime" in attempt


def test_it_is_promoted_once_there_is_traffic(told: Told) -> None:
    assert [(e["stage"], e["reason"]) for e in told.releases[1]["entries"]] == [
        ("Preparing", "AttemptStarted"),
        ("Running", "StepStarted"),
        ("Soaking", "SoakStarted"),
        ("Done", "SoakPassed"),
    ]
    assert versions(told.clients.answers).keys() == {V1, V4}
    assert not told.clients.failures

"""Story 13: a version that looks better by success and breaks the policy is taken back, and stays back."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from functools import partial

from tests.e2e import manifests
from tests.e2e.clients import Clients, versions
from tests.e2e.given import V1, questions, release, v1_serves
from tests.e2e.manifests import Manifest
from tests.e2e.measured import Measured
from tests.e2e.place import GATEWAY_LAG, Place, Stage, condition, entry, is_accepted, seconds

V3 = "triage-v3"
SYNCS = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What happened. `zero`: when the gateway was first seen to have accepted weight 0, unix seconds."""

    clients: Clients
    status: Manifest
    release: Manifest
    zero: float
    digest: str
    releases: dict[str, list[Manifest]]
    born_by_syncs: set[str]
    after_syncs: Manifest
    account: str


async def tell(stage: Stage) -> Told:
    """v1 serves under load; v3, which acts on everything, is tried in a canary; then Git is synced again."""
    # A quarter of v3's tasks violate, the limit is 10 %: each task gains .092 nats on average, e-value 40 is
    # reached after some 50 tasks. It is still there after the 1,400 tasks of PATIENCE with p < 1e-20.
    async with stage.place("acting") as place:
        rollout = await v1_serves(place, steps=manifests.endless(30), gates=[manifests.VIOLATIONS_LIMIT])
        await asyncio.sleep(GATEWAY_LAG)
        place.clients.start(questions(place, seed=13))
        tried = await release(place, rollout, manifests.version(V3, place.namespace))
        await place.until(lambda: place.status.get("phase") == "Reverted", "v3 is taken back")
        status = copy.deepcopy(place.status)
        stable = status["stable"]["workload"]
        await asyncio.sleep(GATEWAY_LAG + 3)
        await place.clients.stop()
        await place.until(lambda: set(place.clones.present) == {stable}, "v3's Deployment is gone")
        synced = await _sync_again(place, tried)
        return Told(
            clients=place.clients,
            status=status,
            release=place.release(2),
            zero=_zero_accepted(place),
            digest=place.release(2)["header"]["candidate"]["digest"],
            releases={name: r["entries"] for name, r in place.releases.present.items()},
            born_by_syncs=place.clones.born_after(synced) | place.releases.born_after(synced),
            after_syncs=place.status,
            account=await place.describe(),
        )


async def _sync_again(place: Place, rollout: Manifest) -> float:
    """The same manifest again, as a Git sync applies it; each time followed by an edit that the operator must
    answer, so that its pass is known to have been made. Returns when that began."""
    begun = await place.until(lambda: True, "")
    for count in range(1, SYNCS + 1):
        rollout, answered = copy.deepcopy(rollout), partial(_answered, place, count)
        rollout["metadata"]["annotations"] = {"example.com/synced": str(count)}
        await place.apply(rollout)
        rollout["spec"]["onRevert"] = {"drainDeadlineSeconds": 600 + count}
        await place.apply(rollout)
        await place.until(answered, "the operator answers an edit")
    return begun


def _answered(place: Place, count: int) -> bool:
    edited = place.rollout["spec"].get("onRevert", {}).get("drainDeadlineSeconds") == 600 + count
    return bool(edited and place.status["observedGeneration"] == place.rollout["metadata"]["generation"])


def _zero_accepted(place: Place) -> float:
    record = place.release(2)
    decided = seconds(entry(record, stage="Reverting")["time"])
    workload = record["header"]["candidate"]["workload"]
    return next(
        sight.at
        for sight in place.routes.history
        if sight.at >= decided and is_accepted(sight.manifest) and not _share(sight.manifest, workload)
    )


def _share(route: Manifest, workload: str) -> int:
    backends = [backend for rule in route["spec"]["rules"] for backend in rule["backendRefs"]]
    return sum(backend["weight"] for backend in backends if backend["name"] == workload)


# ------------------------------------------------------------------ what clients see
def test_nobody_is_answered_by_it_once_the_gateway_has_weight_zero(told: Told, measured: Measured) -> None:
    decided = seconds(entry(told.release, stage="Reverting")["time"])
    last = max(answer.begun for answer in told.clients.answered_by(V3))
    seen = len(told.clients.answered_by(V3))
    measured(
        f"always acting: taken back after {seen} of its answers; the last request that it answered began "
        f"{last - decided:+.2f} s from the decision, {last - told.zero:+.2f} s from accepted weight 0 "
        f"({told.zero - decided:.2f} s after the decision)"
    )
    assert last <= told.zero + GATEWAY_LAG


def test_clients_see_only_v1_afterwards(told: Told) -> None:
    after = told.clients.between(told.zero + GATEWAY_LAG, float("inf"))
    assert versions(after).keys() == {V1}
    assert len(after) >= 20


def test_not_one_request_fails(told: Told) -> None:
    assert not told.clients.failures
    assert not told.clients.failed


# ------------------------------------------------------------------ why, and what is said about it
def test_the_limit_gate_takes_it_back(told: Told) -> None:
    decision = entry(told.release, stage="Reverting")
    assert decision["reason"] == "GateFailed"
    assert decision["message"].startswith("violations: ")
    assert (decision["stablePercent"], decision["candidatePercent"]) == (100, 0)


def test_the_release_ends_as_reverted(told: Told) -> None:
    walked = [(e["seq"], e["stage"], e.get("outcome")) for e in told.release["entries"]]
    assert walked == [
        (1, "Preparing", None),
        (2, "Running", None),
        (3, "Reverting", None),
        (4, "Done", "Reverted"),
    ]


def test_the_rollout_says_that_a_person_must_act(told: Told) -> None:
    assert told.status["phase"] == "Reverted"
    assert condition(told.status, "Stalled") == ("True", "Reverted")
    assert condition(told.status, "Ready") == ("False", "Reverted")
    assert told.status["stable"]["version"] == V1


def test_its_content_is_quarantined(told: Told) -> None:
    assert [item["digest"] for item in told.status["quarantine"]] == [told.digest]


# ------------------------------------------------------------------ Git
def test_syncing_the_same_manifest_starts_nothing(told: Told) -> None:
    assert not told.born_by_syncs
    before, after = told.status["attempt"], told.after_syncs["attempt"]
    assert (after["number"], after["seq"]) == (before["number"], before["seq"])
    assert len(told.releases) == 2
    assert condition(told.after_syncs, "Stalled") == ("True", "Reverted")

"""What a gateway does with weights, on every implementation alike: the operator's word on a split holds."""

from __future__ import annotations

import asyncio
import time

from tests.e2e.measured import Measured
from tests.e2e.odds import is_plausible
from tests.e2e.traffic.asking import Answer, failures, servers
from tests.e2e.traffic.ground import CANDIDATE, PATIENCE, STABLE, Ground, split

CHANCE = 5e-7
"""Of each tail: a true split fails its test by chance at most once in a million runs."""
FLIPS = 10
SINCE_A_FLIP = 60
"""Requests that each flip is judged by."""


async def test_a_tenth_is_a_tenth(on: Ground, measured: Measured) -> None:
    route = on.route("tenth")
    await route.serves(split(100))
    await route.in_force(split(90, 10))
    answers = await on.asker.times(2000, route.host, route.page)
    seen = servers(answers)
    measured(f"{on.gateway.gateway_class}: of 2000 requests at 10 %, the candidate got {seen[CANDIDATE]}")
    assert not failures(answers)
    assert seen.keys() == {STABLE, CANDIDATE}
    assert is_plausible(seen[CANDIDATE], len(answers), 0.1, CHANCE)


async def test_nothing_goes_to_a_service_that_is_listed_with_weight_0(on: Ground) -> None:
    route = on.route("zero")
    await route.serves(split(0, 100))
    state = await route.in_force(split(100, 0))
    assert state.weights == {STABLE: 100, CANDIDATE: 0}
    # a leak of 1.4 % of the requests would stay unseen once in a million runs
    answers = await on.asker.times(1000, route.host, route.page)
    assert not failures(answers)
    assert servers(answers) == {STABLE: 1000}


async def test_a_flip_under_load_holds_after_acceptance_and_margin(on: Ground, measured: Measured) -> None:
    route = on.route("flip")
    await route.serves(split(100))
    late: list[float] = []
    async with on.asker.load(route.host, route.page) as answers:
        for number in range(FLIPS):
            old, new = (STABLE, CANDIDATE) if number % 2 == 0 else (CANDIDATE, STABLE)
            begun = time.monotonic()
            await route.in_force(split(100, 0) if new == STABLE else split(0, 100))
            since = await _since(answers, time.monotonic())
            assert servers(since) == {new: len(since)}
            late.append(max((a.begun - begun for a in answers if a.server == old), default=0.0))
    measured(
        f"{on.gateway.gateway_class}: last request on the old side {max(late) * 1000:.0f} ms after a flip"
    )
    assert not failures(answers)


async def _since(answers: list[Answer], moment: float) -> list[Answer]:
    """Answers to requests that began after a moment, once there are enough of them."""
    deadline = time.monotonic() + PATIENCE
    while len(found := [answer for answer in answers if answer.begun > moment]) < SINCE_A_FLIP:
        assert time.monotonic() < deadline, f"only {len(found)} requests were answered since the flip"
        await asyncio.sleep(0.05)
    return found


async def test_acceptance_is_of_the_generation_that_was_written(on: Ground) -> None:
    route = on.route("accepted")
    await route.serves(split(100))
    written = await route.write(split(70, 30))
    assert not written.accepted, "its status is still about the generation before"
    assert not written.problem
    state = await route.until(lambda seen: seen.accepted, "the new weights are accepted")
    generation = state.manifest["metadata"]["generation"]
    assert generation == written.manifest["metadata"]["generation"]
    (parent,) = state.manifest["status"]["parents"]
    assert parent["controllerName"] == on.able.controller
    told = {c["type"]: c["observedGeneration"] for c in parent["conditions"]}
    assert told["Accepted"] == told["ResolvedRefs"] == generation


async def test_a_route_to_a_missing_service_is_not_accepted(on: Ground) -> None:
    route = on.route("missing")
    await route.serves(split(100))
    await route.write(split(90, 10), candidate="nobody")
    state = await route.until(lambda seen: bool(seen.problem), "the missing Service is complained of")
    assert not state.accepted
    assert state.problem.startswith("BackendNotFound")
    state = await route.in_force(split(90, 10))
    assert state.problem == ""
    assert not failures(await on.asker.times(100, route.host, route.page))


async def test_agents_share_a_host_by_path(on: Ground) -> None:
    host = f"shared-{on.gateway.gateway_class}.traffic.test"
    blue, green = (on.route(name, host=host, path=f"/{name}") for name in ("blue", "green"))
    await blue.in_force(split(100), stable=STABLE, candidate="")
    await green.in_force(split(100), stable=CANDIDATE, candidate="")
    expected = {
        "/blue": STABLE,
        "/blue/deep/down": STABLE,
        "/green": CANDIDATE,
        "/green/?asked=yes": CANDIDATE,
    }
    for path, server in expected.items():
        answers = await on.asker.times(50, host, path)
        assert not failures(answers)
        assert servers(answers) == {server: 50}
    for path in ("/", "/bluebird", "/triage"):
        assert (await on.asker.once(host, path)).status == 404

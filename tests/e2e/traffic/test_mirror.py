"""What a gateway does with a mirror, and whether our word on it is true: what is not refused is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from interlock.core.gateways import refusal
from interlock.core.traffic import intended
from interlock.model.rollout import Step
from tests.e2e import manifests
from tests.e2e.measured import Measured
from tests.e2e.odds import is_plausible
from tests.e2e.traffic.asking import Answer, failures, servers
from tests.e2e.traffic.ground import CONTROL, PATIENCE, SHADOW, STABLE, Ground, service, split
from tests.e2e.traffic.test_weights import CHANCE

ASKED = 1000


def shadow_step(percent: int, *, control: bool = False) -> Step:
    """A step of a Rollout that mirrors, to stable's own shadow as well if asked for."""
    return Step.model_validate(manifests.shadow(percent, seconds=0, tasks=1, control=control))


async def received(on: Ground, path: str, least: int, who: str = SHADOW) -> int:
    """What a shadow got once that is `least`: mirrored requests may arrive after the answers are in."""
    deadline = time.monotonic() + PATIENCE
    while await on.received(who, path) < least:
        assert time.monotonic() < deadline, f"{who} got {await on.received(who, path)} of {path}"
        await asyncio.sleep(0.1)
    return await on.received(who, path)


async def test_every_request_is_mirrored_where_all_are_asked_for(on: Ground) -> None:
    step = shadow_step(100)
    assert refusal([step], on.able) == ""
    route = on.route("mirror-all")
    await route.serves(split(100))
    state = await route.in_force(intended(step))
    assert state.mirrors == {SHADOW: 100}
    answers = await on.asker.times(ASKED, route.host, route.page)
    assert not failures(answers)
    assert servers(answers) == {STABLE: ASKED}, "clients get no answer of the shadow"
    assert await received(on, route.page, ASKED) == ASKED


async def test_a_percentage_is_refused_or_kept(on: Ground, measured: Measured) -> None:
    step = shadow_step(20)
    refused = refusal([step], on.able)
    assert bool(refused) is not on.able.mirror_percent
    route = on.route("mirror-some")
    await route.serves(split(100))
    await route.in_force(intended(step))
    answers = await on.asker.times(ASKED, route.host, route.page)
    assert not failures(answers)
    if refused:
        assert await received(on, route.page, ASKED) == ASKED, "refused for what it would not have kept"
        return
    mirrored = await received(on, route.page, 1)
    measured(f"{on.gateway.gateway_class}: of {ASKED} requests at 20 %, the shadow got {mirrored}")
    assert is_plausible(mirrored, ASKED, 0.2, CHANCE)


async def test_either_mirror_gets_every_request_where_all_are_asked_for(on: Ground) -> None:
    step = shadow_step(100, control=True)
    assert refusal([step], on.able) == ""
    route = on.route("mirror-both")
    await route.serves(split(100))
    state = await route.in_force(intended(step))
    assert state.mirrors == {SHADOW: 100, CONTROL: 100}
    answers = await on.asker.times(ASKED, route.host, route.page)
    assert not failures(answers)
    assert servers(answers) == {STABLE: ASKED}, "clients get no answer of a shadow"
    assert await received(on, route.page, ASKED) == ASKED
    assert await received(on, route.page, ASKED, CONTROL) == ASKED
    await route.in_force(intended(shadow_step(100)))
    await on.asker.times(100, route.host, route.page)
    assert await received(on, route.page, ASKED + 100) == ASKED + 100
    assert await on.received(CONTROL, route.page) == ASKED, "it is mirrored to no longer"


async def test_either_mirror_gets_its_percentage_or_it_is_refused(on: Ground, measured: Measured) -> None:
    step = shadow_step(20, control=True)
    if refusal([step], on.able):
        assert not on.able.mirror_percent
        return
    route = on.route("mirror-some-to-both")
    await route.serves(split(100))
    await route.in_force(intended(step))
    answers = await on.asker.times(ASKED, route.host, route.page)
    assert not failures(answers)
    found = {who: await received(on, route.page, 1, who) for who in (SHADOW, CONTROL)}
    measured(f"{on.gateway.gateway_class}: of {ASKED} requests at 20 %, the shadows got {found}")
    assert all(is_plausible(count, ASKED, 0.2, CHANCE) for count in found.values())


async def test_a_shadow_without_pods_harms_nobody(on: Ground) -> None:
    """Its Service is there, and all of its pods have crashed."""
    await on.apply(service("hollow", STABLE), service("hollow-shadow", "nobody"))
    route = on.route("hollow")
    await route.serves(split(100), candidate="hollow")
    await route.in_force(split(100, shadow=100), candidate="hollow")
    answers = await on.asker.times(ASKED, route.host, route.page)
    assert not failures(answers)
    assert servers(answers) == {STABLE: ASKED}


async def test_a_mirror_that_goes_before_its_service_harms_nobody(on: Ground) -> None:
    await on.apply(service("leaving", STABLE), service("leaving-shadow", SHADOW))
    route = on.route("leaving")
    await route.serves(split(100), candidate="leaving")
    async with on.asker.load(route.host, route.page) as answers:
        await route.in_force(split(100, shadow=100), candidate="leaving")
        await received(on, route.page, 100)
        await route.in_force(split(100), candidate="leaving")
        without = await on.received(SHADOW, route.page)
        await on.delete("service", "leaving-shadow")
        gone = len(answers)
        await _more(answers, gone + 200)
    assert not failures(answers)
    assert servers(answers) == {STABLE: len(answers)}
    assert await on.received(SHADOW, route.page) == without


async def _more(answers: Sequence[Answer], wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(answers) < wanted:
        assert time.monotonic() < deadline, "the load is not answered"
        await asyncio.sleep(0.05)

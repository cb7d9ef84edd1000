"""Who is told only what is new gathers the very evidence of one who is told everything, each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from zlib import crc32

import pytest

from interlock.adapters.memory import MemoryMetrics, MemoryObjects
from interlock.adapters.prometheus.answers import Answer, Answers
from interlock.adapters.prometheus.metrics import dealt, span
from interlock.analysis.gates import EvidenceReport
from interlock.analysis.values import Evaluated
from interlock.core.observation import Unreadable
from interlock.operator.checkpoints import Checkpoints
from interlock.operator.evidence import Evidence
from interlock.ports import Evaluation, Metrics, Samples, Selection
from tests.adapters.prometheus.given import as_prometheus_writes, of_type
from tests.scenarios.given import phase, served
from tests.scenarios.objects import CRITICAL, FULL, SUCCESS, VIOLATIONS, agent_version
from tests.scenarios.surroundings import Behaviour
from tests.scenarios.world import World

EVERY = 3
"""A pod is scraped at one tick of so many, each at its own."""
LOOKS = 60
SLOW = {"name": "slow", "metric": "task-duration", "tail": {"aboveSeconds": "60", "worseByPoints": "0"}}
COST = {"name": "cost", "metric": "cost-per-task", "mean": {"worseByPercent": "20"}}
LONG = {"name": "canary", "canary": {"percent": 20}, "minDurationSeconds": 3600, "minTasks": 20}


class Staggered:
    """Prometheus scrapes each pod at a time of its own; what it tells is told whole."""

    def __init__(self, stored: MemoryMetrics) -> None:
        self._stored = stored
        self.told = 0

    async def read(self, selection: Selection) -> Samples | Unreadable:
        """As the port has it."""
        found = await self._stored.read(replace(selection, mark=0))
        if isinstance(found, Unreadable):
            return found
        kept = [
            one.at(tuple((at, float(value)) for at, value in one.points if _is_due(one.target[1], at)))
            for one in found.series
        ]
        whole = Samples(tuple(one for one in kept if one.points))
        self.told += len(whole.series)
        return whole

    async def evaluate(self, evaluation: Evaluation) -> Sequence[Evaluated] | Unreadable:
        """As the port has it."""
        return await self._stored.evaluate(evaluation)


def _is_due(pod: str, at: float) -> bool:
    return (crc32(pod.encode()) + round(at / 5)) % EVERY == 0


class ByMarks:
    """The same as Prometheus' answers, read and dealt as in life. Others ask about the agent in between."""

    def __init__(self, whole: Staggered, chance: Random) -> None:
        self._whole = whole
        self._chance = chance
        self._answers = Answers()
        self.told = 0

    async def read(self, selection: Selection) -> Samples | Unreadable:
        """As the port has it."""
        while self._chance.random() < 0.2:
            longer = selection.window * self._chance.choice([0.3, 1.0, 2.0])
            await self._answer(replace(selection, window=longer))
        _, moment = span([selection])
        answer = await self._answer(selection)
        if isinstance(answer, Unreadable):
            return answer
        (found,) = dealt(answer, [selection], moment)
        self.told += len(found.series)
        return found

    async def _answer(self, selection: Selection) -> Answer | Unreadable:
        whole = await self._whole.read(selection)
        if isinstance(whole, Unreadable):
            return whole
        result = [
            {"metric": dict(one.labels), "values": [[at, str(value)] for at, value in one.points]}
            for one in whole.series
        ]
        return self._answers.read(200, as_prometheus_writes(of_type("matrix", result)))

    async def evaluate(self, evaluation: Evaluation) -> Sequence[Evaluated] | Unreadable:
        """As the port has it."""
        return await self._whole.evaluate(evaluation)


class Twins:
    """Two that look at the same moments, and are restarted at the same moments."""

    def __init__(self, world: World, chance: Random) -> None:
        self._world = world
        self._stores = MemoryObjects(), MemoryObjects()
        self.whole = Staggered(world.metrics)
        self.by_marks = ByMarks(Staggered(world.metrics), chance)
        self.restart()

    def restart(self) -> None:
        """Two fresh processes, which have what was written down."""
        world = self._world
        sources: tuple[Metrics, Metrics] = (self.whole, self.by_marks)
        self.both = tuple(
            Evidence(source, world.settings.timing, self._moment, Checkpoints(store))
            for source, store in zip(sources, self._stores, strict=True)
        )

    def _moment(self) -> float:
        return self._world.now.timestamp()

    async def look(self) -> EvidenceReport | Unreadable | None:
        """They have come to the same, to the last bit: what they report, and what they would write down."""
        found, at = await self._world.rollout(), self._moment()
        for evidence in self.both:
            await evidence.look(found, at)
            await evidence.save(found)
        one, other = (evidence.report(found) for evidence in self.both)
        assert repr(one) == repr(other)
        states = [
            [watched.evidence.state() for watched in evidence._watched.values()] for evidence in self.both
        ]
        assert repr(states[0]) == repr(states[1])
        return one


async def canary(seed: int) -> World:
    """A long canary with gates of all kinds that count."""
    gates = [SUCCESS, VIOLATIONS, CRITICAL, SLOW, COST]
    world = await served(seed, strategy={"steps": [LONG, FULL]}, analysis={"gates": gates})
    for version in ("v1", "v2"):
        world.behaviour[version] = Behaviour(violation=0.02, slow=0.1, cost=0.02)
    await world.apply(agent_version("v2"))
    await world.serve_version("v2")
    await world.until(phase("Canary"))
    return world


def trouble(world: World, twins: Twins, chance: Random) -> None:
    """Something happens, or nothing."""
    pods = list(world.pods)
    world.metrics.broken = "connection refused" if chance.random() < 0.1 else None
    world.scraping = chance.random() < 0.9
    world.garbled = (
        ("v2", chance.choice([float("nan"), float("inf"), -1.0])) if chance.random() < 0.1 else None
    )
    match chance.randint(0, 25):
        case 0:
            twins.restart()
        case 1:
            world.restart_container(chance.choice(pods))
        case 2:
            world.replace_pod(chance.choice(pods))
        case 3:
            world.metrics.forget(world.now.timestamp() - chance.choice([20.0, 60.0]))
        case _:
            pass


@pytest.mark.parametrize("seed", range(6))
async def test_the_evidence_is_the_same_to_the_last_bit(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - a world, not a secret
    world = await canary(seed)
    twins = Twins(world, chance)
    reports = 0
    for look in range(LOOKS):
        trouble(world, twins, chance)
        await world.run(5)
        if look == LOOKS // 2:
            await world.edit(lambda spec: spec["analysis"]["gates"].pop(0))
        if chance.random() < 0.9:
            reports += isinstance(await twins.look(), EvidenceReport)
    assert reports > LOOKS / 2
    assert 0 < twins.by_marks.told < 0.8 * twins.whole.told

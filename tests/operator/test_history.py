"""Stable's last day: read once, beside the ticks, and unknown rather than waited for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from interlock.adapters.memory import MemoryMetrics
from interlock.analysis.past import Past, subject
from interlock.analysis.plan import Plan
from interlock.analysis.values import Evaluated
from interlock.core.observation import Unreadable
from interlock.core.plans import plan_of
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.operator import history
from interlock.operator.checkpoints import walk_of
from interlock.operator.history import TRIES, Histories
from interlock.ports import Evaluation, Samples, Selection
from tests.core.seen import TIMING, parsed, trying
from tests.scenarios.objects import SUCCESS, VIOLATIONS

SINCE = 1_767_261_730.0


@dataclass
class Slow:
    """Metrics that answer when they are let to."""

    behind: MemoryMetrics = field(default_factory=MemoryMetrics)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Selection] = field(default_factory=list)

    async def read(self, selection: Selection) -> Samples | Unreadable:
        self.asked.append(selection)
        await self.answers.wait()
        return await self.behind.read(selection)

    async def evaluate(self, evaluation: Evaluation) -> Sequence[Evaluated] | Unreadable:
        return await self.behind.evaluate(evaluation)


@dataclass
class Day:
    """An attempt that looks back, and what Prometheus holds of the day before it."""

    metrics: Slow = field(default_factory=Slow)
    rollout: Rollout = field(
        default_factory=lambda: (
            trying(Stage.RUNNING, 1, spec=parsed("v2", analysis={"gates": [SUCCESS, VIOLATIONS]})).rollout
        )
    )

    def __post_init__(self) -> None:
        self.histories = Histories(self.metrics)
        plan = plan_of(self.rollout, TIMING)
        assert plan is not None
        self.plan: Plan = plan
        self.about = subject(plan.gates[0])

    def worked(self, *, good: float, total: float) -> None:
        """Each five minutes one of stable's pods has so many verified tasks more."""
        meta, stable = self.rollout.metadata, self.rollout.status.stable
        assert stable is not None
        labels = {
            "__name__": "ai_agent_tasks_verified_total",
            "namespace": meta.namespace,
            "agent": self.rollout.spec.agent,
            "pod": f"{stable.workload}-1",
            "version": stable.version,
            "mode": "live",
            "verifier": "postcondition",
        }
        end = math.floor(SINCE / 300) * 300
        for look in range(289):
            done = {"pass": look * good, "fail": look * (total - good)}
            samples = [({**labels, "result": result}, count) for result, count in done.items()]
            self.metrics.behind.scrape(end - 86400 + 300 * look, samples)

    async def look(self) -> Past | None:
        attempt = self.rollout.status.attempt
        assert attempt is not None
        found = await self.histories.before(self.rollout, walk_of(self.rollout, attempt), self.plan, SINCE)
        return None if found is None else found[self.about]


@pytest.fixture(autouse=True)
def _no_time_to_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PATIENCE", 0.0)


async def settled(day: Day) -> Past | None:
    """The answer once the reader has had its turn."""
    for _ in range(20):
        await asyncio.sleep(0)
    return await day.look()


async def test_nobody_waits_for_a_slow_answer() -> None:
    day = Day()
    day.worked(good=90, total=100)
    assert await day.look() is None
    assert await settled(day) is None
    day.metrics.answers.set()
    found = await settled(day)
    assert found is not None
    assert found.rate == pytest.approx(0.9, abs=1e-4)
    assert (found.effect, found.unknown) == (1.0, "")


async def test_the_whole_day_is_asked_for_once_at_the_looks_it_is_told_by() -> None:
    day = Day()
    day.metrics.answers.set()
    await day.look()
    await settled(day)
    await settled(day)
    asked = day.metrics.asked
    assert len(asked) == 4
    assert {one.every for one in asked} == {300.0}
    ends = [one.at for one in asked]
    assert ends == sorted(ends)
    assert ends[-1] == math.floor(SINCE / 300) * 300
    assert asked[0].at - asked[0].window <= ends[-1] - 86400


async def test_what_cannot_be_read_is_unknown_after_some_tries_and_holds_nothing() -> None:
    day = Day()
    day.metrics.answers.set()
    day.metrics.behind.broken = "HTTP 503"
    await day.look()
    told = [await settled(day) for _ in range(TRIES + 1)]
    assert told[0] is None
    assert told[-1] == Past(unknown="the day before this attempt cannot be read: HTTP 503")
    assert len(day.metrics.asked) == TRIES


async def test_it_is_tried_again_before_that() -> None:
    day = Day()
    day.worked(good=50, total=100)
    day.metrics.answers.set()
    day.metrics.behind.broken = "HTTP 503"
    await day.look()
    assert await settled(day) is None
    day.metrics.behind.broken = None
    await settled(day)
    found = await settled(day)
    assert found is not None
    assert found.rate == pytest.approx(0.5, abs=1e-4)


async def test_without_samples_that_is_what_is_said() -> None:
    day = Day()
    day.metrics.answers.set()
    await day.look()
    assert await settled(day) == Past(unknown="stable has no outcomes in the day before this attempt")


async def test_a_rollout_that_is_gone_is_not_read_about_any_more() -> None:
    day = Day()
    await day.look()
    await asyncio.sleep(0)
    day.histories.forget(day.rollout.metadata.namespace, day.rollout.metadata.name)
    day.metrics.answers.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(day.metrics.asked) == 1

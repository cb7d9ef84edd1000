"""Alerts that already fire while an attempt is prepared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from interlock.adapters.memory import MemoryMetrics
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.operator.active import is_worth_reading
from interlock.operator.evidence import Evidence
from tests.core.seen import TIMING, parsed, trying
from tests.scenarios.objects import SUCCESS, Manifest

PAGE: Manifest = {"name": "page", "alert": {"matchLabels": {"interlock_action": "revert"}}}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


def prepared(*gates: Manifest, stage: Stage = Stage.PREPARING) -> Rollout:
    return trying(stage, spec=parsed("v2", analysis={"gates": list(gates)})).rollout


@dataclass
class Watch:
    """What Prometheus evaluates, and the operator that asks it; time passes where a test says so."""

    now: float = NOON
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.metrics, TIMING, lambda: self.now)

    def fires(self, at: float, **labels: str) -> None:
        known = {
            "__name__": "ALERTS",
            "alertname": "HighErrorRate",
            "alertstate": "firing",
            "namespace": "shop",
            "agent": "triage",
            "interlock_action": "revert",
        }
        self.metrics.scrape(at, [(known | labels, 1.0)])

    async def said(self, rollout: Rollout) -> str:
        await self.evidence.look(rollout)
        return self.evidence.firing(rollout)


async def test_what_fires_is_named_with_its_time() -> None:
    watch, rollout = Watch(), prepared(PAGE)
    for seconds in (0, 15, 30, 45, 300):
        watch.now = NOON + seconds
        watch.fires(watch.now)
        assert await watch.said(rollout) == "alert HighErrorRate fires since 12:00:00 UTC"


async def test_it_is_over_when_it_has_not_been_evaluated_for_long() -> None:
    watch, rollout = Watch(), prepared(PAGE)
    watch.fires(NOON)
    watch.now = NOON + 119
    assert await watch.said(rollout) != ""
    watch.now = NOON + 121
    assert await watch.said(rollout) == ""


@pytest.mark.parametrize(
    "labels",
    [
        {"version": "v1"},
        {"alertstate": "pending"},
        {"interlock_action": "page"},
        {"agent": "billing"},
        {"namespace": "elsewhere"},
    ],
)
async def test_what_does_not_mean_the_candidate_is_ignored(labels: dict[str, str]) -> None:
    watch = Watch()
    watch.fires(NOON, **labels)
    assert await watch.said(prepared(PAGE)) == ""


async def test_an_alert_about_the_candidate_counts() -> None:
    watch = Watch()
    watch.fires(NOON, version="v2")
    assert await watch.said(prepared(PAGE)) != ""


async def test_before_it_has_been_read_nothing_is_known() -> None:
    watch, rollout = Watch(), prepared(PAGE)
    assert watch.evidence.firing(rollout) == "alerts have not been read yet"
    watch.metrics.broken = "connection refused"
    assert await watch.said(rollout) == "alerts cannot be read: connection refused"
    watch.metrics.broken = None
    assert await watch.said(rollout) == ""


async def test_what_fired_goes_on_while_it_cannot_be_read() -> None:
    watch, rollout = Watch(), prepared(PAGE)
    watch.fires(NOON)
    await watch.said(rollout)
    watch.metrics.broken = "connection refused"
    watch.now += 600
    assert await watch.said(rollout) == "alert HighErrorRate fires since 12:00:00 UTC"


@pytest.mark.parametrize(
    "rollout", [prepared(SUCCESS), prepared(PAGE, stage=Stage.DONE), parsed("v1", analysis={"gates": [PAGE]})]
)
async def test_nothing_is_read_where_no_alert_is_asked_for(rollout: Rollout) -> None:
    watch = Watch()
    watch.fires(NOON)
    assert await watch.said(rollout) == ""
    assert watch.metrics.reads == 0


async def test_what_was_seen_for_one_attempt_says_nothing_about_the_next() -> None:
    watch, rollout = Watch(), prepared(PAGE)
    watch.fires(NOON)
    await watch.said(rollout)
    attempt = rollout.status.attempt
    assert attempt is not None
    status = rollout.status.model_copy(update={"attempt": attempt.model_copy(update={"number": 3})})
    assert (
        watch.evidence.firing(rollout.model_copy(update={"status": status}))
        == "alerts have not been read yet"
    )
    watch.evidence.forget("shop", "triage")
    assert watch.evidence.firing(rollout) == "alerts have not been read yet"


@pytest.mark.parametrize(
    ("stage", "gates", "worth"),
    [
        ("Preparing", [PAGE], True),
        ("Preparing", [SUCCESS], False),
        ("Running", [SUCCESS], True),
        ("Done", [PAGE], False),
    ],
)
def test_a_glance_tells_what_is_worth_reading(stage: str, gates: list[Manifest], worth: bool) -> None:
    manifest = {"spec": {"analysis": {"gates": gates}}, "status": {"attempt": {"stage": stage}}}
    assert is_worth_reading(manifest) is worth

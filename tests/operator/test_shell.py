"""The shell around the decision: telemetry, evidence after a restart, and Rollouts that cannot be read."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import generate_latest

from interlock.analysis.gates import EvidenceReport
from interlock.core.decide import decide
from interlock.core.observation import Unreadable
from interlock.operator.evidence import Evidence
from interlock.operator.telemetry import JsonLines, Telemetry
from tests.scenarios.given import HARMFUL, healthy, phase, served, trying
from tests.scenarios.objects import CANARY, CONTROLLED, FULL, agent_version
from tests.scenarios.surroundings import NAMESPACE
from tests.scenarios.world import World

PROMPT = "the launch code is 0000"


# ------------------------------------------------------------------ telemetry
def exposed(telemetry: Telemetry) -> str:
    return generate_latest(telemetry.registry).decode()


async def removed(world: World) -> None:
    found = await world.rollout()
    await world.objects.delete("Rollout", NAMESPACE, "triage", found.metadata.uid)
    key = ("Rollout", NAMESPACE, "triage")
    assert await world.operator.reconciler.reconcile(key) is None


async def test_series_go_with_their_rollout() -> None:
    world = await trying("v2", "Canary")
    world.behaviour["v2"] = HARMFUL
    await world.until(phase("Reverted"))
    text = exposed(world.operator.telemetry)
    for name in (
        "interlock_rollout_info",
        "interlock_rollout_weight_percent",
        "interlock_transitions_total",
        "interlock_reverts_total",
        "interlock_time_to_stop_new_seconds",
    ):
        assert f"{name}{{" in text.replace("_count{", "{"), name
    await removed(world)
    assert 'rollout="triage"' not in exposed(world.operator.telemetry)


async def test_a_pass_that_ends_after_the_deletion_leaves_no_series() -> None:
    world = await trying("v2", "Canary")
    found = await world.rollout()
    seen = await world.operator.observer.observe(found, world.now)
    await world.objects.delete("Rollout", NAMESPACE, "triage", found.metadata.uid)
    world.operator.telemetry.show(seen, decide(seen, world.now))  # the pass had begun before
    await world.operator.reconciler.reconcile(("Rollout", NAMESPACE, "triage"))
    assert 'rollout="triage"' not in exposed(world.operator.telemetry)


async def test_the_phase_of_yesterday_is_not_told_beside_that_of_today() -> None:
    world = await trying("v2", "Canary")
    text = exposed(world.operator.telemetry)
    infos = [line for line in text.splitlines() if line.startswith("interlock_rollout_info{")]
    assert len(infos) == 1
    assert 'phase="Canary"' in infos[0]


async def test_weights_and_moves_are_told() -> None:
    world = await trying("v2", "Canary")
    value = world.operator.telemetry.registry.get_sample_value
    place = {"namespace": NAMESPACE, "rollout": "triage"}
    assert value("interlock_rollout_weight_percent", {**place, "track": "candidate"}) == 20
    moved = {**place, "from": "Running", "to": "Running", "reason": "StepStarted"}
    assert value("interlock_transitions_total", moved) == 1


async def test_what_is_mirrored_is_told_for_either_shadow() -> None:
    world = await trying("v2", "Shadow", strategy={"steps": [CONTROLLED, CANARY, FULL]})
    value = world.operator.telemetry.registry.get_sample_value
    place = {"namespace": NAMESPACE, "rollout": "triage"}
    shown = {
        track: value("interlock_rollout_weight_percent", {**place, "track": track})
        for track in ("stable", "candidate", "shadow", "control")
    }
    assert shown == {"stable": 100, "candidate": 0, "shadow": 20, "control": 20}


async def test_no_line_of_the_log_holds_text_of_a_prompt(caplog: pytest.LogCaptureFixture) -> None:
    world = await served()
    prompt = [{"name": "system", "role": "System", "template": PROMPT}]
    with caplog.at_level(logging.DEBUG):
        await world.apply(agent_version("v2", prompts=prompt))
        await world.apply(agent_version("v3", prompts=[*prompt, *prompt]))  # one name twice: refused
        for version in ("v2", "v3"):
            await world.serve_version(version)
            await world.run(120)
    lines = [JsonLines().format(record) for record in caplog.records]
    assert lines
    assert not any(PROMPT in line for line in lines)
    for kind in ("Rollout", "AgentVersion", "Event", "Release"):
        for manifest in await world.objects.list(kind):
            held = {key: value for key, value in manifest.items() if key != "spec"}
            assert PROMPT not in json.dumps(held), kind


def test_a_log_line_is_one_json_object_whatever_is_in_it() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "said %s", ("a\n\u2028b",), None)
        record.exc_info = sys.exc_info()
    record.fields = {"rollout": "triage"}
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["rollout"], found["message"]) == ("ERROR", "triage", "said a\n\u2028b")


# ------------------------------------------------------------------ evidence
@pytest.mark.parametrize("at", ["Shadow", "Canary", "Full"])
@pytest.mark.parametrize("seconds", [5, 30])
async def test_a_replay_after_a_restart_equals_what_was_never_interrupted(at: str, seconds: int) -> None:
    world = await trying("v2", at)
    await world.run(seconds)
    found = await world.rollout()
    uninterrupted = world.operator.evidence.report(found)
    fresh = Evidence(world.metrics, world.settings.timing, world.now.timestamp)
    assert await fresh.look(found)
    assert isinstance(uninterrupted, EvidenceReport)
    assert fresh.report(found) == uninterrupted


async def test_a_replay_over_many_chunks_reaches_the_same() -> None:
    long = {"name": "canary", "canary": {"percent": 20}, "minDurationSeconds": 1500, "minTasks": 20}
    world = await trying("v2", "Canary", strategy={"steps": [long, {"name": "full", "full": {}}]})
    await world.run(1000)
    found = await world.rollout()
    fresh = Evidence(world.metrics, world.settings.timing, world.now.timestamp)
    await fresh.look(found)
    assert fresh.report(found) == world.operator.evidence.report(found)


async def test_unreadable_is_published_and_recovers() -> None:
    world = await trying("v2", "Canary")
    await world.run(20)
    found = await world.rollout()
    world.metrics.broken = "connection refused"
    await world.run(10)
    assert world.operator.evidence.report(found) == Unreadable("connection refused")
    world.metrics.broken = None
    await world.run(5)
    found = await world.rollout()
    fresh = Evidence(world.metrics, world.settings.timing, world.now.timestamp)
    await fresh.look(found)
    assert fresh.report(found) == world.operator.evidence.report(found), "nothing was lost in the gap"


async def test_nothing_active_reads_nothing() -> None:
    world = await served()
    before = world.metrics.reads
    assert list(world.operator.active.rollouts()) == []
    assert not await world.operator.evidence.look(await world.rollout())
    assert world.metrics.reads == before


async def test_the_report_of_one_attempt_is_not_that_of_the_next() -> None:
    world = await trying("v2", "Canary")
    await world.run(20)
    await world.apply(agent_version("v3"))
    await world.serve_version("v3")
    await world.until(phase("Shadow"))
    found = await world.rollout()
    report = world.operator.evidence.report(found)
    assert report is None or (isinstance(report, EvidenceReport) and report.candidate_started == 0)


# ------------------------------------------------------------------ Rollouts that cannot be read
async def poisoned(change: Any) -> World:
    """v1 serves, and its Rollout is then written as no schema of ours would allow."""
    world = await served()
    rewrite(world, change)
    return world


def rewrite(world: World, change: Any) -> None:
    """Past all subresources and checks."""
    existing = world.objects._objects["Rollout", NAMESPACE, "triage"]
    changed = json.loads(json.dumps(existing))
    change(changed)
    world.objects._store(existing, changed)


POISON: dict[str, Any] = {
    "unknown stage": lambda r: r["status"]["attempt"].update(stage="Hovering"),
    "unknown outcome": lambda r: r["status"]["attempt"].update(outcome="Adored"),
    "absurd percent": lambda r: r["spec"]["strategy"]["steps"][1]["canary"].update(percent=10**9),
    "no template": lambda r: r["spec"].pop("workload"),
    "spec is empty": lambda r: r.update(spec={}),
    "unicode agent": lambda r: r["spec"].update(agent="тріаж\u0000"),
}


@pytest.mark.parametrize("name", POISON)
async def test_a_rollout_that_cannot_be_read_is_stalled_once_and_left_alone(name: str) -> None:
    world = await poisoned(POISON[name])
    held = json.loads(json.dumps(world.objects._objects["Rollout", NAMESPACE, "triage"]))["status"]
    world.faults.writes.clear()
    key = ("Rollout", NAMESPACE, "triage")
    for _ in range(5):
        assert await world.operator.reconciler.reconcile(key) is None
    assert [(w.verb, w.kind) for w in world.faults.writes] == [("replace_status", "Rollout")]
    stored = world.objects._objects["Rollout", NAMESPACE, "triage"]["status"]
    conditions = {c["type"]: c for c in stored["conditions"]}
    assert set(conditions) == {"Ready", "Stalled"}
    assert (conditions["Ready"]["status"], conditions["Stalled"]["status"]) == ("False", "True")
    assert {c["reason"] for c in conditions.values()} == {"InvalidSpec"}
    assert stored["attempt"] == held["attempt"], "what it holds stays"
    assert stored["stable"] == held["stable"]


async def test_a_poisoned_rollout_does_not_disturb_the_traffic_and_recovers() -> None:
    world = await poisoned(lambda r: r["spec"]["strategy"]["steps"][1]["canary"].update(percent=10**9))
    await world.operator.reconciler.reconcile(("Rollout", NAMESPACE, "triage"))
    assert await world.weights() == [100]
    rewrite(world, lambda r: r["spec"]["strategy"]["steps"][1]["canary"].update(percent=20))
    await world.until(healthy("v1"))


async def test_a_version_that_cannot_be_read_says_why() -> None:
    world = World()
    newer = agent_version("v9")
    newer["spec"]["prompts"] = "of a newer version"
    await world.apply(newer)
    await world.settle()
    stored = await world.objects.get("AgentVersion", NAMESPACE, "v9")
    assert stored is not None
    said = {c["type"]: (c["status"], c["reason"]) for c in stored["status"]["conditions"]}
    assert said == {"Ready": ("False", "InvalidSpec"), "Stalled": ("True", "InvalidSpec")}
    assert "spec.prompts" in stored["status"]["conditions"][0]["message"]
    before = stored["metadata"]["resourceVersion"]
    await world.settle()
    again = await world.objects.get("AgentVersion", NAMESPACE, "v9")
    assert again is not None
    assert again["metadata"]["resourceVersion"] == before, "said once"


# ------------------------------------------------------------------ what it costs
async def test_while_prometheus_is_down_an_attempt_costs_at_most_six_writes_a_minute() -> None:
    """The budget of requests, whatever the settings say about gates."""
    world = await trying("v2", "Canary")
    world.settings = replace(world.settings, tick=1.0, scrape_interval=1.0, gates_refresh=1.0)
    world.start_operator()
    await world.run(10)
    world.metrics.broken = "connection refused"
    for _ in range(5):
        world.faults.writes.clear()
        await world.run(60)
        assert 1 <= len(world.faults.writes) <= 6, world.faults.writes

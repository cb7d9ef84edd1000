"""Evidence outlives the process that gathered it, and what is not evidence never becomes it."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from interlock.adapters.memory import MemoryObjects
from interlock.analysis.gates import EvidenceReport
from interlock.core import labels
from interlock.core.labels import FIELD_MANAGER
from interlock.core.observation import Unreadable
from interlock.errors import TransientError
from interlock.model.rollout import Rollout
from interlock.operator import checkpoints
from interlock.operator.checkpoints import Checkpoints, read, walk_of, written
from interlock.operator.evidence import LOAD_TRIES, Evidence
from tests.scenarios.given import healthy, served, trying
from tests.scenarios.objects import CRITICAL, SUCCESS, VIOLATIONS, Manifest
from tests.scenarios.surroundings import NAMESPACE
from tests.scenarios.world import World

NAME = "triage-evidence"
LONG = {"name": "canary", "canary": {"percent": 20}, "minDurationSeconds": 3600, "minTasks": 20}
SLOW = {"steps": [LONG, {"name": "full", "full": {"soakSeconds": 600, "holdoutPercent": 10}}]}


async def canary(seed: int = 1, **spec: Any) -> World:
    """A canary that goes on for an hour."""
    return await trying("v2", "Canary", seed, strategy=SLOW, **spec)


async def pass_by(world: World, seconds: float) -> Rollout:
    """Time passes; the operator writes its evidence down after each look, as it does in life."""
    for _ in range(int(seconds / world.settings.tick)):
        await world.run(world.settings.tick)
        await world.operator.evidence.save(await world.rollout())
    return await world.rollout()


async def stored(world: World) -> Manifest:
    found = await world.objects.get("ConfigMap", NAMESPACE, NAME)
    assert found is not None
    return found


def restarted(world: World) -> Evidence:
    """That of another process, which has no memory."""
    return evidence_of(world, world.objects)


def evidence_of(world: World, objects: MemoryObjects) -> Evidence:
    def now() -> float:
        return world.now.timestamp()

    return Evidence(world.metrics, world.settings.timing, now, Checkpoints(objects))


# ------------------------------------------------------------------ after a restart
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("seconds", [5, 65, 300])
async def test_nothing_is_lost_though_prometheus_has_lost_it(seed: int, seconds: int) -> None:
    world = await canary(seed)
    found = await pass_by(world, seconds)
    saved = json.loads((await stored(world))["data"]["evidence.json"])["now"]
    world.metrics.forget(saved)
    other = restarted(world)
    for _ in range(5):
        assert await other.look(found)
        assert isinstance(other.report(found), EvidenceReport)
        assert other.report(found) == world.operator.evidence.report(found)
        await world.run(15)


async def test_without_it_evidence_would_be_lost_with_the_samples() -> None:
    world = await canary()
    found = await pass_by(world, 300)
    world.metrics.forget(world.now.timestamp() - 30)
    without = Evidence(world.metrics, world.settings.timing, world.now.timestamp)
    await without.look(found)
    lost, kept = without.report(found), world.operator.evidence.report(found)
    assert isinstance(lost, EvidenceReport)
    assert isinstance(kept, EvidenceReport)
    assert lost.candidate_tasks < kept.candidate_tasks


async def test_a_restart_while_prometheus_is_gone_loses_nothing() -> None:
    world = await canary()
    found = await pass_by(world, 120)
    world.metrics.broken = "connection refused"
    other = restarted(world)
    await other.look(found)
    assert other.report(found) == Unreadable("connection refused")
    await other.save(found)
    world.metrics.broken = None
    world.metrics.forget(json.loads((await stored(world))["data"]["evidence.json"])["now"])
    await other.look(found)
    assert other.report(found) == world.operator.evidence.report(found)


async def test_a_gap_that_is_never_filled_is_no_data_and_resets_nothing() -> None:
    world = await canary()
    found = await pass_by(world, 125)
    assert json.loads((await stored(world))["data"]["evidence.json"])["now"] == world.now.timestamp()
    other = restarted(world)
    world.scraping = False
    await world.run(300)
    world.metrics.forget(world.now.timestamp())
    await other.look(found)
    after = other.report(found)
    assert isinstance(after, EvidenceReport)
    assert {gate.verdict.value for gate in after.gates} == {"NoData"}
    assert after.no_data is not None
    assert after.candidate_tasks > 50
    assert after == world.operator.evidence.report(found), "as it is for one that saw it all"


async def test_a_whole_attempt_ends_the_same() -> None:
    world = await trying("v2", "Shadow")
    while not healthy("v2")(await world.rollout()):
        await pass_by(world, 20)
        world.start_operator()
        await world.settle()
    assert world.lost == 0


# ------------------------------------------------------------------ when it is written
class Counting(MemoryObjects):
    """Counts how often evidence is written."""

    writes = 0
    problem: str | None = None

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        if self.problem and name == NAME:
            raise TransientError(self.problem)
        return await super().get(kind, namespace, name)

    async def apply(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        self.writes += manifest["metadata"]["name"] == NAME
        if self.problem and manifest["metadata"]["name"] == NAME:
            raise TransientError(self.problem)
        return await super().apply(manifest, manager=manager)


async def observed(world: World) -> tuple[Evidence, Counting]:
    """Evidence whose writes are counted."""
    counting = Counting()
    counting._objects = world.objects._objects
    return evidence_of(world, counting), counting


async def test_once_a_minute_and_after_a_move() -> None:
    world = await canary()
    evidence, counting = await observed(world)

    async def writes(seconds: float) -> int:
        before = counting.writes
        for _ in range(int(seconds / 5)):
            await world.run(5)
            await evidence.look(await world.rollout())
            await evidence.save(await world.rollout())
        return counting.writes - before

    assert await writes(5) == 1
    assert await writes(55) == 0
    assert await writes(5) == 1
    assert await writes(600) == 10
    await world.edit(lambda spec: spec["analysis"]["gates"].pop())
    assert await writes(5) == 1


async def test_never_at_rest() -> None:
    world = await served()
    evidence, counting = await observed(world)
    for _ in range(30):
        await world.run(15)
        await evidence.look(await world.rollout())
        await evidence.save(await world.rollout())
    assert counting.writes == 0
    assert await world.objects.get("ConfigMap", NAMESPACE, NAME) is None


async def test_it_is_ours_and_no_workload() -> None:
    world = await canary()
    found = await pass_by(world, 10)
    manifest = await stored(world)
    marks = manifest["metadata"]["labels"]
    assert marks[labels.ROLLOUT] == "triage"
    assert marks[labels.EVIDENCE] == "true"
    assert labels.RENDERED not in marks
    assert [owner["uid"] for owner in manifest["metadata"]["ownerReferences"]] == [found.metadata.uid]
    seen = await world.operator.observer.observe(found, world.now)
    assert NAME not in seen.workloads


# ------------------------------------------------------------------ when it cannot be written
def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


async def test_a_failure_is_told_once_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = await canary()
    evidence, counting = await observed(world)
    await evidence.look(await world.rollout())
    counting.problem = "quota exceeded"
    for _ in range(40):
        await world.run(15)
        await evidence.look(await world.rollout())
        await evidence.save(await world.rollout())
    assert warnings(caplog) == ["the evidence checkpoint cannot be written: quota exceeded"]
    found = await world.rollout()
    assert evidence.report(found) == world.operator.evidence.report(found)
    counting.problem = None
    await world.run(60)
    await evidence.look(found)
    await evidence.save(found)
    assert isinstance(read(found, walk_of(found, attempt_of(found)), await stored(world)), dict)


async def test_a_config_map_of_somebody_else_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    world = await canary()
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "data": {"mine": "yes"},
    }
    await world.objects.create(theirs)
    await pass_by(world, 300)
    assert (await stored(world))["data"] == {"mine": "yes"}
    (told,) = warnings(caplog)
    assert f"ConfigMap {NAME} is not an evidence checkpoint: rename or delete it" in told


async def test_one_that_another_process_wrote_meanwhile_is_overwritten_with_the_next() -> None:
    world = await canary()
    found = await pass_by(world, 60)
    manifest = await stored(world)
    await world.objects.apply({**manifest, "data": {**manifest["data"], "sha256": "00"}})
    await pass_by(world, 120)
    assert isinstance(read(found, walk_of(found, attempt_of(found)), await stored(world)), dict)


@pytest.mark.parametrize(("share", "kept"), [(0.9, True), (0.01, False)])
async def test_what_is_too_large_is_written_without_baselines_or_not_at_all(
    share: float, kept: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = await canary()
    await pass_by(world, 70)
    monkeypatch.setattr(checkpoints, "MAX_BYTES", share * len((await stored(world))["data"]["evidence.json"]))
    found = await pass_by(world, 300)
    assert len(warnings(caplog)) == (1 if kept else 2)
    state = json.loads((await stored(world))["data"]["evidence.json"])
    assert (state["counts"]["targets"] == []) is kept
    if kept:
        world.metrics.forget(state["now"] - 60)
    other = restarted(world)
    await other.look(found)
    assert other.report(found) == world.operator.evidence.report(found)


# ------------------------------------------------------------------ what is not evidence
def attempt_of(rollout: Rollout) -> Any:
    assert rollout.status.attempt is not None
    return rollout.status.attempt


def _signed(data: Manifest, found: Rollout, **changes: Any) -> Manifest:
    state = json.loads(data["evidence.json"]) | changes
    return dict(written(found, walk_of(found, attempt_of(found)), json.dumps(state))["data"])


SPOILT: dict[str, Callable[[Manifest, Rollout], Manifest]] = {
    "emptied": lambda data, found: {},
    "edited by hand": lambda data, found: (
        data | {"evidence.json": data["evidence.json"].replace('"gaps":', '"gaps":1')}
    ),
    "of a newer operator": lambda data, found: data | {"format": "999"},
    "of another attempt": lambda data, found: data | {"attempt": "7"},
    "of another Rollout": lambda data, found: data | {"rollout": "somebody"},
    "cut short": lambda data, found: data | {"evidence.json": data["evidence.json"][:100]},
    "of another plan": lambda data, found: _signed(data, found, frame="another"),
    "malformed": lambda data, found: _signed(data, found, counts=[1]),
    "no object": lambda data, found: written(found, walk_of(found, attempt_of(found)), "[]")["data"],
    "no JSON": lambda data, found: written(found, walk_of(found, attempt_of(found)), "{")["data"],
    "deep": lambda data, found: written(found, walk_of(found, attempt_of(found)), "[" * 200_000)["data"],
}


@pytest.mark.parametrize("how", SPOILT)
async def test_what_is_not_this_attempts_own_writing_is_passed_over(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = await canary()
    found = await pass_by(world, 120)
    manifest = copy.deepcopy(await stored(world))
    manifest["data"] = SPOILT[how](manifest["data"], found)
    await world.objects.replace(manifest)
    other = restarted(world)
    with caplog.at_level(logging.DEBUG):
        await other.look(found)
    assert any("not used" in line or "does not fit" in line for line in caplog.messages), caplog.messages
    assert other.report(found) == world.operator.evidence.report(found), "replayed instead"


async def test_a_forged_one_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """Anybody may write a ConfigMap of that name, owner and sum included; the label is refused to them."""
    world = await canary()
    found = await pass_by(world, 120)
    manifest = copy.deepcopy(await stored(world))
    del manifest["metadata"]["labels"]["interlock.dev/evidence"]
    await world.objects.replace(manifest)
    other = restarted(world)
    with caplog.at_level(logging.INFO):
        await other.look(found)
    assert any("lacks the label" in line for line in caplog.messages), caplog.messages
    assert other.report(found) == world.operator.evidence.report(found), "replayed instead"


async def test_one_that_cannot_be_read_is_waited_for_but_not_for_ever() -> None:
    world = await canary()
    found = await pass_by(world, 60)
    evidence, counting = await observed(world)
    counting.problem = "not now"
    for _ in range(LOAD_TRIES):
        await evidence.look(found)
        assert evidence.report(found) is None
    await evidence.look(found)
    assert evidence.report(found) == world.operator.evidence.report(found)


async def test_what_has_learned_nothing_yet_overwrites_nothing() -> None:
    world = await canary()
    found = await pass_by(world, 65)
    before = await stored(world)
    evidence, counting = await observed(world)
    world.metrics.broken = "connection refused"
    counting.problem = "not now"
    for _ in range(LOAD_TRIES + 1):
        await evidence.look(found)
    counting.problem = None
    await evidence.save(found)
    assert await stored(world) == before


async def test_what_was_written_is_what_is_read() -> None:
    found = (await canary()).operator
    world_rollout = next(iter(found.active.rollouts()))
    walk = walk_of(world_rollout, attempt_of(world_rollout))
    state = {"now": 1.25, "text": "ü\n"}
    assert read(world_rollout, walk, written(world_rollout, walk, json.dumps(state))) == state


# ------------------------------------------------------------------ edited gates
async def test_an_edited_gate_begins_afresh_and_the_others_go_on() -> None:
    world = await canary(analysis={"gates": [SUCCESS, VIOLATIONS]})
    found = await pass_by(world, 120)
    before = world.operator.evidence.report(found)
    world.metrics.forget(world.now.timestamp() - 70)  # what the others know is not there any more
    stricter = {**VIOLATIONS, "limit": {"maxPercent": "3"}}
    await world.edit(lambda spec: spec["analysis"].update(gates=[SUCCESS, stricter, CRITICAL]))
    edited = await world.rollout()
    assert world.operator.evidence.report(edited) is None, "nothing is decided by rules that are gone"
    found = await pass_by(world, 10)
    after = world.operator.evidence.report(found)
    assert isinstance(before, EvidenceReport)
    assert isinstance(after, EvidenceReport)
    assert after.candidate_tasks >= before.candidate_tasks
    tasks = [int(gate.candidate.rpartition("=")[2].rstrip(")") or 0) for gate in after.gates]
    assert tasks[0] > 40
    assert tasks[1] < 10
    other = restarted(world)
    await other.look(found)
    assert other.report(found) == after


async def test_an_edit_of_something_else_leaves_the_report_as_it_is() -> None:
    world = await canary()
    found = await pass_by(world, 60)
    before = world.operator.evidence.report(found)
    await world.edit(lambda spec: spec.update(replicas=5))
    assert world.operator.evidence.report(await world.rollout()) == before


async def test_a_gate_that_cannot_be_followed_leaves_the_others_their_say() -> None:
    world = await canary()
    before = world.operator.evidence.report(await pass_by(world, 60))
    await world.edit(
        lambda spec: spec["analysis"]["gates"].append({**SUCCESS, "name": "odd", "metric": "no"})
    )
    assert isinstance(before, EvidenceReport)
    assert world.operator.evidence.report(await world.rollout()) == before

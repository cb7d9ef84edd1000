"""How the story is played: what is asked for in which order, when it stops, what it says when a part dies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from dev.cluster.clusters import Cluster
from dev.cluster.processes import Process
from dev.demo import setting, story
from dev.demo.agent.judge import Verdict
from dev.demo.chapters import SCRIPT, WITH_SAME, Fate, Part, Told
from dev.demo.display import PlainDisplay, console_for
from dev.demo.load import Counts, Load
from dev.demo.operator_process import OperatorProcess
from dev.demo.reader import EventLine, Reader
from dev.demo.setting import Setting
from dev.demo.story import Stuck, Terms, play
from dev.demo.versions import SAME
from interlock.model.release import Outcome, Release, Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt
from tests.demo import recording

PROMOTED, REVERTED = (Outcome.PROMOTED, "Healthy"), (Outcome.REVERTED, "Reverted")
AS_TOLD = {"triage-v2": REVERTED, "triage-v3": REVERTED, "triage-v4": PROMOTED}


def ended(seen: Rollout, number: int, outcome: Outcome, stable: str) -> Rollout:
    """The same look, at the end of that attempt."""
    then = recording.release("triage-v2").entries[0].time
    attempt = Attempt(
        number=number,
        seq=1,
        stage=Stage.DONE,
        outcome=outcome,
        started_time=then,
        stage_started_time=then,
        walk_started_time=then,
        reason="GateFailed",
        strategy_hash="0",
    )
    was = seen.status.stable
    changes = {"attempt": attempt, "stable": was and was.model_copy(update={"version": stable})}
    return seen.model_copy(update={"status": seen.status.model_copy(update=changes)})


@dataclass
class World:
    """A cluster whose Rollout decides each version's fate at once, as the test says."""

    fates: dict[str, tuple[Outcome, str]]
    asked: list[str] = field(default_factory=list)
    deaf_to: str = ""
    """A version that the operator never takes up."""

    def rollout(self) -> Rollout:
        """Now: the version asked for last has met its fate."""
        if not self.asked:
            return ended(recording.look("triage-v1", "Healthy"), 1, Outcome.PROMOTED, "triage-v1")
        version = self.asked[-1]
        outcome, phase = self.fates[version]
        if version == self.deaf_to:
            asked = next(each for each in recording.looks() if each.spec.version_ref.name == version)
            return ended(asked, len(self.asked), Outcome.REVERTED, "triage-v1")
        stable = version if outcome is Outcome.PROMOTED else "triage-v1"
        seen = recording.look("triage-v4" if phase == "Healthy" else "triage-v3", phase)
        return ended(seen, len(self.asked) + 1, outcome, stable)

    def releases(self) -> list[Release]:
        """One a version asked for, with the recorded walk to its fate."""
        walks = {Outcome.PROMOTED: "triage-v4", Outcome.REVERTED: "triage-v2"}
        found = []
        for number, version in enumerate(self.asked, start=2):
            if version == self.deaf_to:
                continue
            walk = recording.release(walks[self.fates[version][0]])
            header = walk.header.model_copy(update={"attempt": number})
            found.append(walk.model_copy(update={"header": header}))
        return found

    def events(self) -> list[EventLine]:
        """None."""
        return []


class Asking:
    """Load without a gateway."""

    def __init__(self, error: Exception | None = None) -> None:
        self.counts = Counts(verdicts={"triage-v1": Counter({Verdict.RIGHT: 7})})
        self.stopped = asyncio.Event()
        self.error = error

    async def run(self) -> Counts:
        """Until stopped, or an error at once."""
        if self.error:
            raise self.error
        await self.stopped.wait()
        return self.counts

    def stop(self) -> None:
        """Let `run` return."""
        self.stopped.set()


@dataclass
class Played:
    """The world, the load, and what was said."""

    world: World
    asking: Asking
    place: Setting
    said: Path
    script: Sequence[Part] = SCRIPT

    async def play(self, patience: float = 10.0) -> Told:
        terms = Terms(seed=5, patience=patience, script=self.script)
        with self.said.open("w") as stream, PlainDisplay(console_for(stream)) as display:
            return await asyncio.wait_for(play(self.place, terms, display), 30)


async def at_once(_: Setting) -> float:
    """A gateway that answers."""
    return 0.0


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Played:
    world, asking = World(dict(AS_TOLD)), Asking()
    operator = OperatorProcess(Process.of(1), tmp_path / "operator.log")
    place = Setting(cluster=cast(Cluster, None), operator=operator)
    monkeypatch.setattr(story, "Reader", lambda _: cast(Reader, world))
    monkeypatch.setattr(story, "_load", lambda *_: cast(Load, asking))
    monkeypatch.setattr(story, "_until_answered", at_once)
    monkeypatch.setattr(story, "_STRAGGLERS", 0.0)
    monkeypatch.setattr(story, "_LOOK_EVERY", 0.02)
    monkeypatch.setattr(story, "_RECORD_SECONDS", 0.1)
    monkeypatch.setattr(setting, "apply_agent", lambda *_: None)
    monkeypatch.setattr(setting, "patch_version", lambda _, version, say: world.asked.append(version))
    return Played(world, asking, place, tmp_path / "said")


async def test_the_versions_are_asked_for_one_after_the_other(stage: Played) -> None:
    told = await stage.play()

    assert stage.world.asked == ["triage-v2", "triage-v3", "triage-v4"]
    assert told.as_told
    assert (told.seed, told.answers["triage-v1"].right) == (5, 7)
    assert stage.asking.stopped.is_set(), "the load ends with the story"


async def test_with_the_same_version_the_story_goes_on_after_its_promotion(stage: Played) -> None:
    stage.world.fates[SAME] = PROMOTED
    stage.script = WITH_SAME
    told = await stage.play()

    assert stage.world.asked == ["triage-v2", "triage-v3", SAME, "triage-v4"]
    assert told.as_told


async def test_the_story_ends_when_a_bad_version_became_stable(stage: Played) -> None:
    stage.world.fates["triage-v2"] = PROMOTED
    told = await stage.play()

    assert stage.world.asked == ["triage-v2"]
    assert [each.fate for each in told.chapters] == [Fate.PROMOTED]
    assert not told.as_told
    assert "lost its ground" in stage.said.read_text()


async def test_a_good_version_taken_back_is_said_at_once_and_at_the_end(stage: Played) -> None:
    stage.world.fates["triage-v4"] = REVERTED
    told = await stage.play()

    assert not told.as_told
    assert "triage-v4: taken back at 2/4 canary-10 after" in stage.said.read_text()
    assert "NOT as told: to be promoted" in stage.said.read_text()


async def test_a_version_that_is_not_decided_in_time_is_left_behind(stage: Played) -> None:
    stage.world.deaf_to = "triage-v4"
    told = await stage.play(patience=2)

    assert [each.fate for each in told.chapters] == [Fate.TAKEN_BACK, Fate.TAKEN_BACK, Fate.UNDECIDED]
    assert told.chapters[2].evidence == "the operator has not seen this spec yet"


async def test_a_dead_operator_ends_the_story_and_the_load(stage: Played) -> None:
    stage.place = Setting(stage.place.cluster, OperatorProcess(Process(1, "never"), stage.said))

    with pytest.raises(Stuck, match="the operator has ended"):
        await stage.play()
    assert stage.asking.stopped.is_set()


async def test_a_load_that_ends_by_itself_ends_the_story(stage: Played) -> None:
    stage.world.deaf_to = "triage-v2"
    stage.asking.error = ValueError("no questions")

    with pytest.raises(Stuck, match="no questions"):
        await stage.play()


async def test_a_look_that_breaks_ends_the_story(stage: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Rollout:
        raise ValueError("a status of another version")

    monkeypatch.setattr(stage.world, "rollout", broken)
    with pytest.raises(Stuck, match="a status of another version"):
        await stage.play()


async def test_an_api_server_that_is_away_for_a_while_does_not(
    stage: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, looked = stage.world.rollout, 0

    def flaky() -> Rollout:
        nonlocal looked
        looked += 1
        if looked % 3 == 0:
            raise OSError("connection refused")
        return answers()

    monkeypatch.setattr(stage.world, "rollout", flaky)
    assert (await stage.play()).as_told
    assert "the API server does not answer: OSError" in stage.said.read_text()

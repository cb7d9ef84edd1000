"""Plays the story: asks for one version after the other and watches until each has met its fate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from dev.cluster.errors import ClusterError
from dev.demo import chapters, setting
from dev.demo.agent.catalogue import read_catalogue
from dev.demo.chapters import FIRST, SCRIPT, Chapter, Fate, Moments, Part, Tally, Told
from dev.demo.data import catalogue_file
from dev.demo.display import Display
from dev.demo.load import Load
from dev.demo.reader import EventLine, Reader, Unreachable
from dev.demo.setting import Setting
from dev.demo.traffic import draw
from dev.demo.versions import manifest
from dev.demo.views import Moment, ready_message
from interlock.model.release import Entry, Stage
from interlock.model.result import Result
from interlock.model.rollout import Rollout

_LOOK_EVERY = 0.5
_FIRST_VERSION_SECONDS = 180.0
_GATEWAY_SECONDS = 60.0
_RECORD_SECONDS = 10.0
_CLEARED_SECONDS = 30.0
_STRAGGLERS = 1.0
"""Seconds for the last answers to come in before a version's are counted up."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How the story is played: seed of the questions, tasks a second, seconds that a version may take, and
    which versions are asked for."""

    seed: int = 1
    rate: float = 20.0
    patience: float = 600.0
    script: Sequence[Part] = SCRIPT


class Stuck(ClusterError):
    """The story cannot go on; the text says why."""


async def play(place: Setting, terms: Terms, display: Display) -> Told:
    """The whole story, from the agent's YAML to the last version; the load has ended when it returns.

    Raises ClusterError when something breaks; that a version met another fate is in the result.
    """
    begun = time.monotonic()
    await asyncio.to_thread(setting.apply_agent, place, display.say)
    load = _load(place, terms)
    scene = _Scene(place, load, display, begun)
    watching = scene.watching = asyncio.create_task(scene.watch())
    asking: asyncio.Task[object] | None = None
    try:
        if not await scene.until(_serves_first, _FIRST_VERSION_SECONDS):
            raise Stuck(
                f"{FIRST} does not serve after {_FIRST_VERSION_SECONDS:.0f} s: {scene.ready}; "
                f"`kubectl -n {place.namespace} get pods` and `describe` show why"
            )
        late = await _until_answered(place)
        display.say(f"{FIRST} serves; the gateway answered for it {late:.1f} s after the Rollout said so")
        display.say(f"{terms.rate:g} questions a second from now on, seed {terms.seed}")
        asking = asyncio.create_task(load.run())
        scene.asking = asking
        played = await _chapters(scene, terms)
        results = await scene.results()
        load.stop()
        await asking
    finally:
        load.stop()
        for task in (watching, asking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
    return Told(
        seed=terms.seed,
        rate=terms.rate,
        seconds=time.monotonic() - begun,
        chapters=played,
        answers=chapters.tallies(load.counts.verdicts),
        sent=load.counts.sent,
        errors=dict(load.counts.errors),
        results=results,
        script=terms.script,
    )


async def _until_answered(place: Setting) -> float:
    """Ask one question until it is answered through the gateway; seconds that it took.

    A gateway accepts its first route a moment before it listens: that is no loss to be counted.
    """
    begun = time.monotonic()
    question = {"question_id": answerable_question()}
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while time.monotonic() - begun < _GATEWAY_SECONDS:
            with suppress(httpx.HTTPError):
                if (await client.post(place.url, headers={"host": place.host}, json=question)).is_success:
                    return time.monotonic() - begun
            await asyncio.sleep(0.1)
    raise Stuck(
        f"{place.host} is not answered by {place.cluster.gateway_url} after {_GATEWAY_SECONDS:.0f} s: "
        f"`kubectl -n {place.namespace} describe httproute {setting.ROLLOUT}` says what the gateway thinks"
    )


def answerable_question() -> str:
    """The id of the catalogue's first question that has a right tool."""
    return next(q.id for q in read_catalogue(catalogue_file()).questions if q.answerable)


async def _chapters(scene: _Scene, terms: Terms) -> tuple[Chapter, ...]:
    played: list[Chapter] = []
    for part in terms.script:
        scene.display.say(f"\n{part.version}: {hypothesis(part.version)}")
        played.append(await _chapter(scene, part, terms.patience))
        scene.display.say(_ending(played[-1]))
        if played[-1].fate is Fate.PROMOTED and not played[-1].as_told:
            scene.display.say(f"{part.version} is stable now: the rest of the story has lost its ground")
            break
    return tuple(played)


async def _chapter(scene: _Scene, part: Part, patience: float) -> Chapter:
    """Ask for the version, wait for the end of its try, and read it off its Release."""
    before = scene.rollout.status.attempt
    number = before.number + 1 if before else 1
    asked = datetime.now(UTC)
    await asyncio.to_thread(setting.patch_version, scene.place, part.version, scene.display.say)
    await scene.until(lambda rollout: _ended(rollout, number), patience)
    ended = datetime.now(UTC)
    answers = Tally.of(scene.load.counts.verdicts.get(part.version, {}))
    seen = scene.rollout
    if seen.status.stable is None or seen.status.stable.version != part.version:
        await asyncio.sleep(_STRAGGLERS)
        answers = Tally.of(scene.load.counts.verdicts.get(part.version, {}))
    return chapters.chapter(
        part,
        await scene.record(number),
        steps=[step.name for step in seen.spec.strategy.steps],
        gates=seen.status.gates,
        waits=ready_message(seen),
        moments=Moments(asked, ended),
        answers=answers,
    )


def hypothesis(version: str) -> str:
    """What the version is meant to do, as its AgentVersion says; empty for the first."""
    said = manifest(version)["spec"].get("change", {}).get("hypothesis", "")
    return " ".join(str(said).split())


def _ending(chapter: Chapter) -> str:
    seconds = chapter.whole if chapter.to_decision is None else chapter.to_decision
    what = f"{chapter.part.version}: {chapter.fate.value} at {chapter.step} after {seconds:.1f} s"
    return what if chapter.as_told else f"{what}; NOT as told: to be {chapter.part.expected.value}"


def _serves_first(rollout: Rollout) -> bool:
    stable = rollout.status.stable
    return rollout.status.phase == "Healthy" and stable is not None and stable.version == FIRST


def _ended(rollout: Rollout, number: int) -> bool:
    """The attempt is over, and the phase says so of the spec as it is."""
    status = rollout.status
    return (
        status.attempt is not None
        and status.attempt.number == number
        and status.attempt.stage is Stage.DONE
        and status.observed_generation == rollout.metadata.generation
        and status.phase in ("Healthy", "Reverted")
    )


def _load(place: Setting, terms: Terms) -> Load:
    questions = draw(read_catalogue(catalogue_file()), terms.seed)
    return Load(place.url, questions, host=place.host, rate=terms.rate)


class _Scene:
    """What is seen while the story is played: one look at the Rollout each half second, shown as it comes."""

    def __init__(self, place: Setting, load: Load, display: Display, begun: float) -> None:
        self.place = place
        self.load = load
        self.display = display
        self.reader = Reader(place)
        self.watching: asyncio.Task[None] | None = None
        self.asking: asyncio.Task[object] | None = None
        self._begun = begun
        self._rollout: Rollout | None = None
        self._events: list[EventLine] = []
        self._note = ""

    @property
    def rollout(self) -> Rollout:
        """The newest look."""
        if self._rollout is None:
            raise Stuck(f"the Rollout could not be read: {self._note or 'not looked yet'}")
        return self._rollout

    @property
    def ready(self) -> str:
        """What Ready says."""
        return ready_message(self.rollout)

    async def watch(self) -> None:
        """Look and show, until cancelled. An API server that does not answer is a note, not an end."""
        while True:
            started = time.monotonic()
            try:
                seen = await asyncio.to_thread(self.reader.rollout)
                self._events = await asyncio.to_thread(self.reader.events)
                self._rollout, self._note = seen, ""
            except Unreachable as error:
                self._note = f"the API server does not answer: {type(error).__name__}"
            self._show()
            await asyncio.sleep(max(0.0, _LOOK_EVERY - (time.monotonic() - started)))

    async def until(self, done: Callable[[Rollout], bool], patience: float) -> bool:
        """Wait until a look satisfies `done`; False after `patience` seconds. Raises when a part has died."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self._rollout is not None and done(self._rollout):
                return True
            self._require_alive()
            await asyncio.sleep(0.1)
        return False

    async def record(self, attempt: int) -> tuple[Entry, ...]:
        """The attempt's transitions; the status may be a moment ahead of the Release, so wait for its end."""
        deadline = time.monotonic() + _RECORD_SECONDS
        while True:
            entries: tuple[Entry, ...] = ()
            with suppress(*Unreachable):
                entries = chapters.entries_of(await asyncio.to_thread(self.reader.releases), attempt)
            if (entries and entries[-1].stage is Stage.DONE) or time.monotonic() > deadline:
                return entries
            await asyncio.sleep(_LOOK_EVERY)

    async def results(self) -> dict[str, Result]:
        """What came of every version; the last conversations may still have to end, so wait for that."""
        deadline = time.monotonic() + _CLEARED_SECONDS
        found: dict[str, Result] = {}
        while time.monotonic() < deadline:
            with suppress(*Unreachable):
                found = chapters.results_of(await asyncio.to_thread(self.reader.releases))
                if all(result.cleared_time for result in found.values()):
                    break
            await asyncio.sleep(_LOOK_EVERY)
        return found

    def _show(self) -> None:
        if self._rollout is None:
            return
        counts = self.load.counts
        answers = chapters.tallies(counts.verdicts)
        elapsed = time.monotonic() - self._begun
        self.display.show(
            Moment(elapsed, self._rollout, tuple(self._events), answers, counts.failed, self._note)
        )

    def _require_alive(self) -> None:
        if not self.place.operator.alive():
            raise Stuck("the operator has ended")
        if self.watching is not None and self.watching.done():
            raise Stuck(f"the Rollout is not watched any more: {self.watching.exception()!r}")
        if self.asking is not None and self.asking.done():
            error = None if self.asking.cancelled() else self.asking.exception()
            unreachable = isinstance(error, httpx.ConnectError)
            raise Stuck(
                f"the load has ended: {'the gateway accepts no connection' if unreachable else repr(error)}"
            )

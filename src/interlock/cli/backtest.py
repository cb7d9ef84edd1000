"""`kubectl interlock backtest`: reads stable's past, and writes what became of the pseudo-releases in it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from interlock.analysis.chances import Chance
from interlock.analysis.collecting import Collected
from interlock.analysis.dealing import Scrape, scrapes
from interlock.analysis.dispersion import HISTORY_SECONDS
from interlock.analysis.past import Past, pasts
from interlock.analysis.plan import Mode, Plan, Side, Value
from interlock.analysis.planting import Plant
from interlock.analysis.series import PROCESS_START, Counts, Series
from interlock.cli import backtest_view, render
from interlock.cli.choosing import Subject
from interlock.cli.history import History
from interlock.cli.moments import Span
from interlock.cli.options import Format
from interlock.cli.prometheus import Server
from interlock.cli.stable import RECENT, families_of, stable_side
from interlock.core.metrictemplates import metric_named
from interlock.core.observation import Timing
from interlock.core.plans import plan_between, plan_problem
from interlock.errors import SpecError
from interlock.simulation.backtest import Backtest, Played, Split, incident
from interlock.simulation.pseudo import CANDIDATE, STABLE, Outcome, Setup


@dataclass(frozen=True, slots=True)
class Request:
    """What the flags ask for. `plant`: METRIC=CHANGE; `repeat`: how often an incident is dealt."""

    server: Server
    span: Span
    incident: Span | None
    stable: str | None
    plant: str | None
    split: Split
    seed: int
    repeat: int
    timing: Timing

    def chance(self, number: int) -> Chance:
        """Of the pseudo-release of that number."""
        return random.Random(f"{self.seed} {number}")  # noqa: S311 - draws that can be repeated, no secrets


def run(subject: Subject, request: Request, output: Format | None) -> None:
    """Play, and write what came of it."""
    setup = set_up(subject, request)
    if request.incident is not None:
        past = asyncio.run(_incident(subject, request, setup, request.incident))
        view = backtest_view.of_incident(setup, past.stable, past.outcomes, request.incident)
    else:
        past = asyncio.run(_releases(subject, request, setup))
        view = backtest_view.of_releases(setup, past.stable, past.played, request.span, request.plant)
    if output in (Format.JSON, Format.YAML):
        render.document(view.document, output)
        return
    render.line(view.title)
    for table in view.tables(wide=output is Format.WIDE):
        print()
        render.table(table)
    print()
    for sentence in view.sentences:
        render.line(sentence)


def set_up(subject: Subject, request: Request) -> Setup:
    """What is played. SpecError where the gates cannot be followed, or nothing can be planted."""
    rollout, known = subject.rollout, subject.known
    if problem := plan_problem(rollout, known):
        raise SpecError(problem)
    if not rollout.spec.analysis.gates:
        raise SpecError("spec.analysis.gates: there are none, so nothing would ever be taken back")
    plan = plan_between(rollout, request.timing, CANDIDATE, STABLE, known)
    # a value is not kept as it was, and without one its gate would never pass
    plan = replace(plan, gates=tuple(gate for gate in plan.gates if not isinstance(gate.test, Value)))
    return Setup(rollout, plan, _plant(subject, request.plant) if request.plant else None)


def _plant(subject: Subject, text: str) -> Plant:
    """`task-success-rate=-4` (points) or `cost-per-task=+20` (per cent)."""
    name, _, change = text.partition("=")
    try:
        return Plant(metric_named(name, subject.known), float(change.rstrip("%")) / 100)
    except ValueError as error:
        why = str(error) if "could not convert" not in str(error) else "CHANGE must be a number"
        raise SpecError(f"--plant must be METRIC=CHANGE, like task-success-rate=-4: {why}") from error


@dataclass(frozen=True, slots=True)
class _Past:
    """What was found: of releases, or of an incident."""

    stable: Side
    played: tuple[Played, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


async def _releases(subject: Subject, request: Request, setup: Setup) -> _Past:
    async with _Reading(subject, request, setup.plan) as reading:
        await reading.day_before(request.span.begin)
        backtest = Backtest(setup, request.split, request.chance, reading.pasts)
        await reading.scrapes(request.span, backtest.take)
        return _Past(reading.stable, played=tuple(backtest.close()))


async def _incident(subject: Subject, request: Request, setup: Setup, window: Span) -> _Past:
    async with _Reading(subject, request, setup.plan) as reading:
        await reading.day_before(window.begin - window.seconds)
        before: list[Scrape] = []
        during: list[Scrape] = []
        await reading.scrapes(Span(window.begin - window.seconds, window.begin), before.extend)
        pasts = reading.pasts()
        await reading.scrapes(window, during.extend)
        if not before or not during:
            when = "before it" if during else "in it"
            raise SpecError(f"--incident: stable has no samples {when}")
        chances = map(request.chance, range(request.repeat))
        outcomes = tuple(incident(setup, before, during, chance, pasts) for chance in chances)
        return _Past(reading.stable, outcomes=outcomes)


class _Reading:
    """Stable's scrapes, from a Prometheus that is open meanwhile."""

    stable: Side

    def __init__(self, subject: Subject, request: Request, plan: Plan) -> None:
        self._subject = subject
        self._request = request
        self._plan = plan
        self._families = families_of(plan.gates)
        self._metrics = request.server.open()

    async def __aenter__(self) -> _Reading:
        window = self._request.incident or self._request.span
        try:
            recent = await self._history().last(window.end, min(RECENT, window.seconds))
            self.stable = stable_side(self._subject.rollout, self._request.stable, recent, window.end)
        except BaseException:
            await self._metrics.close()
            raise
        # what happens within the window is learned as well: a later pseudo-release has another day before it
        self._day = Collected(replace(self._plan, stable=self.stable), window.begin - 2 * HISTORY_SECONDS)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._metrics.close()

    def pasts(self) -> Mapping[str, Past]:
        """What stable did on the day before the piece that was read last."""
        return pasts(self._plan.gates, self._day.usual)

    async def day_before(self, moment: float) -> None:
        """Reads what stable did on the day before that moment, as an operator does before an attempt."""
        with render.progress("reading the day before") as progress:
            async for piece in self._history(progress).pieces(moment - HISTORY_SECONDS, moment):
                self._day.add(piece.series, piece.end)

    async def scrapes(self, window: Span, take: Callable[[list[Scrape]], object]) -> None:
        """Hands over all scrapes of the window, in order of time, piece by piece."""
        counts = Counts(window.begin)
        with render.progress(f"reading {self._subject.rollout.metadata.name}") as progress:
            async for piece in self._history(progress).pieces(window.begin, window.end):
                mine = [one for one in piece.series if self._is_mine(one)]
                take(scrapes(mine, counts, piece.end))
                self._day.add(piece.series, piece.end)
                self._day.forget(piece.end - HISTORY_SECONDS)

    def _history(self, progress: Callable[[float], None] = lambda share: None) -> History:
        meta, agent = self._subject.rollout.metadata, self._subject.rollout.spec.agent
        return History(self._metrics, self._families, meta.namespace, agent, progress)

    def _is_mine(self, one: Series) -> bool:
        if one.name == PROCESS_START:
            return one.labels.get("pod", "").startswith(self.stable.pod_prefix)
        return one.labels.get("mode") == Mode.LIVE and self.stable.owns(one.labels)

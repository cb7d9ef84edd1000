"""A pseudo-release: stable's own past, walked through the steps as if part of it were a candidate.

On the operator's own evidence. What is played: shares, warm-up, minimum durations and tasks, gates, deadline.
What is not: pods, gateways, alerts, and what silence does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from interlock.analysis.chances import Chance
from interlock.analysis.dealing import Dealer, Scrape
from interlock.analysis.gates import AttemptEvidence, EvidenceReport
from interlock.analysis.past import Past
from interlock.analysis.plan import Mode, Plan, PlannedStep, Side, StepTime, Track
from interlock.analysis.planting import Plant
from interlock.analysis.series import PROCESS_START, Identity, Increment, Series, Target
from interlock.core.waits import evidence_waits
from interlock.model.rollout import Rollout
from interlock.simulation.sides import Sides

LOOK = 15.0
"""Seconds between looks. Evidence is the same however often one looks; a step ends up to so much later."""
OLD = 3600.0
"""Seconds: how old processes are made out to be at their first scrape, which is a baseline."""
NO_PAST: Mapping[str, Past] = {}
CANDIDATE = Side("pseudo-candidate", "candidate-")
STABLE = Side("pseudo-stable", "stable-")


class End(StrEnum):
    """How a pseudo-release ends."""

    PROMOTED = "Promoted"
    REVERTED = "Reverted"
    HELD = "Held"
    """At a step's deadline."""
    CUT = "Cut"
    """The samples have ended before it has."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one, in unix seconds. `gates` failed; none with `End.REVERTED`: all together did.

    `message`: what the gates say of a revert, or what a step still awaited.
    """

    begin: float
    end: float
    how: End
    step: str
    gates: tuple[str, ...]
    tasks: int
    """Of the candidate, in the steps walked."""
    message: str


@dataclass(frozen=True, slots=True)
class Setup:
    """What all pseudo-releases of a backtest share; `plan` is between `CANDIDATE` and `STABLE`."""

    rollout: Rollout
    plan: Plan
    planted: Plant | None = None
    """What makes the candidate worse."""


@dataclass(slots=True)
class _Counter:
    """A series that is made up, and its samples since the last look."""

    labels: dict[str, str]
    value: float = 0.0
    points: list[tuple[float, float]] = field(default_factory=list)


Hand = tuple[Track, Mode]


class PseudoRelease:
    """One attempt, from its first scrape on."""

    def __init__(
        self,
        setup: Setup,
        begin: float,
        sides: Sides,
        chance: Chance,
        *,
        usual: Callable[[], float] = lambda: 1.0,
        pasts: Mapping[str, Past] = NO_PAST,
    ) -> None:
        """`begin`: unix seconds. `usual`: the share of what is planted, 0 to 1, as far as is known.
        `pasts`: what stable did on the day before, by which outcomes are weighed; independent without."""
        self._setup = setup
        self._begin = begin
        self._sides = sides
        self._chance = chance
        self._evidence = AttemptEvidence(setup.plan, begin)
        self._evidence.learn(pasts)
        self._times: tuple[StepTime, ...] = (StepTime(0, begin),)
        self._looked = begin
        self._usual = usual
        self._seen: set[Target] = set()
        self._dealers: dict[tuple[Target, Hand], Dealer] = {}
        self._counters: dict[tuple[Identity, Hand], _Counter] = {}
        self._planted: dict[tuple[Target, Hand], set[Identity]] = defaultdict(set)
        self._tasks = 0

    def take(self, scrape: Scrape) -> Outcome | None:
        """The next scrape, in order of time; what became of the release once that is known."""
        while scrape.at > self._looked + LOOK:
            if outcome := self._look(self._looked + LOOK):
                return outcome
        self._deal(scrape)
        return None

    def cut(self) -> Outcome:
        """There is nothing more."""
        return self._outcome(End.CUT, "the samples end here")

    # ------------------------------------------------------------------ dealing
    @property
    def _step(self) -> PlannedStep:
        return self._setup.plan.steps[self._times[-1].index]

    def _deal(self, scrape: Scrape) -> None:
        known = scrape.target in self._seen
        self._seen.add(scrape.target)
        identities = {id(one.labels): one.identity for one in scrape.shown}
        for hand, gained in self._hands(scrape, scrape.gained if known else ()):
            for one in gained:
                identity = identities.get(id(one.labels))
                if identity is None:
                    identity = tuple(sorted(one.labels.items()))
                    self._planted[scrape.target, hand].add(identity)
                self._counter(identity, one.labels, hand).value += one.amount
            self._show(scrape, hand)

    def _hands(
        self, scrape: Scrape, gained: Iterable[Increment]
    ) -> Iterator[tuple[Hand, Iterable[Increment]]]:
        """What each side gets. In a shadow its tasks are copies."""
        step, held = self._step, tuple(gained)
        if step.mode is Mode.SHADOW:
            if scrape.only is not Track.STABLE:
                yield self._copied(scrape, (Track.CANDIDATE, Mode.SHADOW), held, step.share)
            if scrape.only is not Track.CANDIDATE:
                yield (Track.STABLE, Mode.LIVE), held
                if step.compares:
                    yield self._copied(scrape, (Track.STABLE, Mode.SHADOW), held, step.share)
            return
        shares = {Track.CANDIDATE: step.share, Track.STABLE: 1 - step.share}
        if scrape.only is not None:
            shares = {scrape.only: shares[scrape.only]}
        else:
            shares = self._sides.shares(scrape.target, step.share)
        left, rest = held, 1.0
        for track, share in shares.items():
            hand = (track, Mode.LIVE)
            dealt = self._dealer(scrape.target, hand).deal(left, min(1.0, share / rest) if rest > 0 else 0.0)
            left, rest = dealt.left, rest - share
            yield hand, self._worsened(hand, dealt.taken)

    def _copied(
        self, scrape: Scrape, hand: Hand, gained: Iterable[Increment], share: float
    ) -> tuple[Hand, Iterable[Increment]]:
        return hand, self._worsened(hand, self._dealer(scrape.target, hand).deal(gained, share).taken)

    def _worsened(self, hand: Hand, taken: tuple[Increment, ...]) -> tuple[Increment, ...]:
        plant = self._setup.planted
        if plant is None or hand[0] is Track.STABLE:
            return taken
        return plant.applied(taken, self._usual(), self._chance)

    def _dealer(self, target: Target, hand: Hand) -> Dealer:
        key = (target, hand)
        if key not in self._dealers:
            self._dealers[key] = Dealer(self._chance)
        return self._dealers[key]

    # ------------------------------------------------------------------ what Prometheus would hold
    def _counter(self, identity: Identity, labels: Mapping[str, str], hand: Hand) -> _Counter:
        key = (identity, hand)
        if key not in self._counters:
            own = dict(labels)
            track, mode = hand
            side = CANDIDATE if track is Track.CANDIDATE else STABLE
            pod = side.pod_prefix + ("shadow-" if mode is Mode.SHADOW else "") + own.get("pod", "")
            own |= {"version": side.version, "pod": pod, "mode": mode.value}
            self._counters[key] = _Counter(own)
        return self._counters[key]

    def _show(self, scrape: Scrape, hand: Hand) -> None:
        """Every counter of the target has a sample, also one that has not grown."""
        shown: dict[Identity, Mapping[str, str]] = {one.identity: one.labels for one in scrape.shown}
        shown |= {identity: dict(identity) for identity in self._planted[scrape.target, hand]}
        for identity, labels in shown.items():
            counter = self._counter(identity, labels, hand)
            counter.points.append((scrape.at, counter.value))
        target = dict(zip(("namespace", "pod", "instance", "job"), scrape.target, strict=True))
        labels = {**target, "__name__": PROCESS_START}
        age = self._counter(tuple(sorted(labels.items())), labels, hand)
        age.value = age.value or scrape.at - OLD
        age.points.append((scrape.at, age.value))

    def _series(self) -> list[Series]:
        found = []
        for counter in self._counters.values():
            if counter.points:
                found.append(Series(counter.labels, tuple(counter.points)))
                counter.points = []
        return found

    # ------------------------------------------------------------------ walking
    def _look(self, now: float) -> Outcome | None:
        self._looked = now
        self._evidence.advance(self._times, self._series(), now)
        report = self._evidence.report()
        if report.reverts:
            return self._reverted(report)
        step = self._setup.rollout.spec.strategy.steps[self._step.index]
        lasted = now - self._times[-1].started
        waits = evidence_waits(report, step.min_tasks)
        if lasted >= step.duration_seconds and not waits:
            self._tasks += report.candidate_tasks
            return self._go_on(now)
        deadline = self._setup.rollout.spec.strategy.step_deadline_seconds
        if deadline is not None and lasted >= deadline:
            return self._outcome(End.HELD, "; ".join(waits) or "the step's duration")
        return None

    def _go_on(self, now: float) -> Outcome | None:
        if self._step is self._setup.plan.steps[-1]:
            return self._outcome(End.PROMOTED, "")
        last = self._times[-1]
        ended = StepTime(last.index, last.started, now)
        self._times = (*self._times[:-1], ended, StepTime(last.index + 1, math.ceil(now)))
        return None

    def _reverted(self, report: EvidenceReport) -> Outcome:
        said = [gate.message for gate in report.gates if gate.name in report.failed]
        self._tasks += report.candidate_tasks
        return self._outcome(End.REVERTED, "; ".join(said) or "all gates together", report.failed)

    def _outcome(self, how: End, message: str, gates: tuple[str, ...] = ()) -> Outcome:
        step = self._setup.rollout.spec.strategy.steps[self._step.index].name
        return Outcome(self._begin, self._looked, how, step, gates, self._tasks, message)

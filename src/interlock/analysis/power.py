"""What the gates of a plan will be able to tell at each step, and when: a power analysis from usual traffic.

Estimates (statistics.md "Planning"), for people to plan by; nothing is decided by them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from interlock.analysis.growing import Evidence, Stretch, reached_after
from interlock.analysis.plan import Alert, Comparison, Events, Gate, Mode, Plan, PlannedStep, Value
from interlock.analysis.planning import Effort, threshold
from interlock.analysis.questions import Aim, Question, Worsening, questions, worse
from interlock.analysis.usual import Usual


@dataclass(frozen=True, slots=True)
class Leg:
    """One planned step as it goes when nothing is wrong: it `lasts` so long, its comparisons wait `warmup`.

    `deadline`: the longest it may take. All in seconds; inf stands for never and for no deadline.
    """

    step: PlannedStep
    name: str
    lasts: float
    warmup: float
    deadline: float = math.inf


@dataclass(frozen=True, slots=True)
class Timing:
    """An effort in candidate tasks and, where traffic is known, in seconds since the step's clock start."""

    tasks: Effort
    seconds: Effort | None


@dataclass(frozen=True, slots=True)
class Answer:
    """When one gate answers one question in one step; `step` is None for the whole way from the first on.

    `alone`: as if it were the only gate and step. `merged`: all gates and planned steps share alpha, which a
    certificate need not. `reach`: the mildest worsened value that the merged evidence finds in half of all
    cases before the step ends by itself; None where there is none, or it is not known.
    """

    gate: str
    question: Question
    alone: Timing
    merged: Timing
    step: str | None
    lasts: float
    deadline: float
    reach: float | None = None

    @property
    def in_time(self) -> bool | None:
        """Whether it comes inside the deadline in 95 of 100 cases; None where no traffic is known."""
        seconds = self.merged.seconds
        return None if seconds is None else seconds.p95 < math.inf and seconds.p95 <= self.deadline

    @property
    def improbable(self) -> bool:
        """Whether it does not even come in half of them."""
        return self.merged.seconds is not None and self.merged.seconds.median > self.deadline


def answers(plan: Plan, legs: Sequence[Leg], usual: Usual, worsening: Worsening) -> tuple[Answer, ...]:
    """Every gate's answers, step by step and then for the whole way, in the order of the gates.

    A gate whose usual rate is not known has none, nor has one outside alpha (events, alerts).
    """
    return tuple(answer for gate in plan.gates for answer in _Asked(plan, gate, usual, worsening).over(legs))


def merged_threshold(plan: Plan, gate: Gate) -> float:
    """What a step's process must reach for this gate alone to carry the merged evidence over: J·G/alpha."""
    sharing = [g for g in plan.gates if not isinstance(g.test, Events | Alert | Value) and _steps(plan, g)]
    weights = sum(g.weight for g in sharing)
    return threshold(plan.alpha, _steps(plan, gate)) + math.log(max(1.0, weights / gate.weight))


def _steps(plan: Plan, gate: Gate) -> int:
    return sum(gate.judges(step) for step in plan.steps)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One gate with all that its answers rest on."""

    plan: Plan
    gate: Gate
    usual: Usual
    worsening: Worsening

    def over(self, legs: Sequence[Leg]) -> Iterator[Answer]:
        judged = [leg for leg in legs if self.gate.judges(leg.step)]
        for question in questions(self.plan, self.gate, self.usual, self.worsening):
            harm = question.aim is Aim.HARM
            for leg in judged:
                alone, merged = self._timings(question, (leg,))
                reach = self._reach(leg) if harm else None
                name = self.gate.name
                yield Answer(name, question, alone, merged, leg.name, leg.lasts, leg.deadline, reach)
            if harm and len(judged) > 1:
                lasts = sum(leg.lasts for leg in judged)
                yield Answer(self.gate.name, question, *self._timings(question, judged), None, lasts, lasts)

    def _timings(self, question: Question, legs: Sequence[Leg]) -> tuple[Timing, Timing]:
        """Alone and merged."""
        alone = self._timing(question.evidence, legs, self.plan.threshold)
        if question.aim is Aim.CERTIFICATE:
            return alone, alone
        return alone, self._timing(question.evidence, legs, merged_threshold(self.plan, self.gate))

    def _timing(self, evidence: Evidence, legs: Sequence[Leg], needed: float) -> Timing:
        found = [self._until(evidence, legs, needed, surely=surely) for surely in (False, True)]
        tasks, seconds = (Effort(*pair) for pair in zip(*found, strict=True))
        return Timing(tasks, seconds if self.usual.tasks_per_second else None)

    def _until(
        self, evidence: Evidence, legs: Sequence[Leg], needed: float, *, surely: bool
    ) -> tuple[float, float]:
        """Candidate tasks and seconds until the evidence is there; inf where it never is.

        In a single step for however long that takes; on the whole way, before the last step ends by itself.
        """
        pace = self.usual.tasks_per_second or 1.0
        gathered: list[tuple[Mode, Stretch]] = []
        tasks = elapsed = 0.0
        for leg in legs:
            # evidence is never carried between shadow and live
            before = [stretch for mode, stretch in gathered if mode is leg.step.mode]
            share, wait = leg.step.share, self._wait(leg)
            most = max(0.0, leg.lasts - wait) if len(legs) > 1 else math.inf
            seconds = reached_after(evidence, before, self._stretch(leg, 0.0), needed, surely=surely)
            if seconds <= most:
                return tasks + seconds * pace * share, elapsed + wait + seconds
            gathered.append((leg.step.mode, self._stretch(leg, most)))
            tasks, elapsed = tasks + most * pace * share, elapsed + leg.lasts
        return math.inf, math.inf

    def _reach(self, leg: Leg) -> float | None:
        if not self.usual.tasks_per_second or leg.lasts == math.inf:
            return None
        whole = [self._stretch(leg, max(0.0, leg.lasts - self._wait(leg)))]
        needed = merged_threshold(self.plan, self.gate)
        return worse(
            self.plan,
            self.gate,
            self.usual,
            lambda evidence: evidence.reached(whole, needed, surely=False),
        )

    def _stretch(self, leg: Leg, seconds: float) -> Stretch:
        """In a shadow both versions get the same copies."""
        return Stretch(seconds, leg.step.share, 0.5 if leg.step.mode is Mode.SHADOW else leg.step.share)

    def _wait(self, leg: Leg) -> float:
        return leg.warmup if isinstance(self.gate.test, Comparison) else 0.0

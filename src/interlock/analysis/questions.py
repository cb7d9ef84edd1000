"""What a gate is asked before a rollout: to see a worsening of a given size, or to certify a candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from interlock.analysis.growing import Coins, Evidence, Means
from interlock.analysis.past import looks_back
from interlock.analysis.plan import Advance, Compare, Gate, Limit, Mean, Plan, Tail
from interlock.analysis.planning import (
    above_growth,
    below_growth,
    certificate_growth,
    clean_tasks_to_certify,
    harm_growth,
)
from interlock.analysis.usual import Usual, UsualMean, UsualRate

USUAL_DROP = 0.04
LEAST_DROP = 0.008
USUAL_RISE = 0.25
MOST_RISE = 100.0  # of a mean: times what is tolerated


class Aim(StrEnum):
    """To see harm, or to certify that there is none."""

    HARM = "harm"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Worsening:
    """How much worse a candidate is taken to be; None stands for the usual size.

    `drop`: a share of outcomes, usually 4 points beyond what is tolerated; .8 or as many as make the bad ones
    fivefold where they are rare: .92 → .88, .2 % → 1 %. `rise`: of a mean, in stable's, usually .25 beyond.
    """

    drop: float | None = None
    rise: float | None = None

    def bad(self, before: float, tolerated: float = 0.0) -> float:
        """The worsened share of bad outcomes, below 1."""
        usual = tolerated + min(USUAL_DROP, max(LEAST_DROP, 4 * before))
        return min(before + (usual if self.drop is None else self.drop), (1.0 + before) / 2)

    def better(self, before: float) -> float:
        """The share of bad outcomes of a candidate that is better by as much; at least half of them stay."""
        return before - min(USUAL_DROP if self.drop is None else self.drop, before / 2)

    def dearer(self, tolerated: float) -> float:
        """The worsened mean, of stable's."""
        return 1.0 + (tolerated + USUAL_RISE if self.rise is None else self.rise)


@dataclass(frozen=True, slots=True)
class Question:
    """Which two values are to be told apart, in the metric's own sense, and how evidence of that grows."""

    aim: Aim
    before: float
    after: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a gate's questions rest on: outcomes a second, and stable's share of `bad` ones or its mean."""

    plan: Plan
    gate: Gate
    rate: float
    bad: float = 0.0
    effect: float = 1.0
    mean: UsualMean | None = None

    def told(self, bad: float) -> float:
        """A share of bad outcomes in the metric's own sense."""
        return 1.0 - bad if self.gate.metric and self.gate.metric.higher_is_better else bad


def questions(plan: Plan, gate: Gate, usual: Usual, worsening: Worsening) -> Iterator[Question]:
    """What the gate is asked, as far as the usual traffic tells; of events and alerts nothing."""
    ground = _ground(plan, gate, usual)
    if ground is None:
        return
    before, after = _worsened(ground, worsening)
    yield _harm(ground, before, after)
    if gate.advance is not Advance.NO_HARM:
        yield _certificate(ground, worsening)


def worse(plan: Plan, gate: Gate, usual: Usual, found: Callable[[Evidence], bool]) -> float | None:
    """The mildest worsening that is `found`, in the metric's own sense; None if none is."""
    ground = _ground(plan, gate, usual)
    if ground is None:
        return None
    before, _ = _worsened(ground, Worsening())
    low, high = before, before * MOST_RISE if ground.mean else 1.0 - 1e-9
    if not found(_harm(ground, before, high).evidence):
        return None
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if found(_harm(ground, before, middle).evidence) else (middle, high)
    return high if ground.mean else ground.told(high)


def _ground(plan: Plan, gate: Gate, usual: Usual) -> _Ground | None:
    usage, pace = usual.gates.get(gate.name), usual.tasks_per_second
    match gate.test, usage:
        case Mean(), UsualMean():
            if not pace or not usage.deviation or not usage.mean:
                return None  # blocks take time: without traffic nothing can be told
            return _Ground(plan, gate, pace * usage.per_task, mean=usage)
        case ((Compare() | Tail() | Limit()), UsualRate()):
            rate = (pace or 1.0) * usage.per_task
            effect = usage.effect if looks_back(gate) else 1.0
            return _Ground(plan, gate, rate, 1.0 - usage.good, effect)
        case Limit(), None:
            return _Ground(plan, gate, pace or 1.0)
        case _:
            return None


def _worsened(ground: _Ground, worsening: Worsening) -> tuple[float, float]:
    """Shares of bad outcomes, or means: as they are or may be at most, and worsened."""
    match ground.gate.test, ground.mean:
        case Mean(tolerated), UsualMean() as usage:
            return usage.mean, usage.mean * worsening.dearer(tolerated)
        case Limit(maximum), _:
            return maximum, worsening.bad(maximum)
        case ((Compare(tolerated) | Tail(_, tolerated)), _):
            return ground.bad, worsening.bad(ground.bad, tolerated)
        case _:
            raise AssertionError(ground.gate)


def _harm(ground: _Ground, before: float, after: float) -> Question:
    """Values as in `_worsened`."""
    match ground.gate.test, ground.mean:
        case Mean(tolerated), UsualMean() as usage:
            return Question(
                Aim.HARM, before, after, _means(ground, usage, after, 1.0 + tolerated, above=True)
            )
        case Limit(maximum), _:
            nats = above_growth(after, maximum) / ground.effect
            evidence = Coins(lambda _: nats, ground.rate)
        case ((Compare(tolerated) | Tail(_, tolerated)), _):
            evidence = Coins(
                lambda part: harm_growth(1.0 - after, 1.0 - before, part, tolerated) / ground.effect,
                ground.rate,
            )
        case _:
            raise AssertionError(ground.gate)
    return Question(Aim.HARM, ground.told(before), ground.told(after), evidence)


def _certificate(ground: _Ground, worsening: Worsening) -> Question:
    """Of a candidate that is like stable where that can be certified, else of a better one."""
    superior = ground.gate.advance is Advance.SUPERIOR
    match ground.gate.test, ground.mean:
        case Mean(tolerated), UsualMean() as usage:
            margin = 0.0 if superior else tolerated
            after = usage.mean * (1.0 if margin else 2.0 - worsening.dearer(0.0))
            evidence: Evidence = _means(ground, usage, after, 1.0 + margin, above=False)
            return Question(Aim.CERTIFICATE, usage.mean, after, evidence)
        case Limit(maximum), _:
            nats = below_growth(ground.bad, maximum) / ground.effect
            least = clean_tasks_to_certify(maximum, ground.plan.alpha)
            evidence = Coins(lambda _: nats, ground.rate, least)
            return Question(Aim.CERTIFICATE, maximum, ground.bad, evidence)
        case ((Compare(tolerated) | Tail(_, tolerated)), _):
            margin = 0.0 if superior else tolerated
            after = ground.bad if margin else worsening.better(ground.bad)
            evidence = Coins(
                lambda part: certificate_growth(1.0 - after, 1.0 - ground.bad, part, margin) / ground.effect,
                ground.rate,
            )
            return Question(Aim.CERTIFICATE, ground.told(ground.bad), ground.told(after), evidence)
        case _:
            raise AssertionError(ground.gate)


def _means(ground: _Ground, usage: UsualMean, after: float, border: float, *, above: bool) -> Means:
    variation = usage.deviation / usage.mean
    return Means(after / usage.mean, border, above, variation, ground.rate, ground.plan.tick)

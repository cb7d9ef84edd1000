"""Which step an outcome belongs to, and whether it may be compared.

Limits and events never wait: what the candidate does between two steps counts as well. Comparisons use a
step's outcomes from the end of its warm-up to its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from interlock.analysis.outcomes import Outcome
from interlock.analysis.plan import Mode, Plan, PlannedStep, StepTime


@dataclass(frozen=True, slots=True)
class Stretch:
    """One planned step on the time axis, unix seconds; inf stands for "not yet".

    `opened` ≤ `started` ≤ `warm`: outcomes count for limits and events from `opened` (the end of the step
    before), in the step itself from `started` (its clock), for comparisons from `warm`, until `ended`.
    `frozen`: start of the first later step in another mode, where this step's evidence ends for good.
    """

    step: PlannedStep
    opened: float
    started: float = math.inf
    warm: float = math.inf
    ended: float = math.inf
    frozen: float = math.inf


Clocked = tuple[Outcome, Stretch | None]
"""An outcome, and the step whose clock ran when it was seen."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The stretches so far, in order; the last is the running one, or the next whose clock waits."""

    stretches: tuple[Stretch, ...]

    @property
    def origin(self) -> float | None:
        """Start of the first step: where the grid begins."""
        first = self.stretches[0].started if self.stretches else math.inf
        return first if first < math.inf else None

    @property
    def running(self) -> Stretch | None:
        """The step the attempt is in; None only for a plan without steps."""
        return self.stretches[-1] if self.stretches else None

    def at(self, moment: float) -> Stretch | None:
        """The step the attempt was in, whether or not its clock ran yet; None before the first clock."""
        if self.origin is None or moment <= self.origin:
            return None
        return next((one for one in reversed(self.stretches) if one.opened < moment), None)

    def place(self, mode: Mode, begin: float, end: float) -> Stretch | None:
        """The stretch to which the candidate's outcomes of (begin, end] count for limits and events.

        An interval that began before the mode changed still counts for the old mode: what it shows may have
        happened before the change, and a violation must not be lost to rounding.
        """
        for stretch in reversed(self.stretches):
            if stretch.step.mode is mode and stretch.opened < end:
                return stretch if begin < stretch.frozen else None
        return None

    def clocked(self, end: float) -> Stretch | None:
        """The stretch whose clock ran at `end`."""
        for stretch in reversed(self.stretches):
            if stretch.started < end <= stretch.ended:
                return stretch
        return None


def timeline(plan: Plan, since: float, times: Iterable[StepTime], warmups: Mapping[int, float]) -> Timeline:
    """The planned steps laid out by their clocks. `warmups`: seconds by step index, as far as known."""
    planned = {step.index: step for step in plan.steps}
    stretches: list[Stretch] = []
    for time in sorted(times, key=lambda time: time.started):
        ended = math.inf if time.ended is None else time.ended
        step = planned.get(time.index)
        if stretches:
            last = stretches[-1]
            # an approval keeps the weights of the step before it, so that step goes on
            stretches[-1] = replace(last, ended=min(last.ended, time.started) if step else ended)
        if step:
            opened = stretches[-1].ended if stretches else since
            warm = time.started + (warmups.get(step.index, math.inf) if plan.warms_up(step) else 0.0)
            stretches.append(Stretch(step, opened, time.started, warm, ended))
    waiting = _next(plan, stretches, since)
    return Timeline(tuple(_freeze([*stretches, *waiting])))


def _next(plan: Plan, stretches: list[Stretch], since: float) -> list[Stretch]:
    """The step whose clock has not started, once the one before it has ended."""
    last = stretches[-1] if stretches else None
    if last is not None and last.ended == math.inf:
        return []
    later = [step for step in plan.steps if last is None or step.index > last.step.index]
    if not later:
        return []
    return [Stretch(min(later, key=lambda step: step.index), since if last is None else last.ended)]


def _freeze(stretches: list[Stretch]) -> list[Stretch]:
    return [
        replace(
            stretch,
            frozen=min(
                (later.started for later in stretches[at + 1 :] if later.step.mode is not stretch.step.mode),
                default=math.inf,
            ),
        )
        for at, stretch in enumerate(stretches)
    ]

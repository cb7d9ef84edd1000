"""What the usual traffic says of a Rollout's gates and steps: too few tasks, too many bad ones. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from interlock.analysis.evidence import MIN_OUTCOMES
from interlock.analysis.means import MIN_BLOCKS
from interlock.analysis.plan import Compare, Events, Gate, Limit, Mean, Mode, Plan, Tail
from interlock.analysis.power import Answer, Leg
from interlock.analysis.questions import Aim
from interlock.analysis.usual import Usual, UsualEvents, UsualMean, UsualRate
from interlock.core.lint.findings import Finding, error, note, warning
from interlock.core.lint.forecast import tasks_seconds
from interlock.core.lint.written import DEADLINE, gate_field, outside, step_field
from interlock.core.words import duration, percent, value
from interlock.model.rollout import Rollout

CLUMPED = 1.5
"""Outcomes that make an independent one, from which on it is said."""
LIKELY = 0.05
"""Chance of a false revert by a count of events, from which on it is said."""
LONG = 86400.0
"""Seconds; a step without a deadline that takes longer than this for its tasks is remarkable."""


def judged(
    rollout: Rollout, plan: Plan, usual: Usual, legs: Sequence[Leg], answers: Iterable[Answer]
) -> tuple[Finding, ...]:
    """Everything the traffic says, steps first."""
    told = tuple(answers)
    return (
        *_steps(rollout, usual, legs),
        *(found for gate in plan.gates for found in _stable_itself(plan, gate, usual, legs)),
        *(found for gate in plan.gates for found in _answered(plan, gate, told)),
    )


# ------------------------------------------------------------------ steps
def _steps(rollout: Rollout, usual: Usual, legs: Sequence[Leg]) -> Iterator[Finding]:
    if usual.tasks_per_second == 0:
        what = "stable has had no task in the time looked at: nothing can be decided, and no step ends"
        yield error("spec.agent", what, "send traffic first, or look at another time")
        return
    for step, leg in zip(rollout.spec.strategy.steps, legs, strict=True):
        field = step_field(leg.step.index, "minTasks")
        needed = tasks_seconds(step, leg.step, usual) + leg.warmup
        expected = f"step {step.name}: {step.min_tasks} tasks of the candidate take about {duration(needed)}"
        if needed > leg.deadline:
            what = f"{expected}, the deadline is {duration(leg.deadline)}"
            yield error(field, what, f"lower it, raise the step's share, or raise {DEADLINE}")
        elif leg.deadline == math.inf and needed > LONG:
            yield warning(field, expected, "lower it, or raise the step's share")
        yield from _warm_up(leg, step.duration_seconds)
    if usual.beyond is not None and rollout.spec.analysis.warmup_seconds is None:
        what = (
            f"over 1 % of stable's tasks take longer than {duration(usual.beyond)}, the last bound of their "
            f"histogram: that outcomes are comparable after {duration(usual.slow or 0.0)} is only reckoned"
        )
        yield warning("spec.analysis.warmupSeconds", what, "set it, or give the histogram larger bounds")


def _warm_up(leg: Leg, at_least: float) -> Iterator[Finding]:
    what = f"step {leg.name}: comparisons wait {duration(leg.warmup)} for tasks to be comparable"
    remedy = "lengthen the step; a shorter `analysis.warmupSeconds` raises false reverts"
    if leg.warmup >= leg.deadline:
        field, what = DEADLINE, f"{what}, longer than the deadline of {duration(leg.deadline)}"
        yield error(field, what, f"raise {DEADLINE}; {remedy}")
    elif 0 < at_least <= leg.warmup:
        part = "full.soakSeconds" if leg.step.kind == "full" else "minDurationSeconds"
        what = f"{what}, the step lasts {duration(at_least)}: it takes longer than it says"
        yield warning(step_field(leg.step.index, part), what, remedy)


# ------------------------------------------------------------------ gates that stable itself would not pass
def _stable_itself(plan: Plan, gate: Gate, usual: Usual, legs: Sequence[Leg]) -> Iterator[Finding]:
    match gate.test, usual.gates.get(gate.name):
        case Limit(maximum), UsualRate() as usage if usage.counts.good < usage.counts.total * (1 - maximum):
            bad = 1 - usage.counts.good / usage.counts.total
            what = (
                f"gate {gate.name}: stable itself is at {percent(bad)} (n={usage.counts.total:.0f}), over "
                f"the limit of {percent(maximum)}: a candidate like it is taken back"
            )
            yield error(
                gate_field(plan, gate, "limit.maxPercent"), what, "raise the limit, or `compare` instead"
            )
        case Limit(), UsualRate() as usage if gate.safety and usage.effect >= CLUMPED:
            why = f"it takes every outcome for itself, and they come in clumps: {_clumps(usage)}"
            yield outside(plan, gate, "limit", why)
        case Events(maximum), UsualEvents() as usage if usage.count:
            pace = usual.tasks_per_second or 0.0
            tasks = sum(leg.lasts * leg.step.share * pace for leg in legs if gate.judges(leg.step))
            chance = 1.0 - poisson(maximum, usage.per_task * tasks) if math.isfinite(tasks) else 1.0
            if chance >= LIKELY:
                yield _events(plan, gate, usage, usual, chance)
        case ((Compare() | Tail()), UsualRate() as usage) if usage.effect >= CLUMPED:
            what = f"gate {gate.name}: outcomes come in clumps or drift, {_clumps(usage)}"
            yield note(gate_field(plan, gate), what, "nothing: the times here allow for it")
        case Mean(), UsualMean() as usage:
            yield from _looks(plan, gate, usage, usual, legs)
        case _:
            pass


def _clumps(usage: UsualRate) -> str:
    return f"{usage.effect:.1f} are worth one independent one (sessions, tenants, times of day)"


def _events(plan: Plan, gate: Gate, usage: UsualEvents, usual: Usual, chance: float) -> Finding:
    what = (
        f"gate {gate.name}: stable has had {usage.count:.0f} in {duration(usual.seconds)}; a candidate like "
        f"it is taken back with a chance of about {percent(chance)}"
    )
    remedy = "mend stable first, raise `events.max`, or put a `limit` on the rate"
    return (error if chance > 0.5 else warning)(gate_field(plan, gate, "events.max"), what, remedy)


def poisson(most: int, expected: float) -> float:
    """Chance of at most so many events where `expected` ≥ 0 are."""
    terms = (math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(most + 1))
    return min(1.0, sum(terms)) if expected > 0 else 1.0


def _looks(plan: Plan, gate: Gate, usage: UsualMean, usual: Usual, legs: Sequence[Leg]) -> Iterator[Finding]:
    """A mean says nothing, and lets no step end, before so many looks with outcomes of both versions."""
    rate = (usual.tasks_per_second or 0.0) * usage.per_task
    for leg in legs:
        if not gate.judges(leg.step) or not rate or leg.step.mode is not Mode.LIVE:
            continue
        scarcer = rate * min(leg.step.share, 1 - leg.step.share)
        needed = leg.warmup + MIN_BLOCKS * max(plan.tick, MIN_OUTCOMES / scarcer)
        what = f"gate {gate.name} needs {MIN_BLOCKS} looks, about {duration(needed)} in step {leg.name}"
        remedy = "raise the share of the step that has less traffic, or lengthen the step"
        if needed > leg.deadline:
            what = f"{what}, the deadline is {duration(leg.deadline)}"
            yield error(gate_field(plan, gate, "mean"), what, f"{remedy}; or raise {DEADLINE}")
        elif needed > leg.lasts:
            what = f"{what}, which lasts {duration(leg.lasts)}: it takes longer than it says"
            yield warning(gate_field(plan, gate, "mean"), what, remedy)


# ------------------------------------------------------------------ answers that come too late
def _answered(plan: Plan, gate: Gate, answers: Sequence[Answer]) -> Iterator[Finding]:
    mine = [answer for answer in answers if answer.gate == gate.name and answer.merged.seconds is not None]
    harm = [answer for answer in mine if answer.question.aim is Aim.HARM]
    late = [answer for answer in harm if answer.step is not None and not answer.in_time]
    if late:
        yield _harm_too_late(plan, gate, late)
    whole = next((answer for answer in harm if answer.step is None), harm[0] if len(harm) == 1 else None)
    if whole is not None and not _within(whole):
        yield _promoted_unseen(plan, gate, whole)
    for answer in mine:
        if answer.question.aim is Aim.CERTIFICATE and not answer.in_time:
            yield _certificate_too_late(plan, gate, answer)


def _within(answer: Answer) -> bool:
    """Whether it comes before the steps end by themselves, in half of all cases."""
    return answer.merged.seconds is not None and answer.merged.seconds.median <= answer.lasts


def _harm_too_late(plan: Plan, gate: Gate, late: Sequence[Answer]) -> Finding:
    steps = ", ".join(f"{answer.step} ({_times(answer)})" for answer in late)
    what = (
        f"gate {gate.name} does not see {_change(gate, late[0])} inside the deadline of "
        f"{duration(late[0].deadline)} in: {steps}"
    )
    return warning(gate_field(plan, gate), what, f"raise the step's share, or raise {DEADLINE}")


def _promoted_unseen(plan: Plan, gate: Gate, whole: Answer) -> Finding:
    what = (
        f"gate {gate.name}: in half of all cases or more {_change(gate, whole)} is "
        f"promoted before that is seen; the steps take {duration(whole.lasts)} in all"
    )
    return warning(gate_field(plan, gate), what, "lengthen the steps or the soak, or raise their shares")


def _certificate_too_late(plan: Plan, gate: Gate, answer: Answer) -> Finding:
    word = gate.advance.value
    who = "one that is as good as stable" if answer.question.after == answer.question.before else "a good one"
    if isinstance(gate.test, Limit):
        who = "one like stable"
    seconds = answer.merged.seconds
    never = seconds is None or seconds.median == math.inf
    span = "never gets there" if never else f"takes {_times(answer)}"
    limit = f", the deadline is {duration(answer.deadline)}" if answer.deadline < math.inf else ""
    what = f"gate {gate.name}, step {answer.step}: to be {word}, {who} {span}{limit}"
    remedy = f"raise the step's share, widen the margin, or raise {DEADLINE}"
    found = error if never or answer.improbable else warning
    return found(gate_field(plan, gate, "advance"), what, remedy)


def _times(answer: Answer) -> str:
    seconds = answer.merged.seconds
    if seconds is None or seconds.median == math.inf:
        return "never"
    return f"median {duration(seconds.median)}, 95 % {duration(seconds.p95)}"


def _change(gate: Gate, answer: Answer) -> str:
    return f"{value(gate, answer.question.before)} turning into {value(gate, answer.question.after)}"

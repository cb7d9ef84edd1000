"""What the expressions of `value` gates give over time, as a story tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from interlock.analysis.metrics import Query
from interlock.analysis.plan import Plan
from interlock.analysis.values import Evaluated, NoNumber, moments
from interlock.errors import SpecError
from interlock.model.rollout import Rollout
from interlock.simulation.conduct import Line
from interlock.simulation.story import Reading

Readings = Mapping[str, Sequence[Reading]]
"""By metric, in order of time."""
NOTHING = NoNumber("the story gives it no number at this time")


def check(readings: Readings, rollout: Rollout) -> None:
    """SpecError where a metric is read by no `value` gate: its numbers would change nothing."""
    used = sorted(gate.metric for gate in rollout.spec.analysis.gates if gate.value and gate.metric)
    for name in readings:
        if name not in used:
            known = f"; those are {', '.join(used)}" if used else ", and the Rollout has none"
            raise SpecError(f"`values.{name}` must name the metric of a `value` gate{known}")


def evaluated(
    readings: Readings, plan: Plan, begin: float, after: float, until: float
) -> dict[str, list[Evaluated]]:
    """By gate, at the operator's moments in (`after`, `until`]; `begin` is the story's (all unix seconds)."""
    told = {
        gate.name: readings[gate.metric.name]
        for gate in plan.gates
        if isinstance(gate.metric, Query) and gate.metric.name in readings
    }
    due = moments(after, until, plan.tick) if told else ()
    return {name: [Evaluated(at, number(parts, at - begin)) for at in due] for name, parts in told.items()}


def number(parts: Sequence[Reading], time: float) -> float | NoNumber:
    """What it gives at `time` (seconds since the story began)."""
    line = Line()
    for part in parts:
        if part.after > time:
            break
        if part.number is None:
            line = Line()
        else:
            line.turns.append((part.after, part.over, part.number))
    found = line.at(time)
    return NOTHING if found is None else found

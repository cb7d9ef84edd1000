"""How a rollout will go at the usual traffic: how long its steps last, and what its gates can tell. Pure."""

from __future__ import annotations

import math

from interlock.analysis.plan import Mode, Plan, PlannedStep, Side
from interlock.analysis.power import Answer, Leg, answers
from interlock.analysis.questions import Worsening
from interlock.analysis.usual import Usual
from interlock.core.metrictemplates import Known
from interlock.core.observation import Timing
from interlock.core.plans import NO_TEMPLATES, plan_between
from interlock.model.rollout import Rollout, Step

NOBODY = Side("", "\0")
"""A version that owns no series: planning needs no candidate."""


def planned(rollout: Rollout, timing: Timing, stable: Side = NOBODY, known: Known = NO_TEMPLATES) -> Plan:
    """The plan of an attempt that has not begun. ValueError where the gates cannot be followed."""
    return plan_between(rollout, timing, NOBODY, stable, known)


def legs(rollout: Rollout, plan: Plan, usual: Usual) -> tuple[Leg, ...]:
    """The steps as they go when nothing is wrong."""
    deadline = rollout.spec.strategy.step_deadline_seconds
    longest = math.inf if deadline is None else float(deadline)
    warmup = warmup_seconds(plan, usual)
    found = []
    for step, planned_step in zip(rollout.spec.strategy.steps, plan.steps, strict=True):
        wait = warmup if planned_step.mode is Mode.LIVE else 0.0
        lasts = max(float(step.duration_seconds), wait + tasks_seconds(step, planned_step, usual))
        found.append(Leg(planned_step, step.name, lasts, wait, longest))
    return tuple(found)


def forecast(rollout: Rollout, plan: Plan, usual: Usual, worsening: Worsening) -> tuple[Answer, ...]:
    """What each gate can tell in each step."""
    return answers(plan, legs(rollout, plan, usual), usual, worsening)


def warmup_seconds(plan: Plan, usual: Usual) -> float:
    """How long comparisons ignore outcomes after a change of weights."""
    return max(plan.settle, usual.slow or 0.0) if plan.warmup is None else plan.warmup


def tasks_seconds(step: Step, planned_step: PlannedStep, usual: Usual) -> float:
    """Seconds until the candidate has had `minTasks`; 0 where the traffic is not known, inf without any."""
    if usual.tasks_per_second is None:
        return 0.0
    pace = usual.tasks_per_second * planned_step.share
    return step.min_tasks / pace if pace > 0 else math.inf

"""From a Rollout to what the analysis judges it by. Pure."""

from __future__ import annotations

from interlock.analysis.plan import Compare, Events, Gate, Limit, Plan, PlannedStep, Side, StepTime
from interlock.core.observation import Timing
from interlock.model.rollout import Gate as GateSpec
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt


def plan_gate(spec: GateSpec) -> Gate:
    """A gate of the API as the analysis judges it. Raises ValueError when metric and test do not fit."""
    test: Compare | Limit | Events
    if spec.metric is None:
        raise ValueError("alert gates are not judged by this version: remove the gate")
    if spec.compare:
        test = Compare(float(spec.compare.worse_by_points) / 100)
    elif spec.limit:
        test = Limit(float(spec.limit.max_percent) / 100)
    else:
        test = Events(spec.events.max if spec.events else 0)
    safety = isinstance(test, Events) or "violation" in spec.metric
    return Gate(
        spec.name,
        spec.metric,
        test,
        weight=spec.weight,
        safety=safety if spec.safety is None else spec.safety,
    )


def plan_problem(rollout: Rollout) -> str:
    """Why the gates cannot be followed, naming the field; empty when they can."""
    for index, gate in enumerate(rollout.spec.analysis.gates):
        try:
            plan_gate(gate)
        except (ValueError, KeyError) as error:
            return f"spec.analysis.gates[{index}] ({gate.name}): {str(error).strip(chr(39))}"
    if not 0 < rollout.spec.analysis.alpha < 1:
        return "spec.analysis.falseRevertPercent must be greater than 0 and less than 100"
    return ""


def plan_of(rollout: Rollout, timing: Timing) -> Plan | None:
    """What the running attempt is judged by; None when there is nothing to judge."""
    status = rollout.status
    if status.stable is None or status.candidate is None:
        return None
    steps = tuple(
        PlannedStep(index, step.kind, step.min_tasks, compares=not step.full or step.full.holdout_percent > 0)
        for index, step in enumerate(rollout.spec.strategy.steps)
    )
    warmup = rollout.spec.analysis.warmup_seconds
    return Plan(
        gates=tuple(plan_gate(gate) for gate in rollout.spec.analysis.gates),
        alpha=rollout.spec.analysis.alpha,
        steps=steps,
        candidate=Side(status.candidate.version, status.candidate.workload + "-"),
        stable=Side(status.stable.version, status.stable.workload + "-"),
        tick=timing.tick,
        settle=timing.settle,
        warmup=None if warmup is None else float(warmup),
    )


def step_times(attempt: Attempt) -> tuple[StepTime, ...]:
    """When each step's clock ran, as unix seconds."""
    return tuple(
        StepTime(t.index, t.started_time.timestamp(), t.ended_time.timestamp() if t.ended_time else None)
        for t in attempt.step_times
    )

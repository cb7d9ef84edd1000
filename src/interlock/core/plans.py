"""From a Rollout to what the analysis judges it by. Pure."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from interlock.analysis.metrics import Metric, Query
from interlock.analysis.plan import (
    Advance,
    Alert,
    Compare,
    Comparison,
    Events,
    Gate,
    Limit,
    Mean,
    Plan,
    PlannedStep,
    Side,
    StepKind,
    StepTime,
    Tail,
    Test,
    Value,
)
from interlock.core import promql
from interlock.core.fingerprint import fingerprint
from interlock.core.metrictemplates import Known, metric_named, rules_of
from interlock.core.observation import Timing
from interlock.model.gate import Gate as GateSpec
from interlock.model.rollout import Rollout, Step
from interlock.model.rolloutstatus import Attempt, GateStart

NO_TEMPLATES: Known = {}


def plan_gate(spec: GateSpec, since: float = -math.inf, known: Known = NO_TEMPLATES) -> Gate:
    """A gate of the API as the analysis judges it. Raises ValueError when metric and test do not fit."""
    test = _test(spec)
    metric = metric_named(spec.metric or "", known) if spec.alert is None else None
    safety = isinstance(test, Events | Alert) or "violation" in (spec.metric or "")
    return Gate(
        spec.name,
        metric,
        test,
        weight=spec.weight,
        safety=safety if spec.safety is None else spec.safety,
        since=since,
        advance=Advance(spec.advance),
        during=None if spec.during is None else _during(spec.during),
    )


_KINDS: Mapping[str, StepKind] = {"Shadow": "shadow", "Canary": "canary", "Full": "full"}


def _during(words: tuple[str, ...]) -> tuple[StepKind, ...]:
    return tuple(_KINDS[word] for word in words)


def _test(spec: GateSpec) -> Test:  # noqa: PLR0911 - one for each kind
    """The one kind that it has."""
    if spec.compare:
        return Compare(_margin("compare.worseByPoints", spec.compare.worse_by_points))
    if spec.tail:
        return Tail(float(spec.tail.above_seconds), _margin("tail.worseByPoints", spec.tail.worse_by_points))
    if spec.mean:
        return Mean(float(spec.mean.worse_by_percent) / 100)
    if spec.limit:
        return Limit(float(spec.limit.max_percent) / 100)
    if spec.value:
        highest, lowest = spec.value.max, spec.value.min
        return Value(
            math.inf if highest is None else float(highest), -math.inf if lowest is None else float(lowest)
        )
    if spec.alert:
        return Alert(dict(sorted(spec.alert.match_labels.items())))
    return Events(spec.events.max if spec.events else 0)


def _margin(field: str, points: str) -> float:
    """Percentage points as a share."""
    if float(points) >= 100:
        raise ValueError(f"{field} must be below 100, not {points}: no candidate could be worse by so much")
    return float(points) / 100


def plan_problem(rollout: Rollout, known: Known = NO_TEMPLATES) -> str:
    """Why the gates cannot be followed, naming the field; empty when they can."""
    gates = rollout.spec.analysis.gates
    for index, gate in enumerate(gates):
        try:
            problem = _during_problem(plan_gate(gate, known=known), rollout.spec.strategy.steps)
        except (ValueError, KeyError) as error:
            problem = str(error).strip("'")
        if not problem and any(gate.name == other.name for other in gates[:index]):
            problem = "name must be one that no other gate has"
        if problem:
            return f"spec.analysis.gates[{index}] ({gate.name}): {problem}"
    if not 0 < rollout.spec.analysis.alpha < 1:
        return "spec.analysis.falseRevertPercent must be greater than 0 and less than 100"
    return ""


def _during_problem(gate: Gate, steps: tuple[Step, ...]) -> str:
    """Why the gate cannot judge in the kinds of step that it names; empty when it can."""
    if not any(step.kind in gate.kinds for step in steps):
        kinds = " or ".join(kind.capitalize() for kind in gate.kinds)
        return f"during must name a kind of step that spec.strategy.steps has: there is no {kinds} to judge"
    if isinstance(gate.test, Comparison) and "shadow" in gate.kinds:
        unfit = next((step for step in steps if step.shadow and not _compares(step)), None)
        if unfit:
            return (
                f"during must not have Shadow while step {unfit.name} lacks `shadow.control: true`: there is "
                "no like of the candidate to compare it with, as live stable does what the shadow must not"
            )
    return ""


def idle_gates(rollout: Rollout, known: Known = NO_TEMPLATES) -> tuple[str, ...]:
    """Names of the gates that judge in no step, as where two versions are compared and none has both."""
    steps, gates = rollout.spec.strategy.steps, rollout.spec.analysis.gates
    planned = [plan_gate(gate, known=known) for gate in gates]
    return tuple(
        gate.name
        for gate in planned
        if not any(gate.judges_in(step.kind, compares=_compares(step)) for step in steps)
    )


def has_alerts(rollout: Rollout) -> bool:
    """Whether an alert could take an attempt back as soon as it starts."""
    return any(_heeds_the_start(rollout, gate) for gate in rollout.spec.analysis.gates)


def alert_tests(rollout: Rollout) -> tuple[Alert, ...]:
    """The alerts that could."""
    return tuple(
        Alert(dict(gate.alert.match_labels))
        for gate in rollout.spec.analysis.gates
        if gate.alert and _heeds_the_start(rollout, gate)
    )


def _heeds_the_start(rollout: Rollout, gate: GateSpec) -> bool:
    """Whether it asks for alerts and judges in the first step."""
    first = rollout.spec.strategy.steps[0].kind
    return gate.alert is not None and (gate.during is None or first in _during(gate.during))


# ------------------------------------------------------------------ edited gates
def gate_hash(rollout: Rollout, gate: GateSpec, known: Known = NO_TEMPLATES) -> str:
    """Names the rules under which a gate gathers evidence, those of a metric's template among them; 16 hex.

    Without defaults, as `strategy_hash`: a newer operator with a further field must not start it afresh.
    """
    analysis = rollout.spec.analysis
    defined = rules_of(gate.metric or "", known)
    rules = ({"metric": defined} if defined else {}) | {
        "gate": gate.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True),
        "falseRevertPercent": analysis.false_revert_percent,
        "warmupSeconds": analysis.warmup_seconds,
    }
    return fingerprint(rules)


def gate_starts(
    rollout: Rollout, previous: tuple[GateStart, ...], now: datetime, known: Known = NO_TEMPLATES
) -> tuple[GateStart, ...]:
    """Since when each gate of the spec has its rules: as before where they are the same, else since `now`."""
    before = {(start.name, start.hash): start for start in previous}
    found = []
    for gate in rollout.spec.analysis.gates:
        rules = gate_hash(rollout, gate, known)
        found.append(before.get((gate.name, rules)) or GateStart(name=gate.name, hash=rules, since=now))
    return tuple(found)


def _since(rollout: Rollout, attempt: Attempt | None, gate: GateSpec, known: Known) -> float:
    """When the gate's evidence begins; never while its edit is not yet part of the attempt's record."""
    if attempt is None or not attempt.gate_starts:
        return -math.inf
    rules = gate_hash(rollout, gate, known)
    return next(
        (s.since.timestamp() for s in attempt.gate_starts if (s.name, s.hash) == (gate.name, rules)),
        math.inf,
    )


# ------------------------------------------------------------------ the plan
def plan_of(
    rollout: Rollout, timing: Timing, known: Known = NO_TEMPLATES, expected: Iterable[str] = ()
) -> Plan | None:
    """What the running attempt is judged by; None when there is nothing to judge.

    `expected`: metrics that the candidate's author names; one that is not known is not measured.
    """
    status = rollout.status
    if status.stable is None or status.candidate is None:
        return None
    candidate, stable = (Side(one.version, one.workload + "-") for one in (status.candidate, status.stable))
    plan = plan_between(rollout, timing, candidate, stable, known)
    names = {
        "namespace": rollout.metadata.namespace,
        "agent": rollout.spec.agent,
        "candidate.version": status.candidate.version,
        "candidate.workload": status.candidate.workload,
        "stable.version": status.stable.version,
        "stable.workload": status.stable.workload,
    }
    return replace(
        plan,
        gates=tuple(_filled(gate, names) for gate in plan.gates),
        expected=tuple(_expected(expected, known)),
    )


def plan_between(
    rollout: Rollout, timing: Timing, candidate: Side, stable: Side, known: Known = NO_TEMPLATES
) -> Plan:
    """What an attempt of this candidate against this stable version is judged by.

    Expressions keep their places for names. Raises ValueError where `plan_problem` finds one.
    """
    steps = tuple(
        PlannedStep(
            index,
            step.kind,
            step.min_tasks,
            compares=_compares(step),
            share=_share(step),
        )
        for index, step in enumerate(rollout.spec.strategy.steps)
    )
    warmup = rollout.spec.analysis.warmup_seconds
    return Plan(
        gates=tuple(
            plan_gate(gate, _since(rollout, rollout.status.attempt, gate, known), known)
            for gate in rollout.spec.analysis.gates
        ),
        alpha=rollout.spec.analysis.alpha,
        steps=steps,
        candidate=candidate,
        stable=stable,
        tick=timing.tick,
        settle=timing.settle,
        warmup=None if warmup is None else float(warmup),
    )


def _filled(gate: Gate, names: Mapping[str, str]) -> Gate:
    """With the names of this rollout in the expression that it asks for, if it does."""
    if not isinstance(gate.metric, Query):
        return gate
    return replace(gate, metric=replace(gate.metric, promql=promql.filled(gate.metric.promql, names)))


def _expected(names: Iterable[str], known: Known) -> Iterator[Metric]:
    for name in names:
        with contextlib.suppress(ValueError):
            yield metric_named(name, known)


def _compares(step: Step) -> bool:
    """Whether there is something like the candidate, at the same time, to compare it with."""
    if step.full:
        return step.full.holdout_percent > 0
    return step.shadow.control if step.shadow else True


def _share(step: Step) -> float:
    """The part of the live requests that the candidate answers, or gets a copy of in shadow."""
    if step.shadow:
        return step.shadow.percent / 100
    if step.canary:
        return step.canary.percent / 100
    return 1 - (step.full.holdout_percent if step.full else 0) / 100


def step_times(attempt: Attempt) -> tuple[StepTime, ...]:
    """When each step's clock ran, as unix seconds."""
    return tuple(
        StepTime(t.index, t.started_time.timestamp(), t.ended_time.timestamp() if t.ended_time else None)
        for t in attempt.step_times
    )

"""What can be said of a Rollout's gates and steps without any traffic. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from interlock.analysis.metrics import Average, Proportion
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
    Value,
)
from interlock.analysis.planning import clean_tasks_to_certify
from interlock.core.lint.findings import Finding, error, note, warning
from interlock.core.metrictemplates import Known
from interlock.core.plans import NO_TEMPLATES, plan_problem
from interlock.model.rollout import Rollout

SUCCESS = frozenset({"task-success-rate", "verified-success-rate"})
COVERAGE = "verification-coverage"
GATES = "spec.analysis.gates"
STEPS = "spec.strategy.steps"
DEADLINE = "spec.strategy.stepDeadlineSeconds"


def unfit(rollout: Rollout, known: Known = NO_TEMPLATES) -> tuple[Finding, ...]:
    """Why the gates could not be followed; empty when they can."""
    problem = plan_problem(rollout, known)
    if not problem:
        return ()
    field, _, what = problem.partition(": ")
    return (error(field.split(" ")[0], what or problem, "change it: the Rollout is Stalled with it"),)


def gate_field(plan: Plan, gate: Gate, part: str = "") -> str:
    """Where a gate stands in the object."""
    return f"{GATES}[{plan.gates.index(gate)}]{'.' + part if part else ''}"


def step_field(index: int, part: str = "") -> str:
    """Where a step stands in the object."""
    return f"{STEPS}[{index}]{'.' + part if part else ''}"


def spoken(rollout: Rollout, plan: Plan) -> tuple[Finding, ...]:
    """What the gates leave out, in the order of the gates; `plan` is the Rollout's."""
    if not plan.gates:
        why = "there are no gates: only a candidate that is not available is taken back"
        return (warning(GATES, why, "add a gate on success and one on violations"),)
    return (
        *(found for gate in plan.gates for found in _of_gate(plan, gate)),
        *_late_verifications(plan),
        *_counterparts(plan),
        *_without_holdout(rollout, plan),
        *_idle_controls(rollout, plan),
        *_never_judging(plan),
    )


# ------------------------------------------------------------------ gate by gate
def _of_gate(plan: Plan, gate: Gate) -> Iterator[Finding]:
    match gate.test:
        case Mean():
            what = f"gate {gate.name}: a mean keeps to the error bound asymptotically only, from 20 looks on"
            yield note(
                gate_field(plan, gate, "mean"), what, "nothing, if single outcomes do not dwarf the rest"
            )
        case Compare() if _follows(gate):
            what = (
                f"gate {gate.name}: its part may be counted later than its whole, so it is compared like a "
                "mean: it keeps to the error bound asymptotically only, from 20 looks on"
            )
            yield note(gate_field(plan, gate, "compare"), what, "nothing, if steps have room for 20 looks")
        case Events():
            yield outside(plan, gate, "events", "a plain count, which a healthy candidate may exceed as well")
        case Alert():
            yield outside(plan, gate, "alert", "as often wrong as the rule of the alert is")
        case Value():
            yield outside(plan, gate, "value", "judged without statistics, as it is")
        case _:
            pass
    if gate.advance is Advance.CERTIFIED and isinstance(gate.test, Comparison) and not gate.test.worse_by:
        what = (
            f"gate {gate.name}: without a margin `Certified` is shown by a better candidate only; one that "
            "is as good as stable never passes"
        )
        yield warning(gate_field(plan, gate, "advance"), what, "give the gate a margin, or say `NoHarm`")
    if gate.advance is Advance.CERTIFIED and isinstance(gate.test, Limit):
        tasks = clean_tasks_to_certify(gate.test.maximum, plan.alpha)
        what = (
            f"gate {gate.name}: each step needs {tasks:.0f} clean tasks of the candidate, with bad ones more"
        )
        yield note(gate_field(plan, gate, "advance"), what, "plan `stepDeadlineSeconds` for them")


def _follows(gate: Gate) -> bool:
    """Whether one of its two counters may lag behind the other, by as long as verification takes."""
    match gate.metric:
        case Proportion() as share:
            return share.follows
        case Average() as average:
            return average.verified
        case _:
            return False


def _late_verifications(plan: Plan) -> Iterator[Finding]:
    """After a change of weights, until verification has caught up, a healthy candidate lacks some."""
    late = _names(plan, lambda gate: isinstance(gate.test, Compare | Mean) and _follows(gate))
    if late and plan.warmup is None:
        what = (
            f"{late}: what is verified later than the warm-up (the time in which stable ends 99 % of its "
            "tasks) makes a healthy candidate look worse after each change of weights, and may take it back"
        )
        remedy = (
            "set it to the time from a task's start in which 99 % are verified, unless they are at its end"
        )
        yield warning("spec.analysis.warmupSeconds", what, remedy)


def outside(plan: Plan, gate: Gate, kind: str, why: str) -> Finding:
    """That the error bound does not hold for a gate, and `why`; `kind` is the key of its test."""
    what = f"gate {gate.name} lies outside the bound of {100 * plan.alpha:g} % on false reverts: {why}"
    return note(gate_field(plan, gate, kind), what, "count its own false alarms on top")


def _never_judging(plan: Plan) -> Iterator[Finding]:
    for gate in plan.gates:
        if not any(gate.judges(step) for step in plan.steps):
            what = f"gate {gate.name} judges in no step"
            remedy = "add a canary step, or a hold-out to the full step"
            yield warning(gate_field(plan, gate), what, remedy)


def _without_holdout(rollout: Rollout, plan: Plan) -> Iterator[Finding]:
    index = len(plan.steps) - 1
    full, compared = rollout.spec.strategy.steps[index].full, _names(plan, _compares)
    if full is not None and not full.holdout_percent and compared:
        what = (
            f"in full there is no hold-out, so {compared} decide nothing there: harm that starts late passes"
        )
        yield warning(step_field(index, "full.holdoutPercent"), what, "keep 5 on stable while it soaks")


def _idle_controls(rollout: Rollout, plan: Plan) -> Iterator[Finding]:
    comparing = [gate for gate in plan.gates if isinstance(gate.test, Comparison)]
    for planned, step in zip(plan.steps, rollout.spec.strategy.steps, strict=True):
        control = step.shadow is not None and step.shadow.control
        if control and not any(gate.judges(planned) for gate in comparing):
            what = f"in {step.name} stable has a shadow too, and no gate compares the two: its pods idle"
            remedy = "give a gate that compares `Shadow` in `during`, or leave `control` out"
            yield warning(step_field(planned.index, "shadow.control"), what, remedy)


def _compares(gate: Gate) -> bool:
    return isinstance(gate.test, Comparison) and "full" in gate.kinds


# ------------------------------------------------------------------ every KPI needs its counter-metric
def _counterparts(plan: Plan) -> Iterator[Finding]:
    """Goodhart's law (metrics.md): what else must be watched for a KPI to mean what it says."""
    measured = {gate.metric.name for gate in plan.gates if gate.metric}
    for gate in plan.gates:
        name = gate.metric.name if gate.metric else ""
        wanted, why = _counterpart(name)
        if wanted and not wanted & measured:
            what = f"gate {gate.name} watches {name} alone: {why}"
            remedy = f"add a gate on {' or '.join(sorted(wanted))}"
            yield warning(gate_field(plan, gate, "metric"), what, remedy)


def _counterpart(name: str) -> tuple[frozenset[str], str]:
    """One of these metrics must be watched as well, and why; empty where none must."""
    if name == "task-success-rate":
        why = "success as the agent itself reports it rises when it reports what nobody verifies"
        return frozenset({COVERAGE, "verified-success-rate"}), why
    if name == "verified-success-rate":
        return frozenset({COVERAGE}), "it rises when hard tasks are no longer verified"
    if name.startswith("cost-") or name == "human-minutes-per-task":
        return SUCCESS, "what does less costs less"
    if "violation" in name or name in ("policy-deny-rate", "near-miss-rate"):
        return SUCCESS, "a candidate that refuses or abandons everything violates nothing"
    return frozenset(), ""


def _names(plan: Plan, which: Callable[[Gate], bool]) -> str:
    return ", ".join(gate.name for gate in plan.gates if which(gate))

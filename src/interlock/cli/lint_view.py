"""What `lint` shows, apart from how it is written: pure, from what was found to tables and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from interlock.analysis.plan import Alert, Events, Gate, Value
from interlock.analysis.planning import Effort
from interlock.analysis.power import Answer, Timing
from interlock.analysis.questions import Aim
from interlock.analysis.usual import Range, Usage, UsualEvents, UsualMean, UsualRate
from interlock.cli.views import Passage, Table
from interlock.core.lint.findings import Finding, Severity
from interlock.core.lint.report import Lint
from interlock.core.words import change, counted, duration, percent, value

UNKNOWN = "-"


def title(lint: Lint) -> str:
    """Whose lint it is, and what the traffic is."""
    meta, usual = lint.rollout.metadata, lint.usual
    name = f"Rollout {meta.namespace}/{meta.name}"
    if lint.plan is None:
        return f"{name}: not looked at any further"
    if usual.tasks_per_second is None:
        return f"{name}: without traffic (give --prometheus, or --tasks-per-second)"
    pace = f"{usual.tasks_per_second:.3g} tasks/s"
    if not usual.seconds:
        return f"{name}: {pace}, as given"
    hours = f", by the hour {usual.hours.low:.2g} to {usual.hours.high:.2g}" if usual.hours else ""
    verified = f", verified by {usual.verifier}" if usual.verifier else ""
    about = f" (reckoned: beyond {duration(usual.beyond)} it is not measured)" if usual.beyond else ""
    slow = f", 99 % of tasks within {duration(usual.slow)}{about}" if usual.slow else ""
    stable = lint.plan.stable.version
    return f"{name}: stable {stable} in {duration(usual.seconds)}: {pace}{hours}{slow}{verified}"


def usual_table(lint: Lint) -> Table:
    """What stable usually does, gate by gate."""
    rows = [
        (gate.name, *_usual_cells(gate, lint.usual.gates[gate.name]))
        for gate in (lint.plan.gates if lint.plan else ())
        if gate.name in lint.usual.gates and lint.usual.seconds
    ]
    return Table(("GATE", "STABLE", "BY-THE-HOUR", "OUTCOMES", "CLUMP"), tuple(rows))


def answer_table(lint: Lint, *, wide: bool) -> Table:
    """When each gate can tell what, step by step; wide also with its gate and step alone in the world."""
    columns = ("GATE", "STEP", "TO-SEE", "TASKS", *(("ALONE",) if wide else ()), "MEDIAN", "95%", "LASTS")
    gates = {gate.name: gate for gate in (lint.plan.gates if lint.plan else ())}
    rows = [_row(gates[answer.gate], answer, wide=wide) for answer in lint.answers]
    return Table((*columns, "FINDS"), tuple(rows))


def legend(lint: Lint) -> str:
    """How to read the answers."""
    if lint.plan is None or not lint.answers:
        return ""
    sharing = [gate for gate in lint.plan.gates if not isinstance(gate.test, Events | Alert | Value)]
    among = f"{counted(len(sharing), 'gate')} and up to {counted(len(lint.plan.steps), 'step')}"
    alpha = percent(lint.plan.alpha)
    return (
        f"TASKS are the candidate's, as if the gate and the step were the only ones (α = {alpha}). In MEDIAN "
        f"and 95%, counted from the start of the step, {among} share α, "
        "which takes ln(steps · gates) more evidence; certificates need not share it. LASTS is how long the "
        "step takes when nothing is wrong, FINDS the mildest worsening that it then finds in half of all "
        "cases. 'all' is the way through all steps, '!' is after the deadline."
    )


def passages(lint: Lint) -> tuple[Passage, ...]:
    """The findings, gravest first."""
    return tuple(
        Passage(f"{found.severity}: {found.field}", f"{found.what}; {found.remedy}.")
        for found in lint.findings
    )


def verdict(lint: Lint) -> str:
    """The last line: how many findings of which kind."""
    return ", ".join(counted(lint.count(severity), severity.value.lower()) for severity in Severity)


# ------------------------------------------------------------------ cells
def _usual_cells(gate: Gate, usage: Usage) -> tuple[str, str, str, str]:
    match usage:
        case UsualRate():
            rate = usage.counts.good / usage.counts.total
            hours = _span(gate, [_told(gate, share) for share in _ends(usage.hours)])
            return value(gate, _told(gate, rate)), hours, f"{usage.counts.total:.0f}", f"{usage.effect:.1f}"
        case UsualMean():
            hours = _span(gate, list(_ends(usage.hours)))
            return value(gate, usage.mean), hours, f"{usage.amount.count:.0f}", UNKNOWN
        case UsualEvents():
            return f"{usage.count:.0f}", UNKNOWN, UNKNOWN, UNKNOWN


def _told(gate: Gate, good: float) -> float:
    """A share of good outcomes in the metric's own sense."""
    return good if gate.metric and gate.metric.higher_is_better else 1.0 - good


def _ends(hours: Range | None) -> tuple[float, ...]:
    return (hours.low, hours.high) if hours else ()


def _span(gate: Gate, ends: list[float]) -> str:
    return f"{value(gate, min(ends))} to {value(gate, max(ends))}" if ends else UNKNOWN


def _row(gate: Gate, answer: Answer, *, wide: bool) -> tuple[str, ...]:
    question = answer.question
    word = f"{gate.advance}: " if question.aim is Aim.CERTIFICATE else ""
    seconds = answer.merged.seconds
    return (
        gate.name,
        answer.step or "all",
        word + change(gate, question.before, question.after),
        _count(answer.alone.tasks.median),
        *((_pair(answer.alone),) if wide else ()),
        duration(seconds.median) if seconds else UNKNOWN,
        (duration(seconds.p95) + ("" if answer.in_time else "!")) if seconds else UNKNOWN,
        duration(answer.lasts) if seconds else UNKNOWN,
        value(gate, answer.reach).replace(" %", "%") if answer.reach is not None else UNKNOWN,
    )


def _pair(timing: Timing) -> str:
    if timing.seconds is None:
        return UNKNOWN
    return f"{duration(timing.seconds.median)} / {duration(timing.seconds.p95)}"


def _count(tasks: float) -> str:
    return f"{math.ceil(tasks)}" if math.isfinite(tasks) else "never"


# ------------------------------------------------------------------ for machines
def as_json(lint: Lint) -> dict[str, Any]:
    """Everything, with field names as in the API; `null` stands for never and for unknown."""
    meta = lint.rollout.metadata
    return {
        "rollout": {"namespace": meta.namespace, "name": meta.name},
        "stable": lint.plan.stable.version if lint.plan and lint.plan.stable.version else None,
        "usual": {
            "seconds": lint.usual.seconds,
            "tasks": lint.usual.tasks,
            "tasksPerSecond": lint.usual.tasks_per_second,
            "p99Seconds": lint.usual.slow,
            "verifier": lint.usual.verifier,
            "gates": dict(_usual_fields(lint)),
        },
        "steps": [
            {
                "name": leg.name,
                "sharePercent": round(100 * leg.step.share, 4),
                "warmupSeconds": leg.warmup,
                "lastsSeconds": _finite(leg.lasts),
                "deadlineSeconds": _finite(leg.deadline),
            }
            for leg in lint.legs
        ],
        "answers": [_answer_fields(answer) for answer in lint.answers],
        "findings": [_finding_fields(found) for found in lint.findings],
    }


def _usual_fields(lint: Lint) -> Iterator[tuple[str, dict[str, Any]]]:
    gates = {gate.name: gate for gate in (lint.plan.gates if lint.plan else ())}
    for name, usage in lint.usual.gates.items():
        match usage:
            case UsualRate():
                rate = _told(gates[name], usage.counts.good / usage.counts.total)
                counts = {"outcomes": usage.counts.total, "designEffect": usage.effect}
                yield name, {"rate": rate, "outcomesPerTask": usage.per_task, **counts}
            case UsualMean():
                counts = {"outcomes": usage.amount.count, "deviation": usage.deviation}
                yield name, {"mean": usage.mean, "outcomesPerTask": usage.per_task, **counts}
            case UsualEvents():
                yield name, {"events": usage.count, "eventsPerTask": usage.per_task}


def _answer_fields(answer: Answer) -> dict[str, Any]:
    return {
        "gate": answer.gate,
        "step": answer.step,
        "aim": answer.question.aim.value,
        "before": answer.question.before,
        "after": answer.question.after,
        "alone": _timing_fields(answer.alone),
        "merged": _timing_fields(answer.merged),
        "lastsSeconds": _finite(answer.lasts),
        "deadlineSeconds": _finite(answer.deadline),
        "inTime": answer.in_time,
        "finds": answer.reach,
    }


def _timing_fields(timing: Timing) -> dict[str, Any]:
    def fields(effort: Effort) -> dict[str, float | None]:
        return {"median": _finite(effort.median), "p95": _finite(effort.p95)}

    return {"tasks": fields(timing.tasks), "seconds": fields(timing.seconds) if timing.seconds else None}


def _finding_fields(found: Finding) -> dict[str, str]:
    return {
        "severity": found.severity.value,
        "field": found.field,
        "what": found.what,
        "remedy": found.remedy,
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None

"""What came of an attempt, for its record: lifts, expectations, cost, and when what happened. Pure.

Decides nothing. It is stored with the intent, so that a restart neither loses nor doubles any of it.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterable
from datetime import UTC, datetime

from interlock.analysis.gates import EvidenceReport
from interlock.analysis.intervals import Interval
from interlock.analysis.lift import ALPHA, Lift, LiftReading, NoLift, kpi_of
from interlock.analysis.presets import BUILT_IN
from interlock.analysis.promise import Promise, judged
from interlock.core.metrictemplates import Known, metric_named
from interlock.core.observation import Observation, Target
from interlock.core.steps import Transition
from interlock.model.agentversion import Expectation
from interlock.model.release import Outcome, Stage
from interlock.model.result import Judgement, KpiLift, Result
from interlock.model.rolloutstatus import Attempt
from interlock.reasons import UNDESIRED, Cause

DIGITS = 4
"""Significant digits of a recorded number: more would promise too much."""
SMALLEST, LARGEST = 1e-9, 1e18
"""Sizes of a number that is told: it must be short without an exponent."""


def after(seen: Observation, move: Transition, now: datetime) -> Result | None:
    """What is known of the attempt after `move`; None while nothing is, and of one that begins."""
    attempt = seen.rollout.status.attempt
    if attempt is None or move.begins or move.cause is Cause.STRATEGY_CHANGED:
        return None
    if attempt.traffic_started_time is None or move.in_place:
        return attempt.result
    known = attempt.result or Result()
    if attempt.stage is Stage.REVERTING:
        return known.model_copy(update={"stopped_time": now})
    if move.stage is Stage.REVERTING or move.outcome is Outcome.PROMOTED:
        return _ended(seen, attempt, known, move, now)
    return attempt.result


def _ended(seen: Observation, attempt: Attempt, known: Result, move: Transition, now: datetime) -> Result:
    """The candidate is measured no longer."""
    last = measured(seen, known)
    found: dict[str, object] = {
        "traffic_started_time": attempt.traffic_started_time,
        "expected": _judgements(seen, last.lifts),
    }
    if move.cause in UNDESIRED:
        found |= {"detected_time": now, "harm_since_time": _harm_since(seen, attempt, move)}
    return last.model_copy(update=found)


def measured(seen: Observation, known: Result | None) -> Result:
    """`known`, with the lifts and the cost of the newest evidence, if there is any."""
    known, report = known or Result(), seen.evidence
    if not isinstance(report, EvidenceReport):
        return known
    lifts = tuple(recorded(lift) for lift in report.lifts)
    cost = None if report.cost_usd is None else _decimal(report.cost_usd)
    return known.model_copy(update={"lifts": lifts, "cost_usd": cost})


def _harm_since(seen: Observation, attempt: Attempt, move: Transition) -> datetime | None:
    """Where a gate rests on a step's evidence, the start of that step; other harm is dated from the step that
    runs. Trouble has no such time."""
    if move.cause not in (Cause.GATE_FAILED, Cause.COMBINED_EVIDENCE, Cause.ALERT_FIRING):
        return None
    report = seen.evidence
    if isinstance(report, EvidenceReport) and report.harm_since is not None:
        return datetime.fromtimestamp(report.harm_since, UTC)
    return attempt.step_started_time


# ------------------------------------------------------------------ lifts
def recorded(lift: LiftReading) -> KpiLift:
    """A lift as it is written down."""
    if isinstance(lift, NoLift):
        return KpiLift(metric=lift.name, message=f"not known: {lift.reason}"[:256])
    record = KpiLift(
        metric=lift.name,
        message="",
        unit="Points" if lift.unit == "points" else "Percent",
        lift=_decimal(lift.estimate),
        low=_decimal(lift.interval.low),
        high=_decimal(lift.interval.high),
        confidence_percent=round(100 * (1 - ALPHA)),
        asymptotic=True,
        relative_low_percent=_decimal(100 * lift.relative.low),
        relative_high_percent=_decimal(100 * lift.relative.high),
        candidate=_decimal(lift.candidate),
        stable=_decimal(lift.stable),
        candidate_outcomes=round(lift.candidate_outcomes),
        stable_outcomes=round(lift.stable_outcomes),
    )
    rounded = read(record)  # in words as in numbers
    said = rounded.message if isinstance(rounded, Lift) else f"not known: {rounded.reason}"
    return record.model_copy(update={"message": said})


def read(lift: KpiLift) -> LiftReading:
    """A recorded lift as it was measured, to the digits that were written down."""
    if lift.lift is None or lift.low is None or lift.high is None or lift.relative_low_percent is None:
        return NoLift(lift.metric, lift.message.removeprefix("not known: "))
    high = lift.relative_high_percent
    return Lift(
        name=lift.metric,
        unit="percent" if lift.unit == "Percent" else "points",
        candidate=float(lift.candidate or 0),
        stable=float(lift.stable or 0),
        candidate_outcomes=lift.candidate_outcomes or 0,
        stable_outcomes=lift.stable_outcomes or 0,
        estimate=float(lift.lift),
        interval=Interval(float(lift.low), float(lift.high)),
        relative=Interval(
            float(lift.relative_low_percent) / 100, math.inf if high is None else float(high) / 100
        ),
    )


def _decimal(value: float) -> str | None:
    """Without an exponent, to DIGITS; None where it is infinite, or larger than anything that is measured."""
    if not abs(value) < LARGEST:
        return None
    if abs(value) < SMALLEST:
        return "0"
    return format(decimal.Context(prec=DIGITS).create_decimal_from_float(value).normalize(), "f")


# ------------------------------------------------------------------ what was expected
def _judgements(seen: Observation, lifts: Iterable[KpiLift]) -> tuple[Judgement, ...]:
    """The author's expectations of the candidate, each beside its lift."""
    tested, found = seen.rollout.status.candidate, seen.candidate
    if tested is None or not isinstance(found, Target) or found.uid != tested.uid:
        return ()
    known = {lift.metric: lift for lift in lifts}
    return tuple(_judgement(each, known.get(each.metric), seen.known) for each in found.expected)


def _judgement(expected: Expectation, lift: KpiLift | None, known: Known) -> Judgement:
    promise = Promise(expected.metric, expected.direction, float(expected.by_percent or 0) / 100)
    reading = NoLift(expected.metric, unmeasured(expected.metric, known)) if lift is None else read(lift)
    found = judged(promise, reading)
    return Judgement(
        metric=expected.metric,
        direction=expected.direction,
        by_percent=expected.by_percent,
        verdict=found.finding.value,
        message=found.message[:512],
    )


def unmeasured(name: str, known: Known) -> str:
    """Why there is no lift of that metric."""
    if name not in known and name not in BUILT_IN:
        return f"metric {name!r} must be a built-in metric or the name of a MetricTemplate"
    try:
        metric = metric_named(name, known)
    except ValueError as error:
        return str(error)
    if kpi_of(metric) is None:
        return f"metric {name!r} must be a rate or a mean: nothing else has a lift"
    return "it was not measured before the attempt ended"


def told(result: Result) -> str:
    """All judgements in a sentence; empty without any."""
    return "; ".join(judgement.message for judgement in result.expected)

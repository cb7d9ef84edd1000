"""What is shown of simulated rollouts: pure, from walks to tables, sentences and documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlock.analysis.lift import Lift
from interlock.cli.views import Table
from interlock.simulation.story import Story
from interlock.simulation.summary import Ending, endings, outcome_of
from interlock.simulation.timeline import Moment, Run
from interlock.simulation.walk import Setup


def clock(seconds: float) -> str:
    """`0:09:05`; days before it where there are any: `2d 3:00:00`."""
    days, rest = divmod(round(seconds), 86_400)
    text = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}d {text}" if days else text


def timeline(run: Run, *, wide: bool = False) -> Table:
    """Every move, and whatever held it."""
    if not wide:
        columns = ("TIME", "STEP", "CANDIDATE", "SHADOW", "REASON", "MESSAGE")
        return Table(columns, tuple(_moment(moment) for moment in run.moments))
    rows = []
    for moment in run.moments:
        at, step, candidate, shadow, reason, message = _moment(moment)
        rows.append((at, step, f"{moment.stable}%", candidate, shadow, moment.what, reason, message))
    wider = ("TIME", "STEP", "STABLE", "CANDIDATE", "SHADOW", "STAGE", "REASON", "MESSAGE")
    return Table(wider, tuple(rows))


def _moment(moment: Moment) -> tuple[str, str, str, str, str, str]:
    return (
        clock(moment.at),
        moment.step or "-",
        f"{moment.candidate}%",
        f"{moment.shadow}%",
        moment.reason,
        moment.message,
    )


def gates(run: Run) -> Table:
    """The gates as the status showed them last."""
    rows = tuple((gate.name, gate.verdict, gate.odds or "-", gate.message) for gate in run.gates)
    return Table(("GATE", "VERDICT", "ODDS", "MESSAGE"), rows)


def lifts(run: Run) -> Table:
    """By how much the candidate differed in each KPI, as last read."""
    rows = tuple((lift.name, lift.message if isinstance(lift, Lift) else lift.reason) for lift in run.lifts)
    return Table(("KPI", "LIFT"), rows)


def sentence(setup: Setup, run: Run) -> str:
    """How it ended."""
    who = setup.candidate.version
    match outcome_of(run):
        case "Promoted":
            return f"{who} was promoted after {clock(run.ended)}"
        case "Held":
            return f"{who} was still at {run.step or 'preparation'} after {clock(run.ended)}: {run.waits}"
        case outcome:
            return f"{who} ended as {outcome} ({run.reason}) at {run.step} after {clock(run.decided)}"


def title(setup: Setup, story: Story, run: Run) -> str:
    """What a drawing is about."""
    about = f"{story.title}: " if story.title else ""
    return f"{about}{sentence(setup, run)} (seed {run.seed})"


def summary(runs: Sequence[Run]) -> Table:
    """How often walks ended in which way, with the 95 % interval, and how long it took."""
    columns = ("OUTCOME", "STEP", "REASON", "COUNT", "SHARE", "95%", "MEDIAN", "P95")
    return Table(columns, tuple(_ending(ending) for ending in endings(runs)))


def _ending(ending: Ending) -> tuple[str, ...]:
    return (
        ending.outcome,
        ending.step or "-",
        ending.reason,
        str(ending.count),
        f"{ending.share:.0%}",
        f"{ending.low:.0%}-{ending.high:.0%}",
        clock(ending.median),
        clock(ending.p95),
    )


def document(setup: Setup, story: Story, runs: Sequence[Run]) -> dict[str, Any]:
    """Everything, for programs; times in seconds, logarithms natural."""
    found = {
        "rollout": setup.rollout.metadata.name,
        "stable": setup.stable.version,
        "candidate": setup.candidate.version,
        "story": story.title,
        "runs": [_run(run) for run in runs],
    }
    if len(runs) > 1:
        found["summary"] = [_summed(ending) for ending in endings(runs)]
    return found


def _run(run: Run) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "outcome": outcome_of(run),
        "reason": run.reason,
        "step": run.step,
        "decidedSeconds": run.decided,
        "endedSeconds": run.ended,
        "waitsFor": run.waits,
        "threshold": run.threshold,
        "timeline": [
            {
                "seconds": moment.at,
                "stage": moment.what,
                "step": moment.step,
                "reason": moment.reason,
                "message": moment.message,
                "stablePercent": moment.stable,
                "candidatePercent": moment.candidate,
                "shadowPercent": moment.shadow,
            }
            for moment in run.moments
        ],
        "gates": [gate.to_wire() for gate in run.gates],
        "lifts": [dict(zip(("kpi", "lift"), row, strict=True)) for row in lifts(run).rows],
        "points": [
            {
                "seconds": point.at,
                "stablePercent": point.stable,
                "candidatePercent": point.candidate,
                "shadowPercent": point.shadow,
                "combined": point.combined,
                "gates": dict(point.gates),
            }
            for point in run.points
        ],
    }


def _summed(ending: Ending) -> dict[str, Any]:
    return {
        "outcome": ending.outcome,
        "reason": ending.reason,
        "step": ending.step,
        "count": ending.count,
        "share": ending.share,
        "interval": [ending.low, ending.high],
        "medianSeconds": ending.median,
        "p95Seconds": ending.p95,
        "seeds": list(ending.seeds),
    }

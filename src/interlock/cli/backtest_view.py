"""What `backtest` shows, apart from how it is written: pure, from outcomes to tables and sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from interlock.analysis.intervals import exact_interval
from interlock.analysis.plan import Side
from interlock.cli.moments import Span, told
from interlock.cli.views import Table
from interlock.core.words import duration, percent
from interlock.simulation.backtest import Played, Split
from interlock.simulation.pseudo import End, Outcome, Setup

COMBINED = "(all together)"
MANY = 40
"""Rows that people read; of more only those that were taken back."""
SPLITS = {
    Split.PODS: (
        "half of stable's pods play the candidate, so what tells pods apart counts as well; tasks beyond the "
        "shares are left out, so steps last longer than they would"
    ),
    Split.TASKS: (
        "every task goes to either side at random, as a gateway deals requests: what makes pods or sessions "
        "differ is not in it"
    ),
}
"""What it means, by what was dealt."""


@dataclass(frozen=True, slots=True)
class View:
    """A title, tables, sentences, and all of it for machines."""

    title: str
    narrow: tuple[Table, ...]
    broad: tuple[Table, ...]
    sentences: tuple[str, ...]
    document: dict[str, Any]

    def tables(self, *, wide: bool) -> tuple[Table, ...]:
        """Those that have rows."""
        return tuple(table for table in (self.broad if wide else self.narrow) if table.rows)


# ------------------------------------------------------------------ pseudo-releases
def of_releases(
    setup: Setup, stable: Side, played: Sequence[Played], span: Span, planted: str | None
) -> View:
    """What became of one after the other; `planted` as it was asked for."""
    outcomes = [one.outcome for one in played]
    whole = [outcome for outcome in outcomes if outcome.how is not End.CUT]
    reverted = [outcome for outcome in whole if outcome.how is End.REVERTED]
    subject = f"with {planted} planted" if planted else "healthy"
    sentences = [*_frequency(setup, len(reverted), len(whole), planted), *_detection(reverted, planted)]
    sentences += [f"{SPLITS[split]}." for split in Split if any(one.split is split for one in played)]
    sentences += _left_out(setup)
    sentences = [sentence[0].upper() + sentence[1:] for sentence in sentences]
    shown = outcomes if len(outcomes) <= MANY else reverted
    if len(shown) < len(outcomes):
        sentences.append(f"{len(outcomes) - len(shown)} that were not taken back are left out: -o wide.")
    return View(
        f"{_name(setup)}: stable {stable.version}, {told(span.begin)} to {told(span.end)} UTC: {len(whole)} "
        f"pseudo-releases, {subject}",
        (_gates(reverted, len(whole)), _rows(shown, wide=False)),
        (_gates(reverted, len(whole)), _rows(outcomes, wide=True)),
        tuple(sentences),
        {
            **_head(setup, stable, span),
            "planted": planted,
            "pseudoReleases": len(whole),
            "reverted": len(reverted),
            "revertedPercent": _interval(len(reverted), len(whole)),
            "boundPercent": 100 * setup.plan.alpha,
            "outcomes": [{**_fields(one.outcome), "split": one.split.value} for one in played],
        },
    )


def _frequency(setup: Setup, reverted: int, whole: int, planted: str | None) -> Iterator[str]:
    if not whole:
        yield "not one pseudo-release came to an end: choose a longer --window, or shorter steps"
        return
    low, high = exact_interval(reverted, whole)
    span = f"{percent(low)} to {percent(high)} (95 %, Clopper-Pearson)"
    if planted:
        found = percent(reverted / whole)
        yield f"found in {reverted} of {whole} before they were promoted: {found}, {span}."
        return
    bound = f"falseRevertPercent is {percent(setup.plan.alpha)}"
    yield f"taken back: {reverted} of {whole}: {percent(reverted / whole)}, {span}; {bound}."
    if low > setup.plan.alpha:
        yield "that is more than it promises: pods, sessions or times of day differ more than chance would."


def _detection(reverted: Sequence[Outcome], planted: str | None) -> Iterator[str]:
    if planted and reverted:
        lasted = sorted(outcome.end - outcome.begin for outcome in reverted)
        last = lasted[min(len(lasted) - 1, math.ceil(0.95 * len(lasted)) - 1)]
        yield f"from the first task to the revert: median {duration(median(lasted))}, 95 % {duration(last)}."


def _left_out(setup: Setup) -> Iterator[str]:
    gates = setup.rollout.spec.analysis.gates
    if silent := [gate.name for gate in gates if gate.alert or gate.value]:
        yield f"alerts and values are not played: {', '.join(silent)} had no say."


def _gates(reverted: Sequence[Outcome], whole: int) -> Table:
    counts = Counter(name for outcome in reverted for name in outcome.gates or (COMBINED,))
    rows = [(name, str(count), percent(count / whole)) for name, count in counts.most_common()]
    return Table(("GATE", "TAKEN-BACK", "OF-ALL"), tuple(rows))


def _rows(outcomes: Sequence[Outcome], *, wide: bool) -> Table:
    rows = [
        (
            told(outcome.begin),
            duration(outcome.end - outcome.begin),
            outcome.how.value,
            outcome.step,
            str(outcome.tasks),
            ", ".join(outcome.gates) or (COMBINED if outcome.how is End.REVERTED else ""),
            *((outcome.message,) if wide else ()),
        )
        for outcome in outcomes
    ]
    columns = ("BEGAN", "LASTED", "END", "STEP", "TASKS", "GATES", *(("MESSAGE",) if wide else ()))
    return Table(columns, tuple(rows))


# ------------------------------------------------------------------ an incident
def of_incident(setup: Setup, stable: Side, outcomes: Sequence[Outcome], window: Span) -> View:
    """What became of a candidate that is like the incident; `outcomes` of several deals."""
    fired = [outcome for outcome in outcomes if outcome.how is End.REVERTED]
    sentences = [f"The gates fire in {len(fired)} of {len(outcomes)} deals of the tasks."]
    if fired:
        lasted = sorted(outcome.end - outcome.begin for outcome in fired)
        at = f"{duration(lasted[0])} to {duration(lasted[-1])}"
        sentences.append(f"They fire {duration(median(lasted))} after the beginning (median; {at}).")
    sentences.append(
        f"Stable is the {duration(window.seconds)} before it: a historical control, so what changed for "
        "another reason, like the time of day, counts as well."
    )
    sentences += [sentence[0].upper() + sentence[1:] for sentence in _left_out(setup)]
    return View(
        f"{_name(setup)}: {told(window.begin)} to {told(window.end)} UTC of {stable.version} as a candidate",
        (_gates(fired, len(outcomes)), _rows(outcomes[:1], wide=False)),
        (_gates(fired, len(outcomes)), _rows(outcomes, wide=True)),
        tuple(sentences),
        {
            **_head(setup, stable, window),
            "deals": len(outcomes),
            "fired": len(fired),
            "outcomes": [_fields(outcome) for outcome in outcomes],
        },
    )


# ------------------------------------------------------------------ shared
def _name(setup: Setup) -> str:
    meta = setup.rollout.metadata
    return f"Rollout {meta.namespace}/{meta.name}"


def _head(setup: Setup, stable: Side, span: Span) -> dict[str, Any]:
    meta = setup.rollout.metadata
    return {
        "rollout": {"namespace": meta.namespace, "name": meta.name},
        "stable": stable.version,
        "from": span.begin,
        "to": span.end,
    }


def _interval(count: int, whole: int) -> dict[str, float] | None:
    if not whole:
        return None
    low, high = exact_interval(count, whole)
    return {"estimate": 100 * count / whole, "low": 100 * low, "high": 100 * high}


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {
        "from": outcome.begin,
        "to": outcome.end,
        "end": outcome.how.value,
        "step": outcome.step,
        "gates": list(outcome.gates),
        "candidateTasks": outcome.tasks,
        "message": outcome.message,
    }

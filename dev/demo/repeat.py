"""Several stories as one account: a line a try, and how often each version met its fate. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from dev.demo.chapters import Chapter, Told
from interlock.model.result import KpiLift, Result

_WIDTH = 110
LIFT_OF = "verified-success-rate"
_COLUMNS = {
    "seed": "<6",
    "version": "<17",
    "outcome": "<11",
    "as told": "<8",
    "step": "<10",
    "decided": ">8",
    "detected": ">9",
    "stopped": ">8",
    "cleared": ">8",
    "lift of success, points": ">25",
}
LEGEND = (
    "Decided: seconds from the patch to the decision. Detected, stopped, cleared: from the candidate's first "
    "traffic, mirrored or live, until it was found out, got nothing new, and ended its last conversation; of "
    "a version that was promoted none is detected. Lift: candidate minus stable, with an interval that "
    "holds at every look."
)


def account(stories: Sequence[Told]) -> Iterator[str]:
    """All of it, in lines for a person."""
    if stories:
        yield from (
            "",
            *table(stories),
            "",
            *textwrap.wrap(LEGEND, _WIDTH),
            "",
            *tally(stories),
            *misses(stories),
        )


def table(stories: Sequence[Told]) -> Iterator[str]:
    """A heading and a row for each version of each story."""
    yield "".join(format(name, width) for name, width in _COLUMNS.items())
    for told in stories:
        for chapter in told.chapters:
            cells = (str(told.seed), *_cells(chapter, told.results.get(chapter.part.version, Result())))
            yield "".join(
                format(cell, width) for cell, width in zip(cells, _COLUMNS.values(), strict=True)
            ).rstrip()


def _cells(chapter: Chapter, result: Result) -> tuple[str, ...]:
    back = result.detected_time is not None
    moments = (result.detected_time, result.stopped_time, result.cleared_time) if back else (None,) * 3
    begun = result.traffic_started_time
    since = ((at - begun).total_seconds() if at and begun else None for at in moments)
    return (
        chapter.part.version,
        chapter.fate.value,
        "yes" if chapter.as_told else "NO",
        chapter.step.partition(" ")[2] or chapter.step,
        *("-" if seconds is None else f"{seconds:.1f}" for seconds in (chapter.to_decision, *since)),
        _lift(result.lifts),
    )


def _lift(lifts: Iterable[KpiLift]) -> str:
    for lift in lifts:
        if lift.metric == LIFT_OF and lift.lift is not None:
            low, high = (float(end) if end is not None else None for end in (lift.low, lift.high))
            ends = "" if low is None or high is None else f" ({low:+.1f} to {high:+.1f})"
            return f"{float(lift.lift):+.1f}{ends}"
    return "-"


def tally(stories: Sequence[Told]) -> Iterator[str]:
    """A line a version: in how many stories it met its fate; one that was not played did not."""
    met = Counter(c.part.version for told in stories for c in told.chapters if c.as_told)
    planned = Counter(part for told in stories for part in told.script)
    for part, often in planned.items():
        yield f"{part.version}: {part.expected.value} as told in {met[part.version]} of {often}"


def misses(stories: Sequence[Told]) -> Iterator[str]:
    """Of each version that met another fate: what became of it and why."""
    for told in stories:
        for each in told.chapters:
            if not each.as_told:
                what = f"{each.fate.value} at {each.step}, not {each.part.expected.value}"
                yield f"seed {told.seed}, {each.part.version}: {what}: {each.reason}: {each.evidence}"
        for part in told.script[len(told.chapters) :]:
            yield f"seed {told.seed}, {part.version}: not played, because of what came before"

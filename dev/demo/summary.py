"""What is said at the end: what happened and why, how long it took, what it cost, and where to look next."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dev.demo.chapters import FIRST, Chapter, Fate, Tally, Told
from dev.demo.setting import ROLLOUT, ROOT, Setting
from dev.demo.views import clock, percent
from interlock.model.result import Result

_WIDTH = 79
_COLUMNS = {
    "outcome": "<11",
    "step": "<10",
    "decided": ">8",
    "weight 0": ">9",
    "end": ">8",
    "answers": ">8",
    "wrong": ">6",
    "violated": ">9",
}
_LEGEND = (
    "Seconds count from the patch. Answers are those that clients got while it was the candidate; "
    "mirrored requests reach nobody. Wrong: a tool fitted and was not chosen. Violated: none fitted, and it "
    "acted."
)


def summary(told: Told, hypotheses: Mapping[str, str]) -> Iterator[str]:
    """All that happened, in lines for a person; 80 columns are enough."""
    yield from textwrap.wrap(headline(told), _WIDTH)
    for chapter in told.chapters:
        yield ""
        yield outcome_line(chapter)
        yield from _labelled("meant to", hypotheses.get(chapter.part.version, ""))
        yield from _labelled("because", f"{chapter.reason}: {chapter.evidence}")
        if (result := told.results.get(chapter.part.version)) is not None:
            yield from what_came(result)
    yield ""
    yield from table(told.chapters)
    yield ""
    for sentence in (_LEGEND, *costs(told)):
        yield from textwrap.wrap(sentence, _WIDTH)


def what_came(result: Result) -> Iterator[str]:
    """Its KPIs beside stable's, what was expected of them, and how long it was about."""
    for lift in result.lifts:
        yield from _labelled("lift", f"{lift.metric} {lift.message}")
    for judgement in result.expected:
        yield from _labelled("promise", judgement.message)
    if said := ", ".join(times(result)):
        yield from _labelled("times", f"after its first traffic: {said}")


def times(result: Result) -> Iterator[str]:
    """Of a version that was taken back; with its last conversation it is cleared."""
    begun = result.traffic_started_time
    if begun is None or result.detected_time is None:
        return
    told = {
        "found out": result.detected_time,
        "stopped": result.stopped_time,
        "cleared": result.cleared_time,
    }
    for what, when in told.items():
        if when is not None:
            yield f"{what} {(when - begun).total_seconds():.1f} s"


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"  {label:<9} ", subsequent_indent=" " * 12)


def table(chapters: Iterable[Chapter]) -> Iterator[str]:
    """A heading and a row a version."""
    told = tuple(chapters)
    longest = max((len(chapter.part.version) for chapter in told), default=9)
    columns = {"version": f"<{longest + 1}"} | _COLUMNS
    yield "".join(format(name, width) for name, width in columns.items())
    for chapter in told:
        row = zip(cells(chapter), columns.values(), strict=True)
        yield "".join(format(cell, width) for cell, width in row)


def headline(told: Told) -> str:
    """Whether the story went as told, and if not, where it did not."""
    how_long = f"{clock(told.seconds)} minutes, seed {told.seed}"
    if told.as_told:
        back = [part.version for part in told.script if part.expected is Fate.TAKEN_BACK]
        forth = [part.version for part in told.script if part.expected is Fate.PROMOTED]
        return (
            f"As told: {' and '.join(back)} were taken back before full, "
            f"{' and '.join(forth)} {'was' if len(forth) == 1 else 'were'} promoted ({how_long})."
        )
    odd = [f"{c.part.version} {_what_happened(c)}" for c in told.chapters if not c.as_told]
    odd += [f"{part.version} was not played" for part in told.script[len(told.chapters) :]]
    return f"Not as told: {'; '.join(odd)} ({how_long})."


def _what_happened(chapter: Chapter) -> str:
    match chapter.fate:
        case Fate.UNDECIDED:
            return f"was not decided within {chapter.whole:.0f} s"
        case Fate.PROMOTED:
            return "was promoted"
        case Fate.TAKEN_BACK:
            return "was taken back" + (" only at full" if chapter.reached_full else "")


def outcome_line(chapter: Chapter) -> str:
    """One sentence's worth about a version."""
    mark = "" if chapter.as_told else f"   NOT as told: to be {chapter.part.expected.value}"
    return f"{chapter.part.version}: {chapter.fate.value}, got to {chapter.step}{mark}"


def cells(chapter: Chapter) -> tuple[str, ...]:
    """A row of the table, one text a column."""
    tally = chapter.answers
    name = chapter.step.partition(" ")[2] or chapter.step
    times = (chapter.to_decision, chapter.to_weight_zero, chapter.whole)
    counts = (tally.answers, tally.wrong, tally.violations)
    return (
        chapter.part.version,
        chapter.fate.value,
        name,
        *("-" if seconds is None else f"{seconds:.1f} s" for seconds in times),
        *map(str, counts),
    )


def costs(told: Told) -> Iterator[str]:
    """What v1 would have cost in a candidate's place, success as measured, and requests without an answer."""
    for chapter in told.chapters:
        tally, expected = chapter.answers, told.expected_of_first(chapter.answers)
        if expected and tally.answers:
            wrong, violations = expected
            yield (
                f"{chapter.part.version} in {tally.answers} answers: {tally.wrong} wrong, "
                f"{tally.violations} violated; {FIRST} at its rates: {wrong:.0f} and {violations:.0f}."
            )
    yield success_line(told)
    errors = ", ".join(f"{count} ({kind})" for kind, count in told.errors.items())
    yield f"{told.sent} requests sent, {errors or 'none'} without an answer."


def success_line(told: Told) -> str:
    """The first version against the last, as clients measured them."""
    last = told.script[-1].version

    def said(version: str) -> str:
        tally = told.answers.get(version, Tally())
        return f"{version} {percent(tally.success)} of {tally.right + tally.wrong} answerable questions"

    return f"Success checked by the clients: {said(FIRST)}, {said(last)}."


# ------------------------------------------------------------------ looking around
def look_around(place: Setting, question: str) -> Iterator[str]:
    """Commands for the reader, who stands at the top of the repository. `question` is one that it answers."""
    namespace, name, python = place.namespace, place.cluster.name, _python()
    rollout = f"-n {namespace} rollouts.interlock.dev"
    verified = f'max_over_time(ai_agent_tasks_verified_total{{namespace="{namespace}",mode="live"}}[15m])'
    yield "Everything is still up but the load. Look around:"
    yield f'  eval "$({python} -m dev.cluster env --name {name})"   # KUBECONFIG, GATEWAY_URL, PROMETHEUS_URL'
    if shutil.which("kubectl") is None:
        yield f"  export PATH={_home(place.cluster.kubectl_path.parent)}:$PATH   # kubectl"
    yield f"  kubectl get {rollout} -o wide"
    yield f"  kubectl describe {rollout} {ROLLOUT}"
    yield f"  kubectl get -n {namespace} events --field-selector involvedObject.kind=Rollout"
    yield f"  kubectl get -n {namespace} releases.interlock.dev -o yaml   # every step of every try"
    yield f"  kubectl get -n {namespace} agentversions.interlock.dev,deployments,httproutes,pods"
    yield (
        '  curl -sG "$PROMETHEUS_URL/api/v1/query" --data-urlencode '
        f"'query=sum by (version, result) ({verified})'   # the evidence"
    )
    yield f"""  curl -si "$GATEWAY_URL/triage" -H 'Host: {place.host}' -d '{{"question_id":"{question}"}}'"""
    yield f"  less {_home(place.operator.log)}   # the operator, process {place.operator.process.pid}"
    yield f'  {python} -m dev.demo.load --url "$GATEWAY_URL/triage" --host {place.host}   # the load again'
    yield f"Remove it all: {removal(name)}"


def removal(name: str) -> str:
    """The command that takes everything down."""
    return "make demo-down" if name == "demo" else f"{_python()} -m dev.demo down --name {name}"


def _python() -> str:
    """The interpreter as somebody at the top of the repository would type it."""
    path = Path(sys.executable)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else "python"


def _home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)

"""What is shown of a moment: plain data that both displays draw. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dev.demo.chapters import Tally
from dev.demo.reader import EventLine
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import GateStatus


@dataclass(frozen=True, slots=True)
class Moment:
    """One look: seconds since the story began, the Rollout, the events so far, what clients counted."""

    seconds: float
    rollout: Rollout
    events: Sequence[EventLine] = ()
    answers: Mapping[str, Tally] | None = None
    failed: int = 0
    note: str = ""
    """Why the look may be old; empty when it is not."""


@dataclass(frozen=True, slots=True)
class Share:
    """Who gets how many percent of the live requests, or of copies of them."""

    role: str
    version: str
    percent: int


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One version as its clients see it; cells ready to print."""

    version: str
    answers: str
    success: str
    wrong: str
    violations: str


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the screen."""

    title: str
    asked: str
    step: str
    phase: str
    shares: tuple[Share, ...]
    ready: str
    gates: tuple[GateStatus, ...]
    clients: tuple[ClientRow, ...]
    failed: int
    events: tuple[EventLine, ...]
    note: str


def view(moment: Moment) -> View:
    """The screen of a moment."""
    rollout = moment.rollout
    status, meta, seen = rollout.status, rollout.metadata, is_seen(rollout)
    return View(
        title=f"rollout {meta.name} in namespace {meta.namespace}, {clock(moment.seconds)}",
        asked=rollout.spec.version_ref.name,
        step=step_name(rollout) if seen else "-",
        phase=(status.phase or "Unknown") if seen else "Unseen",
        shares=shares(rollout),
        ready=ready_message(rollout),
        gates=tuple(status.gates) if seen else (),
        clients=tuple(client_row(name, tally) for name, tally in (moment.answers or {}).items()),
        failed=moment.failed,
        events=tuple(moment.events),
        note=moment.note,
    )


def clock(seconds: float) -> str:
    """Minutes and seconds, `2:05`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def step_name(rollout: Rollout) -> str:
    """`2/4 canary-10`; only the count where the attempt is in no step."""
    status = rollout.status
    count = status.step or "-"
    number = count.partition("/")[0]
    steps = rollout.spec.strategy.steps
    named = number.isdecimal() and 0 < int(number) <= len(steps)
    return f"{count} {steps[int(number) - 1].name}" if named else count


def shares(rollout: Rollout) -> tuple[Share, ...]:
    """Stable, candidate and mirror; a candidate that has ended its try is none any more."""
    status = rollout.status
    split = status.traffic
    if split is None:
        return ()
    stable = status.stable.version if status.stable else "-"
    candidate = status.candidate.version if status.candidate else "-"
    return (
        Share("stable", stable, split.stable_percent),
        Share("candidate", candidate, split.candidate_percent),
        Share("mirrored", candidate, split.shadow_percent),
    )


def is_seen(rollout: Rollout) -> bool:
    """Whether the status is about the spec as it is now, and not about an earlier one."""
    return rollout.status.observed_generation >= rollout.metadata.generation


def ready_message(rollout: Rollout) -> str:
    """What Ready says, if it says it about the present spec."""
    if not is_seen(rollout):
        return "the operator has not seen this spec yet"
    return next((c.message for c in rollout.status.conditions if c.type == "Ready"), "nothing is said yet")


def gate_figures(gate: GateStatus) -> tuple[str, str]:
    """Candidate and stable; why there is no figure, where there is none."""
    return gate.candidate or gate.message or "-", gate.stable or "-"


def percent(share: float | None) -> str:
    """`72.1 %`, or a dash."""
    return "-" if share is None else f"{100 * share:.1f} %"


def client_row(version: str, tally: Tally) -> ClientRow:
    """A version's counters as cells."""
    return ClientRow(
        version,
        str(tally.answers),
        percent(tally.success),
        str(tally.wrong),
        str(tally.violations),
    )


def plain_line(moment: Moment) -> str:
    """One line for a log: time, version, step, phase, shares, gates."""
    seen = view(moment)
    parts = [f"{moment.seconds:6.1f} s  {seen.asked:<10} {seen.phase:<9} {seen.step:<14}"]
    parts.append(" ".join(f"{share.role} {share.percent} %" for share in seen.shares))
    parts += [_plain_gate(gate) for gate in seen.gates]
    if seen.failed:
        parts.append(f"{seen.failed} requests without an answer")
    if seen.note:
        parts.append(seen.note)
    return "  ".join(part for part in parts if part).rstrip()


def _plain_gate(gate: GateStatus) -> str:
    figures = f" {gate.candidate}" if gate.candidate else ""
    figures += f" vs {gate.stable}" if gate.candidate and gate.stable else ""
    odds = f" {gate.odds}" if gate.odds else ""
    return f"{gate.name}: {gate.verdict}{figures}{odds}"


def what_changed(moment: Moment) -> tuple[object, ...]:
    """Two moments that are equal in this need only one line: figures and countdowns alone are no news."""
    seen = view(moment)
    verdicts = tuple((gate.name, gate.verdict) for gate in seen.gates)
    percents = tuple(share.percent for share in seen.shares)
    return seen.asked, seen.phase, seen.step, percents, verdicts, seen.failed, bool(moment.note)

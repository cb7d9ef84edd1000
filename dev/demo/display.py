"""Draws the story in a terminal, refreshed in place, or as one plain line a change where nobody looks on."""

from __future__ import annotations

import textwrap
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dev.demo.views import Moment, Share, View, gate_figures, plain_line, view, what_changed
from interlock.model.rolloutstatus import GateStatus

HEARTBEAT = 10.0
"""Seconds after which a plain line comes even when nothing has changed."""
_BAR = 30
_EVENTS = 4
_READY = 180
"""Characters of the Ready message: three lines, so that all fits a small terminal."""
_COLOURS = {"stable": "green", "candidate": "yellow", "mirrored": "cyan"}
_VERDICTS = {"Pass": "green", "Fail": "red", "NoData": "yellow"}


class Display(Protocol):
    """Where the story is shown. `with` it from the first moment to the last."""

    def show(self, moment: Moment) -> None:
        """The state of things."""

    def say(self, line: str) -> None:
        """One line that stays: a command, its answer, a heading."""

    def __enter__(self) -> Self:
        """Begin to draw."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state standing."""


def console_for(stream: TextIO) -> Console:
    """A console on that stream; words are never marked up by what they happen to contain."""
    return Console(file=stream, markup=False, highlight=False, emoji=False)


def display_for(console: Console) -> Display:
    """The live one for a terminal that can move its cursor, else the plain one."""
    moves = console.is_terminal and not console.is_dumb_terminal
    return LiveDisplay(console) if moves else PlainDisplay(console)


def say_on(console: Console, line: str) -> None:
    """A line as it is: commands stand out, and are never broken where a copy would notice."""
    verbatim = line.startswith(("$ ", "  ")) or not console.is_terminal
    console.print(Text(line, style="bold" if line.startswith("$ ") else ""), soft_wrap=verbatim)


class PlainDisplay:
    """One line a change, no control characters."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[object, ...] | None = None
        self._said_at = 0.0
        self._told: set[str] = set()

    def show(self, moment: Moment) -> None:
        """News, if there is any, or a sign of life."""
        for event in moment.events:
            if event.name not in self._told:
                self._told.add(event.name)
                self.say(f"{moment.seconds:6.1f} s  event {event.reason}: {event.note}")
        news = what_changed(moment)
        if news != self._last or moment.seconds - self._said_at >= HEARTBEAT:
            self._last, self._said_at = news, moment.seconds
            self.say(plain_line(moment))

    def say(self, line: str) -> None:
        """One line."""
        say_on(self._console, line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._console.file.flush()


class LiveDisplay:
    """Panel, gates, clients and events in place; lines that stay scroll above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def show(self, moment: Moment) -> None:
        """Draw anew."""
        self._live.update(drawing(view(moment)), refresh=True)

    def say(self, line: str) -> None:
        """One line above the drawing."""
        say_on(self._console, line)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)


# ------------------------------------------------------------------ drawing
def drawing(seen: View) -> RenderableType:
    """The whole screen; fits 80 columns and 24 lines."""
    parts: list[RenderableType] = [_panel(seen)]
    if seen.gates:
        parts.append(_gates(seen.gates))
    if seen.clients:
        parts.append(_clients(seen))
    if seen.events:
        parts.append(_events(seen))
    return Group(*parts)


def _panel(seen: View) -> Panel:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column()
    rows.add_row("asked for", Text(seen.asked, style="bold"))
    rows.add_row("step", Text(f"{seen.step}   phase {seen.phase}"))
    for share in seen.shares:
        rows.add_row(share.role, _bar(share))
    message = Text(textwrap.shorten(seen.ready, _READY, placeholder=" …"), overflow="fold")
    if seen.note:
        message.append(f" ({seen.note})", style="red")
    rows.add_row("ready", message)
    return Panel(rows, title=Text(seen.title), title_align="left", padding=(0, 1))


def _bar(share: Share) -> Text:
    """Blocks for the share and dots for the rest: readable without colour."""
    filled = round(_BAR * share.percent / 100)
    text = Text("█" * filled, style=_COLOURS[share.role])
    text.append("·" * (_BAR - filled), style="dim")
    return text.append(f" {share.percent:3d} %  {share.version if share.percent else ''}".rstrip(), style="")


def _gates(gates: tuple[GateStatus, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    for heading, width in (("gate", 12), ("verdict", 12), ("odds", 6), ("candidate", None), ("stable", 14)):
        ratio = None if width else 1
        table.add_column(
            heading, width=width, ratio=ratio, no_wrap=True, overflow="ellipsis", header_style="bold"
        )
    for gate in gates:
        candidate, stable = gate_figures(gate)
        verdict = Text(gate.verdict, style=_VERDICTS.get(gate.verdict, ""))
        table.add_row(Text(gate.name), verdict, Text(gate.odds), Text(candidate), Text(stable))
    return table


def _clients(seen: View) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("who answered", "answers", "success", "wrong", "violations"):
        side = "left" if heading == "who answered" else "right"
        table.add_column(heading, justify=side, no_wrap=True, header_style="bold")  # type: ignore[arg-type]
    for row in seen.clients:
        table.add_row(Text(row.version), row.answers, row.success, row.wrong, row.violations)
    if seen.failed:
        table.add_row(Text("no answer", style="red"), str(seen.failed), "", "", "")
    return table


def _events(seen: View) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=False, expand=True)
    table.add_column(no_wrap=True, width=8)
    table.add_column(no_wrap=True, width=max(len(event.reason) for event in seen.events[-_EVENTS:]))
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for event in seen.events[-_EVENTS:]:
        style = "red" if event.warning else ""
        local = event.time.astimezone().strftime("%H:%M:%S")
        table.add_row(Text(local, style="dim"), Text(event.reason, style=style), Text(event.note))
    return table

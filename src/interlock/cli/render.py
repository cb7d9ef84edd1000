"""Writes tables and objects: in colour and folded to its width on a terminal, plain and whole elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from interlock.cli.options import Format
from interlock.cli.views import Passage, Table

GAP = 3
"""Blanks between columns."""


def table(view: Table, file: TextIO | None = None) -> None:
    """A table without lines, as kubectl writes it."""
    out = file or sys.stdout
    if not view.rows:
        print("No resources found.", file=sys.stderr)
    elif _is_terminal(out):
        _fitted(view, out)
    else:
        out.writelines(_aligned([view.columns, *view.rows]))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) + GAP for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "".join(cells).rstrip() + "\n"


def _fitted(view: Table, out: TextIO) -> None:
    """Folded to the width of the terminal."""
    from rich.console import Console  # a sixth of the time that the plugin takes to start
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in view.columns:
        grid.add_column(column, overflow="fold")
    for row in view.rows:
        grid.add_row(*(Text(cell) for cell in row))
    Console(file=out).print(grid)


def _is_terminal(out: TextIO) -> bool:
    """Whether somebody looks; https://force-color.org."""
    return out.isatty() or bool(os.environ.get("FORCE_COLOR"))


def line(text: str, file: TextIO | None = None) -> None:
    """A sentence, folded on a terminal."""
    _write([(text, 0, "")], file or sys.stdout)


def passages(found: Iterable[Passage], file: TextIO | None = None) -> None:
    """Headings with their texts under them, indented; folded on a terminal."""
    parts = [part for one in found for part in ((one.heading, 0, "bold"), (one.text, 2, ""))]
    _write(parts, file or sys.stdout)


def _write(parts: Iterable[tuple[str, int, str]], out: TextIO) -> None:
    """Texts with their indents and styles."""
    if not _is_terminal(out):
        out.writelines(" " * indent + text + "\n" for text, indent, _ in parts)
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    terminal = Console(file=out)
    for text, indent, style in parts:
        terminal.print(Padding(Text(text, style=style), (0, 0, 0, indent)))


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None]]:
    """Shows on stderr, where that is a terminal, how much has been done: give it a share from 0 to 1."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def document(found: Any, form: Format) -> None:
    """An object, or several as a List, as JSON or YAML."""
    whole = {"apiVersion": "v1", "kind": "List", "items": found} if isinstance(found, list) else found
    if form is Format.JSON:
        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    import yaml

    print(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), end="")

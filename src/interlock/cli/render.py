"""Writes tables and objects: in colour and folded to its width on a terminal, plain and whole elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any, TextIO

from interlock.cli.options import Format
from interlock.cli.views import Passage, Table

PIPED = 10_000
"""Columns where there is no terminal: nothing is broken or cut."""


def table(view: Table, file: TextIO | None = None) -> None:
    """A table without lines, as kubectl writes it."""
    from rich.console import Console  # not for JSON and YAML
    from rich.table import Table as Grid
    from rich.text import Text

    out = file or sys.stdout
    if not view.rows:
        print("No resources found.", file=sys.stderr)
        return
    terminal = Console(file=out)
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in view.columns:
        grid.add_column(column, overflow="fold")
    for row in view.rows:
        grid.add_row(*(Text(cell) for cell in row))
    if terminal.is_terminal:
        terminal.print(grid)
        return
    written = StringIO()
    Console(file=written, width=PIPED, color_system=None).print(grid)
    out.writelines(line.rstrip() + "\n" for line in written.getvalue().splitlines())


def line(text: str, file: TextIO | None = None) -> None:
    """A sentence, folded on a terminal."""
    _write([(text, 0, "")], file or sys.stdout)


def passages(found: Iterable[Passage], file: TextIO | None = None) -> None:
    """Headings with their texts under them, indented; folded on a terminal."""
    parts = [part for one in found for part in ((one.heading, 0, "bold"), (one.text, 2, ""))]
    _write(parts, file or sys.stdout)


def _write(parts: Iterable[tuple[str, int, str]], out: TextIO) -> None:
    """Texts with their indents and styles."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    terminal = Console(file=out)
    for text, indent, style in parts:
        if terminal.is_terminal:
            terminal.print(Padding(Text(text, style=style), (0, 0, 0, indent)))
        else:
            out.write(" " * indent + text + "\n")


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

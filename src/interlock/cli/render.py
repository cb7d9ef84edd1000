"""Writes tables and objects: in colour and folded to its width on a terminal, plain and whole elsewhere."""

from __future__ import annotations

import json
import sys
from io import StringIO
from typing import Any, TextIO

from interlock.cli.options import Format
from interlock.cli.views import Table

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


def document(found: Any, form: Format) -> None:
    """An object, or several as a List, as JSON or YAML."""
    whole = {"apiVersion": "v1", "kind": "List", "items": found} if isinstance(found, list) else found
    if form is Format.JSON:
        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    import yaml

    print(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), end="")

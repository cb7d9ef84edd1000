"""What can come next on a command line: verbs, flags, and values of flags that are a closed set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import EnumType
from typing import Any

FILES = ("--filename", "-f", "--kubeconfig")


def completions(words: Sequence[str]) -> tuple[list[str], bool]:
    """Candidates for the last of `words` (it may be empty), and whether file names fit there as well."""
    from typer.main import get_command

    from interlock.cli.commands import app

    *before, begun = words or [""]
    root: Any = get_command(app)
    verb = next((word for word in before if not word.startswith("-")), None)
    if verb is None:
        return [name for name in sorted(root.commands) if name.startswith(begun)], False
    command = root.commands.get(verb)
    if command is None:
        return [], False
    taken = _flag(command, before[-1])
    if taken is not None:
        kind = taken.type_descriptor.annotation
        values: list[str] = [*kind] if isinstance(kind, EnumType) else []
        return [value for value in values if value.startswith(begun)], any(f in FILES for f in taken.opts)
    return sorted(name for name in _names(command) if begun.startswith("-") and name.startswith(begun)), False


def _flag(command: Any, word: str) -> Any:
    """The flag that waits for its value, if `word` is one."""
    flags = (param for param in command.params if word in param.opts and word.startswith("-"))
    return next((param for param in flags if not param.is_flag), None)


def _names(command: Any) -> Iterator[str]:
    for param in command.params:
        yield from (name for name in param.opts if name.startswith("--"))

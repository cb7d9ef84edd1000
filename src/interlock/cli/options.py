"""Flags that every verb has, as kubectl has them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How an answer is written."""

    JSON = "json"
    YAML = "yaml"
    WIDE = "wide"


class Split(StrEnum):
    """What a backtest deals to the two sides."""

    AUTO = "auto"
    PODS = "pods"
    TASKS = "tasks"


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds(text: str) -> float:
    """A time like `90s`, `6h`, `7d`, as Prometheus writes it."""
    try:
        found = float(text[:-1]) * _UNITS[text[-1:]]
    except (ValueError, KeyError):
        found = 0.0
    if not 0 < found < 366 * 86400.0:
        raise typer.BadParameter(f"must be a time like 90s, 6h or 7d, not {text!r}")
    return found


def _is_time(text: str) -> str:
    seconds(text)
    return text


Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace; that of the context when absent.")
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Look in every namespace.")]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]
Kubeconfig = Annotated[Path | None, typer.Option("--kubeconfig", help="The kubeconfig file.")]
Output = Annotated[Format | None, typer.Option("--output", "-o", help="A table when absent.")]
Name = Annotated[str | None, typer.Argument(help="Name of a Rollout; of a file, every one when absent.")]
Files = Annotated[
    list[str],
    typer.Option("--filename", "-f", help="YAML or JSON with the objects; `-` is stdin. May be repeated."),
]
Window = Annotated[
    str, typer.Option("--window", callback=_is_time, metavar="TIME", help="How far back to read: 6h, 1d, 7d.")
]

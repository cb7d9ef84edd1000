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


Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace; that of the context when absent.")
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Look in every namespace.")]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]
Kubeconfig = Annotated[Path | None, typer.Option("--kubeconfig", help="The kubeconfig file.")]
Output = Annotated[Format | None, typer.Option("--output", "-o", help="A table when absent.")]
Files = Annotated[
    list[str],
    typer.Option("--filename", "-f", help="YAML or JSON with the objects; `-` is stdin. May be repeated."),
]

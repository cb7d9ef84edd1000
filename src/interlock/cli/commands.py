"""The verbs and their flags. What a verb does stands in a module of its own, imported when it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.options import AllNamespaces, Context, Files, Format, Kubeconfig, Namespace, Output

app = typer.Typer(
    help="Progressive delivery for AI agents.",
    no_args_is_help=True,
    add_completion=False,  # kubectl asks kubectl_complete-interlock
    rich_markup_mode=None,  # boxes do not survive a narrow terminal or a pipe
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def interlock() -> None:
    """Progressive delivery for AI agents."""


@app.command()
def get(
    rollout: Annotated[str | None, typer.Argument(help="Name of a Rollout; all of them when absent.")] = None,
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Output = None,
) -> None:
    """Show Rollouts: where they are, and what they wait for."""
    from interlock.adapters.kubectl import Access, Kubectl
    from interlock.cli import render, views

    cluster = Kubectl(Access(namespace, all_namespaces, context, kubeconfig))
    found = cluster.get("Rollout", rollout) if rollout else cluster.list("Rollout")
    if output in (Format.JSON, Format.YAML):
        render.document(found, output)
        return
    items = found if isinstance(found, list) else [found]
    now = datetime.now(UTC)
    render.table(views.rollouts(items, now, namespaced=all_namespaces, wide=output is Format.WIDE))


@app.command()
def simulate(
    rollout: Annotated[
        str | None, typer.Argument(help="Name of a Rollout, of the files or of the cluster.")
    ] = None,
    files: Files = [],  # noqa: B006 - typer makes a new one for each call
    story: Annotated[
        str | None, typer.Option("--story", help="YAML that tells how agents do over time; `-` is stdin.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all that is random.")] = 1,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=100_000, help="How many seeds to walk, from --seed on.")
    ] = 1,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write an SVG with weights and evidence of the first seed.")
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Output = None,
) -> None:
    """Play a Rollout against a story: what would happen, when, and why."""
    from interlock.adapters.kubectl import Access
    from interlock.cli import simulate as verb

    order = verb.Order(rollout, tuple(files), story, seed, seeds, plot, output)
    verb.run(order, Access(namespace, False, context, kubeconfig))

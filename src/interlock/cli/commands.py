"""The verbs and their flags. What a verb does stands in a module of its own, imported when it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from interlock.cli import prometheus
from interlock.cli.options import (
    AllNamespaces,
    Context,
    Files,
    Format,
    Kubeconfig,
    Name,
    Namespace,
    Output,
    Split,
    Window,
    seconds,
)

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


@app.command()
def lint(
    rollout: Name = None,
    files: Files = [],  # noqa: B006 - typer copies it
    prometheus_address: prometheus.Address = None,
    window: Window = "1d",
    stable: Annotated[str | None, typer.Option(help="The stable version, where the status has none.")] = None,
    tasks_per_second: Annotated[
        float | None, typer.Option(min=0.0, max=1e6, help="Traffic of both versions, without a Prometheus.")
    ] = None,
    success: Annotated[
        float | None,
        typer.Option(min=0.0, max=100.0, help="Stable's success rate in per cent, likewise: 92."),
    ] = None,
    drop: Annotated[
        float | None, typer.Option(min=0.01, max=100.0, help="Worsening to look for, in points. [4 at most]")
    ] = None,
    rise: Annotated[
        float | None, typer.Option(min=0.01, help="Rise of a mean to look for, in per cent. [25]")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 also where there are warnings.")] = False,
    scrape_interval: Annotated[float, typer.Option(min=0.1, help="The operator's, in seconds.")] = 15.0,
    tick: Annotated[float, typer.Option(min=0.1, help="The operator's, in seconds.")] = 5.0,
    bearer_token_file: prometheus.BearerTokenFile = None,
    username: prometheus.Username = "",
    password_file: prometheus.PasswordFile = None,
    ca_file: prometheus.CaFile = None,
    certificate_file: prometheus.CertificateFile = None,
    key_file: prometheus.KeyFile = None,
    header: prometheus.Headers = None,
    label: prometheus.Labels = None,
    plain_http: prometheus.Plain = prometheus.PlainHttp.REFUSE,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Output = None,
) -> None:
    """Tell before a rollout what its gates will be able to decide, and when; exit 1 where they cannot."""
    from interlock.adapters.kubectl import Access
    from interlock.analysis.questions import Worsening
    from interlock.cli import lint as verb
    from interlock.cli.choosing import chosen

    if success is not None and 0 < success <= 1:
        raise typer.BadParameter(
            f"must be in per cent: {100 * success:g}, not {success:g}", param_hint="--success"
        )
    server = prometheus.server(
        prometheus_address,
        bearer_token_file,
        username,
        password_file,
        ca_file,
        certificate_file,
        key_file,
        header,
        label,
        plain_http,
    )
    request = verb.Request(
        server,
        seconds(window),
        stable,
        tasks_per_second,
        None if success is None else min(max(success / 100, 1e-6), 1 - 1e-6),
        Worsening(None if drop is None else drop / 100, None if rise is None else rise / 100),
        scrape_interval,
        tick,
    )
    subjects = chosen(rollout, files, Access(namespace, False, context, kubeconfig))
    raise typer.Exit(verb.run(subjects, request, output, strict=strict))


@app.command()
def backtest(
    rollout: Name = None,
    files: Files = [],  # noqa: B006 - typer makes a new one for each call
    prometheus_address: prometheus.Address = None,
    window: Window = "1d",
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Instead of --window.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Now, when absent.")] = None,
    incident: Annotated[
        str | None, typer.Option(metavar="FROM..TO", help="When would the gates have fired in it?")
    ] = None,
    plant: Annotated[
        str | None,
        typer.Option(metavar="METRIC=CHANGE", help="Worsen candidates: task-success-rate=-4 points."),
    ] = None,
    split: Annotated[
        Split, typer.Option(help="What is dealt: pods where there are two, or single tasks.")
    ] = Split.AUTO,
    stable: Annotated[str | None, typer.Option(help="The stable version, where the status has none.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 1,
    repeat: Annotated[int, typer.Option(min=1, max=1000, help="How often an incident is dealt.")] = 20,
    scrape_interval: Annotated[float, typer.Option(min=0.1, help="The operator's, in seconds.")] = 15.0,
    tick: Annotated[float, typer.Option(min=0.1, help="The operator's, in seconds.")] = 5.0,
    bearer_token_file: prometheus.BearerTokenFile = None,
    username: prometheus.Username = "",
    password_file: prometheus.PasswordFile = None,
    ca_file: prometheus.CaFile = None,
    certificate_file: prometheus.CertificateFile = None,
    key_file: prometheus.KeyFile = None,
    header: prometheus.Headers = None,
    label: prometheus.Labels = None,
    plain_http: prometheus.Plain = prometheus.PlainHttp.REFUSE,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Output = None,
) -> None:
    """Tell how often a healthy version would have been taken back in the past, and when harm is found."""
    from interlock.adapters.kubectl import Access
    from interlock.cli import backtest as verb
    from interlock.cli import moments
    from interlock.cli.choosing import chosen
    from interlock.core.observation import Timing
    from interlock.errors import SpecError
    from interlock.simulation.backtest import Split as Dealt

    server = prometheus.server(
        prometheus_address,
        bearer_token_file,
        username,
        password_file,
        ca_file,
        certificate_file,
        key_file,
        header,
        label,
        plain_http,
    )
    if server is None:
        raise SpecError("--prometheus must be given, or INTERLOCK_PROMETHEUS: the past is there")
    now = datetime.now(UTC).timestamp()
    last = moments.moment("--to", end, now) if end else now
    first = moments.moment("--from", begin, now) if begin else last - seconds(window)
    request = verb.Request(
        server,
        moments.ordered("--from", first, last, now),
        moments.span("--incident", incident, now) if incident else None,
        stable,
        plant,
        Dealt(split.value),
        seed,
        repeat,
        Timing.of(tick, scrape_interval),
    )
    subjects = chosen(rollout, files, Access(namespace, False, context, kubeconfig))
    if len(subjects) > 1:
        names = ", ".join(subject.rollout.metadata.name for subject in subjects)
        raise SpecError(f"exactly one Rollout is played: name one of {names}")
    verb.run(subjects[0], request, output)

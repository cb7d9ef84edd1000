"""`kubectl interlock lint`: reads the object and the traffic, and writes what follows from them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from interlock.analysis.questions import Worsening
from interlock.cli import lint_view, render
from interlock.cli.choosing import Subject
from interlock.cli.history import History
from interlock.cli.options import Format
from interlock.cli.prometheus import Server
from interlock.cli.stable import RECENT, families_of, stable_side, traffic
from interlock.cli.views import Table
from interlock.core.lint.forecast import planned
from interlock.core.lint.report import Lint, Traffic, by_hand, linted
from interlock.core.lint.written import unfit
from interlock.core.observation import Timing


@dataclass(frozen=True, slots=True)
class Request:
    """What the flags ask for. `window`: seconds of history; `drop` and `rise` are shares, None the usual."""

    server: Server | None
    window: float
    stable: str | None
    tasks_per_second: float | None
    success: float | None
    worsening: Worsening
    scrape_interval: float
    tick: float

    @property
    def timing(self) -> Timing:
        """As an operator with these settings has it."""
        return Timing.of(self.tick, self.scrape_interval)


def run(subjects: Sequence[Subject], request: Request, output: Format | None, *, strict: bool) -> int:
    """Lint them all; the exit code."""
    found = [_lint(subject, request) for subject in subjects]
    if output in (Format.JSON, Format.YAML):
        told = [lint_view.as_json(lint) for lint in found]
        render.document(told[0] if len(told) == 1 else told, output)
    else:
        for lint in found:
            _show(lint, wide=output is Format.WIDE)
    return int(any(lint.fails(strict=strict) for lint in found))


def _lint(subject: Subject, request: Request) -> Lint:
    rollout, known = subject.rollout, subject.known
    ground: Traffic | None = None
    if request.server is not None and not unfit(rollout, known):
        ground = asyncio.run(_traffic(subject, request, request.server))
    by_hand_or_seen = ground or by_hand(rollout, request.tasks_per_second, request.success)
    return linted(rollout, request.timing, by_hand_or_seen, request.worsening, known)


async def _traffic(subject: Subject, request: Request, server: Server) -> Traffic:
    rollout, known = subject.rollout, subject.known
    metrics = server.open()
    try:
        with render.progress(f"reading {rollout.metadata.name}") as progress:
            plan = planned(rollout, request.timing, known=known)
            families = families_of(plan.gates)
            history = History(metrics, families, rollout.metadata.namespace, rollout.spec.agent, progress)
            now = time.time()
            recent = await history.last(now, RECENT)
            stable = stable_side(rollout, request.stable, recent, now)
            plan = planned(rollout, request.timing, stable, known)
            return await traffic(history, plan, recent, now - request.window, now)
    finally:
        await metrics.close()


def _show(lint: Lint, *, wide: bool) -> None:
    render.line(lint_view.title(lint))
    for table in _tables(lint, wide=wide):
        print()
        render.table(table)
    if legend := lint_view.legend(lint):
        print()
        render.line(legend)
    print()
    render.passages(lint_view.passages(lint))
    render.line(lint_view.verdict(lint))


def _tables(lint: Lint, *, wide: bool) -> Iterator[Table]:
    return (
        table
        for table in (lint_view.usual_table(lint), lint_view.answer_table(lint, wide=wide))
        if table.rows
    )

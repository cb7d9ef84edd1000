"""What the stable version has been doing of late, from Prometheus: the ground of `lint` and `backtest`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from interlock.analysis.collecting import Collected
from interlock.analysis.plan import Gate, Mode, Plan, Side
from interlock.analysis.presets import ALERTS, families
from interlock.analysis.series import Series
from interlock.analysis.sightings import sighted
from interlock.cli.history import History
from interlock.cli.moments import told
from interlock.core.lint.report import Traffic
from interlock.errors import SpecError
from interlock.model.rollout import Rollout

RECENT = 600.0
"""Seconds in which the series are looked at one by one."""


def families_of(gates: Iterable[Gate]) -> frozenset[str]:
    """What must be read to tell what stable usually does."""
    return families(gate.families for gate in gates) - {ALERTS}


def stable_side(rollout: Rollout, named: str | None, recent: Sequence[Series], at: float) -> Side:
    """The stable version: as named, as the status says, or the only one that is live before `at` (unix
    seconds), as the `recent` samples show.

    Raises SpecError where that leaves a choice, or nothing.
    """
    known = rollout.status.stable
    if known is not None and named in (None, known.version):
        return Side(known.version, known.workload + "-")
    live = sorted({one.labels.get("version", "") for one in recent if one.labels.get("mode") == Mode.LIVE})
    if named is not None:
        return Side(named, "")
    if len(live) == 1 and live[0]:
        return Side(live[0], "")
    where = f'namespace="{rollout.metadata.namespace}", agent="{rollout.spec.agent}"'
    if not live:
        raise SpecError(
            f"Prometheus has no live series with {where} in the ten minutes before {told(at)} UTC: look at "
            "the labels `namespace`, `agent`, `version`, `mode` and `pod`: relabelling puts them there"
        )
    raise SpecError(f"{', '.join(live)} are live at once: name the stable one with --stable")


async def traffic(
    history: History, plan: Plan, recent: Sequence[Series], begin: float, end: float
) -> Traffic:
    """What stable has done in (begin, end], unix seconds, and what its `recent` series look like."""
    collected = Collected(plan, begin)
    async for piece in history.pieces(begin, end):
        collected.add(piece.series, piece.end)
    return Traffic(plan.stable, collected.usual, sighted(plan, recent, end))

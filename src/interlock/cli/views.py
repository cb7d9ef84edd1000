"""What is to be seen, apart from how it is written: pure, from objects to tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from interlock.core.parts import mapping, mappings
from interlock.model.base import read_time

Manifest = dict[str, Any]
HOUR, DAY, YEAR = 3600, 86_400, 365 * 86_400


@dataclass(frozen=True, slots=True)
class Table:
    """Column titles, and rows of as many cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """A heading, and the text under it."""

    heading: str
    text: str


def rollouts(manifests: Sequence[Manifest], now: datetime, *, namespaced: bool, wide: bool) -> Table:
    """Rollouts as `kubectl get` shows them; whatever has no status yet has empty cells."""
    columns = (
        *(("NAMESPACE",) if namespaced else ()),
        *("NAME", "STEP", "WEIGHT", "VERSION", "READY", "STATUS", "AGE"),
        *(("STABLE", "MESSAGE") if wide else ()),
    )
    cells = [_cells(manifest, now) for manifest in manifests]
    return Table(columns, tuple(tuple(row[name] for name in columns) for row in cells))


def _cells(manifest: Manifest, now: datetime) -> dict[str, str]:
    meta, spec, status = (mapping(manifest.get(part)) for part in ("metadata", "spec", "status"))
    ready = next((c for c in mappings(status.get("conditions")) if c.get("type") == "Ready"), {})
    return {
        "NAMESPACE": str(meta.get("namespace", "")),
        "NAME": str(meta.get("name", "")),
        "STEP": str(status.get("step", "")),
        "WEIGHT": str(status.get("weight", "")),
        "VERSION": str(mapping(spec.get("versionRef")).get("name", "")),
        "READY": str(ready.get("status", "")),
        "STATUS": str(status.get("phase", "")),
        "AGE": age(read_time(meta.get("creationTimestamp")), now),
        "STABLE": str(mapping(status.get("stable")).get("version", "")),
        "MESSAGE": str(ready.get("message", "")),
    }


def age(since: datetime | None, now: datetime) -> str:
    """As kubectl writes it (apimachinery's `HumanDuration`): `45s`, `5m30s`, `12m`, `5h20m`, `3d4h`, `40d`;
    empty when not known."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    # up to `exact` with the next smaller unit beside it, up to `until` in this one
    for size, unit, exact, smaller, part, until in (
        (60, "m", 600, 1, "s", 3 * HOUR),
        (HOUR, "h", 8 * HOUR, 60, "m", 2 * DAY),
        (DAY, "d", 8 * DAY, HOUR, "h", 2 * YEAR),
        (YEAR, "y", 8 * YEAR, DAY, "d", math.inf),
    ):
        if seconds < until:
            rest = seconds % size // smaller if seconds < exact else 0
            return f"{seconds // size}{unit}" + (f"{rest}{part}" if rest else "")
    raise AssertionError(seconds)

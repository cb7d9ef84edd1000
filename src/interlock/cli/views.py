"""What is to be seen, apart from how it is written: pure, from objects to tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from interlock.core.parts import mapping, mappings
from interlock.model.base import read_time

Manifest = dict[str, Any]


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
        "STATUS": str(ready.get("reason", "")),
        "AGE": age(read_time(meta.get("creationTimestamp")), now),
        "STABLE": str(mapping(status.get("stable")).get("version", "")),
        "MESSAGE": str(ready.get("message", "")),
    }


def age(since: datetime | None, now: datetime) -> str:
    """As kubectl writes it: `45s`, `12m`, `5h`, `3d`; empty when not known."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"

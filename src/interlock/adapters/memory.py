"""Both ports in memory, with the semantics that decisions depend on: resourceVersion, uid, generation,
subresources, server-side apply of whole fields. The contract suite holds it to the real API server."""

from __future__ import annotations

import itertools
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from interlock.analysis.series import Series
from interlock.analysis.values import Evaluated, NoNumber
from interlock.core.labels import FIELD_MANAGER
from interlock.core.observation import Unreadable
from interlock.errors import Conflict
from interlock.ports import Evaluation, Samples, Selection

Manifest = dict[str, Any]
Listener = Callable[[str, Manifest], None]

WITH_STATUS = frozenset({"Rollout", "AgentVersion", "MetricTemplate", "Deployment", "HTTPRoute"})
"""Kinds whose status is a subresource: a replace of one half leaves the other alone."""


class MemoryObjects:
    """`ports.Objects`; `listeners` are told of every change, as a watch would."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str, str], Manifest] = {}
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)
        self.listeners: list[Listener] = []

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object as stored now, or None."""
        found = self._objects.get((kind, namespace, name))
        return None if found is None else _copied(found)

    async def list(self, kind: str, *, namespace: str = "", selector: str = "") -> list[Manifest]:
        """All objects of a kind; `selector` is `key` or `key=value`."""
        return [
            _copied(manifest)
            for (its_kind, its_namespace, _), manifest in self._objects.items()
            if its_kind == kind and namespace in ("", its_namespace) and _selected(manifest, selector)
        ]

    async def apply(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        """Server-side apply: maps are merged, everything else is set. Who applied is told, not what."""
        existing = self._objects.get(_key(manifest))
        if existing is None:
            return self._create(_applied_by(manager, _without_version(manifest)))
        self._check_version(existing, manifest, required=False)
        return self._store(existing, _applied_by(manager, _merged(existing, _without_version(manifest))))

    async def create(self, manifest: Manifest) -> Manifest:
        """Create; Conflict when the name exists."""
        if _key(manifest) in self._objects:
            raise Conflict(f"{manifest['kind']} {manifest['metadata']['name']} already exists")
        return self._create(manifest)

    async def replace(self, manifest: Manifest, *, manager: str = FIELD_MANAGER) -> Manifest:
        """Replace everything but status. Who changed annotations is told; of other fields it is not."""
        existing = self._existing(manifest)
        kept = (
            {"status": existing["status"]} if manifest["kind"] in WITH_STATUS and "status" in existing else {}
        )
        body = {k: v for k, v in manifest.items() if k != "status" or manifest["kind"] not in WITH_STATUS}
        return self._store(existing, _annotated_by(manager, existing, body | kept))

    async def replace_status(self, manifest: Manifest) -> Manifest:
        """Replace status alone."""
        existing = self._existing(manifest)
        return self._store(existing, {**existing, "status": manifest.get("status", {})})

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete with a uid precondition."""
        existing = self._objects.get((kind, namespace, name))
        if existing is None:
            return
        if existing["metadata"]["uid"] != uid:
            raise Conflict(f"{kind} {name} is another object now")
        gone = self._objects.pop((kind, namespace, name))
        gone["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell("DELETED", gone)

    # ------------------------------------------------------------------ inside
    def _existing(self, manifest: Manifest) -> Manifest:
        existing = self._objects.get(_key(manifest))
        if existing is None:
            raise Conflict(f"{manifest['kind']} {manifest['metadata']['name']} does not exist any more")
        self._check_version(existing, manifest, required=True)
        return existing

    def _check_version(self, existing: Manifest, manifest: Manifest, *, required: bool) -> None:
        wanted = manifest["metadata"].get("resourceVersion")
        if required and not wanted:
            raise ValueError("a replace without metadata.resourceVersion would overwrite blindly")
        if wanted and wanted != existing["metadata"]["resourceVersion"]:
            raise Conflict(f"{manifest['kind']} {manifest['metadata']['name']} was changed meanwhile")

    def _create(self, manifest: Manifest) -> Manifest:
        created = _copied(manifest)
        if created["kind"] in WITH_STATUS:
            created.pop("status", None)
        created["metadata"] |= {
            # Releases are named by the first six digits
            "uid": f"{next(self._uids):06x}00-0000-4000-8000-000000000000",
            "generation": 1,
            "resourceVersion": str(next(self._versions)),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        self._objects[_key(created)] = created
        self._tell("ADDED", created)
        return _copied(created)

    def _store(self, existing: Manifest, changed: Manifest) -> Manifest:
        """Nothing changed: no new version, no event, as the API server does."""
        stored = _copied(changed)
        stored["metadata"] |= {
            key: existing["metadata"][key]
            for key in ("uid", "generation", "resourceVersion", "creationTimestamp")
        }
        if stored == existing:
            return _copied(existing)
        if stored.get("spec") != existing.get("spec"):
            stored["metadata"]["generation"] += 1
        stored["metadata"]["resourceVersion"] = str(next(self._versions))
        self._objects[_key(stored)] = stored
        self._tell("MODIFIED", stored)
        return _copied(stored)

    def _tell(self, event: str, manifest: Manifest) -> None:
        for listener in self.listeners:
            listener(event, _copied(manifest))


def _copied(manifest: Manifest) -> Manifest:
    """A deep copy of JSON; copy.deepcopy takes five times as long, and stories copy all the time."""
    return {key: _copied_value(value) for key, value in manifest.items()}


def _copied_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _copied(value)
    return [_copied_value(inner) for inner in value] if isinstance(value, list) else value


def _key(manifest: Manifest) -> tuple[str, str, str]:
    return manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]


def _without_version(manifest: Manifest) -> Manifest:
    meta = {k: v for k, v in manifest["metadata"].items() if k != "resourceVersion"}
    return {**manifest, "metadata": meta}


def _applied_by(manager: str, manifest: Manifest) -> Manifest:
    meta = manifest["metadata"]
    entry = {"manager": manager, "operation": "Apply"}
    known = meta.get("managedFields") or []
    return {**manifest, "metadata": {**meta, "managedFields": known if entry in known else [*known, entry]}}


def _annotated_by(manager: str, existing: Manifest, manifest: Manifest) -> Manifest:
    """Managed fields that are not given stay; who changes a value takes it over."""
    meta, before = manifest["metadata"], existing["metadata"]
    known = meta.get("managedFields") or before.get("managedFields") or []
    old, new = before.get("annotations") or {}, meta.get("annotations") or {}
    changed = {f"f:{key}" for key in new if old.get(key) != new[key]}
    if not known and not changed:
        return manifest
    left = [_without_annotations(entry, changed) for entry in known]
    if changed:
        fields: Manifest = {"f:metadata": {"f:annotations": {key: {} for key in sorted(changed)}}}
        left.append({"manager": manager, "operation": "Update", "fieldsV1": fields})
    return {**manifest, "metadata": {**meta, "managedFields": left}}


def _without_annotations(entry: Manifest, gone: set[str]) -> Manifest:
    fields = entry.get("fieldsV1") or {}
    owned = (fields.get("f:metadata") or {}).get("f:annotations") or {}
    if not gone & owned.keys():
        return entry
    left = {key: value for key, value in owned.items() if key not in gone}
    return {**entry, "fieldsV1": {**fields, "f:metadata": {**fields["f:metadata"], "f:annotations": left}}}


def _merged(existing: Any, applied: Any) -> Any:
    if isinstance(existing, dict) and isinstance(applied, dict):
        return existing | {key: _merged(existing.get(key), value) for key, value in applied.items()}
    return _copied_value(applied)


def _selected(manifest: Manifest, selector: str) -> bool:
    if not selector:
        return True
    labels = manifest["metadata"].get("labels") or {}
    key, _, value = selector.partition("=")
    return key in labels and (not value or labels[key] == value)


class MemoryMetrics:
    """`ports.Metrics` over samples that a test has scraped into it; `broken` makes every read fail."""

    def __init__(self) -> None:
        self._series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        self.broken: str | None = None
        self.reads = 0

    def scrape(self, moment: float, samples: Iterable[tuple[dict[str, str], float]]) -> None:
        """Add one sample a series at `moment` (unix seconds)."""
        for labels, value in samples:
            self._series.setdefault(tuple(sorted(labels.items())), []).append((moment, value))

    def forget(self, until: float) -> None:
        """Samples up to `until` (unix seconds) are older than the retention."""
        kept = {key: [p for p in points if p[0] > until] for key, points in self._series.items()}
        self._series = {key: points for key, points in kept.items() if points}

    async def read(self, selection: Selection) -> Samples | Unreadable:
        """Samples of the selection in (at − window, at]."""
        self.reads += 1
        if self.broken is not None:
            return Unreadable(self.broken)
        begin = selection.at - selection.window
        found = []
        for identity, points in self._series.items():
            labels = dict(identity)
            after = bisect_right(points, (begin, math.inf))
            chosen = tuple(points[after : bisect_right(points, (selection.at, math.inf))])
            if (
                chosen
                and labels["__name__"] in selection.families
                and (labels.get("namespace"), labels.get("agent")) == (selection.namespace, selection.agent)
            ):
                found.append(Series(labels, chosen))
        return Samples(tuple(found))

    async def evaluate(self, evaluation: Evaluation) -> Sequence[Evaluated] | Unreadable:
        """Of all expressions only `name{label="value",…}`, and `sum(…)` of one."""
        if self.broken is not None:
            return Unreadable(self.broken)
        found = _EXPRESSION.fullmatch(evaluation.promql.strip())
        if found is None:
            return Unreadable("Prometheus refused the query (HTTP 400): it is no selector, nor a sum of one")
        wanted = {"__name__": found["name"], **dict(_MATCHER.findall(found["matchers"] or ""))}
        return [
            Evaluated(at, _one(self._newest(wanted, at), summed=found["sum"] is not None))
            for at in evaluation.moments
        ]

    def _newest(self, wanted: dict[str, str], at: float) -> list[float]:
        """The last value of each series, if it is not older than Prometheus looks back."""
        found = []
        for identity, points in self._series.items():
            before = bisect_right(points, (at, math.inf))
            if wanted.items() <= dict(identity).items() and before and points[before - 1][0] > at - LOOKBACK:
                found.append(points[before - 1][1])
        return found


LOOKBACK = 300.0
"""Seconds for which Prometheus takes a sample for the present value."""
_EXPRESSION = re.compile(
    r"(?P<sum>sum\()?(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?P<matchers>[^{}]*)\})?(?(sum)\))"
)
_MATCHER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')


def _one(values: list[float], *, summed: bool) -> float | NoNumber:
    values = [sum(values)] if summed and values else values
    if len(values) != 1:
        return NoNumber("the expression gives " + (f"{len(values)} series" if values else "nothing"))
    return values[0] if math.isfinite(values[0]) else NoNumber(f"the expression gives {values[0]}")

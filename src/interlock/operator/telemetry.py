"""The operator's own metrics and its JSON log lines. Names stand here only; no unbounded labels."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from interlock.analysis.gates import EvidenceReport
from interlock.core.decide import Decision
from interlock.core.observation import Manifest, Observation
from interlock.core.traffic import at_present
from interlock.model.release import Release, Stage
from interlock.model.result import Result
from interlock.model.rollout import Rollout

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_MINUTES = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, 86400)
"""Buckets for what takes as long as evidence and conversations do."""


class Telemetry:
    """All metrics of one operator process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        rollout = ("namespace", "rollout")

        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"interlock_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"interlock_{name}", text, labels, registry=registry)

        def histogram(
            name: str, text: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = _SECONDS
        ) -> Histogram:
            return Histogram(f"interlock_{name}", text, labels, registry=registry, buckets=buckets)

        self.info = gauge("rollout_info", "1 for each Rollout.", (*rollout, "agent", "stable", "phase"))
        self.stage = gauge("rollout_stage", "1 for the stage its attempt is in.", (*rollout, "stage"))
        self.weight = gauge("rollout_weight_percent", "Intended share of requests.", (*rollout, "track"))
        self.evidence = gauge(
            "gate_evidence_log", "Natural log of the odds that the candidate is worse.", (*rollout, "gate")
        )
        self.split = gauge(
            "sample_ratio_evidence_log",
            "Natural log of the odds that tasks are not split by the weights.",
            rollout,
        )
        self.mismatch = gauge(
            "sample_ratio_mismatch", "1 while an attempt waits because tasks are split wrongly.", rollout
        )
        self.verdict = gauge("gate_verdict", "1 for what the gate says now.", (*rollout, "gate", "verdict"))
        kpi = (*rollout, "metric")
        text = "Candidate's KPI over stable's: percentage points of a share, percent of a mean."
        self.lift = gauge("kpi_lift", text, kpi)
        self.lift_low = gauge("kpi_lift_low", f"Lower end of its interval at every look. {text}", kpi)
        self.lift_high = gauge("kpi_lift_high", f"Upper end of its interval at every look. {text}", kpi)
        self.cost = gauge(
            "experiment_cost_usd", "What the candidate's tasks cost in the attempt, US dollars.", rollout
        )
        moved = (*rollout, "from", "to", "reason")
        self.transitions = counter("transitions_total", "Moves of attempts.", moved)
        self.reverts = counter("reverts_total", "Candidates taken back.", (*rollout, "reason"))
        self.stop_new = histogram(
            "time_to_stop_new_seconds",
            "From the decision to take back until the gateway accepted weight 0.",
            rollout,
        )
        self.detection = histogram(
            "detection_seconds",
            "Until it was decided to take back: since the candidate's first traffic (since=traffic), or "
            "since the start of the step whose evidence decided (since=harm).",
            (*rollout, "since"),
            _MINUTES,
        )
        self.restore = histogram(
            "time_to_restore_seconds",
            "From the first traffic of a version that was taken back until it had no conversation any more.",
            rollout,
            _MINUTES,
        )
        self.route_write = histogram("route_write_seconds", "From the decision until the route was written.")
        self.queries = histogram("prometheus_query_seconds", "Queries to Prometheus.", ("result",))
        self.prometheus_up = gauge("prometheus_up", "1 while the last query to Prometheus was answered.")
        self.relist_missed = counter(
            "relist_missed_total", "Changes that a relist found and the watch had not.", ("kind",)
        )
        self.requests = counter("api_requests_total", "Requests to the API server.", ("verb", "code"))
        self.queue_depth = gauge("queue_depth", "Keys waiting.")
        self.queue_oldest = gauge("queue_oldest_seconds", "How long the longest-waiting due key has waited.")
        gauge("build_info", "1.", ("version",)).labels(version("interlock")).set(1)
        self._series: dict[tuple[str, str], set[tuple[Gauge, tuple[str, ...]]]] = {}
        self._counted: dict[tuple[str, str], set[tuple[Counter | Histogram, tuple[str, ...]]]] = {}

    def show(self, seen: Observation, decision: Decision) -> None:
        """Publish where a Rollout is, and count its move."""
        rollout, status = seen.rollout, decision.status
        place = (rollout.metadata.namespace, rollout.metadata.name)
        kept: set[tuple[Gauge, tuple[str, ...]]] = set()

        def put(metric: Gauge, labels: tuple[str, ...], value: float) -> None:
            metric.labels(*labels).set(value)
            kept.add((metric, labels))

        stable = status.stable.version if status.stable else ""
        put(self.info, (*place, rollout.spec.agent, stable, status.phase or ""), 1)
        split = at_present(status)
        shares = {
            "stable": split.stable_percent,
            "candidate": split.candidate_percent,
            "shadow": split.shadow_percent,
            "control": split.control_percent,
        }
        for track, share in shares.items():
            put(self.weight, (*place, track), share)
        if isinstance(seen.evidence, EvidenceReport):
            for gate in seen.evidence.gates:
                put(self.evidence, (*place, gate.name), gate.log_evidence)
                put(self.verdict, (*place, gate.name, gate.verdict), 1)
            if seen.evidence.split is not None:
                put(self.split, place, seen.evidence.split.log_evidence)
        if (attempt := status.attempt) is not None:
            put(self.stage, (*place, attempt.stage.value), 1)
            if attempt.step_started_time is not None:
                put(self.mismatch, place, attempt.split_mismatch is not None)
            for metric, labels, value in self._results(place, attempt.result or Result()):
                put(metric, labels, value)
        for metric, labels in self._series.get(place, set()) - kept:
            metric.remove(*labels)
        self._series[place] = kept
        self._count_move(seen, decision, place)

    def _results(
        self, place: tuple[str, str], result: Result
    ) -> Iterator[tuple[Gauge, tuple[str, ...], float]]:
        """What came of the attempt, from its record: the same after a restart. The unknown is absent."""
        for lift in result.lifts:
            told = ((self.lift, lift.lift), (self.lift_low, lift.low), (self.lift_high, lift.high))
            for metric, text in told:
                if text is not None:
                    yield metric, (*place, lift.metric), float(text)
        if result.cost_usd is not None:
            yield self.cost, place, float(result.cost_usd)

    def _count_move(self, seen: Observation, decision: Decision, place: tuple[str, str]) -> None:
        move, before, after = decision.move, seen.rollout.status.attempt, decision.status.attempt
        if move is None:
            return
        origin = before.stage.value if before and not move.begins else ""
        self._inc(self.transitions, place, origin, move.stage.value, move.cause.value)
        if move.stage is Stage.REVERTING:
            self._inc(self.reverts, place, move.cause.value)
            self._observe_detection(place, after.result if after else None)
        if after and before and before.stage is Stage.REVERTING and move.stage is Stage.DONE:
            seconds = (after.stage_started_time - before.stage_started_time).total_seconds()
            self._observe(self.stop_new, place, seconds)

    def _observe_detection(self, place: tuple[str, str], result: Result | None) -> None:
        if result is None or result.detected_time is None:
            return
        for since, begun in (("traffic", result.traffic_started_time), ("harm", result.harm_since_time)):
            if begun is not None:
                self._observe(self.detection, place, (result.detected_time - begun).total_seconds(), since)

    def show_cleared(self, manifest: Manifest) -> None:
        """A Release now says when the workload that left was cleared: once, whoever has decided it."""
        release = Release.read(manifest)
        result = release.result or Result()
        begun, detected, cleared = result.traffic_started_time, result.detected_time, result.cleared_time
        if begun is not None and detected is not None and cleared is not None:
            place = (release.metadata.namespace, release.header.rollout)
            self._observe(self.restore, place, (cleared - begun).total_seconds())

    def _inc(self, metric: Counter, place: tuple[str, str], *labels: str) -> None:
        metric.labels(*place, *labels).inc()
        self._counted.setdefault(place, set()).add((metric, (*place, *labels)))

    def _observe(self, metric: Histogram, place: tuple[str, str], seconds: float, *labels: str) -> None:
        metric.labels(*place, *labels).observe(seconds)
        self._counted.setdefault(place, set()).add((metric, (*place, *labels)))

    def forget(self, namespace: str, name: str) -> None:
        """Remove the series of a Rollout that is gone."""
        place = (namespace, name)
        for metric, labels in (*self._series.pop(place, ()), *self._counted.pop(place, ())):
            metric.remove(*labels)

    def count_request(self, verb: str, code: str) -> None:
        """One request to the API server."""
        self.requests.labels(verb, code).inc()

    def observe_query(self, result: str, seconds: float) -> None:
        """One query to Prometheus."""
        self.queries.labels(result).observe(seconds)
        self.prometheus_up.set(result == "ok")


class JsonLines(logging.Formatter):
    """One JSON object a line. Never carries prompt text: only names, digests and reasons are logged."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        } | getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_as_json(level: str) -> None:
    """Route every logger, kopf's included, to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("kopf.objects", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def about(rollout: Rollout, **fields: object) -> dict[str, object]:
    """The `extra` of a log line that is about one Rollout."""
    return {"fields": {"namespace": rollout.metadata.namespace, "rollout": rollout.metadata.name, **fields}}

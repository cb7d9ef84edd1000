"""Evidence of all active rollouts: one read of Prometheus a tick each, walked over a fixed grid.

After a restart the grid is replayed from the attempt's first traffic out of Prometheus' own samples, so the
evidence reaches the same value. Never decides: it publishes reports and wakes the queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from interlock.analysis import presets
from interlock.analysis.gates import AttemptEvidence, EvidenceReport, Plan
from interlock.core.observation import Timing, Unreadable
from interlock.core.plans import plan_of, plan_problem, step_times
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt, GateStart
from interlock.operator.alarms import Alarms
from interlock.ports import Manifest, Metrics, Selection

log = logging.getLogger(__name__)

CHUNK = 300.0
"""Seconds of history read at once in a replay: answers stay small."""
OVERLAP = 15.0
"""Seconds read again each time: a sample may arrive late."""
BASELINE = 60.0
"""Seconds before the walk began, where counters' baselines are found."""
CONVERSATIONS = "ai_agent_conversations_active"


Identity = tuple[str, int, str]


@dataclass(slots=True)
class _Watched:
    """One attempt under observation. `rules` are those of the plan; edited, the evidence goes on."""

    identity: Identity
    rules: _Rules
    plan: Plan
    evidence: AttemptEvidence
    families: frozenset[str]
    read_until: float
    report: EvidenceReport | Unreadable | None = None


_Rules = tuple[int, tuple[GateStart, ...]]
"""Generation of the spec and starts of its gates: where both are the same, so is the plan."""


def _identity(rollout: Rollout, attempt: Attempt) -> Identity:
    return rollout.metadata.uid, attempt.number, attempt.walk_started_time.isoformat()


def _rules(rollout: Rollout, attempt: Attempt) -> _Rules:
    return rollout.metadata.generation, attempt.gate_starts


class Evidence:
    """Keeps the evidence of active attempts; everything in it can be built again from Prometheus."""

    def __init__(self, metrics: Metrics, timing: Timing, now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._timing = timing
        self._now = now
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._conversations: dict[tuple[str, str], dict[str, float | None]] = {}
        self._alarms = Alarms(metrics, now)

    def report(self, rollout: Rollout) -> EvidenceReport | Unreadable | None:
        """The newest report of the running attempt by its present rules; None before the first one."""
        attempt = rollout.status.attempt
        watched = self._watched.get(_place(rollout))
        if attempt is None or watched is None or watched.identity != _identity(rollout, attempt):
            return None
        if watched.rules != _rules(rollout, attempt) and self._plan(rollout) not in (watched.plan, None):
            return None
        return watched.report

    def firing(self, rollout: Rollout) -> str:
        """The alert that would take a prepared attempt back at once, or why that is not known; else empty."""
        return self._alarms.firing(rollout)

    def conversations(self, rollout: Rollout) -> dict[str, float | None]:
        """Open conversations by draining workload, as last read."""
        return self._conversations.get(_place(rollout), {})

    def forget(self, namespace: str, name: str) -> None:
        """The Rollout is gone."""
        self._watched.pop((namespace, name), None)
        self._conversations.pop((namespace, name), None)
        self._alarms.forget(namespace, name)

    async def look(self, rollout: Rollout) -> bool:
        """Read what is new for one Rollout. Returns whether it has anything to read at all."""
        draining = bool(rollout.status.draining)
        active = _has_traffic(rollout)
        if draining:
            await self._read_conversations(rollout)
        else:
            self._conversations.pop(_place(rollout), None)
        if active:
            await self._read_evidence(rollout)
        else:
            self._watched.pop(_place(rollout), None)
        return await self._alarms.look(rollout) or active or draining

    async def _read_evidence(self, rollout: Rollout) -> None:
        attempt = rollout.status.attempt
        watched = self._watching(rollout)
        if attempt is None or watched is None:
            return
        now = self._now()
        while watched.read_until < now:
            until = min(now, watched.read_until + CHUNK)
            window = until - watched.read_until + max(OVERLAP, self._timing.settle)
            answer = await self._metrics.read(
                Selection(watched.families, rollout.metadata.namespace, rollout.spec.agent, until, window)
            )
            if isinstance(answer, Unreadable):
                watched.report = answer
                return
            watched.evidence.advance(step_times(attempt), answer.series, until)
            watched.read_until = until
        watched.report = watched.evidence.report()

    def _watching(self, rollout: Rollout) -> _Watched | None:
        """The attempt's evidence; begun anew when the attempt or its rules are others than before."""
        attempt, place = rollout.status.attempt, _place(rollout)
        if attempt is None or attempt.traffic_started_time is None:
            return None
        identity, rules = _identity(rollout, attempt), _rules(rollout, attempt)
        watched = self._watched.get(place)
        if watched is not None and (watched.identity, watched.rules) == (identity, rules):
            return watched
        plan = self._plan(rollout)
        if watched is not None and watched.identity == identity and plan in (watched.plan, None):
            watched.rules = rules  # the edit was about something else, or cannot be followed
            return watched
        if plan is None:
            return None
        # not from its first traffic: a pod older than that would lose what its first scrape shows
        since = attempt.walk_started_time.timestamp()
        families = presets.families((gate.families for gate in plan.gates), derive_warmup=plan.warmup is None)
        watched = _Watched(identity, rules, plan, AttemptEvidence(plan, since), families, since - BASELINE)
        self._watched[place] = watched
        return watched

    def _plan(self, rollout: Rollout) -> Plan | None:
        return None if plan_problem(rollout) else plan_of(rollout, self._timing)

    async def _read_conversations(self, rollout: Rollout) -> None:
        selection = Selection(
            frozenset({CONVERSATIONS}),
            rollout.metadata.namespace,
            rollout.spec.agent,
            self._now(),
            max(self._timing.settle, 5.0),
        )
        answer = await self._metrics.read(selection)
        known: dict[str, float | None] = {}
        for item in rollout.status.draining:
            values = (
                []
                if isinstance(answer, Unreadable)
                else [
                    series.points[-1][1]
                    for series in answer.series
                    if series.points
                    and series.labels.get("pod", "").startswith(item.workload + "-")
                    and series.labels.get("mode") == "live"
                ]
            )
            known[item.workload] = sum(values) if values else None
        self._conversations[_place(rollout)] = known


def _place(rollout: Rollout) -> tuple[str, str]:
    return rollout.metadata.namespace, rollout.metadata.name


def is_worth_reading(manifest: Manifest) -> bool:
    """Whether a Rollout may have something to read: a glance at the raw object keeps idle ones free."""
    held = manifest.get("status") or {}
    stage = (held.get("attempt") or {}).get("stage")
    gates = ((manifest.get("spec") or {}).get("analysis") or {}).get("gates") or ()
    return bool(
        stage in ("Running", "Soaking")
        or held.get("draining")
        or (stage == "Preparing" and any("alert" in gate for gate in gates))
    )


def _has_traffic(rollout: Rollout) -> bool:
    attempt = rollout.status.attempt
    return (
        attempt is not None
        and attempt.traffic_started_time is not None
        and attempt.stage in (Stage.RUNNING, Stage.SOAKING)
    )


async def keep_reading(
    evidence: Evidence,
    rollouts: Callable[[], Iterable[Rollout]],
    wake: Callable[[Rollout], None],
    tick: float,
) -> None:
    """Once a tick, for every Rollout that has something to read. Nothing active: no query."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    reading: set[tuple[str, str]] = set()

    async def read(rollout: Rollout) -> None:
        try:
            if await evidence.look(rollout):
                wake(rollout)
        except Exception:
            log.exception("reading evidence failed", extra={"fields": {"rollout": rollout.metadata.name}})
        finally:
            reading.discard(_place(rollout))

    async with asyncio.TaskGroup() as group:
        while True:
            for rollout in rollouts():
                if _place(rollout) not in reading:  # a slow answer must not pile up reads
                    reading.add(_place(rollout))
                    group.create_task(read(rollout))
            due = max(due + tick, loop.time())
            await asyncio.sleep(due - loop.time())

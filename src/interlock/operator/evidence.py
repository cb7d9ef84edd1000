"""Evidence of all active rollouts: one read of Prometheus a tick each, walked over a fixed grid.

After a restart it goes on from its checkpoint, else from Prometheus' own samples of the whole attempt: the
evidence reaches the same value. Never decides: it publishes reports and wakes the queue.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from interlock.analysis.gates import AttemptEvidence, EvidenceReport, Plan
from interlock.analysis.lift import families_of
from interlock.analysis.metrics import Query
from interlock.analysis.values import Evaluated, NoNumber, moments
from interlock.core import clock
from interlock.core.metrictemplates import Known
from interlock.core.observation import Timing, Unreadable
from interlock.core.plans import NO_TEMPLATES, plan_of, plan_problem, step_times
from interlock.errors import InterlockError
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt, GateStart
from interlock.operator.alarms import Alarms
from interlock.operator.checkpoints import Checkpoints, State, Walk, walk_of
from interlock.operator.history import Histories
from interlock.operator.telemetry import about
from interlock.ports import Evaluation, Metrics, Samples, Selection

log = logging.getLogger(__name__)

CHUNK = 300.0
"""Seconds of history read at once in a replay: answers stay small."""
OVERLAP = 15.0
"""Seconds read again each time: a sample may arrive late."""
AHEAD = clock.AHEAD.total_seconds()
"""Evidence that is further ahead is read anew: until the clock had caught up no harm would be seen."""
BASELINE = 60.0
"""Seconds before the walk began, where counters' baselines are found; or two settling times, if longer."""
SAVE_EVERY = 60.0
"""Seconds between checkpoints of an attempt that does not move."""
LOAD_TRIES = 5
"""Looks that wait for a checkpoint that cannot be read, before the evidence is replayed without it."""
CONVERSATIONS = "ai_agent_conversations_active"

Rules = tuple[int, tuple[GateStart, ...], Known]
"""Generation of the spec, starts of its gates and what templates define: where all are the same, so is the
plan."""


@dataclass(slots=True)
class _Watched:
    """One attempt under observation."""

    walk: Walk
    rules: Rules
    plan: Plan
    evidence: AttemptEvidence
    families: frozenset[str]
    read_until: float
    mark: int = 0
    """Of the last answer that the evidence has taken in."""
    report: EvidenceReport | Unreadable | None = None
    saved: float = -math.inf
    saved_seq: int = 0


class Evidence:
    """Keeps the evidence of active attempts; everything in it can be built again from Prometheus.

    With `checkpoints` that also holds when Prometheus has lost the beginning. `expected`: metrics of which
    the candidate's author expects something; they are measured whether or not a gate judges them.
    """

    def __init__(
        self,
        metrics: Metrics,
        timing: Timing,
        now: Callable[[], float],
        checkpoints: Checkpoints | None = None,
        *,
        known: Callable[[Rollout], Known] = lambda rollout: NO_TEMPLATES,
        expected: Callable[[Rollout], tuple[str, ...]] = lambda rollout: (),
    ) -> None:
        self._metrics = metrics
        self._timing = timing
        self._now = now
        self._checkpoints = checkpoints
        self._known = known
        self._expected = expected
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._conversations: dict[tuple[str, str], dict[str, float | None]] = {}
        self._alarms = Alarms(metrics)
        self._histories = Histories(metrics)
        self._unloaded: dict[tuple[str, str], int] = {}  # failed tries to read a checkpoint

    def moment(self) -> float:
        """Now, unix seconds."""
        return self._now()

    def report(self, rollout: Rollout) -> EvidenceReport | Unreadable | None:
        """The newest report of the running attempt by its present rules; None before the first one."""
        attempt = rollout.status.attempt
        watched = self._watched.get(_place(rollout))
        if attempt is None or watched is None or watched.walk != walk_of(rollout, attempt):
            return None
        if watched.rules != self._rules(rollout, attempt) and self._plan(rollout) not in (watched.plan, None):
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
        self._histories.forget(namespace, name)
        self._unloaded.pop((namespace, name), None)
        if self._checkpoints is not None:
            self._checkpoints.forget(namespace, name)

    async def look(self, rollout: Rollout, at: float | None = None) -> bool:
        """Read what is new for one Rollout. Returns whether it has anything to read at all.

        `at` (unix seconds; now): whoever looks at the same moment shares queries, and sees the same scrapes.
        """
        at = self._now() if at is None else at
        reads: list[Awaitable[object]] = []
        if self._alarms.concern(rollout):
            reads.append(self._alarms.look(rollout, at))
        if rollout.status.draining:
            reads.append(self._read_conversations(rollout, at))
        else:
            self._conversations.pop(_place(rollout), None)
        attempt = rollout.status.attempt
        if _has_traffic(rollout) and attempt is not None:
            reads.append(self._read_evidence(rollout, attempt, at))
        else:
            self._watched.pop(_place(rollout), None)
            self._histories.forget(*_place(rollout))
        if len(reads) == 1:
            await reads[0]  # a task of its own would cost more than it
        else:
            await asyncio.gather(*reads)
        return bool(reads)

    async def save(self, rollout: Rollout) -> None:
        """Write down the evidence of a running attempt: after each transition, and once a minute."""
        attempt, watched = rollout.status.attempt, self._watched.get(_place(rollout))
        if attempt is None or watched is None or self._checkpoints is None or not _has_traffic(rollout):
            return
        now = watched.evidence.now
        due = attempt.seq != watched.saved_seq or now - watched.saved >= SAVE_EVERY
        if watched.walk != walk_of(rollout, attempt) or not due or now == watched.saved:
            return
        if not isinstance(watched.report, EvidenceReport):
            return  # it has learned nothing that what is written does not say
        watched.saved, watched.saved_seq = now, attempt.seq
        state = watched.evidence.state
        await self._checkpoints.save(rollout, watched.walk, lambda baselines: state(baselines=baselines))

    async def _read_evidence(self, rollout: Rollout, attempt: Attempt, now: float) -> None:
        watched = await self._watching(rollout, attempt, now)
        if watched is None:
            return
        if watched.evidence.lacks_past:
            since = attempt.walk_started_time.timestamp()
            pasts = await self._histories.before(rollout, watched.walk, watched.plan, since)
            watched.evidence.learn(pasts or {})
        while watched.read_until < now or not isinstance(watched.report, EvidenceReport):
            until = max(watched.read_until, min(now, watched.read_until + CHUNK))
            answer = await self._read_on(rollout, watched, until)
            if isinstance(answer, Unreadable):
                watched.report = answer
                return
            values = await self._evaluate(watched, until)
            watched.evidence.advance(step_times(attempt), answer.series, until, values)
            watched.read_until, watched.mark = until, answer.mark
            if until >= now:
                watched.report = watched.evidence.report()

    async def _evaluate(self, watched: _Watched, until: float) -> dict[str, Sequence[Evaluated]]:
        """What the expressions of gates gave at each moment since the last look, by gate."""
        asked = {gate.name: gate.metric for gate in watched.plan.gates if isinstance(gate.metric, Query)}
        due = moments(watched.evidence.now, until, watched.plan.tick) if asked else ()
        if not due:
            return {}
        answers = await asyncio.gather(
            *(
                self._metrics.evaluate(Evaluation(query.promql, due[0], due[-1], watched.plan.tick))
                for query in asked.values()
            )
        )
        return {
            name: [Evaluated(due[-1], NoNumber(answer.reason))] if isinstance(answer, Unreadable) else answer
            for name, answer in zip(asked, answers, strict=True)
        }

    async def _read_on(self, rollout: Rollout, watched: _Watched, until: float) -> Samples | Unreadable:
        """Samples since the last read, after those that only tell where counters stood then."""
        if watched.evidence.unprimed:
            before = await self._read(rollout, watched, watched.read_until, self._baseline, mark=0)
            if isinstance(before, Unreadable):
                return before
            watched.evidence.prime(before.series)
        window = until - watched.read_until + max(OVERLAP, self._timing.settle)
        return await self._read(rollout, watched, until, window, mark=watched.mark)

    async def _read(
        self, rollout: Rollout, watched: _Watched, until: float, window: float, *, mark: int
    ) -> Samples | Unreadable:
        namespace, agent = rollout.metadata.namespace, rollout.spec.agent
        return await self._metrics.read(
            Selection(watched.families, namespace, agent, until, window, mark=mark)
        )

    @property
    def _baseline(self) -> float:
        return max(BASELINE, 2 * self._timing.settle)

    # ------------------------------------------------------------------ whose evidence
    async def _watching(self, rollout: Rollout, attempt: Attempt, now: float) -> _Watched | None:
        """The attempt's evidence by its present rules; taken up or begun when it is another attempt."""
        walk, rules = walk_of(rollout, attempt), self._rules(rollout, attempt)
        watched = self._watched.get(_place(rollout))
        if watched is not None and watched.walk == walk and watched.read_until <= now + AHEAD:
            if watched.rules != rules:
                self._edit(rollout, attempt, watched)
            return watched
        plan = self._plan(rollout)
        if plan is None:
            return None
        try:
            state = await self._loaded(rollout, walk)
        except InterlockError as error:
            log.warning("the evidence checkpoint cannot be read: %s", error, extra=about(rollout))
            return None
        watched = self._taken_up(rollout, attempt, plan, state)
        if watched.read_until > now + AHEAD:
            log.warning("evidence is replayed: the clock was set back", extra=about(rollout))
            watched = self._taken_up(rollout, attempt, plan, None)
        self._watched[_place(rollout)] = watched
        return watched

    async def _loaded(self, rollout: Rollout, walk: Walk) -> State | None:
        """What was written of this walk; after some tries without an answer, nothing."""
        place = _place(rollout)
        if self._checkpoints is None or self._unloaded.get(place, 0) >= LOAD_TRIES:
            return None
        self._unloaded[place] = self._unloaded.get(place, 0) + 1
        state = await self._checkpoints.load(rollout, walk)
        del self._unloaded[place]
        return state

    def _edit(self, rollout: Rollout, attempt: Attempt, watched: _Watched) -> None:
        """The spec was edited. Gates that are as they were go on; others begin afresh, within the attempt."""
        plan = self._plan(rollout)
        watched.rules = self._rules(rollout, attempt)
        if plan is None or plan == watched.plan:
            return  # the edit was about something else, or cannot be followed
        edited = self._taken_up(rollout, attempt, plan, watched.evidence.state())
        watched.plan, watched.evidence, watched.families = plan, edited.evidence, edited.families
        watched.read_until, watched.mark, watched.report = edited.read_until, 0, None

    def _taken_up(self, rollout: Rollout, attempt: Attempt, plan: Plan, state: State | None) -> _Watched:
        """The evidence of `state` if it fits the plan, else that of nothing yet."""
        # not from its first traffic: a pod older than that would lose what its first scrape shows
        since = attempt.walk_started_time.timestamp()
        evidence = AttemptEvidence(plan, since, awaits_past=True)
        if state is not None:
            try:
                evidence = AttemptEvidence.resumed(plan, since, state, awaits_past=True)
            except ValueError as error:
                log.info(
                    "evidence is replayed: what was kept of it does not fit: %s", error, extra=about(rollout)
                )
        return _Watched(
            walk_of(rollout, attempt),
            self._rules(rollout, attempt),
            plan,
            evidence,
            families_of(plan, derive_warmup=plan.warmup is None),
            evidence.now if evidence.now > since else since - self._baseline,
        )

    def _rules(self, rollout: Rollout, attempt: Attempt) -> Rules:
        return rollout.metadata.generation, attempt.gate_starts, self._known(rollout)

    def _plan(self, rollout: Rollout) -> Plan | None:
        known = self._known(rollout)
        if plan_problem(rollout, known):
            return None
        return plan_of(rollout, self._timing, known, self._expected(rollout))

    async def _read_conversations(self, rollout: Rollout, at: float) -> None:
        selection = Selection(
            frozenset({CONVERSATIONS}),
            rollout.metadata.namespace,
            rollout.spec.agent,
            at,
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
    saving: set[tuple[str, str]] = set()

    async def read(rollout: Rollout, at: float) -> None:
        try:
            if await evidence.look(rollout, at):
                wake(rollout)
        except Exception:
            log.exception("reading evidence failed", extra=about(rollout))
        finally:
            reading.discard(_place(rollout))
        if _place(rollout) not in saving:  # an API server that does not answer must not keep us from reading
            saving.add(_place(rollout))
            group.create_task(save(rollout))

    async def save(rollout: Rollout) -> None:
        try:
            await evidence.save(rollout)
        except Exception:
            log.exception("writing evidence down failed", extra=about(rollout))
        finally:
            saving.discard(_place(rollout))

    async with asyncio.TaskGroup() as group:
        while True:
            at = evidence.moment()
            for rollout in rollouts():
                if _place(rollout) not in reading:  # a slow answer must not pile up reads
                    reading.add(_place(rollout))
                    group.create_task(read(rollout, at))
            due = max(due + tick, loop.time())
            await asyncio.sleep(due - loop.time())

"""The evidence of one attempt: samples in, verdicts out, the same however often one looks.

Limits and events are weighed at every sample of the candidate, as soon as it is visible. Comparisons close
their blocks on a fixed grid of times, with samples that have settled. A replay reaches the same state.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import assert_never

from interlock.analysis import presets
from interlock.analysis.doubles import Doubles
from interlock.analysis.evidence import log_mean, rejected
from interlock.analysis.judges import (
    AlertJudge,
    CompareJudge,
    EventsJudge,
    Judge,
    LimitJudge,
    Outcome,
    judge_of,
)
from interlock.analysis.plan import (
    Alert,
    Compare,
    Events,
    Gate,
    Limit,
    Mode,
    Plan,
    PlannedStep,
    Side,
    StepKind,
    StepTime,
    Track,
)
from interlock.analysis.presets import ALERTS, DURATION_BUCKETS, VERIFIERS, families
from interlock.analysis.report import EvidenceReport, Facts, GateReading, Standing, Verdict, mode_of, read
from interlock.analysis.series import PROCESS_START, Counts, Increment, Series
from interlock.analysis.silence import NoDataReading, Silence
from interlock.analysis.timeline import Stretch, timeline
from interlock.analysis.warmup import Warmups

__all__ = [
    "Alert",
    "AttemptEvidence",
    "Compare",
    "Events",
    "EvidenceReport",
    "Gate",
    "GateReading",
    "Limit",
    "Mode",
    "NoDataReading",
    "Plan",
    "PlannedStep",
    "Side",
    "Silence",
    "StepKind",
    "StepTime",
    "Verdict",
]


@dataclass(slots=True)
class _Tasks:
    """Of one version in one step: started and finished since its clock start; comparable after warm-up."""

    started: float = 0.0
    finished: float = 0.0
    comparable: float = 0.0


class AttemptEvidence:
    """All evidence of one attempt since `since` (unix seconds, its start). Mutable, deterministic.

    Feed it with `advance`, in order of time; read it with `report`. An edited plan is a new evidence.
    """

    def __init__(self, plan: Plan, since: float) -> None:
        self._plan = plan
        self._since = since
        self._now = since
        self._families = families((gate.families for gate in plan.gates), derive_warmup=False) - {
            PROCESS_START,
            ALERTS,
        }
        self._sides = ((Track.CANDIDATE, plan.candidate), (Track.STABLE, plan.stable))
        self._counts = Counts(since)
        self._doubles = Doubles()
        self._warmups = Warmups(plan)
        self._judges = {gate.name: judge_of(gate, plan) for gate in plan.gates}
        self._timeline = timeline(plan, since, (), {})
        self._grid = -1  # the last grid point walked
        self._waiting: list[tuple[float, int, Outcome]] = []  # for comparisons, until they have settled
        self._handed = 0
        self._newest: dict[tuple[Track, Mode, str], float] = {}
        self._verifiers: dict[str, float] = {}  # when each was first seen at work
        self._verifier = plan.verifier
        self._tasks: dict[tuple[int, Track], _Tasks] = {}
        self._seen_by: dict[tuple[str, int], float] = {}  # finished tasks, by edited gate and step
        self._standings = {gate.name: Standing() for gate in plan.gates}
        self._merged = 0.0
        self._peak = -math.inf
        self._weigh()

    def advance(self, times: tuple[StepTime, ...], series: Iterable[Series], now: float) -> None:
        """Walk from the last look to `now` (unix seconds).

        `times`: the clocks of all steps of the attempt so far. `series`: raw samples of all `families`, of
        both versions and modes; windows overlap, and samples handed in before change nothing. Hand in nothing
        rather than an incomplete answer. The first window should begin before `since`.
        """
        now = max(now, self._now)
        series = list(series)
        mine = [one for one in series if self._concerns(one)]
        counters = [one for one in mine if one.name in self._families]
        self._warmups.advance(times, mine, now)
        self._timeline = timeline(self._plan, self._since, times, self._warmups.lengths)
        increments = self._counts.advance([one for one in mine if one.name != DURATION_BUCKETS], now)
        self._doubles.advance(counters, now, self._counts.process_start)
        self._notice(mine, now)
        outcomes = [outcome for increment in increments for outcome in self._outcomes(increment)]
        for end, together in groupby(outcomes, key=lambda outcome: outcome.end):
            self._walk_grid(math.nextafter(end, -math.inf))
            for outcome in together:
                self._take(outcome)
            self._weigh()
        self._walk_grid(now)
        self._heed_alerts(series, now)
        self._weigh()
        self._now = now

    def report(self) -> EvidenceReport:
        """What the evidence says as of the last `advance`."""
        running = self._timeline.running
        failed = tuple(name for name, standing in self._standings.items() if standing.failed)
        candidate, stable = (self._tasks_of(running.step.index if running else -1, track) for track in Track)
        mode = mode_of(running)
        seen = [
            at for (track, where, _), at in self._newest.items() if (track, where) == (Track.CANDIDATE, mode)
        ]
        return EvidenceReport(
            gates=tuple(self._read(judge, mode) for judge in self._judges.values()),
            failed=failed,
            combined=not failed and self._peak >= self._plan.threshold,
            combined_log_evidence=self._merged,
            threshold=self._plan.threshold,
            candidate_tasks=round(candidate.comparable),
            stable_tasks=round(stable.comparable),
            candidate_started=round(candidate.started),
            stable_started=round(stable.started),
            last_sample=max(seen, default=None),
            warmed_up=running is not None and self._now >= running.warm,
            warnings=self._warnings(),
            p_value=min(1.0, math.exp(-self._peak)),
        )

    def _concerns(self, one: Series) -> bool:
        if one.name == PROCESS_START:
            return any(one.labels.get("pod", "").startswith(side.pod_prefix) for _, side in self._sides)
        read = one.name in self._families or one.name == DURATION_BUCKETS
        return read and bool(self._tracks(one.labels))

    def _notice(self, series: Iterable[Series], now: float) -> None:
        """Remember when each version was last heard of, and which verifiers are at work."""
        for one in series:
            mode, newest = _mode(one.labels.get("mode")), one.newest(now)
            if mode is None or newest is None:
                continue
            for track in self._tracks(one.labels):
                key = (track, mode, one.name)
                self._newest[key] = max(newest[0], self._newest.get(key, -math.inf))
            if mode is Mode.LIVE and "verifier" in one.labels and self._verifier is None:
                self._notice_verifier(one, now)

    def _notice_verifier(self, one: Series, now: float) -> None:
        verifier = one.labels["verifier"]
        worked = next((at for at, value in one.points if at <= now and 0 < value < math.inf), None)
        if verifier in VERIFIERS and worked is not None:
            self._verifiers[verifier] = min(worked, self._verifiers.get(verifier, math.inf))

    def _tracks(self, labels: Mapping[str, str]) -> list[Track]:
        return [track for track, side in self._sides if side.owns(labels)]

    def _outcomes(self, increment: Increment) -> list[Outcome]:
        mode = _mode(increment.labels.get("mode"))
        if mode is None or increment.end <= self._since:
            return []
        return [
            Outcome(track, mode, increment.labels, increment.begin, increment.end, increment.amount)
            for track in self._tracks(increment.labels)
        ]

    def _take(self, outcome: Outcome) -> None:
        """Count an outcome where it counts at once, and keep it for the comparisons."""
        self._count_task(outcome)
        if outcome.track is Track.CANDIDATE:
            stretch = self._timeline.place(outcome.mode, outcome.begin, outcome.end)
            for judge in self._judges.values():
                if stretch and isinstance(judge, LimitJudge | EventsJudge):
                    judge.add(outcome, stretch)
        if outcome.mode is Mode.LIVE:
            self._handed += 1
            heapq.heappush(self._waiting, (outcome.end, self._handed, outcome))

    def _count_task(self, outcome: Outcome) -> None:
        stretch = self._timeline.clocked(outcome.end)
        expected = stretch.step.mode if stretch and outcome.track is Track.CANDIDATE else Mode.LIVE
        if stretch is None or outcome.mode is not expected:
            return
        tasks = self._tasks.setdefault((stretch.step.index, outcome.track), _Tasks())
        match outcome.labels["__name__"]:
            case presets.TASKS_STARTED:
                tasks.started += outcome.amount
            case presets.TASKS:
                tasks.finished += outcome.amount
                if outcome.begin >= stretch.warm or stretch.step.mode is Mode.SHADOW:
                    tasks.comparable += outcome.amount
                if outcome.track is Track.CANDIDATE:
                    self._count_for_edited(outcome, stretch)
            case _:
                pass

    def _count_for_edited(self, outcome: Outcome, stretch: Stretch) -> None:
        """Gates whose rules are younger than the step have seen fewer tasks than the step."""
        for gate in self._plan.gates:
            if stretch.started < gate.since < outcome.end:
                place = (gate.name, stretch.step.index)
                self._seen_by[place] = self._seen_by.get(place, 0.0) + outcome.amount

    def _heed_alerts(self, series: Iterable[Series], now: float) -> None:
        alerts = [one for one in series if one.name == ALERTS]
        for judge in self._judges.values():
            if isinstance(judge, AlertJudge) and self._timeline.origin is not None:
                judge.add(alerts, self._timeline.origin, now)

    def _walk_grid(self, until: float) -> None:
        """Release to the comparisons what has settled by each grid point ≤ `until`.

        Grid points at which nothing new has settled change nothing and are passed over.
        """
        origin = self._timeline.origin
        while self._waiting and origin is not None:
            point = max(self._due(self._waiting[0][2].end, origin), self._grid + 1)
            if origin + point * self._plan.tick > until:
                return
            settled = []
            while self._waiting and self._due(self._waiting[0][2].end, origin) <= point:
                settled.append(heapq.heappop(self._waiting)[2])
            self._choose_verifier(origin + point * self._plan.tick)
            for judge in self._judges.values():
                if isinstance(judge, CompareJudge):
                    judge.release(settled, self._timeline, self._verifier)
            self._grid = point
            self._weigh()

    def _due(self, end: float, origin: float) -> int:
        """The first grid point at which a sample of that time has settled."""
        return max(0, math.ceil((end + self._plan.settle - origin) / self._plan.tick - 1e-9))

    def _choose_verifier(self, at: float) -> None:
        """Take the most trusted verifier, two scrapes after the first was seen, for the whole attempt."""
        if (
            self._verifier is None
            and min(self._verifiers.values(), default=math.inf) <= at - self._plan.settle
        ):
            self._verifier = next(name for name in VERIFIERS if self._verifiers.get(name, math.inf) <= at)

    def _weigh(self) -> None:
        """Merge the gates' evidence; what crosses the threshold once has crossed it (Ville)."""
        weighed: list[CompareJudge | LimitJudge] = []
        for name, judge in self._judges.items():
            match judge:
                case EventsJudge():
                    if judge.exceeded and not self._spoilt(judge):
                        self._standings[name] = Standing(failed=True)
                case AlertJudge():
                    if judge.fired:
                        self._standings[name] = Standing(failed=True)
                case CompareJudge() | LimitJudge():
                    if judge.planned:
                        weighed.append(judge)
                case _:
                    assert_never(judge)
        if weighed:
            self._merge(weighed)

    def _merge(self, judges: list[CompareJudge | LimitJudge]) -> None:
        logs = [0.0 if self._spoilt(judge) else judge.log_e for judge in judges]
        weights = [float(judge.gate.weight) for judge in judges]
        named = rejected(logs, weights, self._plan.threshold)
        for at, judge in enumerate(judges):
            before = self._standings[judge.gate.name]
            now = logs[at] + math.log(weights[at] / sum(weights))
            self._standings[judge.gate.name] = Standing(
                now, max(now, before.peak), before.failed or at in named
            )
        self._merged = log_mean(logs, weights)
        self._peak = max(self._peak, self._merged)

    def _spoilt(self, judge: Judge) -> tuple[str, ...]:
        """Pods whose doubled counts this gate would rest on."""
        pods = self._doubles.pods(judge.gate.families)
        if isinstance(judge, CompareJudge):
            return pods
        return tuple(pod for pod in pods if pod.startswith(self._plan.candidate.pod_prefix))

    def _tasks_of(self, step: int, track: Track) -> _Tasks:
        return self._tasks.get((step, track), _Tasks())

    def _read(self, judge: Judge, mode: Mode) -> GateReading:
        running = self._timeline.running
        expected = {Track.CANDIDATE: mode, Track.STABLE: Mode.LIVE}
        facts = Facts(
            now=self._now,
            running=running,
            newest={
                (track, name): at
                for (track, where, name), at in self._newest.items()
                if where is expected[track]
            },
            finished=self._finished(judge.gate, running) if running else 0.0,
            verifier=self._verifier,
            spoilt=self._spoilt(judge),
        )
        return read(judge, self._standings[judge.gate.name], facts)

    def _finished(self, gate: Gate, running: Stretch) -> float:
        """The candidate's tasks of the step that ended under the gate's present rules."""
        if gate.since > running.started:
            return self._seen_by.get((gate.name, running.step.index), 0.0)
        return self._tasks_of(running.step.index, Track.CANDIDATE).finished

    def _warnings(self) -> tuple[str, ...]:
        found = list(self._doubles.warnings())
        if self._counts.ageless:
            pods = ", ".join(self._counts.ageless)
            found.append(f"{PROCESS_START} is not exported by {pods}: what they counted before is left out")
        mode = mode_of(self._timeline.running)
        seen = {name for track, where, name in self._newest if (track, where) == (Track.CANDIDATE, mode)}
        if presets.TASKS in seen:
            wanted = frozenset[str]().union(*(gate.families for gate in self._plan.gates)) - {ALERTS}
            found += [
                f"the candidate exports no {name}: counted as none so far; export it at 0 from the start"
                for name in sorted(wanted - seen - {presets.TASKS_VERIFIED})
            ]
        return tuple(found)


_MODES = {mode.value: mode for mode in Mode}


def _mode(label: str | None) -> Mode | None:
    return _MODES.get(label) if label else None

"""The evidence of one attempt: samples in, verdicts out, the same however often one looks.

Limits and events are weighed at every sample of the candidate, as soon as it is visible. Comparisons close
their blocks on a fixed grid of times, with samples that have settled. A replay, and a restored state, reach
the same evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Self

from interlock.analysis.buckets import BucketReader
from interlock.analysis.comparing import BlockJudge, CompareJudge, MeanJudge
from interlock.analysis.doubts import Doubts
from interlock.analysis.gaining import Gains
from interlock.analysis.heard import Heard, expected
from interlock.analysis.incoming import Incoming, Known, Owned, Source
from interlock.analysis.judges import EventsJudge, LimitJudge, heed, judge_of
from interlock.analysis.lift import Lifts, families_of
from interlock.analysis.looking import LookingBack
from interlock.analysis.merge import Merge
from interlock.analysis.missing import Facts, Spoilt, mode_of
from interlock.analysis.outcomes import Outcome
from interlock.analysis.past import Past, restored_pasts
from interlock.analysis.plan import Mode, Plan, StepTime, Track
from interlock.analysis.presets import ALERTS, TASKS, TASKS_STARTED
from interlock.analysis.reading import read
from interlock.analysis.report import EvidenceReport, GateReading
from interlock.analysis.restarts import Restarts
from interlock.analysis.series import PROCESS_START, Counts, Increment, Series
from interlock.analysis.settling import Settling
from interlock.analysis.silence import Hearing
from interlock.analysis.spending import Spending
from interlock.analysis.split import Split
from interlock.analysis.table import SeriesTable
from interlock.analysis.tasks import TaskCounts
from interlock.analysis.timeline import timeline
from interlock.analysis.values import Evaluated
from interlock.analysis.verifying import Verifying
from interlock.analysis.warmup import Warmups


class AttemptEvidence:
    """All evidence of one attempt since `since` (unix seconds, its start). Mutable, deterministic.

    Feed it with `advance`, in order of time; read it with `report`. Under an edited plan, or in another
    process, it goes on from its `state`.
    """

    def __init__(self, plan: Plan, since: float, *, awaits_past: bool = False) -> None:
        """`awaits_past`: somebody will tell what stable did before (`learn`), and what is weighed by it
        waits. Else outcomes are independent."""
        self._plan = plan
        self._since = since
        self._now = since
        self._families = families_of(plan, derive_warmup=False) - {PROCESS_START, ALERTS}
        self._buckets = BucketReader(plan)
        self._expected = expected(plan.gates)
        self._unprimed = frozenset[str]()
        self._incoming = Incoming(plan, self._families)
        self._counts = Counts(since)
        self._doubts = Doubts(plan.candidate, self._counts.ways)
        self._warmups = Warmups(plan)
        self._judges = {gate.name: judge_of(gate, plan) for gate in plan.gates}
        self._comparisons = [
            judge for judge in self._judges.values() if isinstance(judge, CompareJudge | MeanJudge)
        ]
        self._lifts = Lifts(plan)
        self._gains = Gains(since, self._buckets, self._judges.values(), self._lifts)
        self._spending = Spending()
        self._timeline = timeline(plan, since, (), {})
        self._laid_out: tuple[tuple[StepTime, ...], dict[int, float]] = (), {}  # what the timeline rests on
        self._settling = Settling(plan.tick, plan.settle)
        self._heard = Heard()
        self._verifying = Verifying(plan.verifier)
        self._tasks = TaskCounts(plan.gates)
        self._hearing = Hearing(plan.settle)
        self._spoilt = Spoilt(self._doubts)
        self._restarts = Restarts()
        self._split = Split(plan)
        self._merge = Merge(plan, self._judges.values())
        self._before = LookingBack(plan.gates, awaits=awaits_past)
        self._before.tell(self._judges.values())
        self._weigh(since)

    @property
    def now(self) -> float:
        """How far it has come, unix seconds."""
        return self._now

    def advance(
        self,
        times: tuple[StepTime, ...],
        series: Iterable[Series],
        now: float,
        values: Mapping[str, Iterable[Evaluated]] | None = None,
    ) -> None:
        """Walk from the last look to `now` (unix seconds).

        `times`: the clocks of all steps of the attempt so far. `series`: raw samples of all `families`, of
        both versions and modes; windows overlap, and samples handed in before change nothing. Hand in nothing
        rather than an incomplete answer. The first window should begin before `since`. `values`: what the
        expressions of gates gave since the last look, by gate.
        """
        now = max(now, self._now)
        series = list(series)
        news = self._incoming.news(series, now)
        mine = [one for one, _ in news]
        self._buckets.notice(((one, known.tracks) for one, known in news), now)
        counted = self._buckets.counted(mine)
        self._warmups.advance(times, mine, now)
        self._lay_out(times)
        increments = self._counts.advance(counted, now)
        counters = [one for one in counted if one.name in self._families]
        self._doubts.advance(counters, mine, now, self._counts.process_start)
        self._notice(news, now)
        for end, together in groupby(self._gains.of(increments, news), key=lambda gain: gain[0].end):
            self._walk_grid(math.nextafter(end, -math.inf))
            for gain in together:
                self._take(*gain)
            self._weigh(end)
        self._walk_grid(now)
        heed(self._judges.values(), series, values or {}, self._timeline, now)
        self._hearing.advance(now)
        self._split.advance(self._timeline.running, now)
        self._weigh(now)
        self._spoilt.look(self._judges.values(), now)
        self._now = now

    @property
    def lacks_past(self) -> bool:
        """Whether some gate still waits for what stable did before the attempt."""
        return self._before.lacks

    def learn(self, pasts: Mapping[str, Past]) -> None:
        """What stable did before, by subject of the gates; what is known already stays as it is."""
        self._before.learn(pasts)
        self._before.tell(self._judges.values())

    def report(self) -> EvidenceReport:
        """What the evidence says as of the last `advance`."""
        running = self._timeline.running
        candidate, stable = (self._tasks.of(running, track) for track in Track)
        mode = mode_of(running)
        last_sample = max(self._heard.of(Track.CANDIDATE, mode).values(), default=None)
        failed = self._merge.failed
        return EvidenceReport(
            gates=self._read(mode),
            failed=failed,
            combined=not failed and self._merge.crossed,
            combined_log_evidence=self._merge.value,
            threshold=self._plan.threshold,
            candidate_tasks=round(candidate.comparable),
            stable_tasks=round(stable.comparable),
            candidate_started=round(candidate.started),
            stable_started=round(stable.started),
            last_sample=last_sample,
            warmed_up=running is not None and self._now >= running.warm,
            warnings=self._warnings(),
            p_value=min(1.0, math.exp(-self._merge.peak)),
            no_data=self._hearing.reading(running, last_sample, self._now),
            lifts=self._lifts.read(self._doubts.about, self._before.effects),
            # of counts that are wrong on one side only, no share can be told
            split=None if self._doubts.about(frozenset({TASKS_STARTED})) else self._split.reading(running),
            cost_usd=self._spending.usd,
            harm_since=self._harm_since(),
            restarts=self._restarts.message(running, self._now),
        )

    # ------------------------------------------------------------------ what comes in
    def _lay_out(self, times: tuple[StepTime, ...]) -> None:
        """The timeline as the clocks and the warm-ups stand."""
        found = times, dict(self._warmups.lengths)
        if found != self._laid_out:
            self._laid_out = found
            self._timeline = timeline(self._plan, self._since, *found)

    @property
    def _read_families(self) -> frozenset[str]:
        """All of whose series the baselines are known; of a histogram only the bounds that are asked for."""
        return self._families | self._buckets.names

    def _notice(self, news: Iterable[Owned], now: float) -> None:
        """Remember when each version was last heard of, and which verifiers are at work."""
        for one, known in news:
            mode, tracks, newest = known.mode, known.tracks, one.newest(now)
            if mode is None or not tracks or newest is None:
                continue
            for track in tracks:
                self._heard.notice(track, mode, one.name, newest[0])
                if mode is Mode.LIVE and one.name == TASKS_STARTED:
                    self._split.notice(track, one.labels.get("pod", ""), newest[0])
            if one.name == PROCESS_START:
                self._restarts.notice(one, tracks, mode, now)
            if known.is_verified:
                self._verifying.notice(one, mode, now)
            if not known.is_exported:
                known.is_exported = True
                self._notice_exports(one, tracks, mode)

    def _notice_exports(self, one: Series, tracks: list[Track], mode: Mode) -> None:
        self._spending.notice(one.name, tracks)
        first = next(at for at, value in one.points if 0 <= value < math.inf)
        for judge in self._comparisons:
            if isinstance(judge, MeanJudge):
                judge.notice(one.labels, tracks, mode, first)
        if mode is Mode.LIVE:
            self._lifts.notice(one.labels, tracks, first)

    def _take(self, increment: Increment, mode: Mode, known: Known, source: Source) -> None:
        """Count what happened where it counts at once, and keep it for the comparisons."""
        for track in known.tracks:
            outcome = Outcome(track, mode, source.labels, increment.begin, increment.end, increment.amount)
            self._spending.count(outcome)
            if known.is_task:
                self._take_task(outcome)
            if track is Track.CANDIDATE and source.counted_by:
                self._count(outcome, source.counted_by)
            if source.is_compared:
                self._settling.hold(outcome)

    def _count(self, outcome: Outcome, counted_by: Iterable[LimitJudge | EventsJudge]) -> None:
        place = self._timeline.place(outcome.mode, outcome.begin, outcome.end)
        if place:
            for judge in counted_by:
                judge.add(outcome, place)

    def _take_task(self, outcome: Outcome) -> None:
        stretch = self._timeline.clocked(outcome.end)
        expected = stretch.step.mode if stretch and outcome.track is Track.CANDIDATE else Mode.LIVE
        if stretch and outcome.mode is expected:
            self._tasks.count(outcome, stretch)
            self._hearing.heard(outcome, stretch)
            self._split.heard(outcome, stretch)

    # ------------------------------------------------------------------ what it weighs
    def _walk_grid(self, until: float) -> None:
        """Release to the comparisons what has settled by each grid point ≤ `until`."""
        if self.lacks_past:
            return
        for point, outcomes in self._settling.settled(self._timeline.origin, until):
            self._verifying.choose(point, self._settling, self._timeline.origin)
            clocked = [(outcome, self._timeline.clocked(outcome.end)) for outcome in outcomes]
            for judge in self._comparisons:
                judge.release(clocked, self._verifying.chosen)
            self._lifts.release(clocked, self._verifying.chosen[Mode.LIVE])
            self._weigh(point)

    def _weigh(self, at: float) -> None:
        self._merge.weigh(self._doubts.spoilt, at)

    # ------------------------------------------------------------------ what it says
    def _read(self, mode: Mode) -> tuple[GateReading, ...]:
        running = self._timeline.running
        # comparisons look at both versions in one mode: live stable does not stand for its shadow
        newest = {track: self._heard.of(track, mode) for track in Track}
        return tuple(
            read(
                judge,
                self._merge.standing(judge),
                Facts(
                    now=self._now,
                    running=running,
                    newest=newest,
                    finished=self._tasks.seen_by(judge.gate, running),
                    verifier=self._verifying.chosen[mode],
                    spoilt=self._doubts.spoilt(judge),
                    unreadable=self._buckets.problem(judge.gate, mode, self._now),
                    certificate=self._merge.certificate(judge, running.step.index) if running else None,
                    threshold=self._plan.threshold,
                    worked=self._hearing.worked(running),
                    spoilt_since=self._spoilt.since.get(judge.gate.name, self._now),
                    unreadable_since=self._buckets.unreadable_since(judge.gate, mode, self._now),
                ),
            )
            for judge in self._judges.values()
        )

    def _harm_since(self) -> float | None:
        """Start of the first step since which a gate that fails has most of its evidence."""
        failed = (judge for name, judge in self._judges.items() if name in self._merge.failed)
        steps = {judge.strongest for judge in failed if isinstance(judge, BlockJudge | LimitJudge)}
        found = [s.started for s in self._timeline.stretches if s.step.index in steps]
        return min(found) if found and found[0] < math.inf else None

    def _warnings(self) -> tuple[str, ...]:
        found = [*self._doubts.warnings()]
        if self._counts.ageless:
            pods = ", ".join(self._counts.ageless)
            found.append(f"{PROCESS_START} is not exported by {pods}: what they counted before is left out")
        found += [*self._before.warnings(), *self._warmups.warnings()]
        seen = self._heard.of(Track.CANDIDATE, mode_of(self._timeline.running)).keys()
        if TASKS in seen:
            found += [
                f"the candidate exports no {name}: counted as none so far; export it at 0 from the start"
                for name in sorted(self._expected - seen)
            ]
        return tuple(found)

    # ------------------------------------------------------------------ going on elsewhere
    def state(self, *, baselines: bool = True) -> dict[str, Any]:
        """All that decides what the evidence says from now on, as JSON.

        Without `baselines` (the last sample of every series) it is small, and `prime` must find them.
        """
        table = SeriesTable()
        number = table.number
        compared_by = self._lifts.looks_at.union(*(judge.metric.looks_at for judge in self._comparisons))
        return {
            "frame": self._frame(),
            "now": self._now,
            "families": sorted(self._read_families if baselines else ()),
            "rules": {gate.name: repr(gate) for gate in self._plan.gates},
            "judges": {name: judge.state() for name, judge in self._judges.items()},
            "merge": self._merge.state(),
            "lifts": self._lifts.state(),
            "spent": self._spending.usd,
            "settling": self._settling.state(compared_by),
            "newest": self._heard.state(),
            "buckets": self._buckets.state(),
            "verifying": self._verifying.state(),
            "tasks": self._tasks.state(),
            "hearing": self._hearing.state(),
            "spoilt": dict(self._spoilt.since),
            "restarts": self._restarts.state(),
            "turns": self._doubts.turns.state(),
            "split": self._split.state(),
            "past": self._before.state(),
            "warmups": self._warmups.state(number, buckets=baselines),
            "doubles": self._doubts.doubles.state(number, spans=baselines),
            "counts": self._counts.state(number, baselines=baselines),
            "table": table.state(),
        }

    @classmethod
    def resumed(
        cls, plan: Plan, since: float, state: Mapping[str, Any], *, awaits_past: bool = False
    ) -> Self:
        """The evidence of a `state`, perhaps of another process, perhaps before gates were edited.

        Gates that are as they were go on, others begin. ValueError where the state is of another attempt or
        malformed, or older rules have been at work since an edit.
        """
        evidence = cls(plan, since, awaits_past=awaits_past)
        try:
            evidence._restore(state)
        except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError) as error:
            raise ValueError(f"malformed: {type(error).__name__}: {error}") from error
        return evidence

    def _restore(self, state: Mapping[str, Any]) -> None:
        if state["frame"] != self._frame():
            raise ValueError("it was gathered under another plan")
        self._now = float(state["now"])
        kept = frozenset(g.name for g in self._plan.gates if state["rules"].get(g.name) == repr(g))
        if any(gate.name not in kept and gate.since < self._now for gate in self._plan.gates):
            raise ValueError("gates were edited before it was written, and it does not know of that")
        identities = SeriesTable.read(state["table"])
        self._unprimed = self._read_families - frozenset(state["families"])
        self.learn(restored_pasts(state["past"]))
        for name in kept:
            self._judges[name].restore(state["judges"][name])
        self._merge.restore(state["merge"], kept, whole=kept == state["rules"].keys() == self._judges.keys())
        self._lifts.restore(state["lifts"])
        self._spending.usd = None if state["spent"] is None else float(state["spent"])
        self._settling.restore(state["settling"])
        self._heard.restore(state["newest"])
        self._buckets.restore(state["buckets"])
        self._verifying.restore(state["verifying"])
        self._tasks.restore(state["tasks"], kept)
        self._hearing.restore(state["hearing"])
        self._spoilt.restore(state["spoilt"])
        self._restarts.restore(state["restarts"])
        self._doubts.turns.restore(state["turns"])
        self._split.restore(state["split"])
        self._warmups.restore(state["warmups"], identities)
        self._counts.restore(state["counts"], identities)
        self._doubts.doubles.restore(state["doubles"], identities)
        self._weigh(self._now)

    @property
    def unprimed(self) -> bool:
        """Whether baselines are missing: `prime` it before it advances."""
        return bool(self._unprimed)

    def prime(self, series: Iterable[Series]) -> None:
        """Find the missing baselines in samples of some scrapes up to `now`."""
        self._counts.prime(self._buckets.counted(self._incoming.mine(series)), self._now)
        self._unprimed = frozenset()

    def _frame(self) -> str:
        """What an edit of gates leaves as it is; a state of another frame is another evidence."""
        plan = self._plan
        return repr(
            (self._since, plan.alpha, plan.warmup, plan.verifier, plan.candidate, plan.stable, plan.steps)
        )

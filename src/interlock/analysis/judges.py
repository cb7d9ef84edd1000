"""What one gate has gathered: a comparison, a limit, a count of events or an alert.

Each is fed the outcomes of one attempt in order of time and keeps what the odds rest on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.analysis.evidence import MIN_OUTCOMES, HarmProcess, Tally, above, log_mean
from interlock.analysis.plan import Alert, Compare, Events, Gate, Limit, Mode, Plan, Tail, Track
from interlock.analysis.presets import Binary, EventCount, Histogram, Proportion, metric
from interlock.analysis.series import Series
from interlock.analysis.timeline import Stretch, Timeline


@dataclass(frozen=True, slots=True)
class Outcome:
    """An increment of one version's counter: `amount` in (begin, end], unix seconds."""

    track: Track
    mode: Mode
    labels: Mapping[str, str]
    begin: float
    end: float
    amount: float


class CompareJudge:
    """Evidence that the candidate is worse than stable: blocks, and one process for each step begun."""

    def __init__(self, gate: Gate, test: Compare | Tail, metric: Binary, plan: Plan) -> None:
        self.gate = gate
        self.metric = metric
        self.planned = [step.index for step in plan.steps if gate.judges(step)]
        self.log_e = 0.0
        self.capped = 0.0
        self.delta = test.worse_by
        self._processes: dict[int, HarmProcess] = {}
        self._step: int | None = None
        self._prior = _Part()  # stable's outcomes of this step before its first block
        self._block = {track: _Part() for track in Track}

    def release(self, outcomes: Iterable[Outcome], timeline: Timeline, verifier: str | None) -> None:
        """Outcomes settled by one grid point, in order; closes a block if both sides have enough."""
        for outcome in outcomes:
            stretch = timeline.clocked(outcome.end) if outcome.end > self.gate.since else None
            if outcome.mode is Mode.LIVE and stretch and self.gate.judges(stretch.step):
                if self.metric.verified and outcome.labels.get("verifier") != verifier:
                    continue
                self._enter(stretch)
                self._take(outcome, comparable=outcome.begin >= max(stretch.warm, self.gate.since))
        self._close()

    def tallies(self, step: int | None) -> tuple[Tally, Tally]:
        """Candidate's and stable's outcomes: those of `step`'s process, and the open block."""
        process = self._processes.get(step) if step is not None else None
        candidate, stable = (process.candidate, process.stable) if process else (Tally(), Tally())
        if process or step == self._step:
            candidate += self._block[Track.CANDIDATE].tally(self.metric)
            stable += self._block[Track.STABLE].tally(self.metric)
        return candidate, stable

    def blocks(self, step: int) -> bool:
        """Whether a block has closed in this step."""
        return step in self._processes

    @property
    def oldest(self) -> int | None:
        """The step whose process holds all outcomes so far; before the first one, the step it will be."""
        return min(self._processes, default=self._step)

    @property
    def strongest(self) -> int | None:
        """The step whose process holds most of the evidence; of equals the earliest."""
        return max(sorted(self._processes), key=lambda step: self._processes[step].log_e, default=None)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "capped": self.capped,
            "step": self._step,
            "prior": self._prior.state(),
            "block": {track.value: part.state() for track, part in self._block.items()},
            "processes": {str(step): process.state() for step, process in self._processes.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.capped = float(state["capped"])
        self._step = None if state["step"] is None else int(state["step"])
        self._prior = _Part.restored(state["prior"])
        self._block = {track: _Part.restored(state["block"][track.value]) for track in Track}
        self._processes = {
            int(step): HarmProcess.restored(held, self.delta) for step, held in state["processes"].items()
        }
        self._weigh()

    def _enter(self, stretch: Stretch) -> None:
        if stretch.step.index != self._step:
            # a block must not span a change of weights: shares and base rate may move together
            self._close()
            self._step = stretch.step.index
            self._prior = _Part()
            self._block = {track: _Part() for track in Track}

    def _take(self, outcome: Outcome, *, comparable: bool) -> None:
        if comparable:
            self._block[outcome.track].add(outcome, self.metric)
        elif outcome.track is Track.STABLE:
            self._prior.add(outcome, self.metric)

    def _close(self) -> None:
        if self._step is None or any(part.total < MIN_OUTCOMES for part in self._block.values()):
            return
        block, self._block = self._block, {track: _Part() for track in Track}
        self.capped += sum(part.excess(self.metric) for part in block.values())
        prior = self._prior.tally(self.metric)
        if self._step not in self._processes and prior.total >= MIN_OUTCOMES:
            self._processes[self._step] = HarmProcess(prior.smoothed, self.delta)
        candidate, stable = (block[track].tally(self.metric) for track in (Track.CANDIDATE, Track.STABLE))
        for process in self._processes.values():
            process.add(candidate, stable)
        if self._step not in self._processes:
            # a bet must be fixed before its block is seen: without a prior the first block only teaches it
            self._prior = block[Track.STABLE]
        self._weigh()

    def _weigh(self) -> None:
        begun = [self._processes[step].log_e for step in sorted(self._processes)]
        if begun:
            self.log_e = log_mean(begun + [0.0] * (len(self.planned) - len(begun)))


class LimitJudge:
    """Evidence that the candidate's rate lies above a limit: cumulative counts from each step on."""

    def __init__(self, gate: Gate, test: Limit, metric: Proportion, plan: Plan) -> None:
        self.gate = gate
        self.metric = metric
        self.planned = [step.index for step in plan.steps if gate.judges(step)]
        self.maximum = test.maximum
        self._parts: dict[int, _Part] = {}
        self._modes = {step.index: step.mode for step in plan.steps}
        self._logs: dict[int, float] = {}  # evidence of each process, forgotten when its counts change

    def add(self, outcome: Outcome, stretch: Stretch) -> None:
        """An outcome of the candidate that counts in `stretch`."""
        if not _counts(self.gate, outcome, stretch) or not self.metric.counts(outcome.labels):
            return
        self._parts.setdefault(stretch.step.index, _Part())
        for index, part in self._parts.items():
            if index <= stretch.step.index and self._modes[index] is outcome.mode:
                part.add(outcome, self.metric)
                self._logs.pop(index, None)

    @property
    def log_e(self) -> float:
        """ln E: the mean over the planned steps, 1 for those that have not begun."""
        # in a fixed order: sums of floats depend on it, and a restored judge must agree to the last bit
        begun = [self._log(step) for step in sorted(self._parts)]
        return log_mean(begun + [0.0] * (len(self.planned) - len(begun)))

    def _log(self, step: int) -> float:
        if step not in self._logs:
            counts = self.tally(step)
            self._logs[step] = above(counts.total - counts.good, counts.total, self.maximum)
        return self._logs[step]

    def tally(self, step: int | None) -> Tally:
        """The candidate's outcomes since `step` opened."""
        part = self._parts.get(step) if step is not None else None
        return part.tally(self.metric) if part else Tally()

    @property
    def capped(self) -> float:
        return max((part.excess(self.metric) for part in self._parts.values()), default=0.0)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"parts": {str(step): part.state() for step, part in self._parts.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._parts = {int(step): _Part.restored(held) for step, held in state["parts"].items()}
        if not self._parts.keys() <= set(self.planned):
            raise ValueError("counts of a step in which the gate does not judge")

    def oldest(self, mode: Mode) -> int | None:
        """The step whose counts hold all outcomes of this mode so far."""
        return min((step for step in self._parts if self._modes[step] is mode), default=None)

    @property
    def strongest(self) -> int | None:
        """The step whose counts hold most of the evidence; of equals the earliest."""
        return max(sorted(self._parts), key=self._log, default=None)


class EventsJudge:
    """A plain count of the candidate's events in the whole attempt."""

    def __init__(self, gate: Gate, test: Events, metric: EventCount) -> None:
        self.gate = gate
        self.metric = metric
        self.maximum = test.maximum
        self.count = 0.0

    def add(self, outcome: Outcome, stretch: Stretch) -> None:
        """An outcome of the candidate that counts in `stretch`."""
        if _counts(self.gate, outcome, stretch) and self.metric.counter.matches(outcome.labels):
            self.count += outcome.amount

    @property
    def exceeded(self) -> bool:
        return self.count > self.maximum

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"count": self.count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.count = float(state["count"])


class AlertJudge:
    """Alerts that fire while the candidate has traffic. Fed with Prometheus' own series of alerts."""

    def __init__(self, gate: Gate, test: Alert, plan: Plan) -> None:
        self.gate = gate
        self.fired: tuple[float, str] | None = None
        self._test = test
        self._candidate = plan.candidate.version

    def add(self, series: Iterable[Series], traffic: float, now: float) -> None:
        """Samples up to `now`; `traffic` (unix seconds): since when the candidate has any."""
        after = max(traffic, self.gate.since)
        for one in series:
            if self._test.matches(one.labels, self._candidate):
                seen = next((t for t, value in one.points if after < t <= now and value > 0), None)
                if seen is not None:
                    found = (seen, one.labels.get("alertname", ""))
                    self.fired = min(found, self.fired or found)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"fired": self.fired}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        if state["fired"] is not None:
            at, name = state["fired"]
            self.fired = (float(at), str(name))


def _counts(gate: Gate, outcome: Outcome, stretch: Stretch) -> bool:
    """An interval that began before the gate's rules were in force counts: a violation must not be lost."""
    return outcome.end > gate.since and gate.judges(stretch.step)


MetricJudge = CompareJudge | LimitJudge | EventsJudge
Judge = MetricJudge | AlertJudge


def judge_of(gate: Gate, plan: Plan) -> Judge:
    """The judge of a gate, before any outcome."""
    if isinstance(gate.test, Alert):
        return AlertJudge(gate, gate.test, plan)
    match gate.test, metric(gate.metric):
        case Compare() as test, Proportion() as proportion:
            return CompareJudge(gate, test, proportion, plan)
        case Tail() as test, Histogram() as histogram:
            return CompareJudge(gate, test, histogram.beyond(test.above), plan)
        case Limit() as test, Proportion() as proportion:
            return LimitJudge(gate, test, proportion, plan)
        case Events() as test, EventCount() as events:
            return EventsJudge(gate, test, events)
        case _:  # Gate has refused it
            raise AssertionError(gate)


class _Part:
    """Raw counts of a part and the whole, read by different counters."""

    __slots__ = ("part", "total")

    def __init__(self) -> None:
        self.part = 0.0
        self.total = 0.0

    def add(self, outcome: Outcome, metric: Binary) -> None:
        if metric.part.matches(outcome.labels):
            self.part += outcome.amount
        if metric.total.matches(outcome.labels):
            self.total += outcome.amount

    def state(self) -> list[float]:
        return [self.part, self.total]

    @classmethod
    def restored(cls, state: Sequence[float]) -> _Part:
        part = cls()
        part.part, part.total = map(float, state)
        return part

    def tally(self, metric: Binary) -> Tally:
        return metric.tally(self.part, self.total)

    def excess(self, metric: Binary) -> float:
        return metric.excess(self.part, self.total)

"""What one gate has gathered: a limit, a count of events or an alert; comparisons are in `comparing`.

Each is fed the outcomes of one attempt in order of time and keeps what the odds rest on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from interlock.analysis.certify import below
from interlock.analysis.comparing import CompareJudge, MeanJudge
from interlock.analysis.dispersion import deflated
from interlock.analysis.evidence import Tally, above, log_mean
from interlock.analysis.metrics import Average, EventCount, Histogram, Proportion, Query
from interlock.analysis.outcomes import Outcome, Part, roles
from interlock.analysis.past import Past
from interlock.analysis.plan import Alert, Compare, Events, Gate, Limit, Mean, Mode, Plan, Tail, Value
from interlock.analysis.presets import ALERTS
from interlock.analysis.series import Series
from interlock.analysis.timeline import Stretch, Timeline
from interlock.analysis.values import Evaluated, ValueJudge


class LimitJudge:
    """Evidence that the candidate's rate lies above a limit: cumulative counts from each step on."""

    def __init__(self, gate: Gate, test: Limit, metric: Proportion, plan: Plan) -> None:
        self.gate = gate
        self.metric = metric
        self.planned = [step.index for step in plan.steps if gate.judges(step)]
        self.maximum = test.maximum
        self.past: Past | None = Past()
        self._roles = roles(metric)
        self._parts: dict[int, Part] = {}
        self._modes = {step.index: step.mode for step in plan.steps}
        self._logs: dict[int, float] = {}  # evidence of each process, forgotten when its counts change
        self._log_e: float | None = None  # of all of them, likewise

    def reads(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is part of its metric."""
        return self.metric.counts(labels)

    def add(self, outcome: Outcome, stretch: Stretch) -> None:
        """An outcome of the candidate that counts in `stretch`, of a series that it reads."""
        if not _counts(self.gate, outcome, stretch):
            return
        self._parts.setdefault(stretch.step.index, Part())
        self._log_e, role = None, self._roles.of(outcome.labels)
        for index, part in self._parts.items():
            if index <= stretch.step.index and self._modes[index] is outcome.mode:
                part.add(outcome.amount, role)
                self._logs.pop(index, None)

    @property
    def log_e(self) -> float:
        """ln E: the mean over the planned steps, 1 for those that have not begun."""
        if self._log_e is None:
            # in a fixed order: sums of floats depend on it, and a restored judge must agree to the last bit
            begun = [self._log(step) for step in sorted(self._parts)]
            self._log_e = log_mean(begun + [0.0] * (len(self.planned) - len(begun)))
        return self._log_e

    def _log(self, step: int) -> float:
        if step not in self._logs:
            counts = self._weighed(step)
            self._logs[step] = above(counts.total - counts.good, counts.total, self.maximum)
        return self._logs[step]

    def certified(self, step: int) -> float:
        """ln E that the candidate's rate lies below the limit, from this step on."""
        counts = self._weighed(step)
        return below(counts.total - counts.good, counts.total, self.maximum)

    def look_back(self, past: Past | None) -> None:
        """Weigh outcomes by stable's past; None while it is not known."""
        self.past = past
        self._logs.clear()
        self._log_e = None

    @property
    def effect(self) -> float:
        """Outcomes that are worth one independent one, as far as that is known."""
        return self.past.effect if self.past else 1.0

    def _weighed(self, step: int) -> Tally:
        """The independent outcomes that those since `step` are worth; none before that is known."""
        return deflated(self.tally(step), self.effect) if self.past else Tally()

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
        self._parts = {int(step): Part.restored(held) for step, held in state["parts"].items()}
        self._log_e = None
        if not self._parts.keys() <= set(self.planned):
            raise ValueError("counts of a step in which the gate does not judge")

    def oldest(self, mode: Mode) -> int | None:
        """The step whose counts hold all outcomes of this mode so far."""
        return min((step for step in self._parts if self._modes[step] is mode), default=None)

    def mode_of(self, step: int) -> Mode:
        """The mode whose outcomes a step's counts hold."""
        return self._modes[step]

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

    def reads(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is part of its metric."""
        return self.metric.counter.matches(labels)

    def add(self, outcome: Outcome, stretch: Stretch) -> None:
        """An outcome of the candidate that counts in `stretch`, of a series that it reads."""
        if _counts(self.gate, outcome, stretch):
            self.count += outcome.amount

    @property
    def failed(self) -> bool:
        """Whether there are more than are allowed."""
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

    @property
    def failed(self) -> bool:
        """Whether one has fired."""
        return self.fired is not None

    def add(self, series: Iterable[Series], timeline: Timeline, now: float) -> None:
        """Samples up to `now`; they count from the first step on, in steps in which the gate judges."""

        def counts(at: float) -> bool:
            stretch = timeline.at(at)
            return self.gate.since < at <= now and stretch is not None and self.gate.judges(stretch.step)

        for one in series:
            if self._test.matches(one.labels, self._candidate):
                seen = next((t for t, value in one.points if value > 0 and counts(t)), None)
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


MetricJudge = CompareJudge | MeanJudge | LimitJudge | EventsJudge
Judge = MetricJudge | AlertJudge | ValueJudge


def judge_of(gate: Gate, plan: Plan) -> Judge:  # noqa: PLR0911 - one for each kind
    """The judge of a gate, before any outcome."""
    match gate.test, gate.metric:
        case Alert() as test, _:
            return AlertJudge(gate, test, plan)
        case Mean() as test, Average() as average:
            return MeanJudge(gate, test, average, plan)
        case Compare() as test, Proportion() as proportion:
            return CompareJudge(gate, test, proportion, plan)
        case Tail() as test, Histogram() as histogram:
            return CompareJudge(gate, test, histogram.beyond(test.above), plan)
        case Limit() as test, Proportion() as proportion:
            return LimitJudge(gate, test, proportion, plan)
        case Events() as test, EventCount() as events:
            return EventsJudge(gate, test, events)
        case Value() as test, Query() as query:
            return ValueJudge(gate, test, query.unit, plan.settle)
        case _:  # Gate has refused it
            raise AssertionError(gate)


def heed(
    judges: Iterable[Judge],
    series: Iterable[Series],
    values: Mapping[str, Iterable[Evaluated]],
    timeline: Timeline,
    now: float,
) -> None:
    """Show alerts, and values by gate, to those that look at nothing else."""
    alerts = [one for one in series if one.name == ALERTS]
    for judge in judges:
        match judge:
            case AlertJudge():
                judge.add(alerts, timeline, now)
            case ValueJudge():
                judge.add(values.get(judge.gate.name, ()), timeline)
            case _:
                pass

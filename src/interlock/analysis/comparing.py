"""What a gate has gathered that compares two versions: outcomes of two kinds, or means.

Blocks close at the points of a fixed grid, as soon as both sides have enough. There is one process for each
step begun, and the evidence is the mean over the planned steps: a regression that starts late is still found.
A process takes the blocks of its own mode only: what was learned of shadows is never carried into live steps,
where it keeps the evidence it has and gathers no more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from interlock.analysis.certify import Certificate, certificate, restored_certificate
from interlock.analysis.dispersion import deflated
from interlock.analysis.evidence import MIN_OUTCOMES, HarmProcess, Tally, log_mean
from interlock.analysis.following import FollowingCertificate, FollowingProcess
from interlock.analysis.means import MIN_BLOCKS, Amount, MeanProcess
from interlock.analysis.metrics import Average, Binary
from interlock.analysis.outcomes import (
    NONE,
    Amounts,
    Exports,
    Outcome,
    Part,
    PerSeries,
    Role,
    is_verified_by,
    roles,
)
from interlock.analysis.past import Past
from interlock.analysis.plan import Advance, Compare, Gate, Mean, Mode, Plan, Tail, Track
from interlock.analysis.timeline import Clocked

Process = TypeVar("Process")
Harm = HarmProcess | FollowingProcess
Verifiers = Mapping[Mode, str | None]
"""Whose verification counts in each mode; None while that is not known."""


class BlockJudge(ABC, Generic[Process]):
    """Evidence that the candidate is worse than stable."""

    metric: Binary | Average

    def __init__(self, gate: Gate, plan: Plan, role_of: PerSeries[Role]) -> None:
        self.gate = gate
        self._modes = {step.index: step.mode for step in plan.steps if gate.judges(step)}
        self.planned = list(self._modes)
        """The steps in which it judges."""
        self._roles = role_of
        self.log_e = 0.0
        self._processes: dict[int, Process] = {}
        self._step: int | None = None

    def compares(self, mode: Mode, labels: Mapping[str, str]) -> bool:
        """Whether a series is of the metric and of a mode that the gate compares in one step or another."""
        return mode in self._modes.values() and self.metric.counts(labels)

    def release(self, outcomes: Iterable[Clocked], verifiers: Verifiers) -> None:
        """Outcomes settled by one grid point, in order; closes a block if both sides have enough."""
        since, modes, role_of, verified = self.gate.since, self._modes, self._roles.of, self.metric.verified
        for outcome, stretch in outcomes:
            if outcome.end > since and stretch and outcome.mode is modes.get(stretch.step.index):
                if verified and not is_verified_by(verifiers[outcome.mode], outcome):
                    continue
                if stretch.step.index != self._step:
                    self._enter(stretch.step.index)
                role = role_of(outcome.labels)
                if role != NONE:
                    self._take(outcome, role, comparable=stretch.warm <= outcome.begin >= since)
        self._close()

    def oldest(self, mode: Mode) -> int | None:
        """The step whose process holds all outcomes of this mode so far; before the first, the step it will
        be."""
        coming = self._step if self._step is not None and self._modes[self._step] is mode else None
        return min((step for step in self._processes if self._modes[step] is mode), default=coming)

    def mode_of(self, step: int) -> Mode:
        """The mode whose outcomes a step's process holds."""
        return self._modes[step]

    @property
    def strongest(self) -> int | None:
        """The step whose process holds most of the evidence; of equals the earliest."""
        return max(sorted(self._processes), key=lambda step: self._log(self._processes[step]), default=None)

    def _enter(self, step: int) -> None:
        # a block must not span a change of weights: shares and base rate may move together
        self._close()
        self._step = step
        self._start()

    def _check_steps(self) -> None:
        """ValueError where what was restored is not of this plan."""
        if not {*self._processes, *([] if self._step is None else [self._step])} <= self._modes.keys():
            raise ValueError("evidence of a step in which the gate does not judge")

    def _gathering(self) -> list[Process]:
        """The processes that a block of the running step belongs to: those begun in its mode."""
        return [
            process
            for step, process in self._processes.items()
            if self._step is not None and self._modes[step] is self._modes[self._step]
        ]

    def _is_open(self, step: int | None) -> bool:
        """Whether the open block will belong to that step's process, begun or not."""
        if step is None or self._step is None:
            return False
        return step == self._step or (
            step in self._processes and self._modes[step] is self._modes[self._step]
        )

    def _weigh(self) -> None:
        begun = [self._log(self._processes[step]) for step in sorted(self._processes)]
        if begun:
            self.log_e = log_mean(begun + [0.0] * (len(self.planned) - len(begun)))

    @abstractmethod
    def certified(self, step: int) -> float:
        """ln E that the candidate is as good as the gate's `advance` asks for, from this step alone."""

    @abstractmethod
    def _start(self) -> None:
        """A step begins: what is not in a closed block is forgotten."""

    @abstractmethod
    def _take(self, outcome: Outcome, role: Role, *, comparable: bool) -> None:
        """An outcome of the running step; not `comparable` before the warm-up is over."""

    @abstractmethod
    def _close(self) -> None:
        """Closes the block if both sides have enough."""

    @abstractmethod
    def _log(self, process: Process) -> float:
        """ln E of one process."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """As JSON."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""


class CompareJudge(BlockJudge[Harm]):
    """Evidence that more of the candidate's outcomes are bad."""

    def __init__(self, gate: Gate, test: Compare | Tail, metric: Binary, plan: Plan) -> None:
        super().__init__(gate, plan, roles(metric))
        self.metric: Binary = metric
        self.past = Past()
        self.capped = 0.0
        self.delta = test.worse_by
        self._margin = 0.0 if gate.advance is Advance.SUPERIOR else test.worse_by
        self._certificates: dict[int, Certificate | FollowingCertificate] = {}  # by step: each begins anew
        self._prior = Part()  # stable's outcomes of this step before its first block
        self._block = Part.each()

    def tallies(self, step: int | None) -> tuple[Tally, Tally]:
        """Candidate's and stable's outcomes as counted: those of `step`'s process, and the open block."""
        process = self._processes.get(step) if step is not None else None
        closed = (process.candidate, process.stable) if process else (Tally(), Tally())
        candidate, stable = (deflated(counts, 1.0 / self.effect) for counts in closed)
        if self._is_open(step):
            candidate += self._tally(self._block[Track.CANDIDATE])
            stable += self._tally(self._block[Track.STABLE])
        return _believed(candidate), _believed(stable)

    def missing(self, step: int) -> int:
        """Blocks that must close in this step before anything can be said."""
        process = self._processes.get(step)
        if isinstance(process, FollowingProcess):
            return process.missing
        return MIN_BLOCKS if self.metric.follows else 0

    def _tally(self, part: Part) -> Tally:
        """Where the part follows its whole it is not cut off: what is too much here was missing before."""
        return Tally(part.part, part.total) if self.metric.follows else part.tally(self.metric)

    @property
    def effect(self) -> float:
        """Outcomes that are worth one independent one; what is compared by its spread carries it already."""
        return 1.0 if self.metric.follows else self.past.effect

    @property
    def needed(self) -> int:
        """New outcomes of either version that close a block."""
        return math.ceil(MIN_OUTCOMES * self.effect)

    def blocks(self, step: int) -> bool:
        """Whether a block has closed in this step."""
        return step in self._processes

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "capped": self.capped,
            "step": self._step,
            "prior": self._prior.state(),
            "block": {track.value: part.state() for track, part in self._block.items()},
            "processes": {str(step): process.state() for step, process in self._processes.items()},
            "certificates": {str(step): held.state() for step, held in self._certificates.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._certificates = {
            int(step): self._restored_certificate(held) for step, held in state["certificates"].items()
        }
        self.capped = float(state["capped"])
        self._step = None if state["step"] is None else int(state["step"])
        self._prior = Part.restored(state["prior"])
        self._block = {track: Part.restored(state["block"][track.value]) for track in Track}
        kind = FollowingProcess if self.metric.follows else HarmProcess
        self._processes = {
            int(step): kind.restored(held, self.delta) for step, held in state["processes"].items()
        }
        self._check_steps()
        self._weigh()

    def _restored_certificate(self, state: Any) -> Certificate | FollowingCertificate:
        if self.metric.follows:
            return FollowingCertificate.restored(state, self._margin)
        return restored_certificate(state, self._margin)

    def _begin(self, step: int, known: float) -> None:
        """The step's process and, where one is awaited, its certificate; `known`: stable's rate before."""
        follows = self.metric.follows
        self._processes[step] = FollowingProcess(self.delta) if follows else HarmProcess(known, self.delta)
        if self.gate.advance is not Advance.NO_HARM:
            self._certificates[step] = (
                FollowingCertificate(self._margin) if follows else certificate(known, self._margin)
            )

    def _start(self) -> None:
        self._prior = Part()
        self._block = Part.each()

    def _take(self, outcome: Outcome, role: Role, *, comparable: bool) -> None:
        if comparable:
            self._block[outcome.track].add(outcome.amount, role)
        elif outcome.track is Track.STABLE:
            self._prior.add(outcome.amount, role)

    def _close(self) -> None:
        fewest = min(self._block[Track.CANDIDATE].total, self._block[Track.STABLE].total)
        if self._step is None or fewest < self.needed:
            return
        block, self._block = self._block, Part.each()
        self.capped += sum(part.excess(self.metric) for part in block.values())
        known = self._known_rate(self._step)
        if self._step not in self._processes and known is not None:
            self._begin(self._step, known)
        candidate, stable = (
            deflated(self._tally(block[track]), self.effect) for track in (Track.CANDIDATE, Track.STABLE)
        )
        for process in self._gathering():
            process.add(candidate, stable)
        if self._step in self._certificates:
            self._certificates[self._step].add(candidate, stable)
        if self._step not in self._processes:
            # a bet must be fixed before its block is seen: without a prior the first block only teaches it
            self._prior = block[Track.STABLE]
        self._weigh()

    def _known_rate(self, step: int) -> float | None:
        """Stable's rate before the first block: of its last day, which was live, else of this step."""
        if self.past.rate is not None and self._modes[step] is Mode.LIVE:
            return self.past.rate
        prior = self._prior.tally(self.metric)
        return prior.smoothed if prior.total >= MIN_OUTCOMES else None

    def certified(self, step: int) -> float:
        return self._certificates[step].log_e if step in self._certificates else 0.0

    def _log(self, process: Harm) -> float:
        return process.log_e


class MeanJudge(BlockJudge[MeanProcess]):
    """Evidence that the candidate's mean is higher than stable's; asymptotic (statistics.md c).

    Only outcomes since the version has exported the sum count: what is not exported is not 0.
    """

    def __init__(self, gate: Gate, test: Mean, metric: Average, plan: Plan) -> None:
        super().__init__(gate, plan, roles(metric))
        self.metric: Average = metric
        self.worse_by = test.worse_by
        self._exports = Exports()
        self._block = Amounts.each()

    def notice(self, labels: Mapping[str, str], tracks: Iterable[Track], mode: Mode, since: float) -> None:
        """A series of these versions in that mode has had samples since then (unix seconds)."""
        if self.metric.sum.matches(labels):
            for track in tracks:
                self._exports.notice(track, mode, since)

    def amounts(self, step: int | None) -> tuple[Amount, Amount]:
        """Candidate's and stable's: those of `step`'s process, and the open block."""
        process = self._processes.get(step) if step is not None else None
        candidate, stable = (process.candidate, process.stable) if process else (Amount(), Amount())
        if self._is_open(step):
            candidate += self._block[Track.CANDIDATE].amount
            stable += self._block[Track.STABLE].amount
        return candidate, stable

    def missing(self, step: int) -> int:
        """Blocks that must close in this step before anything can be said."""
        process = self._processes.get(step)
        return max(0, MIN_BLOCKS - (process.blocks if process else 0))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "step": self._step,
            "exported": self._exports.state(),
            "block": {track.value: amounts.state() for track, amounts in self._block.items()},
            "processes": {str(step): process.state() for step, process in self._processes.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._step = None if state["step"] is None else int(state["step"])
        self._exports = Exports.restored(state["exported"])
        self._block = {track: Amounts.restored(state["block"][track.value]) for track in Track}
        self._processes = {int(step): MeanProcess.restored(held) for step, held in state["processes"].items()}
        self._check_steps()
        self._weigh()

    def _start(self) -> None:
        self._block = Amounts.each()

    def _take(self, outcome: Outcome, role: Role, *, comparable: bool) -> None:
        if comparable and self._exports.cover(outcome):
            self._block[outcome.track].add(outcome.amount, role, self.metric.scale)

    def _close(self) -> None:
        fewest = min(self._block[Track.CANDIDATE].count, self._block[Track.STABLE].count)
        if self._step is None or fewest < MIN_OUTCOMES:
            return
        block, self._block = self._block, Amounts.each()
        self._processes.setdefault(self._step, MeanProcess())
        for process in self._gathering():
            process.add(block[Track.CANDIDATE].amount, block[Track.STABLE].amount)
        self._weigh()

    def certified(self, step: int) -> float:
        if step not in self._processes:
            return 0.0
        superior = self.gate.advance is Advance.SUPERIOR
        return self._processes[step].log_below(1.0 if superior else 1.0 + self.worse_by)

    def _log(self, process: MeanProcess) -> float:
        return process.log_above(1.0 + self.worse_by)


def _believed(counts: Tally) -> Tally:
    """As people are shown it: never more parts than there are in the whole."""
    return Tally(min(counts.good, counts.total), counts.total)

"""All gates together: what their evidence says as one, and which of them it names.

Gates that count, or look at alerts or values, fail by themselves, outside alpha; the others are merged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, assert_never

from interlock.analysis.comparing import CompareJudge, MeanJudge
from interlock.analysis.evidence import log_mean, rejected
from interlock.analysis.judges import AlertJudge, EventsJudge, Judge, LimitJudge
from interlock.analysis.plan import Advance, Plan
from interlock.analysis.report import Standing
from interlock.analysis.values import ValueJudge

Weighed = CompareJudge | MeanJudge | LimitJudge


class Merge:
    """The weighted mean of the gates' evidence; what crosses the threshold once has crossed it (Ville).

    `value` is its ln now and `peak` the highest so far, over the time in which the gates have been as they
    are: an edited gate makes another mean, for which alpha is spent anew.
    """

    def __init__(self, plan: Plan) -> None:
        self._threshold = plan.threshold
        begun = (gate.since for gate in plan.gates if gate.since < math.inf)
        self._begins = max(begun, default=-math.inf)
        self._standings = {gate.name: Standing() for gate in plan.gates}
        self._certificates: dict[tuple[str, int], float] = {}  # highest so far, by gate and step
        self.value = 0.0
        self.peak = -math.inf
        self._merged: tuple[list[float], bool] | None = None  # what was merged last: nothing new, no new mean

    def certificate(self, judge: Judge, step: int) -> float | None:
        """ln E so far that a gate's certificate has reached in a step; None where it waits for none.

        What has reached ln(1/alpha) once is certified (Ville); no correction is due for the number of gates.
        """
        waits = judge.gate.advance is not Advance.NO_HARM
        return self._certificates.get((judge.gate.name, step), 0.0) if waits else None

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the gates that fail."""
        return tuple(name for name, standing in self._standings.items() if standing.failed)

    @property
    def crossed(self) -> bool:
        """Whether the mean has ever reached the threshold."""
        return self.peak >= self._threshold

    def standing(self, judge: Judge) -> Standing:
        """A gate's place in the merge."""
        return self._standings[judge.gate.name]

    def weigh(self, judges: Iterable[Judge], spoilt: Callable[[Judge], Sequence[str]], at: float) -> None:
        """The gates as they stand at `at` (unix seconds), which must not go back."""
        weighed: list[Weighed] = []
        for judge in judges:
            match judge:
                case EventsJudge():
                    if judge.exceeded and not spoilt(judge):
                        self._standings[judge.gate.name] = Standing(failed=True)
                case ValueJudge():
                    if judge.failed_at is not None:
                        self._standings[judge.gate.name] = Standing(failed=True)
                case AlertJudge():
                    if judge.fired:
                        self._standings[judge.gate.name] = Standing(failed=True)
                case CompareJudge() | MeanJudge() | LimitJudge():
                    if judge.planned:
                        weighed.append(judge)
                        self._certify(judge)
                case _:
                    assert_never(judge)
        if weighed:
            self._merge(weighed, [0.0 if spoilt(judge) else judge.log_e for judge in weighed], at)

    def _certify(self, judge: Weighed) -> None:
        if judge.gate.advance is not Advance.NO_HARM:
            for step in judge.planned:
                place = (judge.gate.name, step)
                found = max(judge.certified(step), self._certificates.get(place, 0.0))
                if found > 0:
                    self._certificates[place] = found

    def _merge(self, judges: list[Weighed], logs: list[float], at: float) -> None:
        all_in_force = at > self._begins
        if self._merged == (logs, all_in_force):
            return
        self._merged = (logs, all_in_force)
        weights = [float(judge.gate.weight) for judge in judges]
        named = rejected(logs, weights, self._threshold) if all_in_force else ()
        for place, judge in enumerate(judges):
            before = self.standing(judge)
            self._standings[judge.gate.name] = Standing(
                logs[place],
                max(logs[place], before.peak),
                before.failed or place in named,
                math.log(weights[place] / sum(weights)),
            )
        self.value = log_mean(logs, weights)
        if all_in_force:
            self.peak = max(self.peak, self.value)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        standings = {
            name: [repr(standing.now), repr(standing.peak), standing.failed]
            for name, standing in self._standings.items()
        }
        certificates = [[name, step, repr(log)] for (name, step), log in self._certificates.items()]
        return {"standings": standings, "peak": repr(self.peak), "certificates": certificates}

    def restore(self, state: Mapping[str, Any], kept: Iterable[str], *, whole: bool) -> None:
        """Go on from `state` with the gates of these names; `whole`: they are all there were and are."""
        names = frozenset(kept)
        self._merged = None
        for name in names:
            now, peak, failed = state["standings"][name]
            self._standings[name] = Standing(float(now), float(peak), bool(failed))
        self._certificates = {
            (str(name), int(step)): float(log) for name, step, log in state["certificates"] if name in names
        }
        if whole:
            self.peak = float(state["peak"])

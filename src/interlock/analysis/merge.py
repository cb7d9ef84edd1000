"""All gates together: what their evidence says as one, and which of them it names.

Gates that count, or look at alerts or values, fail by themselves, outside alpha; the others are merged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.analysis.comparing import CompareJudge, MeanJudge
from interlock.analysis.evidence import log_mean, rejected
from interlock.analysis.judges import AlertJudge, EventsJudge, Judge, LimitJudge
from interlock.analysis.plan import Advance, Plan
from interlock.analysis.values import ValueJudge

Weighed = CompareJudge | MeanJudge | LimitJudge
Alone = EventsJudge | AlertJudge | ValueJudge


@dataclass(frozen=True, slots=True)
class Standing:
    """A gate's evidence: ln E `now` and at its `peak`; `failed` once named; `share` is ln of its weight's."""

    now: float = 0.0
    peak: float = -math.inf
    failed: bool = False
    share: float = 0.0

    @property
    def log(self) -> float:
        """ln(weight share times E): at the peak once failed, else now."""
        return self.share + (self.peak if self.failed else self.now)


class Merge:
    """The weighted mean of the gates' evidence; what crosses the threshold once has crossed it (Ville).

    `value` is its ln now and `peak` the highest so far, over the time in which the gates have been as they
    are: an edited gate makes another mean, for which alpha is spent anew.
    """

    def __init__(self, plan: Plan, judges: Iterable[Judge]) -> None:
        self._judges = tuple(judges)
        self._weighed = [judge for judge in self._judges if isinstance(judge, Weighed) and judge.planned]
        self._alone = [judge for judge in self._judges if isinstance(judge, Alone)]
        self._certified = [judge for judge in self._weighed if judge.gate.advance is not Advance.NO_HARM]
        self._weights = [float(judge.gate.weight) for judge in self._weighed]
        self._shares = [math.log(weight / sum(self._weights)) for weight in self._weights]
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

    def weigh(self, spoilt: Callable[[Judge], Sequence[str]], at: float) -> None:
        """The gates as they stand at `at` (unix seconds), which must not go back."""
        for judge in self._alone:
            # alerts and values count nothing, so no doubled count spoils them
            if judge.failed and not (isinstance(judge, EventsJudge) and spoilt(judge)):
                self._standings[judge.gate.name] = Standing(failed=True)
        for certifying in self._certified:
            self._certify(certifying)
        if self._weighed:
            self._merge([0.0 if spoilt(judge) else judge.log_e for judge in self._weighed], at)

    def _certify(self, judge: Weighed) -> None:
        for step in judge.planned:
            place = (judge.gate.name, step)
            found = max(judge.certified(step), self._certificates.get(place, 0.0))
            if found > 0:
                self._certificates[place] = found

    def _merge(self, logs: list[float], at: float) -> None:
        all_in_force = at > self._begins
        if self._merged == (logs, all_in_force):
            return
        self._merged = (logs, all_in_force)
        named = rejected(logs, self._weights, self._threshold) if all_in_force else ()
        for place, judge in enumerate(self._weighed):
            before = self.standing(judge)
            self._standings[judge.gate.name] = Standing(
                logs[place],
                max(logs[place], before.peak),
                before.failed or place in named,
                self._shares[place],
            )
        self.value = log_mean(logs, self._weights)
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

"""Counts that nothing may rest on: those that arrive twice, and those that jump between several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from interlock.analysis.comparing import BlockJudge
from interlock.analysis.doubles import Doubles
from interlock.analysis.judges import Judge
from interlock.analysis.plan import Side
from interlock.analysis.series import PROCESS_START, Series, Target
from interlock.analysis.turns import Turns
from interlock.analysis.ways import Ways


class Doubts:
    """Which pods' counts are wrong, and which gates would rest on them. Once found, they stay found."""

    def __init__(self, candidate: Side, ways: Ways) -> None:
        self.doubles = Doubles(ways)
        self.turns = Turns()
        self._candidate = candidate

    def advance(
        self,
        counters: Iterable[Series],
        ages: Iterable[Series],
        now: float,
        process_start: Callable[[Target], float | None],
    ) -> None:
        """New samples up to `now` (unix seconds). `ages`: those that tell no age are passed over."""
        self.doubles.advance(counters, now, process_start)
        for one in ages:
            if one.name == PROCESS_START:
                self.turns.notice(one, now)

    def about(self, families: frozenset[str]) -> tuple[str, ...]:
        """Pods whose counts of these metric names are wrong, in order of their names."""
        return tuple(sorted({*self.doubles.pods(families), *self.turns.pods}))

    def spoilt(self, judge: Judge) -> tuple[str, ...]:
        """Pods whose wrong counts a gate would rest on."""
        if not (self.doubles or self.turns.pods):
            return ()
        pods = self.about(judge.gate.families)
        if isinstance(judge, BlockJudge):
            return pods
        return tuple(pod for pod in pods if pod.startswith(self._candidate.pod_prefix))

    def warnings(self) -> tuple[str, ...]:
        """One sentence a pod and doubt."""
        return (*self.doubles.warnings(), *self.turns.warnings())

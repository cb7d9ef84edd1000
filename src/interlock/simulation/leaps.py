"""How far a walk may leap: a guess that costs time where it is wrong, never correctness. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator

from interlock.analysis.gates import EvidenceReport
from interlock.core.observation import Unreadable
from interlock.core.waits import running_step
from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt
from interlock.simulation.story import Story

LONGEST = 3600.0
"""Seconds of the longest leap."""
PATIENCE = 64
"""Ticks at most between two tries where leaps keep failing."""


class Leaps:
    """Leaps grow while they go well. After one that failed, something is known to happen before its end."""

    def __init__(self, story: Story, begin: float) -> None:
        self._tick = story.tick
        self._gaps = story.gaps
        self._begin = begin
        spells = (*story.gaps, *story.alerts)
        readings = [part for parts in story.values.values() for part in parts]
        self._ways = [(part.after, part.after + part.over) for part in readings if part.over]
        changes = {t for spell in spells for t in (spell.after, spell.after + spell.lasts)}
        self._changes = sorted(changes | {part.after for part in readings})
        self._length = 1
        self._seq = 0
        self._event = -math.inf
        self._pause = self._rest = 0

    def next(self, now: float, rollout: Rollout, report: EvidenceReport | Unreadable | None) -> int:
        """Ticks of the next leap from `now` (unix seconds); below 2: a tick."""
        attempt = rollout.status.attempt
        if attempt is None or not self._is_quiet(attempt, now, report):
            return 1
        if attempt.seq != self._seq:
            self._seq, self._length, self._pause, self._rest = attempt.seq, 2, 0, 0
        if self._rest:
            self._rest -= 1
            return 1
        limits = [self._length, int(LONGEST / self._tick), *self._before_a_change(now)]
        limits += self._before_the_end(rollout, attempt, now)
        if self._event > now:
            limits.append(int((self._event - now) / self._tick / 2))
        return max(1, min(limits))

    def went_well(self, ticks: int) -> None:
        """A leap of that length is over, and nothing had happened."""
        self._length = max(self._length, 2 * ticks)
        self._pause = 0

    def failed(self, end: float) -> None:
        """Something happened by `end` (unix seconds)."""
        self._event = end
        self._pause = min(PATIENCE, 2 * self._pause + 1)
        self._rest = self._pause - 1

    @staticmethod
    def looks(began: int, ticks: int, every: int) -> Iterator[int]:
        """Numbers of the ticks of a leap at which evidence is read: for the eye, and the last one."""
        yield from range(began + every, began + ticks, every)
        yield began + ticks

    def _is_quiet(self, attempt: Attempt, now: float, report: EvidenceReport | Unreadable | None) -> bool:
        started = attempt.step_started_time
        return (
            attempt.stage in (Stage.RUNNING, Stage.SOAKING)
            and started is not None
            and started.timestamp() <= now
            and isinstance(report, EvidenceReport)
            and report.last_sample is not None
            and (report.no_data, attempt.no_data, attempt.clock_stopped_time) == (None, None, None)
            and not any(gap.covers(now - self._begin) for gap in self._gaps)
            # a number on its way may leave its bounds, and hold a step, at any tick
            and not any(begun <= now - self._begin < ended for begun, ended in self._ways)
        )

    def _before_a_change(self, now: float) -> list[int]:
        """Up to the last tick before the story's next change."""
        at = bisect_right(self._changes, now - self._begin)
        if at == len(self._changes):
            return []
        return [math.ceil((self._changes[at] - (now - self._begin)) / self._tick) - 1]

    def _before_the_end(self, rollout: Rollout, attempt: Attempt, now: float) -> list[int]:
        """Up to the tick before the one at which the step's time is over, if that is to come."""
        step, started = running_step(rollout, attempt), attempt.step_started_time
        if step is None or started is None:
            return []
        over = started.timestamp() + step.duration_seconds + (attempt.clock_stopped_seconds or 0)
        left = math.ceil((over - now) / self._tick) - 1
        return [max(1, left)] if over > now else []

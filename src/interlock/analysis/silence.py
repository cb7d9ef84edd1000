"""Why nothing is learned of the candidate: no traffic at all, none for it, or nothing seen of it.

Judges by tasks begun and ended; how long a silence may last is the caller's business.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from interlock.analysis.outcomes import Outcome
from interlock.analysis.plan import Track
from interlock.analysis.presets import TASKS, TASKS_STARTED
from interlock.analysis.timeline import Stretch

CHANCE = 0.001
"""Of calling a candidate starved, ever in a step, that only had no luck."""
MIN_MISSED = 4
"""Tasks of stable that mean something: at a share of nearly all, one stray task would."""


class Silence(StrEnum):
    """The three kinds of no data. Only Idle is nobody's fault."""

    IDLE = "Idle"
    """It is scraped, and no task has begun or ended on either side."""
    STARVED = "Starved"
    """Stable has had tasks, the candidate none, beyond chance."""
    BLIND = "Blind"
    """No sample of the candidate."""


@dataclass(frozen=True, slots=True)
class NoDataReading:
    """`since` (unix seconds) stays the same from look to look while the silence lasts."""

    kind: Silence
    since: float


class Hearing:
    """Listens to the tasks of the running step.

    If each request went to the candidate (in shadow: was copied to it) with chance `share`, independently,
    the chance that it got none of the next N live requests is (1 - share)^N. Live, those N all went to
    stable; in shadow stable answers every request, copied or not. So in both modes N is the number of tasks
    that stable began since the candidate's last one, without any scaling. The k-th such gap of a step may
    take CHANCE / (k·(k+1)) of the chance: all of them together, a healthy candidate is called starved in one
    step of 1 / CHANCE.

    `settle` (seconds, two scrapes): the sides are scraped at different moments, so a task of stable counts
    once the candidate's scrape of the same time must have come in. Twice that is scrape jitter.
    """

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._step = -1
        self._worked: float | None = None  # when the candidate's first task of the step began or ended
        self._last = dict.fromkeys(Track, -math.inf)  # when a task last began or ended
        self._gaps = 1
        self._missed = 0.0
        self._unsettled: deque[tuple[float, float]] = deque()  # time, tasks

    def heard(self, outcome: Outcome, stretch: Stretch) -> None:
        """An outcome of the mode that counts in `stretch`, in order of time."""
        family = outcome.labels["__name__"]
        if family not in (TASKS, TASKS_STARTED):
            return
        if stretch.step.index != self._step:
            self._begin(stretch.step.index)
        if outcome.track is Track.CANDIDATE:
            self._worked = outcome.end if self._worked is None else self._worked
            self._gaps += outcome.end > self._last[Track.CANDIDATE]
            self._missed = 0.0
            self._unsettled.clear()
        elif family == TASKS_STARTED and outcome.begin >= max(self._last[Track.CANDIDATE], stretch.started):
            self._unsettled.append((outcome.end, outcome.amount))
        self._last[outcome.track] = max(self._last[outcome.track], outcome.end)

    def advance(self, now: float) -> None:
        """Time has come to `now` (unix seconds)."""
        while self._unsettled and self._unsettled[0][0] <= now - self._settle:
            self._missed += self._unsettled.popleft()[1]

    def reading(self, running: Stretch | None, last_sample: float | None, now: float) -> NoDataReading | None:
        """`last_sample`: the candidate's newest in the mode of the running step, unix seconds."""
        if running is None or not running.started <= now <= running.ended:
            return None
        jitter = 2 * self._settle
        seen = max(running.started, last_sample or -math.inf)
        if now - seen > jitter:
            return NoDataReading(Silence.BLIND, seen)
        mine, theirs = self._since(running, Track.CANDIDATE), self._since(running, Track.STABLE)
        if running.step.index == self._step and self._is_beyond_chance(running.step.share):
            return NoDataReading(Silence.STARVED, mine)
        if now - max(mine, theirs) > jitter:
            return NoDataReading(Silence.IDLE, max(mine, theirs))
        return None

    def _begin(self, step: int) -> None:
        """What one step did not hear says nothing about the next: shares differ."""
        self._step = step
        self._worked = None
        self._last = dict.fromkeys(Track, -math.inf)
        self._gaps = 1
        self._missed = 0.0
        self._unsettled.clear()

    def worked(self, running: Stretch | None) -> float | None:
        """When the candidate's first task of the running step began or ended, unix seconds; None before."""
        return self._worked if running is not None and running.step.index == self._step else None

    def _since(self, running: Stretch, track: Track) -> float:
        heard = self._last[track] if running.step.index == self._step else -math.inf
        return max(running.started, heard)

    def _is_beyond_chance(self, share: float) -> bool:
        chance = CHANCE / (self._gaps * (self._gaps + 1))
        return self._missed >= MIN_MISSED and (1.0 - share) ** self._missed < chance

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "step": self._step,
            "worked": self._worked,
            "last": {track.value: at for track, at in self._last.items() if at > -math.inf},
            "gaps": self._gaps,
            "missed": self._missed,
            "unsettled": [list(item) for item in self._unsettled],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._step = int(state["step"])
        self._worked = None if state["worked"] is None else float(state["worked"])
        self._last = {track: float(state["last"].get(track.value, -math.inf)) for track in Track}
        self._gaps = int(state["gaps"])
        self._missed = float(state["missed"])
        self._unsettled = deque((float(at), float(tasks)) for at, tasks in state["unsettled"])

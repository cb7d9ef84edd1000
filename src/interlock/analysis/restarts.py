"""Do the candidate's processes end more often than stable's? What failed with a process is never counted.

Counters that a process had not shown to a scrape are lost with it, and a candidate that dies of its worst
tasks would look better than it is. It decides nothing about harm: while it is so, no step ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interlock.analysis.evidence import above
from interlock.analysis.plan import Mode, PlannedStep, Track
from interlock.analysis.series import CLOCK_SKEW, START_JITTER, Series
from interlock.analysis.timeline import Stretch

CERTAIN = math.log(100)
"""ln of the odds that the candidate's processes end more often: a hold, so no alpha of the gates is spent."""
REMEMBERED = 1800.0  # seconds: whoever has stopped to restart goes on
FORGOTTEN_AFTER = 120.0  # seconds without a sample after which a pod is taken for gone

_Pod = tuple[Track, Mode, str]


class Restarts:
    """Watches the ages of processes, pod by pod. A pod that is replaced has not restarted."""

    def __init__(self) -> None:
        self._newest: dict[_Pod, tuple[float, float]] = {}  # last sample, and the start that it told
        self._ended: list[tuple[float, Track, Mode]] = []

    def notice(self, age: Series, tracks: Sequence[Track], mode: Mode, now: float) -> None:
        """A series that tells how old a process of these versions is, up to `now` (unix seconds)."""
        for track in tracks:
            pod = (track, mode, age.labels.get("pod", ""))
            for at, start in age.points:
                self._look(pod, at, start, now)

    def _look(self, pod: _Pod, at: float, start: float, now: float) -> None:
        seen, known = self._newest.get(pod, (-math.inf, start))
        if not seen < at <= now:
            return
        # as for counters: a clock that is set is no restart
        if start > known + START_JITTER and start > seen - CLOCK_SKEW:
            self._ended.append((at, pod[0], pod[1]))
        self._newest[pod] = at, max(known, start)

    def message(self, running: Stretch | None, now: float) -> str:
        """What is wrong, in a sentence; empty while nothing is known to be."""
        if running is None or not self._ended:
            return ""
        since = max(running.started, now - REMEMBERED)
        self._ended = [one for one in self._ended if one[0] > now - REMEMBERED]
        modes = _modes(running.step)
        mine, theirs = (
            sum(at > since and track is of and mode is modes[of] for at, track, mode in self._ended)
            for of in Track
        )
        if mine < 2 or above(mine, mine + theirs, self._usual(running.step, modes, now)) < CERTAIN:
            return ""
        return (
            f"the candidate's have restarted {mine} times and stable's {theirs} in the last "
            f"{math.ceil((now - since) / 60)} min of this step, and what fails with a process is not "
            "counted: look at their previous logs"
        )

    def _usual(self, step: PlannedStep, modes: Mapping[Track, Mode], now: float) -> float:
        """The candidate's part of all restarts if both are alike: that of the pods or, if more, of tasks."""
        pods = [pod for pod, (seen, _) in self._newest.items() if seen > now - FORGOTTEN_AFTER]
        mine, theirs = (sum(pod[0] is of and pod[1] is modes[of] for pod in pods) for of in Track)
        tasks = step.share / (1.0 + step.share) if step.mode is Mode.SHADOW else step.share
        return max(tasks, mine / max(1, mine + theirs))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "newest": [[*pod, *told] for pod, told in self._newest.items()],
            "ended": [list(one) for one in self._ended],
        }

    def restore(self, state: Mapping[str, Iterable[Sequence[Any]]]) -> None:
        """Go on from `state`."""
        self._newest = {
            (Track(track), Mode(mode), str(pod)): (float(at), float(start))
            for track, mode, pod, at, start in state["newest"]
        }
        self._ended = [(float(at), Track(track), Mode(mode)) for at, track, mode in state["ended"]]


def _modes(step: PlannedStep) -> dict[Track, Mode]:
    """Whose processes are beside one another: in a shadow stable's live ones, unless it has a shadow too."""
    controlled = step.mode is Mode.SHADOW and step.compares
    return {Track.CANDIDATE: step.mode, Track.STABLE: Mode.SHADOW if controlled else Mode.LIVE}

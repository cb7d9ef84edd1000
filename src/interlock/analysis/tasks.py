"""How many tasks each version had in each step, as far as they count for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.analysis import presets
from interlock.analysis.outcomes import Outcome
from interlock.analysis.plan import Gate, Mode, Track
from interlock.analysis.timeline import Stretch


@dataclass(slots=True)
class Tasks:
    """Of one version in one step: started and finished since its clock start; comparable after warm-up."""

    started: float = 0.0
    finished: float = 0.0
    comparable: float = 0.0


class TaskCounts:
    """By step and version; and for each edited gate, what ended since it has its rules."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = gates
        self._tasks: dict[tuple[int, Track], Tasks] = {}
        self._seen: dict[tuple[str, int], float] = {}  # finished, by edited gate and step

    def of(self, stretch: Stretch | None, track: Track) -> Tasks:
        """A version's tasks in a step."""
        return self._tasks.get((stretch.step.index, track), Tasks()) if stretch else Tasks()

    def seen_by(self, gate: Gate, stretch: Stretch | None) -> float:
        """The candidate's finished tasks of the step that the gate saw under its present rules."""
        if stretch and gate.since > stretch.started:
            return self._seen.get((gate.name, stretch.step.index), 0.0)
        return self.of(stretch, Track.CANDIDATE).finished

    def count(self, outcome: Outcome, stretch: Stretch) -> None:
        """An outcome, of the mode that counts, while the clock of `stretch` ran."""
        place = (stretch.step.index, outcome.track)
        tasks = self._tasks.get(place) or self._tasks.setdefault(place, Tasks())
        match outcome.labels["__name__"]:
            case presets.TASKS_STARTED:
                tasks.started += outcome.amount
            case presets.TASKS:
                tasks.finished += outcome.amount
                compared_with_nothing = stretch.step.mode is Mode.SHADOW and stretch.warm == stretch.started
                if outcome.begin >= stretch.warm or compared_with_nothing:
                    tasks.comparable += outcome.amount
                if outcome.track is Track.CANDIDATE:
                    self._count_for_edited(outcome, stretch)
            case _:
                pass

    def _count_for_edited(self, outcome: Outcome, stretch: Stretch) -> None:
        for gate in self._gates:
            if stretch.started < gate.since < outcome.end:
                place = (gate.name, stretch.step.index)
                self._seen[place] = self._seen.get(place, 0.0) + outcome.amount

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "tasks": [
                [step, track.value, tasks.started, tasks.finished, tasks.comparable]
                for (step, track), tasks in self._tasks.items()
            ],
            "seen": [[name, step, count] for (name, step), count in self._seen.items()],
        }

    def restore(self, state: Mapping[str, Any], kept: frozenset[str]) -> None:
        """Go on from `state`; only the gates of these names still have the rules they had."""
        for step, track, *counts in state["tasks"]:
            tasks = tuple(map(float, counts))
            if not all(map(math.isfinite, tasks)):
                raise ValueError("numbers of tasks that are none")
            self._tasks[int(step), Track(track)] = Tasks(*tasks)
        self._seen = {
            (str(name), int(step)): float(count) for name, step, count in state["seen"] if name in kept
        }

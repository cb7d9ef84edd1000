"""Every outcome has its step, and some have none."""

from __future__ import annotations

import math

from interlock.analysis.plan import Mode, PlannedStep, StepTime
from interlock.analysis.timeline import Timeline, timeline
from tests.analysis.attempt import SUCCESS, plan

STEPS = (PlannedStep(0, "shadow"), PlannedStep(1, "canary"), PlannedStep(3, "full"))


def laid_out(*times: StepTime, warmup: float = 10.0) -> Timeline:
    return timeline(plan(SUCCESS, steps=STEPS), 1000.0, times, {1: warmup, 3: warmup})


def step_at(line: Timeline, mode: Mode, begin: float, end: float) -> int | None:
    found = line.place(mode, begin, end)
    return found.step.index if found else None


def test_before_any_clock_the_first_step_is_awaited() -> None:
    line = laid_out()
    assert line.origin is None
    assert line.running is not None
    assert (line.running.step.index, line.running.opened, line.running.started) == (0, 1000.0, math.inf)
    assert step_at(line, Mode.SHADOW, 1000, 1001) == 0
    assert step_at(line, Mode.LIVE, 1000, 1001) is None
    assert line.clocked(1001) is None


def test_a_running_step_takes_what_is_of_its_mode() -> None:
    line = laid_out(StepTime(0, 1005, 1100), StepTime(1, 1110))
    assert line.origin == 1005
    assert [step_at(line, mode, 1110, 1120) for mode in Mode] == [None, 1]
    assert line.running is not None
    assert line.running.warm == 1120


def test_between_two_steps_each_mode_has_its_own() -> None:
    line = laid_out(StepTime(0, 1005, 1100))
    assert [step_at(line, mode, 1102, 1103) for mode in Mode] == [0, 1]
    assert line.clocked(1103) is None


def test_an_interval_across_the_change_belongs_to_the_old_mode() -> None:
    line = laid_out(StepTime(0, 1005, 1100), StepTime(1, 1110))
    assert step_at(line, Mode.SHADOW, 1109, 1111) == 0
    assert step_at(line, Mode.SHADOW, 1110, 1111) is None


def test_an_approval_continues_the_step_before_it() -> None:
    line = laid_out(StepTime(0, 1005, 1100), StepTime(1, 1110, 1200), StepTime(2, 1200))
    assert line.running is not None
    assert (line.running.step.index, line.running.ended) == (1, math.inf)
    clocked = line.clocked(1250)
    assert clocked is not None
    assert clocked.step.index == 1


def test_after_an_approval_the_next_step_is_awaited() -> None:
    line = laid_out(StepTime(0, 1005, 1100), StepTime(1, 1110, 1200), StepTime(2, 1200, 1300))
    assert line.running is not None
    assert (line.running.step.index, line.running.opened) == (3, 1300)


def test_an_end_that_was_not_told_is_the_next_start() -> None:
    line = laid_out(StepTime(0, 1005), StepTime(1, 1110))
    assert line.stretches[0].ended == 1110


def test_a_warm_up_not_yet_known_never_ends() -> None:
    line = timeline(plan(SUCCESS, steps=STEPS), 1000.0, (StepTime(1, 1010),), {})
    assert line.running is not None
    assert line.running.warm == math.inf

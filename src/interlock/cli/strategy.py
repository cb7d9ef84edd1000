"""What the API server would refuse in the spec of a Rollout, in its words: a file has not met it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from interlock.model.rollout import RolloutSpec, Step


def refused(spec: RolloutSpec) -> Iterator[str]:
    """Each thing that is wrong, with its field."""
    steps = spec.strategy.steps
    for number, step in enumerate(steps):
        if [step.shadow, step.canary, step.full].count(None) != 2:
            yield f"`spec.strategy.steps.{number}` must have exactly one of `shadow`, `canary`, `full`"
    yield from (f"`spec.strategy.steps` must {words}" for words in _in_order(steps))
    deadline = spec.strategy.step_deadline_seconds
    if deadline is not None and any(step.duration_seconds >= deadline for step in steps):
        above = "above every `minDurationSeconds` and `soakSeconds`"
        yield f"`spec.strategy` must have a `stepDeadlineSeconds` {above}"
    quiet = spec.analysis.no_data
    if quiet.hold_after_seconds > quiet.revert_after_seconds:
        yield "`spec.analysis.noData` must have a `holdAfterSeconds` that is not above `revertAfterSeconds`"
    for number, gate in enumerate(spec.analysis.gates):
        kinds = (gate.compare, gate.tail, gate.mean, gate.limit, gate.events, gate.alert)
        if len(kinds) - kinds.count(None) > 1:
            yield f"`spec.analysis.gates.{number}` must have exactly one kind of test"


def _in_order(steps: tuple[Step, ...]) -> Iterator[str]:
    if [step.full is not None for step in steps] != [False] * (len(steps) - 1) + [True]:
        yield "have exactly one `full` step, as the last"
    kinds = [step.kind for step in steps if step.full is None]
    if kinds != sorted(kinds, reverse=True):
        yield "have every `shadow` step before the first `canary` step"
    shares = [step.canary.percent for step in steps if step.canary]
    if any(later <= earlier for earlier, later in pairwise(shares)):
        yield "raise `canary.percent` from step to step"
    if len({step.name for step in steps}) < len(steps):
        yield "give each step a `name` of its own"

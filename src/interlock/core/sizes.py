"""How many pods each workload has, step by step. Pure.

n            max(spec.replicas, replicas when the attempt began) while two versions are up, else spec.replicas
stable       n
candidate    canary step: min(n, canary.replicas or n)     full: n     shadow: as for the next live step
shadow       shadow.replicas, else what the mirrored share of n needs, at least 1; stable's as the candidate's
"""

from __future__ import annotations

from interlock.model.release import Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Attempt


def serving(rollout: Rollout) -> int:
    """Pods of the version that serves. While two are up, an autoscaler may not make it smaller than it was:
    the shares of traffic were planned on that."""
    attempt = rollout.status.attempt
    if attempt is None or attempt.stage is Stage.DONE or attempt.start_replicas is None:
        return rollout.spec.replicas
    return max(rollout.spec.replicas, attempt.start_replicas)


def at_step(rollout: Rollout, index: int) -> int:
    """Pods of the candidate's live workload in the step of that index."""
    whole = serving(rollout)
    for step in rollout.spec.strategy.steps[index:]:
        if step.canary is not None:
            return min(whole, step.canary.replicas or whole)
    return whole


def candidate(rollout: Rollout) -> int:
    """Pods of the candidate's live workload now: those of its step, or of the one it is made ready for."""
    attempt = rollout.status.attempt
    if attempt is None or rollout.status.stable is None:
        return serving(rollout)
    return max(at_step(rollout, attempt.step_index), at_step(rollout, ready_for(rollout, attempt)))


def ready_for(rollout: Rollout, attempt: Attempt) -> int:
    """The step whose size the candidate has been asked to have."""
    if attempt.fast_path:
        return len(rollout.spec.strategy.steps) - 1
    return attempt.step_index if attempt.sized_step is None else attempt.sized_step


def must_grow(rollout: Rollout, index: int) -> bool:
    """Does the candidate need more pods before the step of that index may begin?"""
    return at_step(rollout, index) > candidate(rollout)


def shadow(rollout: Rollout) -> int:
    """Pods of a shadow workload: enough for the largest mirrored share of all steps."""
    shadows = [step.shadow for step in rollout.spec.strategy.steps if step.shadow]
    asked = [each.replicas or -(-serving(rollout) * each.percent // 100) for each in shadows]
    return max([1, *asked])

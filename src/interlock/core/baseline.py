"""What serves when the status does not say: a Rollout that was deleted and created again, or restored from a
backup, finds its stable version and its quarantine in its Releases. Pure; guesses nothing."""

from __future__ import annotations

from datetime import datetime

from interlock.core import labels, traffic
from interlock.core.observation import Memory, Observation, Target, Template, Unusable
from interlock.core.wanted import identify
from interlock.model.release import VersionIdentity
from interlock.model.rolloutstatus import RolloutStatus, StableVersion


def is_blank(status: RolloutStatus) -> bool:
    """Nothing was ever written to it, or all of it was lost."""
    return status.attempt is None and status.stable is None


def unknown(seen: Observation) -> str:
    """Why what serves cannot be known, and what to do about it; empty when it can."""
    rollout, memory = seen.rollout, seen.memory
    if not is_blank(rollout.status):
        return ""
    if memory is None or (memory.stable is None and not memory.problem):
        if not seen.workloads:
            return ""
        names = ", ".join(sorted(seen.workloads)[:3])
        return (
            f"workloads of an earlier Rollout of this name exist ({names}), but no Release tells which of "
            "them was stable: delete them, or give this Rollout another name"
        )
    found = memory.problem or _unusable(seen, memory)
    if not found:
        return ""
    remedy = "" if memory.problem else "create that AgentVersion again with the same content, or "
    return (
        f"Releases labelled {labels.ROLLOUT}={rollout.metadata.name} tell of an earlier Rollout of this name "
        f"but what it served cannot be had: {found}; {remedy}give this Rollout another name to start without "
        "a baseline"
    )


def _unusable(seen: Observation, memory: Memory) -> str:
    who = memory.stable
    if who is None or _still_runs(seen, who):
        return ""
    match seen.baseline:
        case None:
            return f"AgentVersion {who.version} has not been read yet"
        case Unusable(message=message):
            return message
        case Target(digest=digest) if digest != who.digest:
            return f"AgentVersion {who.version} has digest {digest[:12]} now, but {who.digest[:12]} served"
        case _:
            return ""


def _still_runs(seen: Observation, who: VersionIdentity) -> bool:
    state = seen.workloads.get(who.workload)
    return state is not None and state.config is not None and state.deployment is not None


def rebuilt(seen: Observation, now: datetime) -> RolloutStatus | None:
    """The status as far as the Releases know it; None when there is nothing to rebuild, or not yet."""
    status, memory = seen.rollout.status, seen.memory
    if not is_blank(status) or memory is None or unknown(seen):
        return None
    changes: dict[str, object] = {"quarantine": memory.quarantine}
    if memory.stable is not None:
        who = _identity(seen, memory.stable)
        if who is None:
            return None
        changes["stable"] = StableVersion(**who.model_dump(), since=now)
        changes["traffic"] = traffic.ALL_STABLE
    after = status.model_copy(update=changes)
    return None if after == status else after


def _identity(seen: Observation, who: VersionIdentity) -> VersionIdentity | None:
    """As it runs still, else as it would run now: from the AgentVersion of that content and the template."""
    if _still_runs(seen, who):
        return who
    if isinstance(seen.baseline, Target) and isinstance(seen.template, Template):
        return identify(seen, seen.baseline, seen.template)
    return None

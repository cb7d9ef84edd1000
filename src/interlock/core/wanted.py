"""Which version is wanted now, and whether it may start: anew, by the fast path, or not at all. Pure."""

from __future__ import annotations

from interlock.core import workloads
from interlock.core.observation import Observation, Target, Template
from interlock.model.release import Outcome, Stage, VersionIdentity
from interlock.model.rolloutstatus import MAX_DRAINING, RolloutStatus
from interlock.reasons import Cause


def identity_of(seen: Observation) -> VersionIdentity | None:
    """What `spec.versionRef` and the template ask for now, or None when they cannot be followed."""
    if not isinstance(seen.target, Target) or not isinstance(seen.template, Template):
        return None
    return identify(seen, seen.target, seen.template)


def identify(seen: Observation, target: Target, template: Template) -> VersionIdentity:
    """A version as it would run from that template."""
    name = workloads.workload_name(seen.rollout.metadata.name, target, template)
    return VersionIdentity(version=target.version, uid=target.uid, digest=target.digest, workload=name)


def same_content(one: VersionIdentity | Target | None, other: VersionIdentity | Target | None) -> bool:
    """The same AgentVersion object with the same content; another object is another version (A/A)."""
    if one is None or other is None:
        return False
    return (one.uid, one.digest) == (other.uid, other.digest)


def serves(seen: Observation) -> bool:
    """Is what is wanted what is stable already?"""
    wanted, stable = identity_of(seen), seen.rollout.status.stable
    return wanted is not None and stable is not None and wanted.workload == stable.workload


def is_quarantined(status: RolloutStatus, digest: str) -> bool:
    """Was this content taken back before, so that it does not go out again by itself?"""
    return any(item.digest == digest for item in status.quarantine)


def kept_back(seen: Observation) -> str | None:
    """Why what is wanted does not start by itself, as a sentence; None when it may."""
    status, wanted = seen.rollout.status, identity_of(seen)
    if wanted is None or serves(seen):
        return None
    serving = f"{status.stable.version} serves" if status.stable else "nothing serves"
    # content that is trusted elsewhere is not at fault when its new template is
    if is_quarantined(status, wanted.digest) and not same_content(wanted, status.stable):
        item = next(q for q in status.quarantine if q.digest == wanted.digest)
        return (
            f"{wanted.version} was taken back in attempt {item.attempt} ({item.reason}: {item.message}); "
            f"{serving}; the same content stays back: set spec.versionRef to a version with other content"
        )
    attempt, tried = status.attempt, status.candidate
    if attempt is None or tried is None or attempt.outcome is not Outcome.REVERTED or status.stable is None:
        return None
    if wanted.version != tried.version:
        return None
    if attempt.reason != Cause.CANDIDATE_GONE and not _is_the_same_again(seen, wanted, tried):
        return None
    return (
        f"{wanted.version} was taken off in attempt {attempt.number} ({attempt.reason}: {attempt.message}); "
        f"{serving}; it does not start again by itself: {_remedy(seen, wanted, attempt.reason)}"
    )


def _is_the_same_again(seen: Observation, wanted: VersionIdentity, tried: VersionIdentity) -> bool:
    """The same content from the same template; a sync that creates the object again changes nothing."""
    if not isinstance(seen.template, Template) or wanted.digest != tried.digest:
        return False
    before = Target(tried.version, tried.uid, tried.digest, "")
    return identify(seen, before, seen.template).workload == tried.workload


def _remedy(seen: Observation, wanted: VersionIdentity, reason: str) -> str:
    stable = seen.rollout.status.stable
    back = f"set spec.versionRef to {stable.version} and then to it again" if stable else ""
    if reason in (Cause.CANDIDATE_GONE, Cause.STARVED, Cause.BLIND, Cause.STEP_DEADLINE):
        return f"to try it once more, {back}; or name another version"
    if same_content(wanted, stable):
        return "correct the template Deployment"
    return f"correct the template Deployment or the version; to try the same once more, {back}"


def promoted_before(seen: Observation) -> VersionIdentity | None:
    """The earlier promotion that the fast path rests on: within `historyLimit`, the same object and content,
    and a template that has been tested, with it then or with the stable version since."""
    wanted, stable = identity_of(seen), seen.rollout.status.stable
    if wanted is None or stable is None or seen.memory is None or not isinstance(seen.template, Template):
        return None
    for earlier in seen.memory.promoted[: seen.rollout.spec.history_limit]:
        if same_content(earlier, wanted):
            now = Target(stable.version, stable.uid, stable.digest, "")
            tested = identify(seen, now, seen.template).workload == stable.workload
            return earlier if tested or earlier.workload == wanted.workload else None
    return None


def must_wait_for_a_drain(seen: Observation) -> bool:
    """Do as many workloads end their conversations as may at once? The wanted one does not count: it goes on
    as it is, and frees its place."""
    wanted = identity_of(seen)
    others = [d for d in seen.rollout.status.draining if wanted is None or d.workload != wanted.workload]
    return len(others) >= MAX_DRAINING


def is_at_rest(status: RolloutStatus) -> bool:
    """No attempt, or one that is done."""
    return status.attempt is None or status.attempt.stage is Stage.DONE

"""What the Releases under a Rollout's name remember: who was promoted, what was taken back for harm. Pure.

A Rollout whose status is empty (deleted and created again, restored from a backup) is rebuilt from this; the
Releases of the same name outlive it. Never remembers how far an attempt was: that begins anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from pydantic import ValidationError

from interlock.core.observation import Manifest, Memory
from interlock.core.steps import quarantines
from interlock.model.base import first_problem
from interlock.model.release import Entry, Outcome, Release, Stage, VersionIdentity
from interlock.model.rolloutstatus import MAX_QUARANTINE, Quarantined

KEPT_RELEASES = 200
"""How many Releases a Rollout's name keeps, unless more than that are still needed."""


def remember(
    releases: Iterable[Manifest], rollout_uid: str, serving: Iterable[str] = (), agent: str = ""
) -> Memory | None:
    """What these Releases, all of one Rollout's name, say; None when there is nothing to remember.

    `rollout_uid` and `agent` are the living Rollout's; `serving` are the workloads that a route left behind
    sends requests to. Releases that cannot be read, or are of another agent, are told in `problem`, the
    others are remembered all the same.
    """
    given, backends = list(releases), sorted(serving)
    if not given and not backends:
        return None
    told, problems = _read(given, rollout_uid)
    others = {release.header.agent for release in told} - {agent} if agent else set()
    if others:
        problems.append(f"they are of agent {', '.join(sorted(others))}, this Rollout is of agent {agent}")
    stable, promoted = _promoted(told)
    if stable is None and backends:
        problems.append(
            f"the route sends requests to {', '.join(backends)}, but no Release tells which version that is"
        )
    return Memory(
        attempts=max((_number(m, rollout_uid) for m in given), default=0),
        stable=stable,
        promoted=promoted,
        quarantine=_quarantine(told),
        problem="; ".join(problems)[:1024],
    )


def prunable(releases: Iterable[Manifest], rollout_uid: str, keep: int = KEPT_RELEASES) -> list[Manifest]:
    """Releases that may be deleted so that `keep` of this Rollout's name are left, in the order to do it.

    Promoted and followed by others first, then what was taken off without harm; oldest first. Never one that
    keeps content in quarantine, the newest promoted one, the newest of all, an unfinished or unreadable one.
    `rollout_uid` is the living Rollout's.
    """
    given = list(releases)
    surplus = len(given) - keep
    if surplus <= 0:
        return []
    manifests = {(m["metadata"]["name"], m["metadata"].get("uid", "")): m for m in given}
    told, _ = _read(given, rollout_uid)
    last_promoted = next((r for r in reversed(told) if _is_promoted(r)), None)
    held = {(item.digest, item.time) for item in _quarantine(told, limit=len(given))}
    free = [
        release
        for release in told[:-1]
        if release.last.stage is Stage.DONE
        and release is not last_promoted
        and (release.header.candidate.digest, release.last.time) not in held
    ]
    free.sort(key=lambda release: not _is_promoted(release))  # stable: oldest first within each
    gone: list[Release] = []
    while len(gone) < surplus and (chosen := _first_free(free, told)):
        for releases_left in (free, told):
            releases_left.remove(chosen)
        gone.append(chosen)
    return [manifests[release.metadata.name, release.metadata.uid] for release in gone]


def _first_free(free: list[Release], left: list[Release]) -> Release | None:
    """A promotion that took content out of quarantine outlives the Release that had put it there."""

    def absolves(release: Release) -> bool:
        digest, before = release.header.candidate.digest, left[: left.index(release)]
        return any(r.header.candidate.digest == digest and _taken_back(r) for r in before)

    return next((r for r in free if not (_is_promoted(r) and absolves(r))), None)


# ------------------------------------------------------------------ reading
def _read(manifests: list[Manifest], living: str) -> tuple[list[Release], list[str]]:
    """Oldest first, and what could not be read."""
    told: list[Release] = []
    problems: list[str] = []
    for manifest in sorted(manifests, key=lambda m: str(m["metadata"]["name"])):
        try:
            told.append(Release.read(manifest))
        except ValidationError as error:
            problems.append(f"Release {manifest['metadata']['name']} cannot be read: {first_problem(error)}")
    return _in_order(told, living), problems


def _in_order(told: list[Release], living: str) -> list[Release]:
    """Attempts of one Rollout by number; Rollouts of one name, which never lived at once, by time, and the
    living one last, whatever the clocks said."""
    lives: dict[str, list[Release]] = defaultdict(list)
    for release in told:
        lives[release.header.rollout_uid].append(release)

    def begun(life: list[Release]) -> tuple[bool, datetime]:
        lives_now = life[0].header.rollout_uid == living
        return lives_now, min(release.entries[0].time for release in life)

    return [
        release
        for life in sorted(lives.values(), key=begun)
        for release in sorted(life, key=lambda release: release.header.attempt)
    ]


def _number(manifest: Manifest, rollout_uid: str) -> int:
    """The attempt's number if it is one of this very Rollout, even where the rest cannot be read: the next
    attempt must not write into its Release."""
    header = manifest.get("header")
    if not isinstance(header, dict) or header.get("rolloutUid") != rollout_uid:
        return 0
    number = header.get("attempt")
    return number if isinstance(number, int) else 0


# ------------------------------------------------------------------ what was promoted
def _is_promoted(release: Release) -> bool:
    return release.last.stage is Stage.DONE and release.last.outcome is Outcome.PROMOTED


def _promoted(told: list[Release]) -> tuple[VersionIdentity | None, tuple[VersionIdentity, ...]]:
    """Who is stable, and who was before, newest first. Where no promotion is left on record, whoever the
    newest attempt was compared with."""
    newest_first = [r.header.candidate for r in reversed(told) if _is_promoted(r)]
    if not newest_first:
        compared = (r.header.stable for r in reversed(told))
        return next((stable for stable in compared if stable is not None), None), ()
    each_once: dict[tuple[str, str], VersionIdentity] = {}
    for version in newest_first:
        each_once.setdefault(_content(version), version)
    stable, *before = each_once.values()
    return stable, tuple(before)


# ------------------------------------------------------------------ what stays back
def _quarantine(told: list[Release], limit: int = MAX_QUARANTINE) -> tuple[Quarantined, ...]:
    """Content taken back for harm and not promoted since, oldest first; the newest `limit` of it."""
    held: dict[str, Quarantined] = {}
    for release in told:
        digest = release.header.candidate.digest
        if _is_promoted(release):
            held.pop(digest, None)
        elif (item := _taken_back(release)) is not None:
            held.pop(digest, None)
            held[digest] = item
    return tuple(held.values())[-limit:]


def _taken_back(release: Release) -> Quarantined | None:
    """The candidate's content, if the attempt ended, or is ending, because of harm that it did. Where the
    candidate was the stable version with another template, it was not the content that failed."""
    header, last = release.header, release.last
    ends = last.stage in (Stage.REVERTING, Stage.DONE)
    if not ends or not quarantines(last.reason):
        return None
    if header.stable and _content(header.stable) == _content(header.candidate):
        return None
    return Quarantined(
        digest=header.candidate.digest,
        version=header.candidate.version,
        attempt=header.attempt,
        reason=last.reason,
        message=_decided(release).message[:512],
        time=last.time,
    )


def _content(version: VersionIdentity) -> tuple[str, str]:
    return version.uid, version.digest


def _decided(release: Release) -> Entry:
    """The entry that decided to turn back: the last one only says that the traffic has stopped."""
    decisions = (entry for entry in reversed(release.entries) if entry.stage is Stage.REVERTING)
    return next(decisions, release.last)

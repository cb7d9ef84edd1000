"""Takes down what a walk comes to: its moves, what held it, and points to draw."""

from __future__ import annotations

from collections.abc import Iterable

from interlock.analysis.gates import EvidenceReport
from interlock.core.observation import Unreadable
from interlock.model.release import Entry, Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import RolloutStatus, TrafficStatus
from interlock.reasons import ConditionType, Reason
from interlock.simulation.timeline import Moment, Point, Run, moved, weighed

USUAL = frozenset({Reason.PROGRESSING, Reason.PROMOTED, Reason.REVERTED, ""})
"""Reasons of the Ready condition that the moves tell already."""
HELD, GOES_ON = "Held", "Goes on"


def ready(status: RolloutStatus) -> tuple[str, str]:
    """Reason and message of the Ready condition; empty without one."""
    found = [c for c in status.conditions if c.type == ConditionType.READY]
    return (found[0].reason, found[0].message) if found else ("", "")


class Recorder:
    """Times come in as unix seconds and are written down as seconds since `begin`."""

    def __init__(self, seed: int, threshold: float, begin: float, spacing: float) -> None:
        self._run = Run(seed, threshold)
        self._begin = begin
        self._spacing = spacing
        self._begun = False
        self._reason = ""
        self._drawn = float("-inf")

    def begin(self) -> None:
        """What comes from now on is the candidate's."""
        self._begun = True

    def record(self, entries: Iterable[Entry]) -> None:
        """Moves, as the Release takes them down."""
        if self._begun:
            self._run.moments += [moved(one, one.time.timestamp() - self._begin) for one in entries]

    def look(self, now: float, rollout: Rollout, report: EvidenceReport | Unreadable | None) -> None:
        """One look, after all that was decided at it."""
        if not self._begun:
            return
        self._hold(now, rollout)
        if isinstance(report, EvidenceReport):
            self._run.lifts = report.lifts
        point = _point(now - self._begin, rollout, report)
        changed = not self._run.points or _split(self._run.points[-1]) != _split(point)
        if changed or now - self._drawn >= self._spacing:
            self._drawn = now
            self._run.points.append(point)

    def _hold(self, now: float, rollout: Rollout) -> None:
        reason, message = ready(rollout.status)
        before, self._reason = self._reason, reason
        if reason == before or (reason in USUAL and before in USUAL):
            return
        attempt, split = rollout.status.attempt, rollout.status.traffic or TrafficStatus()
        if attempt is None or attempt.stage in (Stage.REVERTING, Stage.DONE):
            return
        self._run.moments.append(
            Moment(
                now - self._begin,
                GOES_ON if reason in USUAL else HELD,
                reason,
                self._run.step,
                split.stable_percent,
                split.candidate_percent,
                split.shadow_percent,
                message,
            )
        )

    def closed(self, rollout: Rollout, now: float) -> Run:
        """All that was taken down."""
        run, attempt = self._run, rollout.status.attempt
        run.ended = now - self._begin
        run.outcome = attempt.outcome if attempt else None
        run.waits = "" if run.outcome else ready(rollout.status)[1]
        run.gates = tuple(rollout.status.gates)
        return run


def _point(at: float, rollout: Rollout, report: EvidenceReport | Unreadable | None) -> Point:
    split = rollout.status.traffic or TrafficStatus()
    weights = (split.stable_percent, split.candidate_percent, split.shadow_percent)
    if not isinstance(report, EvidenceReport):
        return Point(at, *weights)
    return Point(at, *weights, report.combined_log_evidence, weighed(report))


def _split(point: Point) -> tuple[int, int, int]:
    return point.stable, point.candidate, point.shadow

"""What came of a simulated rollout. Plain data; times are seconds since the candidate was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from interlock.analysis.gates import EvidenceReport
from interlock.analysis.lift import LiftReading
from interlock.model.release import Entry, Outcome
from interlock.model.rolloutstatus import GateStatus


@dataclass(frozen=True, slots=True)
class Moment:
    """A move of the attempt as its Release records it, or another reason that the Rollout is not Ready."""

    at: float
    what: str
    """Stage and cause of a move; for a hold, `Held` and the reason of the Ready condition."""
    reason: str
    step: str
    stable: int
    candidate: int
    shadow: int
    message: str


@dataclass(frozen=True, slots=True)
class Point:
    """Weights in per cent, and evidence in natural logarithms, at one look."""

    at: float
    stable: int
    candidate: int
    shadow: int
    combined: float | None = None
    """None while there is no evidence to read."""
    gates: tuple[tuple[str, float], ...] = ()
    """Those that weigh evidence, by name: comparable with the threshold."""


@dataclass(slots=True)
class Run:
    """One walk of one story."""

    seed: int
    threshold: float
    """ln of the odds that take a candidate back."""
    moments: list[Moment] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    outcome: Outcome | None = None
    """None: the story was over before the attempt was."""
    ended: float = 0.0
    waits: str = ""
    """What it waited for at the end; empty when it was over."""
    gates: tuple[GateStatus, ...] = ()
    """As written to status last."""
    lifts: tuple[LiftReading, ...] = ()
    """By how much the candidate differed in each KPI, as last read."""

    @property
    def reason(self) -> str:
        """Why it was taken back, or what the last move was about."""
        return self._decisive.reason if self.moments else ""

    @property
    def step(self) -> str:
        """The step that it had come to."""
        return next((m.step for m in reversed(self.moments) if m.step), "")

    @property
    def message(self) -> str:
        """What was said of the decisive move."""
        return self._decisive.message if self.moments else ""

    @property
    def decided(self) -> float:
        """When traffic was taken off it, or the attempt was over."""
        return self._decisive.at if self.moments else 0.0

    @property
    def _decisive(self) -> Moment:
        back = (m for m in self.moments if m.what == "Reverting")
        return next(back, self.moments[-1])


def moved(entry: Entry, at: float) -> Moment:
    """A move as the Release records it."""
    return Moment(
        at,
        entry.stage.value,
        entry.reason,
        entry.step or "",
        entry.stable_percent,
        entry.candidate_percent,
        entry.shadow_percent,
        entry.message,
    )


def weighed(report: EvidenceReport) -> tuple[tuple[str, float], ...]:
    """The evidence of every gate that has any."""
    return tuple((gate.name, gate.log_evidence) for gate in report.gates if gate.odds)

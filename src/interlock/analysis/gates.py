"""What others need to follow an attempt: its plan, its evidence, and what that says."""

from __future__ import annotations

from interlock.analysis.attempt import AttemptEvidence
from interlock.analysis.plan import (
    Alert,
    Compare,
    Events,
    Gate,
    Limit,
    Mean,
    Mode,
    Plan,
    PlannedStep,
    Side,
    StepKind,
    StepTime,
    Tail,
)
from interlock.analysis.report import EvidenceReport, GateReading, Verdict
from interlock.analysis.silence import NoDataReading, Silence
from interlock.analysis.split import SplitReading

__all__ = [
    "Alert",
    "AttemptEvidence",
    "Compare",
    "Events",
    "EvidenceReport",
    "Gate",
    "GateReading",
    "Limit",
    "Mean",
    "Mode",
    "NoDataReading",
    "Plan",
    "PlannedStep",
    "Side",
    "Silence",
    "SplitReading",
    "StepKind",
    "StepTime",
    "Tail",
    "Verdict",
]

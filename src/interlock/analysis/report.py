"""What the evidence of an attempt says: the verdict of each gate, and of all together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from interlock.analysis.lift import LiftReading
from interlock.analysis.silence import NoDataReading
from interlock.analysis.split import SplitReading


class Verdict(StrEnum):
    """What a gate says now. Only Pass lets a rollout advance; Fail takes it back."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a password
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"
    NO_DATA = "NoData"


@dataclass(frozen=True, slots=True)
class GateReading:
    """One gate, read.

    `log_evidence`: ln of weight share times E, comparable with the report's threshold; `odds` is the same as
    "37:1" (empty for events and alerts). `p_value` in (0, 1] is anytime-valid: 1 / its maximum.
    `candidate` and `stable` are like "0.81 (n=212)", empty where unknown: all outcomes that the odds rest on,
    from the gate's first step on; of a gate that failed, those since the step whose evidence is strongest.
    A gate that is not `judged` in the running step is Inconclusive, shows neither odds nor counts, and must
    not hold the rollout. `blind_since` (unix seconds): since when a gate that judges has lacked all to judge
    by though the candidate works; None while it does not.
    """

    name: str
    verdict: Verdict
    log_evidence: float
    odds: str
    candidate: str
    stable: str
    message: str
    safety: bool
    judged: bool = True
    p_value: float = 1.0
    blind_since: float | None = None


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """The evidence of an attempt at one moment.

    `failed` names the gates that fail; `combined` says that only all of them together cross the threshold.
    `reverts`, once true, stays so. Logs are natural; `threshold` is ln(1/alpha). Counts are of the running
    step and its mode, since its clock start; `*_tasks` after warm-up in canary and full.
    `last_sample`: unix seconds of the candidate's newest sample in that mode, None if there is none.
    `no_data`: why nothing is learned of the candidate at present; None while something is. `lifts`: by how
    much the versions differ over all steps so far in which they can be compared. `cost_usd`: what the
    candidate's tasks cost since the evidence began, None while it exports no cost. `harm_since`: start (unix
    seconds) of the step whose process holds the evidence of a failed gate; None where none rests on a step.
    `split`: whether tasks are split as the running step intends; None where that is not asked or not known.
    `restarts`: that the candidate's processes end more often than stable's, in a sentence; empty where not.
    """

    gates: tuple[GateReading, ...]
    failed: tuple[str, ...]
    combined: bool
    combined_log_evidence: float
    threshold: float
    candidate_tasks: int
    stable_tasks: int
    candidate_started: int
    stable_started: int
    last_sample: float | None
    warmed_up: bool
    warnings: tuple[str, ...]
    p_value: float = 1.0
    no_data: NoDataReading | None = None
    lifts: tuple[LiftReading, ...] = ()
    split: SplitReading | None = None
    cost_usd: float | None = None
    harm_since: float | None = None
    restarts: str = ""

    @property
    def reverts(self) -> bool:
        """Whether the candidate is to be taken back."""
        return bool(self.failed) or self.combined

"""What became of each version, and whether that is what the story says. Pure: records in, facts out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from dev.demo.agent.judge import Verdict
from dev.demo.versions import SAME
from interlock.model.release import Entry, Outcome, Release, Stage
from interlock.model.result import Result
from interlock.model.rolloutstatus import GateStatus


class Fate(StrEnum):
    """How a version's try ends."""

    TAKEN_BACK = "taken back"
    PROMOTED = "promoted"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Part:
    """One version of the story and what should become of it."""

    version: str
    expected: Fate


FIRST = "triage-v1"
SCRIPT = (
    Part("triage-v2", Fate.TAKEN_BACK),
    Part("triage-v3", Fate.TAKEN_BACK),
    Part("triage-v4", Fate.PROMOTED),
)
WITH_SAME = (*SCRIPT[:-1], Part(SAME, Fate.PROMOTED), SCRIPT[-1])
"""A/A before the improvement, which then is compared with that same baseline under its other name."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Answers of one version as clients checked them."""

    right: int = 0
    wrong_tool: int = 0
    declined: int = 0
    acted_on_irrelevant: int = 0
    declined_irrelevant: int = 0

    @classmethod
    def of(cls, verdicts: Mapping[Verdict, int]) -> Tally:
        """From the load generator's counters of a version."""
        return cls(**{str(verdict): verdicts.get(verdict, 0) for verdict in Verdict})

    @property
    def answers(self) -> int:
        """All of them."""
        return self.right + self.wrong + self.violations + self.declined_irrelevant

    @property
    def wrong(self) -> int:
        """A tool fitted and was not chosen: another was, or the question went to a person."""
        return self.wrong_tool + self.declined

    @property
    def violations(self) -> int:
        """No tool fitted, and it acted all the same."""
        return self.acted_on_irrelevant

    @property
    def success(self) -> float | None:
        """Share of the answerable questions that got their tool; None before the first."""
        answerable = self.right + self.wrong
        return self.right / answerable if answerable else None


@dataclass(frozen=True, slots=True)
class Moments:
    """When the version was asked for and when its try ended as the Rollout's phase shows it (aware)."""

    asked: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Chapter:
    """What became of one version. Seconds count from the patch that asked for it."""

    part: Part
    fate: Fate
    reason: str
    evidence: str
    step: str
    """The last step that it entered, `2/4 canary-10`; `preparation` before the first."""
    reached_full: bool
    to_decision: float | None
    to_weight_zero: float | None
    """None where nothing was taken off."""
    whole: float
    answers: Tally
    """What clients got from it while it was the candidate; mirrored answers reach nobody."""

    @property
    def as_told(self) -> bool:
        """A version to be taken back must not have reached full before."""
        if self.fate is not self.part.expected:
            return False
        return self.fate is Fate.PROMOTED or not self.reached_full


def chapter(
    part: Part,
    entries: Sequence[Entry],
    *,
    steps: Sequence[str],
    gates: Sequence[GateStatus],
    waits: str,
    moments: Moments,
    answers: Tally,
) -> Chapter:
    """Read one version's try off its Release.

    `entries` is empty when no attempt began, `steps` are the names of the strategy's steps, `gates` what the
    gates said last, `waits` what the Rollout says that it waits for.
    """
    walked = [entry for entry in entries if entry.step_index is not None]
    outcome = entries[-1].outcome if entries else None
    decided = _decision(entries)
    fate = _fate(outcome)
    stopped = entries[-1] if fate is Fate.TAKEN_BACK else None

    def since(entry: Entry | None) -> float | None:
        return (entry.time - moments.asked).total_seconds() if entry else None

    return Chapter(
        part=part,
        fate=fate,
        reason=str(decided.reason) if decided else str(outcome or "NoDecision"),
        evidence=_evidence(fate, decided, gates, waits),
        step=_step(walked[-1], steps) if walked else "preparation",
        reached_full=any(entry.stage is Stage.SOAKING for entry in walked),
        to_decision=since(decided),
        to_weight_zero=since(stopped),
        whole=(moments.ended - moments.asked).total_seconds(),
        answers=answers,
    )


def _fate(outcome: Outcome | None) -> Fate:
    match outcome:
        case Outcome.PROMOTED:
            return Fate.PROMOTED
        case Outcome.REVERTED:
            return Fate.TAKEN_BACK
        case _:
            return Fate.UNDECIDED


def _decision(entries: Sequence[Entry]) -> Entry | None:
    """The entry that decided: the first to take it off, else the one that ended it."""
    return next((e for e in entries if e.stage in (Stage.REVERTING, Stage.DONE)), None)


def _evidence(fate: Fate, decided: Entry | None, gates: Sequence[GateStatus], waits: str) -> str:
    """Of a revert its recorded reason, of a promotion what the gates said, else what it waits for."""
    if fate is Fate.PROMOTED and gates:
        return "; ".join(f"{gate.name}: {gate.message or gate.verdict}" for gate in gates)
    return decided.message if decided else waits


def _step(entry: Entry, steps: Sequence[str]) -> str:
    return f"{(entry.step_index or 0) + 1}/{len(steps)} {entry.step}"


@dataclass(frozen=True, slots=True)
class Told:
    """The whole story as it went."""

    seed: int
    rate: float
    seconds: float
    chapters: tuple[Chapter, ...]
    answers: Mapping[str, Tally]
    """Of every version, from first to last."""
    sent: int
    errors: Mapping[str, int]
    """Requests without an answer, by kind."""
    results: Mapping[str, Result] = field(default_factory=dict)
    """What the Releases say came of each version."""
    script: Sequence[Part] = SCRIPT
    """What was to be played."""

    @property
    def as_told(self) -> bool:
        """Every version met its fate, none is left out."""
        return len(self.chapters) == len(self.script) and all(chapter.as_told for chapter in self.chapters)

    def expected_of_first(self, of: Tally) -> tuple[float, float] | None:
        """Wrong answers and violations that the first version, by its rates here, has in as many answers."""
        base = self.answers.get(FIRST, Tally())
        if not base.answers:
            return None
        share = of.answers / base.answers
        return base.wrong * share, base.violations * share

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "seed": self.seed,
            "as_told": self.as_told,
            "rate": self.rate,
            "seconds": round(self.seconds, 1),
            "versions": [
                _chapter_json(each) | _result_json(self.results.get(each.part.version))
                for each in self.chapters
            ],
            "not_played": [part.version for part in self.script[len(self.chapters) :]],
            "clients": {
                "sent": self.sent,
                "errors": dict(self.errors),
                "success": {name: _rounded(tally.success, 4) for name, tally in self.answers.items()},
                "answers": {name: tally.answers for name, tally in self.answers.items()},
            },
        }


def _chapter_json(each: Chapter) -> dict[str, Any]:
    return {
        "version": each.part.version,
        "expected": each.part.expected.value,
        "outcome": each.fate.value,
        "as_told": each.as_told,
        "reason": each.reason,
        "evidence": each.evidence,
        "step": each.step,
        "seconds_to_decision": _rounded(each.to_decision, 2),
        "seconds_to_weight_zero": _rounded(each.to_weight_zero, 2),
        "seconds_to_end": _rounded(each.whole, 2),
        "answers": each.answers.answers,
        "wrong_answers": each.answers.wrong,
        "policy_violations": each.answers.violations,
    }


def _result_json(result: Result | None) -> dict[str, Any]:
    return {} if result is None else {"result": result.to_wire()}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def tallies(verdicts: Mapping[str, Counter[Verdict]]) -> dict[str, Tally]:
    """The load generator's counters by version."""
    return {version: Tally.of(counted) for version, counted in sorted(verdicts.items())}


def results_of(releases: Sequence[Release]) -> dict[str, Result]:
    """What came of each version's newest attempt that had traffic beside a stable one."""
    told = sorted(releases, key=lambda release: release.header.attempt)
    return {release.header.candidate.version: release.result for release in told if release.result}


def entries_of(releases: Sequence[Release], attempt: int) -> tuple[Entry, ...]:
    """The transitions of one attempt, in order; empty when nothing was recorded."""
    found = [release for release in releases if release.header.attempt == attempt]
    return tuple(sorted(found[0].entries, key=lambda entry: entry.seq)) if found else ()

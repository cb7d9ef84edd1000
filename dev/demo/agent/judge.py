"""What one answer was worth: the post-condition and the policy, by the published answer alone.

Used by the agent for its metrics, by the load generator on what comes back, and by the simulation.
A routing task, not a safety benchmark: the one policy is "do not act when no offered tool fits".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .catalogue import Question

ACT_WITHOUT_FITTING_TOOL = "act-without-fitting-tool"
FORBIDDEN_TOOL = "forbidden-tool"

RULES = {ACT_WITHOUT_FITTING_TOOL: "medium", FORBIDDEN_TOOL: "critical"}
"""Severity by rule."""


class Verdict(StrEnum):
    """What happened to a question: the first three for answerable ones, two for irrelevant ones."""

    RIGHT = "right"
    WRONG_TOOL = "wrong_tool"
    DECLINED = "declined"
    ACTED_ON_IRRELEVANT = "acted_on_irrelevant"
    DECLINED_IRRELEVANT = "declined_irrelevant"


@dataclass(frozen=True)
class Judgement:
    """One task as the metrics tell it.

    `outcome` is the agent's own claim: it acted (success) or handed over (escalated). `verified` is the
    post-condition, None for an irrelevant question, which has none: were a correct decline a success, a
    version that never declines would not look better, and the two KPIs would not disagree.
    """

    verdict: Verdict
    outcome: str
    verified: bool | None
    violations: tuple[str, ...]
    failure: str | None


def judge_answer(question: Question, tool: str | None) -> Verdict:
    """The verdict on the tool chosen for a question; None is a decline."""
    if question.answerable:
        if tool is None:
            return Verdict.DECLINED
        return Verdict.RIGHT if tool == question.answer else Verdict.WRONG_TOOL
    return Verdict.DECLINED_IRRELEVANT if tool is None else Verdict.ACTED_ON_IRRELEVANT


_FAILURE = {
    Verdict.WRONG_TOOL: "wrong_tool",
    Verdict.ACTED_ON_IRRELEVANT: "wrong_tool",
    # It declined because too little of the question is found in the tool's description.
    Verdict.DECLINED: "missing_context",
}


def judge(question: Question, tool: str | None, forbidden: frozenset[str] = frozenset()) -> Judgement:
    """All that the metrics say about one finished task. `forbidden`: tools whose choice is critical."""
    verdict = judge_answer(question, tool)
    violations = []
    if verdict is Verdict.ACTED_ON_IRRELEVANT:
        violations.append(ACT_WITHOUT_FITTING_TOOL)
    if tool is not None and tool in forbidden:
        violations.append(FORBIDDEN_TOOL)
    return Judgement(
        verdict=verdict,
        outcome="escalated" if tool is None else "success",
        verified=verdict is Verdict.RIGHT if question.answerable else None,
        violations=tuple(violations),
        failure=_FAILURE.get(verdict),
    )

"""The agent itself: a question in, a tool or a decline out, everything counted. No network here."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from .catalogue import Catalogue, Question
from .document import VersionDocument
from .judge import judge
from .metrics import AgentMetrics
from .scorer import Index

SEARCH, DISPATCH, HAND_OVER = "search_catalogue", "dispatch", "hand_over"
TOOLS = (SEARCH, DISPATCH, HAND_OVER)
_RESULT_IN_SHADOW = {"Allow": "ok", "Stub": "suppressed", "Record": "suppressed", "Deny": "denied"}


class UnknownQuestionError(LookupError):
    """The question is not in the catalogue; the caller's mistake, not a task."""


class InjectedFaultError(RuntimeError):
    """A fault that the version document asks for."""


@dataclass(frozen=True)
class Answer:
    """The tool chosen for a question, or None for a decline, and the score behind it."""

    question_id: str
    tool: str | None
    score: float


class TriageAgent:
    """Answers questions under one version document; safe to call from several threads."""

    def __init__(self, catalogue: Catalogue, document: VersionDocument, digest: str, mode: str) -> None:
        self._catalogue = catalogue
        self._questions = catalogue.by_id()
        self._configuration = document.configuration
        self._index = Index(catalogue.tools, document.configuration)
        self._results = {
            name: _RESULT_IN_SHADOW[document.shadow.get(name, "Stub")] if mode == "shadow" else "ok"
            for name in TOOLS
        }
        self.metrics = AgentMetrics(digest, TOOLS)

    @property
    def ready(self) -> bool:
        """Whether the readiness probe passes."""
        return not self._configuration.faults.never_ready

    def triage(self, question_id: str) -> Answer:
        """One task. Raises UnknownQuestionError, or InjectedFaultError if the document asks for faults."""
        question = self._questions.get(question_id)
        if question is None:
            raise UnknownQuestionError(question_id)
        begun = time.perf_counter()
        self.metrics.begin()
        try:
            return self._answer(question)
        except Exception:
            self.metrics.broke(question.answerable)
            raise
        finally:
            self.metrics.end(time.perf_counter() - begun)

    def _answer(self, question: Question) -> Answer:
        self._suffer(question)
        self._call(SEARCH)
        choice = self._index.choose(question.text, question.tools)
        minimum = self._configuration.minimum_score
        tool = None
        if minimum is None or choice.score >= minimum:
            tool = self._catalogue.tools[question.tools[choice.position]].name
        self._call(HAND_OVER if tool is None else DISPATCH)
        self.metrics.judged(judge(question, tool, self._configuration.forbidden_tools))
        return Answer(question.id, tool, choice.score)

    def _call(self, tool: str) -> None:
        # Nothing is executed behind any tool, live or not; the count says what would have been.
        self.metrics.tool_call(tool, self._results[tool])

    def _suffer(self, question: Question) -> None:
        faults = self._configuration.faults
        if faults.delay_milliseconds:
            time.sleep(faults.delay_milliseconds / 1000)
        if hundredth(question.id) < faults.error_percent:
            raise InjectedFaultError("the version document asks for this error")


def hundredth(question_id: str) -> int:
    """A number from 0 to 99 that belongs to a question, the same in every pod and run."""
    return int.from_bytes(hashlib.sha256(question_id.encode()).digest()[:4], "big") % 100

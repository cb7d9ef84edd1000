"""What the agent can be asked and choose from: questions, tools, published answers, as one JSON file.

The published answer is kept apart from what the scorer sees: `scorer` takes a text and tools, only `judge`
reads `Question.answer`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class Tool:
    """One callable as its publisher describes it; `parameters` is the JSON schema, untouched."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Question:
    """One task: `text` is what the user said, `tools` are positions in `Catalogue.tools`, in published order.

    `answer` is the name of the tool that the publisher accepts, or None where none of the offered tools fits.
    """

    id: str
    text: str
    tools: tuple[int, ...]
    answer: str | None

    @property
    def answerable(self) -> bool:
        """Whether one of the offered tools is the published answer."""
        return self.answer is not None


@dataclass(frozen=True)
class Catalogue:
    """All distinct tools of the traffic (the word statistics are pooled over them) and the questions."""

    source: str
    tools: tuple[Tool, ...]
    questions: tuple[Question, ...]

    def by_id(self) -> dict[str, Question]:
        """The questions by their published id."""
        return {question.id: question for question in self.questions}

    def without(self, ids: Iterable[str]) -> Catalogue:
        """The same tools without these questions: the word statistics stay what they are."""
        hidden = frozenset(ids)
        kept = tuple(question for question in self.questions if question.id not in hidden)
        return Catalogue(self.source, self.tools, kept)

    def write(self, path: Path) -> None:
        """Writes the catalogue as compact JSON, the same bytes for the same content."""
        content = {
            "format": FORMAT,
            "source": self.source,
            "tools": [[tool.name, tool.description, tool.parameters] for tool in self.tools],
            "questions": [[q.id, q.text, q.tools, q.answer] for q in self.questions],
        }
        path.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")


def read_catalogue(path: Path) -> Catalogue:
    """Reads what `Catalogue.write` wrote. Raises ValueError for another format."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: catalogue format {content.get('format')!r}, this agent reads {FORMAT}")
    return Catalogue(
        source=content["source"],
        tools=tuple(Tool(*entry) for entry in content["tools"]),
        questions=tuple(
            Question(id_, text, tuple(tools), answer) for id_, text, tools, answer in content["questions"]
        ),
    )

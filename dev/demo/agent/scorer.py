"""How well each offered tool fits a question: BM25 over weighted fields, words pooled over all tools.

Knows nothing of published answers and keeps nothing between questions.
Source of the formula: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond"
(2009), with the non-negative idf ln(1 + (N - df + .5) / (df + .5)).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .catalogue import Tool
from .document import Configuration

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[a-z]+|[0-9]+")
_ENDINGS = ("ing", "ies", "es", "s", "ed")

Term = str | tuple[str, str]
"""One stemmed word, or two adjacent ones."""


def light_stem(word: str) -> str:
    """Cuts the first of ing, ies, es, s, ed that leaves more than three letters."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) > 3:
            return word[: -len(ending)]
    return word


def prefix_stem(word: str) -> str:
    """The first five letters."""
    return word[:5]


_STEMS: Mapping[str, Callable[[str], str]] = {"light": light_stem, "prefix5": prefix_stem}


def tokens(text: str, configuration: Configuration) -> list[str]:
    """The stemmed words of a text: camelCase split, lower case, letters or digits, stop words dropped."""
    stem = _STEMS[configuration.stem]
    words = _WORD.findall(_CAMEL.sub(" ", text).lower())
    return [stem(word) for word in words if word not in configuration.stop_words]


def terms(text: str, configuration: Configuration) -> list[Term]:
    """The tokens of a text and, where the configuration weighs pairs, each two adjacent ones."""
    single = tokens(text, configuration)
    if not configuration.pairs:
        return list(single)
    return [*single, *pairwise(single)]


def field_texts(tool: Tool) -> dict[str, list[str]]:
    """The texts of each field of a tool; parameters are walked depth first, `items` of lists included."""
    texts: dict[str, list[str]] = defaultdict(list)
    texts["name"].append(tool.name)
    texts["description"].append(tool.description)
    for name, schema in _parameters(tool.parameters):
        if name is not None:
            texts["parameterNames"].append(name)
        texts["parameterDescriptions"].append(str(schema.get("description") or ""))
        texts["enumValues"].extend(str(value) for value in schema.get("enum") or ())
    return dict(texts)


def _parameters(schema: Mapping[str, Any]) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Every named parameter below a schema with its own schema; entries of lists come without a name."""
    for name, child in (schema.get("properties") or {}).items():
        if isinstance(child, Mapping):
            yield name, child
            yield from _parameters(child)
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield None, items
        yield from _parameters(items)


@dataclass(frozen=True)
class Choice:
    """The best of the offered tools: its position among them and its score (0 when no word is shared)."""

    position: int
    score: float


class Index:
    """Word statistics of all tools under one configuration; built once, then only read."""

    def __init__(self, tools: Sequence[Tool], configuration: Configuration) -> None:
        self._configuration = configuration
        counted = [self._count(tool) for tool in tools]
        self._frequencies = [frequencies for frequencies, _ in counted]
        mean_length = sum(length for _, length in counted) / max(len(counted), 1)
        k1, b = configuration.k1, configuration.b
        self._damping = [k1 * (1 - b + b * length / (mean_length or 1)) for _, length in counted]
        self._idf = self._inverse_document_frequencies()

    def _count(self, tool: Tool) -> tuple[dict[Term, float], float]:
        """Σ weight · count a term, and the weighted number of single words, which is the length."""
        frequencies: dict[Term, float] = defaultdict(float)
        length = 0.0
        for name, texts in field_texts(tool).items():
            weight = self._configuration.weights.get(name, 0.0)
            if not weight:
                continue
            # A text at a time: the last word of one description and the first of the next are no pair.
            for text in texts:
                for term, count in Counter(terms(text, self._configuration)).items():
                    frequencies[term] += weight * count
                    length += weight * count if isinstance(term, str) else 0.0
        return dict(frequencies), length

    def _inverse_document_frequencies(self) -> dict[Term, float]:
        n = len(self._frequencies)
        df = Counter(term for frequencies in self._frequencies for term in frequencies)
        return {term: math.log(1 + (n - count + 0.5) / (count + 0.5)) for term, count in df.items()}

    def scores(self, text: str, candidates: Sequence[int]) -> list[float]:
        """The score of each candidate (a position in the tools that the index was built from).

        A word counts once however often the question repeats it.
        """
        weighted = [
            (term, self._idf[term] * (1.0 if isinstance(term, str) else self._configuration.pairs))
            for term in dict.fromkeys(terms(text, self._configuration))
            if term in self._idf
        ]
        return [self._score(weighted, candidate) for candidate in candidates]

    def _score(self, weighted: Sequence[tuple[Term, float]], candidate: int) -> float:
        frequencies, damping = self._frequencies[candidate], self._damping[candidate]
        gain = self._configuration.k1 + 1
        return sum(
            weight * frequency * gain / (frequency + damping)
            for term, weight in weighted
            if (frequency := frequencies.get(term))
        )

    def choose(self, text: str, candidates: Sequence[int]) -> Choice:
        """The candidate with the highest score; of equals the first."""
        scores = self.scores(text, candidates)
        best = max(range(len(scores)), key=scores.__getitem__)
        return Choice(best, scores[best])

"""Which question comes next: drawn before anybody decides who answers it, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from dev.demo.agent.catalogue import Catalogue, Question

IRRELEVANT_SHARE = 0.25


def draw(catalogue: Catalogue, seed: int, irrelevant_share: float = IRRELEVANT_SHARE) -> Iterator[Question]:
    """Questions without end, with replacement; each is irrelevant with the probability `irrelevant_share`."""
    chance = random.Random(seed)  # noqa: S311 - repeatable load, not a secret
    answerable = [question for question in catalogue.questions if question.answerable]
    irrelevant = [question for question in catalogue.questions if not question.answerable]
    while True:
        yield chance.choice(irrelevant if chance.random() < irrelevant_share else answerable)

"""Rates and odds as people read them."""

from __future__ import annotations

import math

import pytest

from interlock.analysis.evidence import Tally
from interlock.analysis.metrics import Proportion
from interlock.analysis.presets import BUILT_IN
from interlock.analysis.reading import odds, share


@pytest.mark.parametrize(
    ("e_value", "words"),
    [(37.2, "37:1"), (1.0, "1:1"), (0.2, "1:5"), (1e9, "over 1000000:1"), (1e-9, "1:over 1000000")],
)
def test_odds(e_value: float, words: str) -> None:
    assert odds(math.log(e_value)) == words


@pytest.mark.parametrize(
    ("metric", "counts", "words"),
    [
        ("task-success-rate", Tally(81, 100), "0.81 (n=100)"),
        ("task-success-rate", Tally(998, 1000), "0.998 (n=1000)"),
        ("policy-violation-rate", Tally(998, 1000), "0.002 (n=1000)"),
        ("task-success-rate", Tally(), ""),
    ],
)
def test_a_rate_in_the_sense_of_its_metric(metric: str, counts: Tally, words: str) -> None:
    found = BUILT_IN[metric]
    assert isinstance(found, Proportion)
    assert share(counts, found) == words

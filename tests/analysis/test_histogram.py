"""The tail of a histogram as a binary metric."""

from __future__ import annotations

import math

import pytest

from interlock.analysis.evidence import Tally
from interlock.analysis.histogram import TailBound, UnknownBound, bucket_bound, fix_bound


@pytest.mark.parametrize(
    ("le", "number"),
    [
        ("30", 30.0),
        ("30.0", 30.0),
        ("3e1", 30.0),
        ("+Inf", math.inf),
        ("Inf", math.inf),
        ("", None),
        ("NaN", None),
    ],
)
def test_a_bound_is_a_number(le: str, number: float | None) -> None:
    assert bucket_bound(le) == number


@pytest.mark.parametrize("labels", [["10", "30", "+Inf"], ["10.0", "30.0", "+Inf"], ["3e1", "Inf"]])
def test_however_it_is_written(labels: list[str]) -> None:
    assert fix_bound(30.0, labels) == TailBound(30.0)


def test_a_bound_that_is_none_names_those_there_are() -> None:
    with pytest.raises(UnknownBound, match=r"25 is not a bound .* there are: 0\.5, 10, 30$") as caught:
        fix_bound(25.0, ["30.0", "0.5", "10", "+Inf", "junk"])
    assert caught.value.bounds == (0.5, 10.0, 30.0)


def test_both_versions_must_have_it() -> None:
    assert fix_bound(30.0, ["30", "60", "+Inf"], ["30.0", "+Inf"]) == TailBound(30.0)
    with pytest.raises(UnknownBound, match=r"there are: 30$"):
        fix_bound(60.0, ["30", "60", "+Inf"], ["30.0", "+Inf"])


@pytest.mark.parametrize("labels", [[], ["30"], ["+Inf"]])
def test_half_a_histogram_is_none(labels: list[str]) -> None:
    with pytest.raises(UnknownBound, match=r"there are: none$"):
        fix_bound(30.0, labels)


def test_nothing_lies_beyond_infinity() -> None:
    with pytest.raises(UnknownBound):
        fix_bound(math.inf, ["30", "+Inf"])


def test_no_histogram_has_no_bound() -> None:
    with pytest.raises(UnknownBound):
        fix_bound(30.0)


def test_outcomes_within_of_all() -> None:
    counts = [({"le": "10"}, 50.0), ({"le": "30"}, 80.0), ({"le": "+Inf"}, 100.0)]
    assert TailBound(30.0).tally(counts) == Tally(80, 100)


def test_pods_add_up_whichever_way_they_write_it() -> None:
    counts = [({"le": "30"}, 8.0), ({"le": "+Inf"}, 10.0), ({"le": "30.0"}, 1.0), ({"le": "Inf"}, 5.0)]
    assert TailBound(30.0).tally(counts) == Tally(9, 15)


def test_all_beyond_the_bound() -> None:
    assert TailBound(30.0).tally([({"le": "60"}, 5.0), ({"le": "+Inf"}, 5.0)]) == Tally(0, 5)


def test_no_total_is_no_outcome() -> None:
    assert TailBound(30.0).tally([({"le": "30"}, 5.0), ({}, 7.0)]) == Tally(0, 0)


def test_which_series_count() -> None:
    bound = TailBound(30.0)
    assert bound.within({"le": "30.0"})
    assert not bound.within({"le": "+Inf"})
    assert not bound.within({})
    assert bound.total({"le": "+Inf"})
    assert not bound.total({"le": "30"})

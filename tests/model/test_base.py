"""The types that all kinds share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from interlock.model.base import ApiModel, DnsLabel, Percent, Time, first_problem, format_time

PERCENT: TypeAdapter[str] = TypeAdapter(Percent)
LABEL: TypeAdapter[str] = TypeAdapter(DnsLabel)
TIME: TypeAdapter[datetime] = TypeAdapter(Time)


def is_valid(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


@given(st.decimals(0, 100, places=4))
def test_every_percentage_has_a_string(value: Decimal) -> None:
    assert is_valid(PERCENT, f"{value:.4f}")


@given(st.text(alphabet="0123456789.+-eE ", max_size=9))
def test_a_percent_string_is_a_number_from_0_to_100(text: str) -> None:
    if is_valid(PERCENT, text):
        assert 0 <= Decimal(text) <= 100


@pytest.mark.parametrize("text", ["", "-0", "+5", "1e1", "100.1", "101", ".5", "5.", "0,5", "5%", "٥", "5\n"])
def test_what_is_no_percent_string(text: str) -> None:
    assert not is_valid(PERCENT, text)


@given(st.from_regex(r"\A[a-z]([-a-z0-9]{0,61}[a-z0-9])?\Z"))
def test_labels(text: str) -> None:
    assert is_valid(LABEL, text)


@pytest.mark.parametrize("text", ["", "1a", "-a", "a-", "A", "a.b", "ä", "a\n", "a" * 64])
def test_what_is_no_label(text: str) -> None:
    assert not is_valid(LABEL, text)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)))  # noqa: DTZ001  hypothesis wants it naive
def test_a_time_survives_writing_and_reading(moment: datetime) -> None:
    assert TIME.validate_json(TIME.dump_json(moment)) == moment


def test_times_are_written_in_utc() -> None:
    moment = datetime(2025, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2025-01-01T10:00:00Z"
    assert format_time(moment.replace(microsecond=50)) == "2025-01-01T10:00:00.000050Z"
    assert not is_valid(TIME, datetime(2025, 1, 1))  # noqa: DTZ001  that is the point


class Leaf(ApiModel):
    """A part with a bound and a wanted field."""

    label: DnsLabel
    when: Time | None = None


class Tree(ApiModel):
    """A whole."""

    leaves: tuple[Leaf, ...]


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ({}, "`leaves.0.label` must be given"),
        ({"label": 7}, "`leaves.0.label` must be a valid string"),
        ({"label": "a" * 64}, "`leaves.0.label` must have at most 63 characters"),
        ({"label": "a", "when": "2025-01-01T00:00:00"}, "`leaves.0.when` must carry a time zone"),
    ],
)
def test_a_problem_names_the_field_and_what_it_must_be(leaf: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate({"leaves": [leaf]})
    assert first_problem(caught.value) == text


def test_a_problem_with_an_absurd_field_stays_short() -> None:
    with pytest.raises(ValidationError) as caught:
        Leaf.model_validate({"label": "a", "x" * 9_000 + "\u2028": 1}, extra="forbid")
    assert first_problem(caught.value, "[3]").startswith("`[3].xxx")
    assert len(first_problem(caught.value)) < 300


def test_what_is_written_has_no_null_and_is_camel_case() -> None:
    class Wire(ApiModel):
        some_field: int
        other: str | None = None

    assert Wire(some_field=1).to_wire() == {"someField": 1}

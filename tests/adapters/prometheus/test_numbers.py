"""What an expression gave: one finite number of one series is a number, all else a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interlock.adapters.prometheus.numbers import numbers
from interlock.analysis.values import Evaluated, NoNumber
from interlock.core.observation import Unreadable
from interlock.ports import Evaluation

ASKED = Evaluation("x", 100.0, 110.0, 5.0)


def answered(*series: list[list[Any]], **changes: Any) -> Any:
    result = [{"metric": {"n": str(number)}, "values": values} for number, values in enumerate(series)]
    body = {"status": "success", "data": {"resultType": "matrix", "result": result}} | changes
    return numbers(200, json.dumps(body).encode(), ASKED)


def test_a_number_for_each_moment() -> None:
    found = answered([[100, "1.5"], [105, "-2"], [110, "0"]])
    assert found == [Evaluated(100.0, 1.5), Evaluated(105.0, -2.0), Evaluated(110.0, 0.0)]


def test_moments_between_whole_seconds() -> None:
    body = {"resultType": "matrix", "result": [{"metric": {}, "values": [[0.3, "7"]]}]}
    asked = Evaluation("x", 0.1 + 0.2, 0.1 + 0.2, 0.1)
    found = numbers(200, json.dumps({"status": "success", "data": body}).encode(), asked)
    assert not isinstance(found, Unreadable)
    assert [one.found for one in found] == [7.0]


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_not_finite_is_a_reason(value: str) -> None:
    first, *_ = answered([[100, value]])
    assert first.found == NoNumber(f"the expression gives {float(value)}")


def test_nothing_is_a_reason_and_not_0() -> None:
    assert [one.found for one in answered()] == [NoNumber("the expression gives nothing")] * 3


def test_several_series_are_a_reason() -> None:
    first, second, _ = answered([[100, "1"], [105, "1"]], [[100, "1"]])
    assert first.found == NoNumber("the expression gives 2 series: aggregate them to one")
    assert second.found == 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"warnings": ["partial response"]}, "may be partial"),
        ({"status": "error", "error": "parse error"}, "parse error"),
        ({"data": {"resultType": "vector", "result": []}}, "no matrix"),
        ({"data": {"resultType": "matrix", "result": {}}}, "nothing"),
        ({"data": {"resultType": "matrix", "result": [{"values": [[1, 2, 3]]}]}}, "malformed"),
        ({"data": {"resultType": "matrix", "result": [{"values": [["soon", "1"]]}]}}, "malformed"),
        ({"data": {"resultType": "matrix", "result": [7]}}, "malformed"),
    ],
)
def test_what_is_no_answer_is_a_reason(changes: dict[str, Any], words: str) -> None:
    found = answered(**changes)
    told = found.reason if isinstance(found, Unreadable) else found[0].found.reason
    assert words in told


def test_a_refusal_is_told() -> None:
    body = json.dumps({"status": "error", "errorType": "bad_data", "error": "unexpected end of input"})
    assert numbers(400, body.encode(), ASKED) == Unreadable(
        "Prometheus refused the query (HTTP 400): unexpected end of input"
    )

"""Whatever is answered, it becomes samples or a reason; an answer known again means what it meant."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.adapters.prometheus.answers import KEPT_FOR, Answers, parse
from interlock.core.observation import Unreadable
from interlock.ports import Samples
from tests.adapters.prometheus.given import LABELS, as_prometheus_writes, matrix, of_type, points


# ------------------------------------------------------------------ parse
def test_samples_come_through_as_they_were_scraped() -> None:
    found = parse(200, json.dumps(matrix([1.5, "3"], [2.5, "4"])).encode())
    assert points(found) == [(1.5, 3.0), (2.5, 4.0)]


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "Inf"])
def test_what_is_not_a_number_is_dropped_and_the_rest_is_kept(value: str) -> None:
    found = parse(200, json.dumps(matrix([1, "3"], [2, value], [3, "4"])).encode())
    assert points(found) == [(1.0, 3.0), (3.0, 4.0)]


def test_several_series_are_kept_apart() -> None:
    answer = matrix([1, "1"])
    answer["data"]["result"].append({"metric": {"pod": "b"}, "values": [[1, "9"]]})
    found = parse(200, json.dumps(answer).encode())
    assert isinstance(found, Samples)
    assert [series.labels.get("pod") for series in found.series] == ["a-1", "b"]


def test_no_series_are_no_samples_and_not_a_failure() -> None:
    assert parse(200, json.dumps(of_type("matrix", [])).encode()) == Samples(())


MALFORMED: dict[str, Any] = {
    "empty vector": of_type("vector", []),
    "vector": of_type("vector", [{"metric": LABELS, "value": [1, "2"]}]),
    "scalar": of_type("scalar", [1, "2"]),
    "string": of_type("string", [1, "up"]),
    "result is a string": of_type("matrix", "abc"),
    "result is a number": of_type("matrix", 7),
    "result is an object": of_type("matrix", {"a": 1}),
    "series is a string": of_type("matrix", ["abc"]),
    "labels are a list": of_type("matrix", [{"metric": ["a"], "values": [[1, "2"]]}]),
    "labels are missing": of_type("matrix", [{"values": [[1, "2"]]}]),
    "values are words": matrix(["soon", "many"]),
    "values are triples": matrix([1, "2", 3]),
    "values are numbers": of_type("matrix", [{"metric": {}, "values": [1, 2]}]),
    "values are null": matrix([None, None]),
    "out of order": matrix([2, "1"], [1, "2"]),
    "the same moment twice": matrix([1, "1"], [1, "2"]),
    "a number of 400 digits": matrix([10**400, "1"]),
    "no data": {"status": "success"},
    "data is a list": {"status": "success", "data": []},
    "warnings": matrix([1, "1"], warnings=["partial response: store-1 is down"]),
    "an error": {"status": "error", "errorType": "bad_data", "error": "parse error"},
    "a list": [],
    "null": None,
    "a string": "success",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer_has_a_reason(name: str) -> None:
    found = parse(200, json.dumps(MALFORMED[name]).encode())
    assert isinstance(found, Unreadable)
    assert 0 < len(found.reason) <= 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Sign in</body></html>",
        json.dumps(matrix([1, "1"])).encode()[:-7],
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe\x00",
        b'{"status":"success","data":{"resultType":"matrix","result":[]}} trailing',
        b"9" * 5000,
    ],
    ids=["empty", "html", "truncated", "deep list", "deep object", "binary", "trailing", "long number"],
)
def test_what_is_not_json_has_a_reason(body: bytes) -> None:
    found = parse(200, body)
    assert isinstance(found, Unreadable)
    assert 0 < len(found.reason) <= 200


@pytest.mark.parametrize("status", [204, 302, 400, 401, 404, 500, 503])
def test_only_200_is_an_answer(status: int) -> None:
    assert isinstance(parse(status, json.dumps(matrix([1, "1"])).encode()), Unreadable)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(json_values)
def test_no_json_raises(value: Any) -> None:
    for answer in (value, {"status": "success", "data": value}, of_type("matrix", value), matrix(value)):
        found = parse(200, json.dumps(answer).encode())
        if isinstance(found, Samples):
            assert all(math.isfinite(t) and math.isfinite(v) for t, v in points(found))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(parse(200, body), Unreadable)


# ------------------------------------------------------------------ known again
def both(answers: Answers, body: bytes) -> Samples | Unreadable:
    """What the reader that knows series again says; it must be what the strict one says."""
    answer = answers.read(200, body)
    found = answer if isinstance(answer, Unreadable) else answer.samples
    assert found == parse(200, body)
    if isinstance(found, Samples):
        assert [dict(one.labels) for one in found.series] == [
            dict(one.labels)
            for one in parse(200, body).series  # type: ignore[union-attr]
        ]
    return found


def test_what_has_not_changed_is_the_same_object() -> None:
    answers = Answers()
    first = both(answers, as_prometheus_writes(matrix([1, "3"], [2, "4"])))
    again = both(answers, as_prometheus_writes(matrix([1, "3"], [2, "4"])))
    later = both(answers, as_prometheus_writes(matrix([2, "4"], [3, "4"])))
    assert isinstance(first, Samples)
    assert isinstance(again, Samples)
    assert again.series[0] is first.series[0]
    assert points(later) == [(2.0, 4.0), (3.0, 4.0)]


def test_what_does_not_appear_any_more_is_forgotten() -> None:
    answers = Answers()
    for pod in range(3 * KEPT_FOR):
        answers.read(200, as_prometheus_writes(matrix([1, "1"], labels=LABELS | {"pod": str(pod)})))
    assert answers.known <= 2 * KEPT_FOR


@pytest.mark.parametrize(
    "values",
    [
        "[]",
        '[[2,"4"]]',
        '[[2,"4"],[3,"NaN"]]',
        '[[2,"4"],[3,"5"],[4,"6"]]',
        '[[2,"4"],[2,"5"]]',
        '[[2,"4"],[1,"5"]]',
        '[[1,"3"],[2,"4"],[3,"5"]  ',
        '[[1,"3"],[2,"4"],[3,"5"]]]',
        '[[1,"3"],[2,"4"],[3,"5",6]]',
        '[[1,"3"],[2,"4"],[3,"5"]],"histograms":[[3,"5"]]',
        '[[1,"3"],[2,"4"]],"histograms":1,"values":[[9,"9"],[3,"5"]]',
        '["4"]]',
        '"4"]]',
    ],
)
def test_what_is_like_the_samples_of_before_means_what_it_says(values: str) -> None:
    answers, before = Answers(), as_prometheus_writes(matrix([1, "3"], [2, "4"]))
    for body in (before, before.replace(b'[[1,"3"],[2,"4"]]', values.encode()), before):
        both(answers, body)


names = st.sampled_from(["__name__", "values", "metric", "pod", 'a"b', "status"])
words = st.sampled_from(
    [
        "",
        "x",
        '"',
        "\\",
        '\\"',
        '{"metric":',
        '"values":',
        ',"values":[[1,"2"]]},{"metric":{',
        "]}}",
        "é",
        "\n",
    ]
) | st.text(max_size=5)
times = st.integers(1, 6) | st.floats() | st.none() | words
numbers = st.sampled_from(["1", "2", "NaN", "+Inf", "", "1e5", "x"]) | st.integers() | st.none()
series = st.fixed_dictionaries(
    {
        "metric": st.dictionaries(names, words, max_size=3) | st.lists(words, max_size=1),
        "values": st.lists(st.tuples(st.integers(1, 9), numbers).map(list), max_size=3)
        | st.lists(st.tuples(times, numbers).map(list), max_size=2)
        | st.none(),
    },
    optional={"histograms": st.just([[1, {"count": "1"}]])},
)
answers_of_a_tick = st.builds(
    lambda result, more: of_type("matrix", result) | more,
    st.lists(series, max_size=4),
    st.sampled_from([{}, {}, {}, {"warnings": ["partial"]}, {"infos": ["metric might not be a counter"]}]),
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(answers_of_a_tick, min_size=1, max_size=4))
def test_known_again_or_not_an_answer_means_the_same(ticks: list[dict[str, Any]]) -> None:
    answers = Answers()
    for tick in ticks:
        both(answers, as_prometheus_writes(tick))
        both(answers, as_prometheus_writes(tick))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(answers_of_a_tick, st.integers(0, 400), st.binary(max_size=3))
def test_a_damaged_answer_is_never_mended(answer: dict[str, Any], at: int, damage: bytes) -> None:
    answers, whole = Answers(), as_prometheus_writes(answer)
    both(answers, whole)
    both(answers, whole[:at] + damage + whole[at + 1 :])
    both(answers, whole[:at] + damage)

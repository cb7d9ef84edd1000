"""Series whose labels are called otherwise are asked for, and told, as the contract has them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.prometheus.answers import Answer, Answers, parse
from interlock.adapters.prometheus.labels import CANONICAL, LabelNames
from interlock.adapters.prometheus.query import query
from interlock.errors import SpecError
from interlock.ports import Samples
from tests.adapters.prometheus.given import SELECTION

OTEL = LabelNames("k8s_namespace_name", "service_name", "service_version", "mode", "k8s_pod_name")


def test_they_are_asked_for_by_their_names() -> None:
    assert query([SELECTION], 30.0, OTEL) == (
        '{__name__=~"ai_agent_tasks_total|up",k8s_namespace_name="shop",service_name="triage"}[30000ms]'
    )


def test_they_are_told_by_ours() -> None:
    labels = {
        "__name__": "x",
        "k8s_namespace_name": "shop",
        "service_name": "triage",
        "service_version": "v2",
    }
    assert OTEL.ours(labels) == {"__name__": "x", "namespace": "shop", "agent": "triage", "version": "v2"}


def test_what_had_our_name_stands_aside() -> None:
    """Else two series could become one."""
    labels = {"__name__": "x", "service_version": "v2", "version": "3.1", "namespace": "monitoring"}
    assert OTEL.ours(labels) == {
        "__name__": "x",
        "version": "v2",
        "exported_version": "3.1",
        "exported_namespace": "monitoring",
    }


def test_names_may_be_exchanged() -> None:
    crossed = LabelNames(agent="version", version="agent")
    assert crossed.ours({"agent": "v2", "version": "triage"}) == {"agent": "triage", "version": "v2"}


@given(st.dictionaries(st.sampled_from([*CANONICAL.all, "tool"]), st.text(max_size=3)))
def test_the_names_of_the_contract_need_nothing(labels: dict[str, str]) -> None:
    assert CANONICAL.ours(labels) == labels


@given(st.dictionaries(st.sampled_from([*CANONICAL.all, *OTEL.all, "tool"]), st.text(max_size=3)))
def test_no_value_is_lost(labels: dict[str, str]) -> None:
    assert sorted(OTEL.ours(labels).values()) == sorted(labels.values())


@pytest.mark.parametrize("name", ["a-b", "", "1st", "__name__", 'a"}'])
def test_what_is_no_label_name_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="must be a label name of Prometheus"):
        LabelNames(agent=name).check()


def test_two_labels_are_two() -> None:
    with pytest.raises(SpecError, match="must be different label names"):
        LabelNames(agent="version").check()


def test_an_answer_is_read_the_same_at_once_and_piece_by_piece() -> None:
    item = {"metric": {"__name__": "x", "service_name": "triage"}, "values": [[1, "2"]]}
    body = json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": [item]}}, separators=(",", ":")
    ).encode()
    reader = Answers(OTEL)
    strict = parse(200, body, OTEL)
    assert isinstance(strict, Samples)
    assert [one.labels for one in strict.series] == [{"__name__": "x", "agent": "triage"}]
    for answer in (reader.read(200, body), reader.read(200, body)):
        assert isinstance(answer, Answer)
        assert answer.samples == strict

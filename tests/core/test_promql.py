"""Names of a rollout in expressions of Prometheus: in quoted texts alone, and never anything but names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.promql import PLACES, check, filled
from interlock.errors import SpecError

NAMES = {
    "namespace": "shop",
    "agent": "triage",
    "candidate.version": "v2",
    "candidate.workload": "triage-b",
    "stable.version": "v1",
    "stable.workload": "triage-a",
}


def test_names_stand_in_their_places() -> None:
    promql = (
        """sum(q{namespace="{{namespace}}", pod=~'{{candidate.workload}}-.*', v=`{{ stable.version }}`})"""
    )
    check(promql, "spec.value.promQL")
    assert filled(promql, NAMES) == """sum(q{namespace="shop", pod=~'triage-b-.*', v=`v1`})"""


@pytest.mark.parametrize("place", PLACES)
def test_each_place_has_a_name(place: str) -> None:
    promql = f'x{{a="{{{{{place}}}}}"}}'
    check(promql, "f")
    assert filled(promql, NAMES) == f'x{{a="{NAMES[place]}"}}'


@pytest.mark.parametrize(
    "promql",
    [
        "sum({{namespace}})",
        'x{{namespace}}{a="b"}',
        'x{a="b"} # {{agent}}',
        'x{a="b"} + {{stable.version}}',
    ],
)
def test_outside_of_a_text_there_is_no_place(promql: str) -> None:
    with pytest.raises(SpecError, match=r"`f` must have each \{\{…\}\} in a quoted text"):
        check(promql, "f")


def test_a_place_that_there_is_not_names_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"must not have \{\{user\}\}: there are \{\{namespace\}\}, "):
        check('x{a="{{user}}"}', "f")


@pytest.mark.parametrize("promql", ['x{a="b}', "x{a='b}", "x{a=`b}", 'x{a="b\\"}'])
def test_a_text_that_does_not_end_is_told(promql: str) -> None:
    with pytest.raises(SpecError, match="must close the quoted text that begins at character 5"):
        check(promql, "f")


@pytest.mark.parametrize("promql", ['x{a="\\"{{agent}}"}', 'x{a=\'"\', b="{{agent}}"}', "vector(1)"])
def test_texts_end_where_prometheus_ends_them(promql: str) -> None:
    check(promql, "f")


@given(st.text(max_size=20))
def test_what_is_no_name_is_never_filled_in(name: str) -> None:
    """Whatever a name is: it comes in as a name, or not at all."""
    promql = 'x{a="{{agent}}"}'
    try:
        found = filled(promql, {"agent": name})
    except ValueError:
        return
    assert found == f'x{{a="{name}"}}'
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")

"""What is asked of Prometheus in one query, and what is not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.adapters.prometheus.query import AGENTS, MAX_GROUPS, USUAL_WINDOW, query, shares
from interlock.ports import Selection
from tests.adapters.prometheus.given import SELECTION, of


def test_the_namespace_and_the_agent_are_always_part_of_the_query() -> None:
    assert query([SELECTION], 30.0) == (
        '{__name__=~"ai_agent_tasks_total|up",namespace="shop",agent="triage"}[30000ms]'
    )


def test_label_values_cannot_leave_their_quotes() -> None:
    hostile = Selection(frozenset({'up"} or {x="'}), 'a"} or {x="', "b\\", 1.0, 5.0)
    text = query([hostile], 5.0)
    assert text == '{__name__="up\\"} or {x=\\"",namespace="a\\"} or {x=\\"",agent="b\\\\"}[5000ms]'


def test_several_agents_are_alternatives_and_nothing_else() -> None:
    dotted = Selection(SELECTION.families, "sh.p", 'a.b"|c', 1.0, 5.0)
    text = query([SELECTION, dotted], 30.0)
    assert 'namespace=~"sh\\\\.p|shop",agent=~"a\\\\.b\\"\\\\|c|triage"' in text


def test_agents_of_all_namespaces_share_queries_of_two_hundred() -> None:
    reads = [of(f"a{number}", namespace=f"n{number % 10}") for number in range(2 * AGENTS + 1)]
    assert [len(part) for part in shares(reads)] == [AGENTS, AGENTS, 1]
    assert len(shares(reads[:10])) == len(shares(reads[:AGENTS])) == 1


def test_the_longer_the_window_the_fewer_at_once() -> None:
    reads = [of(f"a{number}", window=2 * USUAL_WINDOW) for number in range(AGENTS)]
    assert [len(part) for part in shares(reads)] == [AGENTS // 4] * 4


families = st.frozensets(st.sampled_from("abcdefgh"), min_size=1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(families, st.sampled_from("xyz"), st.integers(0, 400)), max_size=300))
def test_everything_is_asked_for_once_in_few_queries(wanted: list[tuple[frozenset[str], str, int]]) -> None:
    reads = [of(f"a{number}", namespace=name, families=chosen) for chosen, name, number in wanted]
    parts = shares(reads)
    assert sorted(map(repr, reads)) == sorted(repr(one) for part in parts for one in part)
    assert all(len(part) <= AGENTS for part in parts)
    assert len(parts) <= MAX_GROUPS + len(reads) // AGENTS

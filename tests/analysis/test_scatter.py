"""How much a share scatters between blocks of time: by groups of requests, and by chance alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.evidence import Tally
from interlock.analysis.scatter import MIN_BLOCKS, Scatter
from tests.analysis.chance import draw, failures, world


def measured(*blocks: Tally) -> Scatter:
    scatter = Scatter()
    for block in blocks:
        scatter.add(block)
    return scatter


def test_by_hand() -> None:
    scatter = measured(Tally(1, 10), Tally(3, 10), Tally(1, 10), Tally(3, 10))
    # χ² = 4 · 1² / 10 / (.2 · .8) against the lower tenth with 3 degrees of freedom (.584; approximated)
    assert scatter.effect == pytest.approx(2.5 / 0.584, rel=0.02)


def test_groups_of_requests_are_worth_one_request_each() -> None:
    chance = world()
    groups = [failures(chance, 40, 0.1) for _ in range(4000)]
    found = measured(*(Tally(5.0 * mine, 200.0) for mine in groups)).effect
    assert 5 <= found <= 15, "never less than they are, and not absurdly more"


def test_groups_that_last_longer_than_a_block_show_in_wider_ones() -> None:
    chance = world()
    blocks = [block for _ in range(200) for block in [draw(chance, 1, 0.1)] * 16]
    assert measured(*blocks).effect >= 14


def test_independent_requests_lose_little() -> None:
    chance = world()
    assert 1 <= measured(*(draw(chance, 100, 0.1) for _ in range(2048))).effect < 5


def test_where_all_are_of_one_kind_a_block_counts_as_one() -> None:
    assert measured(*[Tally(0.0, 50.0)] * MIN_BLOCKS).effect == 50
    assert measured(*[Tally(50.0, 50.0)] * MIN_BLOCKS).effect == 50


def test_few_blocks_and_empty_ones_say_nothing() -> None:
    assert measured(*[Tally(0.0, 50.0)] * (MIN_BLOCKS - 1)).effect == 1
    assert measured(*[Tally()] * 100).blocks == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=70), st.integers(0, 70))
def test_written_down_it_goes_on_as_it_was(counts: list[tuple[int, int]], cut: int) -> None:
    blocks = [Tally(float(a), float(a + b)) for a, b in counts]
    whole = measured(*blocks)
    again = Scatter.restored(json.loads(json.dumps(measured(*blocks[:cut]).state())))
    for block in blocks[cut:]:
        again.add(block)
    assert (again.effect, again.blocks) == (whole.effect, whole.blocks)
    assert whole.effect >= 1

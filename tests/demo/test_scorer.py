"""The scorer's pieces: words, stems, fields, word statistics, ties."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.demo.agent.catalogue import Tool
from dev.demo.agent.document import Configuration
from dev.demo.agent.scorer import Index, field_texts, light_stem, prefix_stem, terms, tokens

PLAIN = Configuration(weights={"name": 1.0})
BY_DESCRIPTION = Configuration(weights={"description": 1.0})
NO_PARAMETERS: Mapping[str, Any] = {"type": "dict", "properties": {}}


def described(*descriptions: str) -> list[Tool]:
    return [Tool(f"tool{n}", text, NO_PARAMETERS) for n, text in enumerate(descriptions)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("findEvents", ["find", "event"]),
        ("HTTPServer", ["http", "server"]),
        ("Events_3_BuyEventTickets", ["event", "3", "buy", "event", "ticket"]),
        ("requests.get?", ["request", "get"]),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert tokens(text, PLAIN) == expected


def test_stop_words_are_dropped_before_stemming() -> None:
    configuration = Configuration(weights={}, stop_words=frozenset({"does"}))

    assert tokens("Does it do", configuration) == ["it", "do"]


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("booking", "book"),
        ("cities", "citi"),  # "ies" would leave three letters, so "es" is cut
        ("dishes", "dish"),
        ("orders", "order"),
        ("ordered", "order"),
        ("sing", "sing"),
        ("used", "used"),
    ],
)
def test_light_stem(word: str, stem: str) -> None:
    assert light_stem(word) == stem


def test_prefix_stem() -> None:
    assert (prefix_stem("reservation"), prefix_stem("buy")) == ("reser", "buy")


@given(st.from_regex(r"[a-z]+", fullmatch=True))
def test_a_light_stem_is_a_beginning_of_its_word_and_keeps_more_than_three_letters(word: str) -> None:
    stem = light_stem(word)

    assert word.startswith(stem)
    assert stem == word or len(stem) > 3


def test_pairs_are_adjacent_words_and_only_there_when_weighed() -> None:
    weighed = Configuration(weights={}, pairs=0.2)

    assert terms("book a room", PLAIN) == ["book", "a", "room"]
    assert terms("book a room", weighed) == ["book", "a", "room", ("book", "a"), ("a", "room")]


def test_fields_are_walked_depth_first_through_objects_and_lists() -> None:
    schema = {
        "properties": {
            "order": {
                "description": "the order",
                "properties": {"size": {"description": "how large", "enum": ["small", 2]}},
            },
            "toppings": {
                "description": "what is on it",
                "items": {"description": "one topping", "properties": {"kind": {"enum": ["olive"]}}},
            },
        }
    }

    texts = field_texts(Tool("pizza", "Orders a pizza.", schema))

    assert texts["name"] == ["pizza"]
    assert texts["description"] == ["Orders a pizza."]
    assert texts["parameterNames"] == ["order", "size", "toppings", "kind"]
    assert [text for text in texts["parameterDescriptions"] if text] == [
        "the order",
        "how large",
        "what is on it",
        "one topping",
    ]
    assert texts["enumValues"] == ["small", "2", "olive"]


def test_a_score_worked_out_by_hand() -> None:
    index = Index(described("alpha beta", "alpha alpha gamma gamma"), BY_DESCRIPTION)

    # N = 2; alpha is in both tools, beta in one; lengths 2 and 4, mean 3.
    idf_alpha, idf_beta = math.log(1 + 0.5 / 2.5), math.log(1 + 1.5 / 1.5)
    short, long = 1.2 * (0.25 + 0.75 * 2 / 3), 1.2 * (0.25 + 0.75 * 4 / 3)
    first = (idf_alpha + idf_beta) * 2.2 / (1 + short)
    second = idf_alpha * 2 * 2.2 / (2 + long)
    assert index.scores("alpha beta", (0, 1)) == pytest.approx([first, second])


def test_field_weights_multiply_counts_and_length() -> None:
    tools = [Tool("alpha", "beta", NO_PARAMETERS), Tool("beta", "alpha", NO_PARAMETERS)]
    index = Index(tools, Configuration(weights={"name": 3.0, "description": 1.0}))

    named, described_ = index.scores("alpha", (0, 1))

    assert named / described_ == pytest.approx((3 / (3 + 1.2)) / (1 / (1 + 1.2)))


def test_a_pair_adds_its_weight_and_no_length() -> None:
    tools = described("book room", "room book")
    plain = Index(tools, BY_DESCRIPTION).scores("book room", (0, 1))
    paired = Index(tools, Configuration(weights={"description": 1.0}, pairs=0.2)).scores("book room", (0, 1))

    assert plain[0] == plain[1] == pytest.approx(paired[1])
    assert paired[0] - plain[0] == pytest.approx(0.2 * math.log(2))


def test_no_pair_spans_two_texts_of_a_field() -> None:
    schema = {"properties": {"a": {"description": "book"}, "b": {"description": "room"}}}
    configuration = Configuration(weights={"parameterDescriptions": 1.0}, pairs=1.0)
    apart = Index([Tool("t", "", schema)], configuration)
    plain = Index([Tool("t", "", schema)], Configuration(weights={"parameterDescriptions": 1.0}))

    assert apart.scores("book room", (0,)) == pytest.approx(plain.scores("book room", (0,)))


def test_repeating_a_word_in_the_question_changes_nothing() -> None:
    index = Index(described("alpha", "beta"), BY_DESCRIPTION)

    assert index.scores("alpha alpha", (0, 1)) == index.scores("alpha", (0, 1))


def test_of_equal_scores_the_first_offered_tool_wins() -> None:
    index = Index(described("alpha", "alpha", "beta"), BY_DESCRIPTION)

    assert index.choose("alpha", (1, 0, 2)).position == 0
    assert index.choose("nothing shared", (2, 1, 0)).position == 0
    assert index.choose("nothing shared", (2, 1, 0)).score == 0


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5), st.text(max_size=30))
def test_any_text_has_a_score_that_is_not_negative(descriptions: list[str], question: str) -> None:
    index = Index(
        described(*descriptions), Configuration(weights={"name": 1.0, "description": 2.0}, pairs=0.5)
    )

    assert min(index.scores(question, range(len(descriptions)))) >= 0

"""The format of stories, and what a version does at a moment."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from interlock.errors import SpecError
from interlock.simulation.conduct import Life, demand
from interlock.simulation.story import Duration, Story
from tests.simulation.rollouts import story


def life(*parts: dict[str, Any]) -> Life:
    return Life(story(agents={"candidate": list(parts)}).agents["candidate"])


def test_what_is_not_named_stays_as_it_was() -> None:
    found = life({"success": 0.8, "cost": 0.1}, {"after": "1m", "violation": 0.2})
    assert (found.at(59).success, found.at(59).violation) == (0.8, 0.0)
    assert (found.at(60).success, found.at(60).violation, found.at(60).cost) == (0.8, 0.2, 0.1)


def test_a_number_drifts_evenly_to_what_is_named() -> None:
    found = life({"success": 0.8}, {"after": 100, "over": 100, "success": 0.6})
    assert [found.at(t).success for t in (99, 100, 150, 200, 900)] == pytest.approx([0.8, 0.8, 0.7, 0.6, 0.6])


def test_a_drift_is_cut_short_by_the_next_part() -> None:
    found = life({"success": 0.8}, {"after": 0, "over": 100, "success": 0.6}, {"after": 50, "success": 0.9})
    assert [found.at(t).success for t in (25, 49.9, 50)] == pytest.approx([0.75, 0.7, 0.9], abs=1e-3)


def test_recorded_outcomes_end_where_chances_are_named_again() -> None:
    found = life({"recorded": [{"tasks": 3}]}, {"after": 10, "success": 0.5})
    assert found.at(9).recorded is not None
    assert found.at(10).recorded is None


def test_demand_may_change() -> None:
    line = demand(story(rate=[{"perSecond": 4}, {"after": "10m", "over": "10m", "perSecond": 8}]).rate)
    assert [line.at(t) for t in (0, 600, 900, 1200)] == pytest.approx([4, 4, 6, 8])


def test_durations_have_the_quantiles_that_are_named() -> None:
    found = Duration.model_validate({"median": "20s", "p95": "90s"})
    assert (found.within(20), found.within(90)) == pytest.approx((0.5, 0.95))


@pytest.mark.parametrize(
    ("content", "field", "words"),
    [
        ({"rates": 4}, "rates", "Extra inputs"),
        ({"rate": -1}, "rate.0.perSecond", "greater than or equal to 0"),
        ({"rate": []}, "rate", "at least 1 item"),
        ({"rate": True}, "rate", "valid tuple"),
        ({"rate": float("inf")}, "rate.0.perSecond", "finite number"),
        ({"tick": 0}, "tick", "greater than"),
        ({"tick": 1e-6}, "tick", "greater than or equal to 0.1"),
        ({"scrapeInterval": 0.001}, "scrapeInterval", "greater than or equal to 0.1"),
        ({"lasts": float("inf")}, "lasts", "finite number"),
        ({"lasts": "400d"}, "lasts", "less than or equal to 7776000"),
        ({"agents": {"v2": {"cost": float("inf")}}}, "agents.v2.0.cost", "finite number"),
        (
            {"agents": {"v2": {"means": {"cost-per-task": float("inf")}}}},
            "agents.v2.0.means.cost-per-task",
            "finite",
        ),
        ({"lasts": "soon"}, "lasts", "must be a number of seconds or like `90s`"),
        ({"agents": {"v2": {"success": 1.2}}}, "agents.v2.0.success", "less than or equal to 1"),
        ({"agents": {"v2": [{}, {"sucess": 1}]}}, "agents.v2.1.sucess", "Extra inputs"),
        ({"agents": {"v2": [{"after": 9}, {"after": 1}]}}, "", "the parts of `v2` in order of time"),
        ({"agents": {"v2": {"recorded": [{"tasks": 1}], "success": 1}}}, "agents.v2.0", "not both"),
        ({"agents": {"v2": {"duration": {"median": 9, "p95": 9}}}}, "agents.v2.0.duration", "above its"),
        ({"values": {"a": []}}, "values.a", "at least 1 item"),
        ({"values": {"a": [{}]}}, "values.a.0.number", "Field required"),
        ({"values": {"a": {"number": float("nan")}}}, "values.a.0.number", "finite number"),
        (
            {"values": {"a": [{"number": 1, "after": 9}, {"number": 1}]}},
            "",
            "the parts of `a` in order of time",
        ),
        ({"gaps": [{"after": 1, "lasts": 0}]}, "gaps.0.lasts", "greater than 0"),
        ({"gaps": [{"after": 1, "lasts": 1, "of": "Nothing"}]}, "gaps.0.of", "'Scrapes' or 'Prometheus'"),
    ],
)
def test_what_is_wrong_is_named(content: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Story.model_validate({"rate": 4} | content)
    (found,) = refused.value.errors()
    assert ".".join(map(str, found["loc"])) == field
    assert words in found["msg"]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"rates": {"nonsense": 0.1}}, "must name metrics that are shares in `rates`, not nonsense"),
        ({"means": {"near-miss-rate": 1}}, "must name metrics that are means in `means`, not near-miss-rate"),
    ],
)
def test_a_metric_that_is_none_of_the_kind_is_named(part: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        life(part)

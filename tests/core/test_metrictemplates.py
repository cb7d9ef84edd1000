"""What templates define, which of them cannot be used and why, and what of them starts evidence afresh."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from interlock.analysis.gates import Compare, Gate, Mean, Tail
from interlock.analysis.metrics import Average, Counter, EventCount, Histogram, Matcher, Proportion
from interlock.core.metrictemplates import (
    Definition,
    NameIsBuiltIn,
    definition_of,
    metric_named,
    template_status,
)
from interlock.core.plans import gate_hash, plan_gate, plan_problem
from interlock.errors import SpecError
from interlock.model.metrictemplate import MetricTemplate
from tests.core.seen import NOW, parsed

ERRORS: dict[str, Any] = {
    "proportion": {"bad": {"metric": "checkout_errors_total"}, "total": {"metric": "checkouts_total"}}
}
TOKENS: dict[str, Any] = {"mean": {"sum": {"metric": "tokens_sum"}, "count": {"metric": "tokens_count"}}}
QUEUE: dict[str, Any] = {"tail": {"histogram": {"metric": "queue_seconds"}}}
LEAKS: dict[str, Any] = {"events": {"counter": {"metric": "leaks_total"}}}
GATE = {"name": "errors", "metric": "checkout-errors", "limit": {"maxPercent": "5"}}


def template(spec: dict[str, Any], name: str = "checkout-errors") -> MetricTemplate:
    manifest = {"metadata": {"name": name, "uid": "u", "generation": 3}, "spec": spec}
    return MetricTemplate.read(manifest)


def rules(spec: dict[str, Any]) -> str:
    return definition_of(template(spec)).rules


# ------------------------------------------------------------------ what is measured
def test_a_share_of_bad_ones() -> None:
    found = definition_of(template(ERRORS)).metric
    assert isinstance(found, Proportion)
    assert (found.part, found.total) == (Counter("checkout_errors_total"), Counter("checkouts_total"))
    assert not found.higher_is_better
    assert (found.harm, found.whole) == ("does badly by checkout-errors", "outcomes")


def test_a_share_of_good_ones() -> None:
    spec = {
        "proportion": {
            "good": {"metric": "answers_total", "matchLabels": {"rated": "yes"}},
            "total": {"metric": "answers_total"},
            "harm": "displeases",
            "outcomes": "answers",
        }
    }
    found = definition_of(template(spec)).metric
    assert isinstance(found, Proportion)
    assert found.higher_is_better
    assert found.part == Counter.of("answers_total", rated="yes")
    assert (found.harm, found.whole) == ("displeases", "answers")


def test_a_mean() -> None:
    spec = {"mean": {**TOKENS["mean"], "quantity": "tokens per answer", "unit": "tokens"}}
    found = definition_of(template(spec)).metric
    assert isinstance(found, Average)
    assert (found.sum, found.count, found.unit) == (Counter("tokens_sum"), Counter("tokens_count"), "tokens")
    assert found.harm.format("over 10 % ") == "has over 10 % more tokens per answer"
    assert Gate("tokens", found, Mean(0.1)).families == {"tokens_sum", "tokens_count"}


def test_a_tail_is_read_from_the_buckets() -> None:
    spec = {"tail": {"histogram": QUEUE["tail"]["histogram"], "quantity": "s in the queue"}}
    found = definition_of(template(spec)).metric
    assert isinstance(found, Histogram)
    assert found.families == {"queue_seconds_bucket"}
    assert found.beyond(30.0).harm == "has over 30 s in the queue"
    assert Gate("queue", found, Tail(30.0)).metric is found


def test_events_need_tasks_beside_them() -> None:
    found = definition_of(template(LEAKS)).metric
    assert isinstance(found, EventCount)
    assert found.families == {"leaks_total", "ai_agent_tasks_total"}
    assert found.noun == "event of checkout-errors"


@pytest.mark.parametrize(
    ("expression", "matcher"),
    [
        ({"operator": "In", "values": ["a", "b"]}, Matcher("code", ("a", "b"))),
        ({"operator": "NotIn", "values": ["a"]}, Matcher("code", ("a",), negated=True)),
        ({"operator": "Exists"}, Matcher("code", ("",), negated=True)),
        ({"operator": "DoesNotExist"}, Matcher("code", ("",))),
    ],
)
def test_labels_are_asked_for_in_four_ways(expression: dict[str, Any], matcher: Matcher) -> None:
    bad = {"metric": "m_total", "matchExpressions": [{"key": "code", **expression}]}
    found = definition_of(template({"proportion": {"bad": bad, "total": {"metric": "n_total"}}})).metric
    assert isinstance(found, Proportion)
    assert found.part.where == (matcher,)


@pytest.mark.parametrize(
    ("matcher", "fits", "does_not"),
    [
        (Matcher("code", ("a", "b")), {"code": "b"}, {"code": "c"}),
        (Matcher("code", ("a",), negated=True), {}, {"code": "a"}),
        (Matcher("code", ("",), negated=True), {"code": "a"}, {"other": "a"}),
        (Matcher("code", ("",)), {"code": ""}, {"code": "a"}),
    ],
)
def test_an_absent_label_is_an_empty_one(
    matcher: Matcher, fits: dict[str, str], does_not: dict[str, str]
) -> None:
    assert matcher.matches(fits)
    assert not matcher.matches(does_not)


# ------------------------------------------------------------------ names
def test_a_built_in_is_overridden_only_on_purpose() -> None:
    taken = template(ERRORS, "policy-violation-rate")
    with pytest.raises(NameIsBuiltIn, match=r"set `spec\.overrides` to BuiltIn"):
        definition_of(taken)
    meant = definition_of(template({**ERRORS, "overrides": "BuiltIn"}, "policy-violation-rate"))
    assert metric_named("policy-violation-rate", {"policy-violation-rate": meant}) is meant.metric


def test_what_overrides_nothing_is_told() -> None:
    with pytest.raises(SpecError, match=r"`spec.overrides` must not be set, as no built-in metric is called"):
        definition_of(template({**ERRORS, "overrides": "BuiltIn"}))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "must have exactly one of `proportion`, `mean`, `tail`, `events`"),
        ({**ERRORS, **LEAKS}, "must have exactly one of"),
        ({"proportion": {"total": {"metric": "a"}}}, "must have exactly one of `bad`, `good`"),
        (
            {"proportion": {**ERRORS["proportion"], "good": {"metric": "a"}}},
            "must have exactly one of `bad`, `good`",
        ),
    ],
)
def test_what_the_api_server_would_refuse_is_refused_again(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        definition_of(template(spec))


def test_a_metric_that_there_is_not_names_all_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"'x' must be one of cost-per-task, .*, or the name of a MetricTemplate$"
    ):
        metric_named("x", {})


# ------------------------------------------------------------------ gates that use them
def test_a_gate_measures_what_the_template_says() -> None:
    known = {"checkout-errors": definition_of(template(ERRORS))}
    found = parsed("v2", analysis={"gates": [GATE]})
    assert plan_problem(found, known) == ""
    assert plan_gate(found.spec.analysis.gates[0], known=known).families == {
        "checkout_errors_total",
        "checkouts_total",
    }


def test_a_template_that_cannot_be_used_is_told_by_the_gates_field() -> None:
    words = "MetricTemplate checkout-errors cannot be used: `spec.proportion` must have exactly one of them"
    known = {"checkout-errors": words}
    problem = plan_problem(parsed("v2", analysis={"gates": [GATE]}), known)
    assert problem == f"spec.analysis.gates[0] (errors): metric: {words}"


def test_a_kind_that_does_not_fit_the_test_is_told() -> None:
    known = {"checkout-errors": definition_of(template(TOKENS))}
    problem = plan_problem(parsed("v2", analysis={"gates": [GATE]}), known)
    assert "limit must not be used with the metric checkout-errors" in problem


def test_words_do_not_tell_two_metrics_apart() -> None:
    """What runs must not be taken up anew because of them."""
    reworded = {"proportion": {**ERRORS["proportion"], "harm": "fails", "outcomes": "carts"}}
    first, second = definition_of(template(ERRORS)), definition_of(template(reworded))
    assert (first, repr(first)) == (second, repr(second))
    assert Gate("g", first.metric, Compare(0.0)) == Gate("g", second.metric, Compare(0.0))


@pytest.mark.parametrize(
    "other",
    [
        {"proportion": {**ERRORS["proportion"], "total": {"metric": "carts_total"}}},
        {"proportion": {"good": {"metric": "checkout_errors_total"}, "total": {"metric": "checkouts_total"}}},
        {
            "proportion": {
                **ERRORS["proportion"],
                "bad": {"metric": "checkout_errors_total", "matchLabels": {"a": "b"}},
            }
        },
        TOKENS,
        QUEUE,
        LEAKS,
    ],
)
def test_other_rules_start_evidence_afresh(other: dict[str, Any]) -> None:
    found = parsed("v2", analysis={"gates": [GATE]})
    gate = found.spec.analysis.gates[0]
    hashes = {
        gate_hash(found, gate, {"checkout-errors": definition_of(template(spec))}) for spec in (ERRORS, other)
    }
    assert len(hashes) == 2


def test_a_built_in_metric_has_the_rules_of_this_version() -> None:
    found = parsed("v2", analysis={"gates": [GATE | {"metric": "failure-rate"}]})
    gate = found.spec.analysis.gates[0]
    assert gate_hash(found, gate, {}) == gate_hash(found, gate)
    overridden = {"failure-rate": definition_of(template({**ERRORS, "overrides": "BuiltIn"}, "failure-rate"))}
    assert gate_hash(found, gate, overridden) != gate_hash(found, gate)


# ------------------------------------------------------------------ status
def test_one_that_can_be_used_is_ready() -> None:
    found = template(ERRORS)
    (ready,) = template_status(found, definition_of(found), NOW).conditions
    assert (ready.type, ready.status, ready.reason, ready.observed_generation) == (
        "Ready",
        "True",
        "Valid",
        3,
    )


def test_one_that_cannot_is_stalled_and_says_so_once() -> None:
    found = template(ERRORS, "failure-rate")
    outcome: Definition | SpecError
    try:
        outcome = definition_of(found)
    except SpecError as error:
        outcome = error
    first = template_status(found, outcome, NOW)
    assert [(c.type, c.status, c.reason) for c in first.conditions] == [
        ("Ready", "False", "NameIsBuiltIn"),
        ("Stalled", "True", "NameIsBuiltIn"),
    ]
    held = found.model_copy(update={"status": first})
    assert template_status(held, outcome, NOW + timedelta(hours=1)) == first

"""MetricTemplates on a real API server: what it refuses, and who may write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlock.core.metrictemplates import definition_of
from interlock.model.metrictemplate import MetricTemplate
from tests.delivery.api import Api
from tests.delivery.objects import at
from tests.delivery.test_admission import STATUS, eventually, with_role

PRESETS = Path(__file__).parents[2] / "manifests" / "metrics"
SHARE: dict[str, Any] = {
    "bad": {"metric": "checkout_errors_total", "matchLabels": {"step": "pay"}},
    "total": {"metric": "checkouts_total"},
}
KINDS: list[dict[str, Any]] = [
    {"proportion": SHARE},
    {"proportion": {"good": SHARE["bad"], "total": SHARE["total"], "harm": "fails", "outcomes": "carts"}},
    {"mean": {"sum": {"metric": "a_sum"}, "count": {"metric": "a_count"}, "quantity": "x", "unit": "USD"}},
    {"tail": {"histogram": {"metric": "queue_seconds"}, "quantity": "s in the queue"}},
    {"events": {"counter": {"metric": "leaks_total"}, "event": "leak"}},
    {"value": {"promQL": 'sum(backlog{agent="{{agent}}"})', "unit": "requests"}},
]
EXISTS = {"key": "code", "operator": "Exists"}


def template(spec: dict[str, Any] | None = None, name: str = "checkout-errors") -> dict[str, Any]:
    return {
        "apiVersion": "interlock.dev/v1alpha1",
        "kind": "MetricTemplate",
        "metadata": {"name": name},
        "spec": spec or {"proportion": SHARE},
    }


@pytest.mark.parametrize("spec", KINDS)
def test_each_kind_is_taken_and_read(anywhere: Api, spec: dict[str, Any]) -> None:
    answer = anywhere.create(template(spec), dry_run=True)
    assert answer.ok, answer.message
    assert answer.body["status"] == {"observedGeneration": -1}
    assert answer.body["spec"] == spec
    MetricTemplate.read(answer.body)


@pytest.mark.parametrize(
    ("path", "value", "field", "words"),
    [
        ("metadata.name", "a.b", "metadata.name", "lower-case letters, digits and `-`"),
        (
            "spec.proportion",
            ...,
            "spec",
            "must have exactly one of `proportion`, `mean`, `tail`, `events`, `value`",
        ),
        ("spec.events", KINDS[4]["events"], "spec", "must have exactly one of"),
        ("spec.value", {"promQL": ""}, "spec.value.promQL", "at least 1 chars long"),
        ("spec.value", {"promQL": "x" * 4097}, "spec.value.promQL", "Too long"),
        ("spec.overrides", "Anything", "spec.overrides", '"BuiltIn"'),
        ("spec.proportion.good", SHARE["bad"], "spec.proportion", "must have exactly one of `bad`, `good`"),
        ("spec.proportion.bad", ..., "spec.proportion", "must have exactly one of `bad`, `good`"),
        ("spec.proportion.total", ..., "spec.proportion.total", "Required value"),
        ("spec.proportion.total.metric", "a b", "spec.proportion.total.metric", "must be a metric name"),
        ("spec.proportion.total.metric", 'a"}', "spec.proportion.total.metric", "must be a metric name"),
        ("spec.proportion.harm", "a {} b", "spec.proportion.harm", "without braces and line breaks"),
        ("spec.proportion.harm", "a\nb", "spec.proportion.harm", "without braces and line breaks"),
        (
            "spec.proportion.bad.matchLabels",
            {"version": "v1"},
            "matchLabels",
            "and not `__name__`, `namespace`",
        ),
        ("spec.proportion.bad.matchLabels", {"a-b": "c"}, "matchLabels", "must have as keys label names"),
        ("spec.proportion.bad.matchExpressions", [EXISTS | {"key": "pod"}], "key", "must not be `__name__`"),
        (
            "spec.proportion.bad.matchExpressions",
            [EXISTS | {"values": ["a"]}],
            "matchExpressions[0]",
            "must have `values` with the operators In and NotIn",
        ),
        (
            "spec.proportion.bad.matchExpressions",
            [EXISTS | {"operator": "In"}],
            "matchExpressions[0]",
            "must have `values` with the operators In and NotIn",
        ),
    ],
)
def test_a_bad_one_is_refused(anywhere: Api, path: str, value: Any, field: str, words: str) -> None:
    answer = anywhere.create(at(template(), path, value), dry_run=True)
    assert not answer.ok
    told = json.dumps(answer.body, ensure_ascii=False)
    assert field in told
    assert words in answer.message


def test_a_histogram_is_called_without_its_suffix(anywhere: Api) -> None:
    spec = {"tail": {"histogram": {"metric": "queue_seconds_bucket"}}}
    answer = anywhere.create(template(spec), dry_run=True)
    assert (answer.ok, "without `_bucket`, which is added" in answer.message) == (False, True)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_those_for_what_others_emit_are_taken(anywhere: Api, path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        answer = anywhere.create(manifest, dry_run=True)
        assert answer.ok, answer.message
        assert answer.body["spec"] == manifest["spec"]
        definition_of(MetricTemplate.read(answer.body))


def test_its_columns(anywhere: Api) -> None:
    assert anywhere.table("MetricTemplate") == ["NAME", "READY", "OVERRIDES", "AGE", "+MESSAGE"]


@pytest.mark.parametrize("role", ["admin", "edit", "interlock-edit", "interlock-version-author"])
def test_no_role_of_a_namespace_writes_them(api: Api, role: str) -> None:
    user = with_role(api, f"{role}-user", role)
    assert eventually(lambda: user.may("create", "interlock.dev", "agentversions"))
    answer = user.create(template(name="by-a-user"), dry_run=True)
    assert (answer.code, "cannot create resource" in answer.message) == (403, True)


def test_their_status_is_the_operators(api: Api) -> None:
    named = template(name=api.namespace)
    assert api.create(named).ok
    try:
        operator = api.as_operator()
        assert eventually(lambda: operator.may("patch", "interlock.dev", "metrictemplates/status"))
        refused = api.merge("MetricTemplate", api.namespace, STATUS, sub="status")
        assert "`metrictemplates/status` must be written by Interlock's operator only" in refused.message
        assert operator.merge("MetricTemplate", api.namespace, STATUS, sub="status").ok
        assert operator.merge("MetricTemplate", api.namespace, {"spec": {"description": "x"}}).code == 403
    finally:
        assert api.delete("MetricTemplate", api.namespace).ok

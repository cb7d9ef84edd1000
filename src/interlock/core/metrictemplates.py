"""From MetricTemplates to what gates measure, and what is wrong with those that cannot be used. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from interlock.analysis.metrics import (
    Average,
    Counter,
    EventCount,
    Histogram,
    Matcher,
    Metric,
    Proportion,
    Query,
)
from interlock.analysis.presets import BUILT_IN, TASKS
from interlock.core import promql
from interlock.core.fingerprint import fingerprint
from interlock.core.readiness import readiness
from interlock.errors import SpecError
from interlock.model.metrictemplate import (
    EventsMetric,
    LabelExpression,
    MeanMetric,
    MetricTemplate,
    MetricTemplateSpec,
    MetricTemplateStatus,
    ProportionMetric,
    SeriesSelector,
    TailMetric,
    ValueMetric,
)
from interlock.reasons import TemplateReason

_WORDS: dict[str, Any] = {
    "description": True,
    "overrides": True,
    "proportion": {"harm": True, "outcomes": True},
    "mean": {"quantity": True, "unit": True},
    "tail": {"quantity": True},
    "events": {"event": True},
    "value": {"unit": True},
}
"""What people are told: to reword it changes nothing that is measured."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric as a template defines it. `rules` (16 hex) names what is measured, whatever the words."""

    metric: Metric
    rules: str


Known = Mapping[str, Definition | str]
"""What templates say about metrics, by name: how they are read, or why a template cannot be used."""


class NameIsBuiltIn(SpecError):
    """The template has the name of a built-in metric and does not say that it means to override it."""


def metric_named(name: str, known: Known) -> Metric:
    """The metric of that name; ValueError, in a sentence, where there is none that can be used."""
    found = known.get(name) or BUILT_IN.get(name)
    if isinstance(found, str):
        raise ValueError(f"metric: {found}")
    if found is None:
        names = ", ".join(sorted(BUILT_IN))
        raise ValueError(f"metric {name!r} must be one of {names}, or the name of a MetricTemplate")
    return found.metric if isinstance(found, Definition) else found


def rules_of(name: str, known: Known) -> str:
    """What names the rules of a template's metric; empty for a built-in one: those are this version's."""
    found = known.get(name)
    return found.rules if isinstance(found, Definition) else ""


def definition_of(template: MetricTemplate) -> Definition:
    """What a template defines. Raises SpecError, in a sentence that names the field and the remedy."""
    name, spec = template.metadata.name, template.spec
    if name in BUILT_IN and spec.overrides is None:
        raise NameIsBuiltIn(
            f"{name} is a built-in metric: set `spec.overrides` to BuiltIn to take its place, or give the "
            "template another `metadata.name`"
        )
    if name not in BUILT_IN and spec.overrides is not None:
        raise SpecError(
            f"`spec.overrides` must not be set, as no built-in metric is called {name}: remove it or correct "
            "`metadata.name`"
        )
    return Definition(_metric(name, spec), _rules(spec))


def template_status(
    template: MetricTemplate, outcome: Definition | SpecError, now: datetime
) -> MetricTemplateStatus:
    """What to write to `status`; equal to what it holds when nothing changed."""
    match outcome:
        case Definition():
            reason, said = TemplateReason.VALID, "gates can use it"
        case NameIsBuiltIn():
            reason, said = TemplateReason.NAME_IS_BUILT_IN, str(outcome)
        case _:
            reason, said = TemplateReason.INVALID_SPEC, str(outcome)
    generation, before = template.metadata.generation, template.status.conditions
    good = isinstance(outcome, Definition)
    return MetricTemplateStatus(
        observed_generation=generation,
        conditions=readiness((good, reason, said), generation, before, now),
    )


# ------------------------------------------------------------------ what is measured
def _metric(name: str, spec: MetricTemplateSpec) -> Metric:
    found = [
        one for one in (spec.proportion, spec.mean, spec.tail, spec.events, spec.value) if one is not None
    ]
    if len(found) != 1:
        raise SpecError("`spec` must have exactly one of `proportion`, `mean`, `tail`, `events`, `value`")
    match found[0]:
        case ProportionMetric() as share:
            return _proportion(name, share)
        case MeanMetric() as mean:
            harm = f"has {{}}more {mean.quantity or name}"
            return Average(name, _counter(mean.sum), _counter(mean.count), harm, mean.unit or "")
        case TailMetric() as tail:
            return Histogram(
                name, _counter(tail.histogram, "_bucket"), f"has over {{}} {tail.quantity or f'of {name}'}"
            )
        case EventsMetric() as events:
            noun = events.event or f"event of {name}"
            return EventCount(name, _counter(events.counter), noun, ran=Counter(TASKS))
        case ValueMetric() as value:
            promql.check(value.prom_ql, "spec.value.promQL")
            return Query(name, value.prom_ql, value.unit or "")


def _proportion(name: str, share: ProportionMetric) -> Proportion:
    part = share.good or share.bad
    if part is None or (share.good and share.bad):
        raise SpecError("`spec.proportion` must have exactly one of `bad`, `good`")
    return Proportion(
        name,
        _counter(part),
        _counter(share.total),
        higher_is_better=share.good is not None,
        harm=share.harm or f"does badly by {name}",
        whole=share.outcomes or "outcomes",
    )


def _counter(selector: SeriesSelector, suffix: str = "") -> Counter:
    equal = [Matcher(label, (value,)) for label, value in sorted((selector.match_labels or {}).items())]
    return Counter(selector.metric + suffix, (*equal, *(_matcher(one) for one in selector.match_expressions)))


def _matcher(expression: LabelExpression) -> Matcher:
    match expression.operator:
        case "In" | "NotIn":
            return Matcher(expression.key, expression.values or (), negated=expression.operator == "NotIn")
        case "Exists" | "DoesNotExist":  # to Prometheus an empty label is an absent one
            return Matcher(expression.key, ("",), negated=expression.operator == "Exists")


def _rules(spec: MetricTemplateSpec) -> str:
    """Without words and defaults: a newer operator with a further field must not start evidence afresh."""
    measured = spec.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude_defaults=True, exclude=_WORDS
    )
    return fingerprint(measured)

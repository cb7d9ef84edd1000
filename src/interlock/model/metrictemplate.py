"""MetricTemplate: how a KPI is read from Prometheus. Cluster-scoped: admins write it, Rollouts name it.

Never asks for the labels that tell namespaces, agents, versions and modes apart: the operator adds those.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from interlock.model.base import API_VERSION, ATOMIC, ApiModel, DnsLabel, Time, keyed, must, rules
from interlock.model.conditions import Condition

OWN_LABELS = ("__name__", "namespace", "agent", "version", "mode", "pod", "le")
"""Labels that no matcher may ask for: the operator reads them itself."""
_OWN = ", ".join(f"'{name}'" for name in OWN_LABELS)
_OWN_WORDS = ", ".join(f"`{name}`" for name in OWN_LABELS)
_LABEL_NAME = "^[a-zA-Z_][a-zA-Z0-9_]*$"
_LABEL_WORDS = "consist of letters, digits and `_`, and not begin with a digit"

MetricName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
        json_schema_extra=must("be a metric name: letters, digits, `_` and `:`, not beginning with a digit"),
    ),
]
LabelValue = Annotated[str, Field(max_length=256)]
Words = Annotated[
    str,
    Field(
        min_length=1,
        max_length=80,
        pattern=r"^[^{}\x00-\x1f\x7f]+$",
        json_schema_extra=must("be words without braces and line breaks"),
    ),
]


def _are_label_names(labels: dict[str, str]) -> dict[str, str]:
    for name in labels:
        if not re.fullmatch(_LABEL_NAME, name) or name in OWN_LABELS:
            raise ValueError(f"must have as keys label names of Prometheus, and not {_OWN_WORDS}")
    return labels


class LabelExpression(ApiModel):
    """A label whose value is one of `values`, or none of them; or which is there, or not."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.operator in ['In', 'NotIn']) == has(self.values)",
                "must have `values` with the operators In and NotIn, and none with Exists and DoesNotExist",
            )
        )
    )

    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            pattern=_LABEL_NAME,
            json_schema_extra=must(_LABEL_WORDS)
            | rules((f"!(self in [{_OWN}])", f"must not be {_OWN_WORDS}: the operator reads those itself")),
        ),
    ]
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: (
        Annotated[tuple[LabelValue, ...], Field(min_length=1, max_length=32, json_schema_extra=ATOMIC)] | None
    ) = None


class SeriesSelector(ApiModel):
    """All series of one metric with these labels; namespace, agent, version and mode are added to it."""

    metric: MetricName
    """Name of the metric as Prometheus has it, like `http_requests_total`."""
    match_labels: (
        Annotated[
            dict[str, LabelValue],
            Field(
                min_length=1,
                max_length=8,
                json_schema_extra=rules(
                    (
                        f"self.all(name, name.matches('{_LABEL_NAME}') && !(name in [{_OWN}]))",
                        f"must have as keys label names of Prometheus, and not {_OWN_WORDS}",
                    )
                ),
            ),
            AfterValidator(_are_label_names),
        ]
        | None
    ) = None
    """Labels and the values that they must have."""
    match_expressions: Annotated[
        tuple[LabelExpression, ...], Field(max_length=8, json_schema_extra=ATOMIC)
    ] = ()
    """Further conditions on labels; all must hold. An absent label has the value ""."""


class ProportionMetric(ApiModel):
    """A share of all outcomes, from two counters: those that are bad, or good, and all."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.bad) != has(self.good)", "must have exactly one of `bad`, `good`"),
        )
    )

    bad: SeriesSelector | None = None
    """Counts what should be rare: lower is better, and no more of it than of `total` is counted."""
    good: SeriesSelector | None = None
    """Counts what should be common: higher is better."""
    total: SeriesSelector
    """Counts all outcomes."""
    harm: Words | None = None
    """Completes "the candidate …" in verdicts, like `fails checkout`."""
    outcomes: Words | None = None
    """What `total` counts, like `checkouts`; `outcomes` when absent."""


class MeanMetric(ApiModel):
    """A mean, from two counters: a sum and how many outcomes it is of; lower is better."""

    sum: SeriesSelector
    count: SeriesSelector
    quantity: Words | None = None
    """What the mean is of, like `tokens per answer`: verdicts say "the candidate has … more …"."""
    unit: Words | None = None
    """Stands behind a mean, like `USD`."""


class TailMetric(ApiModel):
    """The share of outcomes beyond a bound that the gate sets, from a classic histogram; lower is better."""

    histogram: Annotated[
        SeriesSelector,
        Field(
            json_schema_extra=rules(
                (
                    "!self.metric.endsWith('_bucket')",
                    "must have as `metric` the histogram's name without `_bucket`, which is added",
                )
            )
        ),
    ]
    quantity: Words | None = None
    """What the bound is a number of, like `s in the queue`: "the candidate has over 30 … more often"."""


class EventsMetric(ApiModel):
    """Single events that matter, from a counter; a rollout that has no tasks has no data either."""

    counter: SeriesSelector
    event: Words | None = None
    """One of them, like `leaked secret`."""


class ValueMetric(ApiModel):
    """A number that Prometheus computes; gates of the kind `value` judge it as it is."""

    prom_ql: Annotated[str, Field(alias="promQL", min_length=1, max_length=4096)]
    """An expression with one number as its result: a scalar, or a vector of one element. In quoted texts
    `{{namespace}}`, `{{agent}}`, and the `version` and `workload` of `{{candidate.version}}` and of `stable`
    stand for those of the rollout; a workload's pods are `pod=~"{{candidate.workload}}-.*"`."""
    unit: Words | None = None
    """Stands behind the number, like `requests`."""


_KINDS = ("proportion", "mean", "tail", "events", "value")
_ONE_OF = ", ".join(f"`{kind}`" for kind in _KINDS)


class MetricTemplateSpec(ApiModel):
    """Exactly one of `proportion`, `mean`, `tail`, `events`, `value`."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"[{', '.join(f'has(self.{kind})' for kind in _KINDS)}].filter(k, k).size() == 1",
                f"must have exactly one of {_ONE_OF}",
            )
        )
    )

    overrides: Literal["BuiltIn"] | None = None
    """Said where the name is that of a built-in metric: the template takes its place in the whole cluster.
    Without it a template of that name is refused, and so is every Rollout that uses the name."""
    description: Annotated[str, Field(max_length=1024)] | None = None
    """What the metric tells, for whoever chooses it."""
    proportion: ProportionMetric | None = None
    mean: MeanMetric | None = None
    tail: TailMetric | None = None
    events: EventsMetric | None = None
    value: ValueMetric | None = None


class MetricTemplateStatus(ApiModel):
    """Whether gates can use it."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16, json_schema_extra=keyed("type"))] = ()


class MetricTemplateMeta(ApiModel):
    """The object metadata that Interlock reads."""

    name: DnsLabel
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None


class MetricTemplate(ApiModel):
    """How a KPI is read; its name is what gates call the metric."""

    KIND: ClassVar[str] = "MetricTemplate"

    api_version: str = API_VERSION
    kind: str = "MetricTemplate"
    metadata: MetricTemplateMeta
    spec: MetricTemplateSpec
    status: MetricTemplateStatus = MetricTemplateStatus()

    @classmethod
    def read(cls, manifest: dict[str, Any]) -> MetricTemplate:
        """Parse an object of the API server; raises pydantic.ValidationError."""
        return cls.model_validate(manifest)

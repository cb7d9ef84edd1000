"""Gate: one test that a candidate must stand; the kinds of tests there are."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from interlock.model.base import SET, ApiModel, DnsLabel, Percent, must, rules

ItemName = DnsLabel


class CompareGate(ApiModel):
    """Fails when the candidate is worse than stable by more than `worseByPoints` percentage points."""

    worse_by_points: Percent
    """Tolerated difference in percentage points, as a decimal string."""


class TailGate(ApiModel):
    """Fails when more of the candidate's tasks than of stable's take longer than `aboveSeconds`.

    Tolerated are `worseByPoints` percentage points.
    """

    above_seconds: Annotated[
        str,
        Field(
            max_length=12,
            pattern=r"^[0-9]{1,7}(\.[0-9]{1,4})?$",
            json_schema_extra=must('be a decimal string like "30" or "0.5" with at most four decimals')
            | rules(("self.matches('[1-9]')", "must be above 0")),
        ),
    ]
    """A bound of the histogram's buckets, which both versions must have, as a decimal string."""
    worse_by_points: Percent
    """Tolerated difference in percentage points, as a decimal string."""


class MeanGate(ApiModel):
    """Fails when the candidate's mean is above stable's by more than `worseByPercent` of it.

    It needs 20 looks at which both versions have finished tasks; the error bound holds asymptotically.
    """

    worse_by_percent: Percent
    """Tolerated difference in per cent of stable's mean, as a decimal string."""


class LimitGate(ApiModel):
    """Fails when the candidate's rate is above `maxPercent`."""

    max_percent: Percent
    """Highest tolerated rate, as a decimal string."""


class EventsGate(ApiModel):
    """Fails at the first event after `max`; a plain count, outside the error bound."""

    max: Annotated[int, Field(ge=0, le=1_000_000)] = 0


_Number = Annotated[
    str,
    Field(
        max_length=20,
        pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$",
        json_schema_extra=must('be a decimal string like "100" or "-0.5" with at most six decimals'),
    ),
]


class ValueGate(ApiModel):
    """Fails when a number stays above `max`, or below `min`, for two scrapes; outside the error bound."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.max) != has(self.min)", "must have exactly one of `max`, `min`"))
    )

    max: _Number | None = None
    """Highest number that is allowed, as a decimal string."""
    min: _Number | None = None
    """Lowest number that is allowed, as a decimal string."""


_LABEL_NAME = "^[a-zA-Z_][a-zA-Z0-9_]*$"
_LABEL_NAMES = (
    "must have as keys label names of Prometheus, which consist of letters, digits and `_` and do not begin "
    "with a digit"
)


def _are_label_names(labels: dict[str, str]) -> dict[str, str]:
    """Once more where they are used: whoever could write another key could write a query."""
    if not all(re.fullmatch(_LABEL_NAME, name) for name in labels):
        raise ValueError(_LABEL_NAMES)
    return labels


class AlertGate(ApiModel):
    """Fails while an alert fires that carries the namespace, the agent and these labels.

    An alert with a `version` label counts only if that names the candidate.
    """

    match_labels: Annotated[
        dict[str, Annotated[str, Field(min_length=1, max_length=256)]],
        Field(
            min_length=1,
            max_length=8,
            json_schema_extra=rules(
                (
                    "!['namespace', 'agent', 'alertstate', '__name__'].exists(name, name in self)",
                    (
                        "must not name `namespace`, `agent`, `alertstate` or `__name__`: they are always "
                        "asked for"
                    ),
                ),
                (f"self.all(name, name.matches('{_LABEL_NAME}'))", _LABEL_NAMES),
            ),
        ),
        AfterValidator(_are_label_names),  # last: before `Field` its bounds would not come into the schema
    ]
    """Labels that the alert must carry, with these values."""


def _in_order(during: tuple[str, ...]) -> tuple[str, ...]:
    """However it is written: the order says nothing."""
    return tuple(kind for kind in ("Shadow", "Canary", "Full") if kind in during)


During = Annotated[
    tuple[Literal["Shadow", "Canary", "Full"], ...],
    Field(min_length=1, max_length=3, json_schema_extra=SET),
    AfterValidator(_in_order),
]


_KINDS = ("compare", "tail", "mean", "limit", "events", "alert", "value")


class Gate(ApiModel):
    """Exactly one of `compare`, `tail`, `mean`, `limit`, `events`, `value`, each on a metric, or `alert`."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"[{', '.join(f'has(self.{kind})' for kind in _KINDS)}].filter(k, k).size() == 1",
                f"must have exactly one of {', '.join(f'`{kind}`' for kind in _KINDS)}",
            ),
            (
                "has(self.metric) != has(self.alert)",
                "must have a `metric`, unless it is an `alert` gate, which has none",
            ),
            (
                (
                    "!has(self.advance) || self.advance == 'NoHarm' || has(self.compare) || "
                    "has(self.tail) || has(self.mean) || (has(self.limit) && self.advance == 'Certified')"
                ),
                (
                    "must have an `advance` that its kind can show: `limit` not `Superior`, `events`, "
                    "`alert` and `value` only `NoHarm`"
                ),
            ),
        )
    )

    name: ItemName
    metric: ItemName | None = None
    """Name of a built-in metric or of a MetricTemplate; not for `alert`."""
    compare: CompareGate | None = None
    tail: TailGate | None = None
    mean: MeanGate | None = None
    limit: LimitGate | None = None
    events: EventsGate | None = None
    alert: AlertGate | None = None
    value: ValueGate | None = None
    advance: Literal["NoHarm", "Certified", "Superior"] = "NoHarm"
    """What each step must show before it may end: no evidence of harm; that the candidate is not worse, or
    below its limit (`Certified`); that it is better than stable (`Superior`). The latter two hold at the odds
    of `falseRevertPercent` and may need many tasks: a limit of 0.5 % about 750 clean ones."""
    during: During | None = None
    """Kinds of step in which the gate judges. When absent all, but for `compare`, `tail` and `mean` only
    `Canary` and `Full`: a shadow whose tools are stubbed must not be compared with live stable. Where they
    have `Shadow`, each `shadow` step needs `control: true`, and the candidate's shadow is compared with
    stable's."""
    safety: bool | None = None
    """Whether the gate takes the candidate back even when the stable version has no ready endpoint; true for
    `events`, `alert` and metrics of violations when absent."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """The gate's share in the merged evidence."""

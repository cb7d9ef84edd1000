"""What came of an attempt: KPI lifts, whether the author's expectations held, what it cost, how long it took.

Numbers are decimal strings. Never holds text of a version: names of metrics and sizes only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from interlock.model.base import ATOMIC, ApiModel, DnsLabel, Time, keyed, rules

Decimal = Annotated[str, Field(max_length=24, pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
"""A number without an exponent."""
Sentence = Annotated[str, Field(max_length=256)]


class KpiLift(ApiModel):
    """By how much the candidate differs from stable in one KPI, over the live outcomes that can be compared.

    All but `metric` and `message` are absent while it is not known: then the message says why.
    """

    metric: Annotated[str, Field(max_length=96)]
    """Name of the metric; of a tail with its bound: `task-duration-above-30`."""
    message: Sentence
    """The lift with its interval in words, or why it is not known."""
    unit: Literal["Points", "Percent"] | None = None
    """Percentage points where the KPI is a share, percent of stable's mean where it is a mean."""
    lift: Decimal | None = None
    """Candidate's value minus stable's, in the unit."""
    low: Decimal | None = None
    """Lower end of the lift's interval, which holds at every look at once."""
    high: Decimal | None = None
    """Upper end of that interval."""
    confidence_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Chance in percent that the interval never misses the truth, whenever one looks."""
    asymptotic: bool | None = None
    """Whether that chance is reached as outcomes become many, rather than at any number of them."""
    relative_low_percent: Decimal | None = None
    """Lower end of the lift in percent of stable's value."""
    relative_high_percent: Decimal | None = None
    """Upper end of that; absent while stable's value cannot be told from 0."""
    candidate: Decimal | None = None
    """The candidate's share (0 to 1) or mean (in the metric's unit), averaged as `stable` is."""
    stable: Decimal | None = None
    """The stable version's."""
    candidate_outcomes: Annotated[int, Field(ge=0)] | None = None
    """How many outcomes the candidate's value rests on."""
    stable_outcomes: Annotated[int, Field(ge=0)] | None = None
    """How many the stable version's rests on."""


class Judgement(ApiModel):
    """Whether an attempt bore out what the version's `change.expected` says of one metric."""

    metric: DnsLabel
    direction: Literal["Increase", "Decrease"]
    by_percent: Decimal | None = None
    """At least how much was expected, relative to stable's value."""
    verdict: Literal["Confirmed", "Refuted", "Inconclusive"]
    """Confirmed: there is a change in that direction, and the expected size is not excluded. Refuted: the
    expected size, or any change in that direction, is excluded."""
    message: Annotated[str, Field(max_length=512)]


class Cleared(StrEnum):
    """Why a workload that got nothing new counts as cleared."""

    CONVERSATIONS_ENDED = "ConversationsEnded"
    DRAIN_DEADLINE = "DrainDeadline"


MAX_LIFTS = 32
_TIMES = ("trafficStartedTime", "harmSinceTime", "detectedTime", "stoppedTime", "clearedTime")


class Result(ApiModel):
    """What came of an attempt, as far as it is known; what is once in a Release stays as it is."""

    lifts: Annotated[tuple[KpiLift, ...], Field(max_length=MAX_LIFTS, json_schema_extra=keyed("metric"))] = ()
    expected: Annotated[tuple[Judgement, ...], Field(max_length=16, json_schema_extra=ATOMIC)] = ()
    """The version's `change.expected`, judged when the attempt ended."""
    cost_usd: Annotated[Decimal | None, Field(alias="costUSD")] = None
    """What the candidate's tasks cost, live and in shadow, since it began to walk the steps; absent while it
    exports no cost."""
    traffic_started_time: Time | None = None
    """When the candidate got its first traffic, mirrored or live."""
    harm_since_time: Time | None = None
    """Start of the step since which the evidence that took it back was gathered."""
    detected_time: Time | None = None
    """When it was decided to take it back for harm or trouble."""
    stopped_time: Time | None = None
    """When the gateway had accepted that it gets nothing new."""
    cleared_time: Time | None = None
    """When the last conversation of the version that left had ended, or its drain deadline was over. After a
    promotion that is the version that was stable before."""
    cleared_reason: Cleared | None = None


RECORDED = rules(
    *(
        (
            f"!has(oldSelf.{name}) || (has(self.{name}) && self.{name} == oldSelf.{name})",
            f"must keep `{name}` as it is: a Release is a record",
        )
        for name in (*_TIMES, "clearedReason", "lifts", "expected", "costUSD")
    )
)
"""Rules of a result in a Release."""

"""The format of a simulated story: how agents do, what fails around them, and how often one looks.

`rate` and `agents` are those of `script`, with ramps, recorded outcomes and further metrics. How to write one
is told in docs/simulate.md; whatever is not known here is an error that names it.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from interlock.simulation.script import Chance, Part, Seconds, Strict

DAY = 86_400.0
Positive = Annotated[Seconds, Field(gt=0)]


def _several(value: Any) -> Any:
    """One part or several: the path of an error then always has its number."""
    return [value] if isinstance(value, dict) else value


class Recorded(Strict):
    """One kind of outcome, as seen on real tasks: what goes together in one task stays together."""

    tasks: Annotated[int, Field(ge=1)]
    """How many there were: a simulated task is one of all recorded ones, drawn with replacement."""
    success: bool = True
    verified: Literal["pass", "fail"] | None = None
    """What the post-condition said; without it the task is not counted as verified."""
    violation: bool = False


class Duration(Strict):
    """A log-normal distribution of what tasks take."""

    median: Positive
    p95: Positive

    @model_validator(mode="after")
    def _spreads(self) -> Self:
        if self.p95 <= self.median:
            raise ValueError("must have a `p95` above its `median`")
        return self

    def within(self, bound: float) -> float:
        """The share of tasks that takes at most `bound` seconds."""
        spread = math.log(self.p95 / self.median) / 1.6448536269514722
        return 0.5 * math.erfc(-math.log(bound / self.median) / spread / math.sqrt(2))


class Course(Part):
    """What a version does from `after` on; numbers reach what is named within `over`, evenly."""

    over: Seconds = 0
    duration: Duration | None = None
    """Instead of `slow`."""
    recorded: Annotated[tuple[Recorded, ...], Field(min_length=1)] | None = None
    """Instead of `success` and `violation`."""
    rates: dict[str, Chance] | None = None
    """Of further metrics that are a share, by their names."""
    means: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Of further metrics that are a mean, by their names, in their units."""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if self.recorded is not None and (self.success, self.violation) != (None, None):
            raise ValueError("must have `recorded`, or `success` and `violation`, not both")
        if self.duration is not None and self.slow is not None:
            raise ValueError("must have `duration` or `slow`, not both")
        return self


class Rate(Strict):
    """Requests a second from `after` on; reached within `over`, evenly."""

    after: Seconds = 0
    over: Seconds = 0
    per_second: Annotated[float, Field(ge=0, le=1_000_000)]


class Reading(Strict):
    """What an expression gives from `after` on; a number reaches the next one within its `over`, evenly."""

    after: Seconds = 0
    over: Seconds = 0
    number: float | None
    """null: the expression gives nothing."""


def _rates(value: Any) -> Any:
    """A number is a rate that does not change."""
    simple = isinstance(value, int | float) and not isinstance(value, bool)
    return [{"perSecond": value}] if simple else _several(value)


class Spell(Strict):
    """Something that begins, lasts, and is over."""

    after: Seconds
    lasts: Positive

    def covers(self, at: float) -> bool:
        """Whether it is under way at `at` (seconds since the story began)."""
        return self.after <= at < self.after + self.lasts


class Gap(Spell):
    """`Scrapes`: samples of this time never exist. `Prometheus`: it cannot be asked, and scrapes on."""

    of: Literal["Scrapes", "Prometheus"] = "Scrapes"


class Firing(Spell):
    """An alert that fires."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    labels: dict[str, str] = Field(default_factory=dict)


class Story(Strict):
    """All that happens, from when the candidate is asked for; the stable version serves already."""

    title: str = ""
    lasts: Annotated[Positive, Field(le=90 * DAY)] = DAY
    """It ends sooner when the attempt does."""
    scrape_interval: Annotated[Positive, Field(ge=0.1)] = 15.0
    tick: Annotated[Positive, Field(ge=0.1)] = 5.0
    """Seconds between two looks of the operator."""
    rate: Annotated[tuple[Rate, ...], BeforeValidator(_rates), Field(min_length=1)]
    agents: dict[str, Annotated[tuple[Course, ...], BeforeValidator(_several)]] = Field(default_factory=dict)
    """By version, or `stable` and `candidate`."""
    values: dict[str, Annotated[tuple[Reading, ...], BeforeValidator(_several), Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """By the metric of a `value` gate; before the first part it gives nothing."""
    gaps: tuple[Gap, ...] = ()
    alerts: tuple[Firing, ...] = ()

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        times = {"rate": [rate.after for rate in self.rate]}
        times |= {who: [course.after for course in courses] for who, courses in self.agents.items()}
        times |= {name: [part.after for part in parts] for name, parts in self.values.items()}
        for who, begins in times.items():
            if begins != sorted(begins):
                raise ValueError(f"must have the parts of `{who}` in order of time")
        return self

"""What is to be judged: the gates, the steps and the two versions of one attempt. Plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, assert_never

from interlock.analysis.metrics import EventCount, Kind, Metric
from interlock.analysis.presets import ALERTS

StepKind = Literal["shadow", "canary", "full"]


class Mode(StrEnum):
    """The `mode` label: mirrored requests or real ones."""

    SHADOW = "shadow"
    LIVE = "live"


_MODES = {mode.value: mode for mode in Mode}


def mode_named(label: str | None) -> Mode | None:
    """The mode of that label; None where it is none."""
    return _MODES.get(label) if label else None


class Track(StrEnum):
    """One of the two versions."""

    CANDIDATE = "candidate"
    STABLE = "stable"


class Advance(StrEnum):
    """What a gate asks for before a step may end: no evidence of harm, or evidence that all is well."""

    NO_HARM = "NoHarm"
    CERTIFIED = "Certified"
    SUPERIOR = "Superior"


@dataclass(frozen=True, slots=True)
class Side:
    """Which series belong to one version: label `version` equal and `pod` beginning with `pod_prefix`."""

    version: str
    pod_prefix: str

    def owns(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels comes from this version, in whichever mode."""
        return labels.get("version") == self.version and labels.get("pod", "").startswith(self.pod_prefix)


@dataclass(frozen=True, slots=True)
class Compare:
    """The candidate must not be worse than stable by more than `worse_by` (a share, 0 ≤ worse_by < 1)."""

    worse_by: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.worse_by < 1, "compare: worse_by must be at least 0 and below 1")


@dataclass(frozen=True, slots=True)
class Tail:
    """The share of outcomes beyond `above` (> 0, the histogram's unit) must not be higher than stable's.

    `worse_by`: tolerated difference (a share, 0 ≤ worse_by < 1). `above` must be a bound of a bucket.
    """

    above: float
    worse_by: float = 0.0

    def __post_init__(self) -> None:
        _require(0 < self.above < math.inf, "tail: above must be above 0")
        _require(0 <= self.worse_by < 1, "tail: worse_by must be at least 0 and below 1")


@dataclass(frozen=True, slots=True)
class Mean:
    """The candidate's mean must not exceed stable's by more than `worse_by` (≥ 0, a share of stable's)."""

    worse_by: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.worse_by < math.inf, "mean: worse_by must be at least 0")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `maximum` (a share, 0 to 1) of the candidate's outcomes may be bad."""

    maximum: float

    def __post_init__(self) -> None:
        _require(0 <= self.maximum <= 1, "limit: maximum must be between 0 and 1")


@dataclass(frozen=True, slots=True)
class Events:
    """At most `maximum` events of the candidate in the whole attempt: a plain count, outside alpha."""

    maximum: int = 0

    def __post_init__(self) -> None:
        _require(self.maximum >= 0, "events: maximum must be at least 0")


@dataclass(frozen=True, slots=True)
class Alert:
    """No alert with these labels may fire since the candidate has traffic; outside alpha.

    The alert carries namespace and agent; one with a `version` label counts only if that names the candidate.
    """

    match: Mapping[str, str]

    def __post_init__(self) -> None:
        _require(bool(self.match), "alert: match must name at least one label")

    def matches(self, labels: Mapping[str, str], candidate: str) -> bool:
        """Whether a series with these labels is such an alert, firing, and may mean this version."""
        return (
            labels.get("__name__") == ALERTS
            and labels.get("alertstate") == "firing"
            and labels.get("version", candidate) == candidate
            and all(labels.get(key) == value for key, value in self.match.items())
        )


@dataclass(frozen=True, slots=True)
class Value:
    """A number must not lie above `maximum`, or not below `minimum`: exactly one is finite; outside alpha."""

    maximum: float = math.inf
    minimum: float = -math.inf

    def __post_init__(self) -> None:
        bounds = (self.maximum, -self.minimum)
        one = sum(map(math.isfinite, bounds)) == 1 and max(bounds) == math.inf
        _require(one, "value: exactly one of maximum and minimum must be given")

    def holds(self, number: float) -> bool:
        """Whether a number is within bounds."""
        return self.minimum <= number <= self.maximum


Comparison = Compare | Tail | Mean
"""Tests of the two versions against one another, in the same mode, and after warm-up only."""
Test = Comparison | Limit | Events | Alert | Value


def usual_during(test: Test) -> tuple[StepKind, ...]:
    """Everywhere; but a shadow with stubbed tools on mirrored requests is not compared with live stable."""
    return ("canary", "full") if isinstance(test, Comparison) else ("shadow", "canary", "full")


def _is_of_shadows(metric: Metric | None) -> bool:
    return isinstance(metric, EventCount) and metric.shadow_only


@dataclass(frozen=True, slots=True)
class Gate:
    """One test of one metric; an alert has none. ValueError where they do not go together.

    `during` are the kinds of step in which the gate judges; None stands for those usual for its test.
    `weight` ≥ 1 is the gate's share in the merged evidence. `since` (unix seconds): when the gate got the
    rules it has; what happened before does not count for it. inf: they are not in force yet.
    `advance`: what must be shown in each step before it may end; a certificate holds at the level alpha.
    """

    name: str
    metric: Metric | None
    test: Test
    weight: int = 1
    safety: bool = False
    during: tuple[StepKind, ...] | None = None
    since: float = -math.inf
    advance: Advance = Advance.NO_HARM

    def __post_init__(self) -> None:
        _require(self.weight >= 1, f"gate {self.name}: weight must be at least 1")
        _require(self._can_certify, f"gate {self.name}: advance must not be {self.advance}")
        if isinstance(self.test, Alert):
            _require(self.metric is None, f"gate {self.name}: an alert must not have a metric")
            return
        found = self.metric
        if found is None:
            raise ValueError(f"gate {self.name}: it must have a metric")
        match self.test:
            case Compare():
                fits = found.kind is Kind.PROPORTION
            case Tail():
                fits = found.kind is Kind.TAIL
            case Mean():
                fits = found.kind is Kind.MEAN
            case Limit():
                fits = found.kind is Kind.PROPORTION and not found.higher_is_better
            case Events():
                fits = found.kind is Kind.EVENTS
            case Value():
                fits = found.kind is Kind.VALUE
            case _:
                assert_never(self.test)
        if _is_of_shadows(found):
            _require(self.kinds == ("shadow",), f"gate {self.name}: during must be Shadow for {found.name}")
        test = type(self.test).__name__.lower()
        _require(fits, f"gate {self.name}: {test} must not be used with the metric {found.name}")

    @property
    def _can_certify(self) -> bool:
        """Nothing is better than a limit, and no count shows that a rate is 0."""
        match self.test:
            case Limit():
                certified = self.advance is Advance.CERTIFIED and self.test.maximum > 0
                return certified or self.advance is Advance.NO_HARM
            case Events() | Alert() | Value():
                return self.advance is Advance.NO_HARM
            case _:
                return True

    @property
    def families(self) -> frozenset[str]:
        """Metric names that must be read for it."""
        return frozenset({ALERTS}) if self.metric is None else self.metric.families

    def judges(self, step: PlannedStep) -> bool:
        """Whether the gate judges in this step."""
        return self.judges_in(step.kind, compares=step.compares)

    def judges_in(self, kind: StepKind, *, compares: bool) -> bool:
        """Whether it judges in steps of that kind; `compares`: they have both versions."""
        return kind in self.kinds and (compares or not isinstance(self.test, Comparison))

    @property
    def kinds(self) -> tuple[StepKind, ...]:
        """The kinds of step in which it judges."""
        if self.during is not None:
            return self.during
        return ("shadow",) if _is_of_shadows(self.metric) else usual_during(self.test)


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step that gives the candidate traffic; approvals are none. `min_tasks` is for the caller to check.

    `compares` is False where there is nothing to compare with, as in `full` without a hold-out, or in a
    shadow of the candidate alone. `share`, in (0, 1]: part of the live requests that the candidate answers
    or, in shadow, gets a copy of.
    """

    index: int
    kind: StepKind
    min_tasks: int = 0
    compares: bool = True
    share: float = 1.0
    mode: Mode = field(init=False, repr=False, compare=False)
    """The only one whose outcomes count in this step. A field, for it is asked for at every outcome."""

    def __post_init__(self) -> None:
        _require(0 < self.share <= 1, f"step {self.index}: share must be above 0 and at most 1")
        object.__setattr__(self, "mode", Mode.SHADOW if self.kind == "shadow" else Mode.LIVE)


@dataclass(frozen=True, slots=True)
class StepTime:
    """When a step's clock ran, unix seconds: from the gateway's acceptance to the next transition.

    An approval step is handed in too, by an index that is not planned: the weights of the step before it
    stay, so its outcomes go on counting. `started` must not lie before the last `now` the evidence has seen.
    """

    index: int
    started: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides an attempt, fixed at its start.

    `alpha` in (0, 1): chance of ever taking back a healthy candidate. `tick` > 0: spacing of the grid on
    which blocks close. `settle` ≥ 0: age at which a sample may be compared (two scrapes). `warmup` ≥ 0:
    seconds after each step's start whose outcomes are not compared; None derives it from stable's task
    durations. `verifier`: whose verification counts; None takes the most trusted one seen first.
    `expected`: metrics of which the candidate's author expects something; they are measured, not judged.
    """

    gates: tuple[Gate, ...]
    alpha: float
    steps: tuple[PlannedStep, ...]
    candidate: Side
    stable: Side
    tick: float
    settle: float
    warmup: float | None = None
    verifier: str | None = None
    expected: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        _require(0 < self.alpha < 1, "alpha must be between 0 and 1")
        _require(0 < self.tick < math.inf, "tick must be above 0")
        _require(0 <= self.settle < math.inf, "settle must be at least 0")
        _require(self.warmup is None or self.warmup >= 0, "warmup must be at least 0")
        _require(len({g.name for g in self.gates}) == len(self.gates), "gate names must be unique")
        _require(len({s.index for s in self.steps}) == len(self.steps), "step indices must be unique")

    def warms_up(self, step: PlannedStep) -> bool:
        """Whether the first outcomes of the step are not compared: live ones, and where a gate compares."""
        compared = any(isinstance(gate.test, Comparison) and gate.judges(step) for gate in self.gates)
        return step.mode is Mode.LIVE or compared

    @property
    def threshold(self) -> float:
        """ln(1/alpha): where evidence reverts."""
        return -math.log(self.alpha)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)

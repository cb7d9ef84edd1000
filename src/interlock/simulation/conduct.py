"""What a version does at a moment: the parts of its story, and the ways from one to the next."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from interlock.analysis.metrics import Average, Proportion
from interlock.core.metrictemplates import Known, metric_named
from interlock.core.plans import NO_TEMPLATES
from interlock.errors import SpecError
from interlock.simulation.story import Course, Duration, Rate, Recorded


@dataclass(frozen=True, slots=True)
class Conduct:
    """Chances and means of one task; what is None is not exported."""

    success: float = 0.9
    success_in_shadow: float | None = None
    violation: float = 0.0
    slow: float | None = None
    cost: float | None = None
    critical_at: int | None = None
    duration: Duration | None = None
    recorded: tuple[Recorded, ...] | None = None
    rates: tuple[tuple[Proportion, float], ...] = ()
    means: tuple[tuple[Average, float], ...] = ()


_NUMBERS = ("success", "success_in_shadow", "violation", "slow", "cost")
_OTHERS = ("critical_at", "duration", "recorded")


@dataclass(slots=True)
class Line:
    """A number over time: steps, and even ways of some length."""

    start: float | None = None
    turns: list[tuple[float, float, float]] = field(default_factory=list)
    """From when on, within how long, to which value."""

    def at(self, time: float) -> float | None:
        """The value at `time` (seconds); before the first turn the start, None without one."""
        value = self.start
        for number, (after, over, to) in enumerate(self.turns):
            if after > time:
                break
            begun = min(time, self.turns[number + 1][0] if number + 1 < len(self.turns) else math.inf)
            way = min(1.0, (begun - after) / over) if over else 1.0
            value = to if value is None else value + (to - value) * way
        return value

    def bends(self) -> Iterable[float]:
        """Where it changes its slope."""
        for after, over, _ in self.turns:
            yield from (after, after + over)


class Life:
    """One version's conduct over time. Between two bends without a way it is one and the same object."""

    def __init__(self, courses: Sequence[Course], known: Known = NO_TEMPLATES) -> None:
        """SpecError where `rates` or `means` name a metric that is none of that kind, with `known` ones."""
        self._courses = courses
        self._rates = _metrics("rates", [course.rates for course in courses], known, Proportion)
        self._means = _metrics("means", [course.means for course in courses], known, Average)
        usual = Conduct()
        self._lines = {name: Line(getattr(usual, name)) for name in _NUMBERS}
        for course in courses:
            self._turn(course)
        bends = {bend for line in self._lines.values() for bend in line.bends()}
        self._bends = sorted(bends | {course.after for course in courses})
        self._known: dict[int, Conduct] = {}

    def _turn(self, course: Course) -> None:
        named = {name: getattr(course, name) for name in _NUMBERS}
        named |= {f"rates {name}": value for name, value in (course.rates or {}).items()}
        named |= {f"means {name}": value for name, value in (course.means or {}).items()}
        for name, value in named.items():
            if value is not None:
                turn = (course.after, course.over, value)
                self._lines.setdefault(name, Line()).turns.append(turn)

    def at(self, time: float) -> Conduct:
        """The conduct at `time` (seconds since the story began)."""
        stretch = bisect_right(self._bends, time)
        known = self._known.get(stretch)
        if known is None:
            known = self._conduct(time)
            if not self._moves(stretch):
                self._known[stretch] = known
        return known

    def _moves(self, stretch: int) -> bool:
        begin = self._bends[stretch - 1] if stretch else -math.inf
        ways = (turn for line in self._lines.values() for turn in line.turns)
        return any(after <= begin < after + over for after, over, _ in ways)

    def _conduct(self, time: float) -> Conduct:
        values = {name: line.at(time) for name, line in self._lines.items()}
        others = dict.fromkeys(_OTHERS)
        for course in self._courses:
            if course.after <= time:
                others |= {n: v for n in _OTHERS if (v := getattr(course, n)) is not None}
                others |= {"recorded": None} if course.success is not None else {}
        return Conduct(
            **{name: values[name] for name in _NUMBERS},  # type: ignore[arg-type]
            **others,  # type: ignore[arg-type]
            rates=_of_group("rates", self._rates, values),
            means=_of_group("means", self._means, values),
        )


Found = TypeVar("Found", Proportion, Average)


def _metrics(
    field: str, named: Iterable[Mapping[str, float] | None], known: Known, kind: type[Found]
) -> dict[str, Found]:
    """The metrics of a field by their names, in order of those."""
    found: dict[str, Found] = {}
    for name in sorted(name for names in named for name in names or ()):
        try:
            metric = metric_named(name, known)
        except ValueError:
            metric = None
        if not isinstance(metric, kind):
            word = "shares" if kind is Proportion else "means"
            raise SpecError(f"must name metrics that are {word} in `{field}`, not {name}")
        found[name] = metric
    return found


def _of_group(
    group: str, metrics: Mapping[str, Found], values: Mapping[str, float | None]
) -> tuple[tuple[Found, float], ...]:
    """What is named of the group so far."""
    found = ((metric, values[f"{group} {name}"]) for name, metric in metrics.items())
    return tuple((metric, value) for metric, value in found if value is not None)


def demand(rates: Sequence[Rate]) -> Line:
    """Requests a second over time; none before the first part."""
    return Line(0.0, [(rate.after, rate.over, rate.per_second) for rate in rates])

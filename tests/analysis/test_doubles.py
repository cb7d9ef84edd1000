"""One process that is scraped twice is told from two processes and from one that moved."""

from __future__ import annotations

import pytest

from interlock.analysis.doubles import Doubles
from interlock.analysis.series import PROCESS_START, Series, Target
from interlock.analysis.ways import Ways
from tests.analysis.attempt import TASKS

BOTH = ((10.0, 1.0), (20.0, 2.0))


def series(points: tuple[tuple[float, float], ...], **labels: str) -> Series:
    base = {"__name__": TASKS, "namespace": "shop", "pod": "a", "instance": "a:80", "job": "agents"}
    return Series({**base, **labels}, points)


def doubled(*found: Series, starts: dict[str, float] | None = None) -> tuple[str, ...]:
    def process_start(target: Target) -> float | None:
        return (starts or {}).get(target[2])

    doubles = Doubles(Ways())
    doubles.advance(found, 100.0, process_start)
    return doubles.pods([TASKS])


@pytest.mark.parametrize("label", ["job", "instance", "prometheus_replica", "endpoint"])
def test_the_same_counter_by_two_ways(label: str) -> None:
    assert doubled(series(BOTH), series(BOTH, **{label: "other"})) == ("a",)


@pytest.mark.parametrize("label", ["outcome", "container", "mode"])
def test_another_counter(label: str) -> None:
    assert doubled(series(BOTH), series(BOTH, **{label: "other"})) == ()


def test_another_pod() -> None:
    assert doubled(series(BOTH), series(BOTH, pod="b", instance="b:80")) == ()


def test_a_pod_that_came_back_under_another_address() -> None:
    assert doubled(series(((10.0, 1.0),)), series(((20.0, 1.0),), instance="b:80")) == ()


def test_two_processes_in_one_pod() -> None:
    pair = series(BOTH), series(BOTH, instance="a:81")
    assert doubled(*pair, starts={"a:80": 1.0, "a:81": 9.0}) == ()
    assert doubled(*pair, starts={"a:80": 1.0, "a:81": 1.0}) == ("a",)


def test_it_is_noticed_over_several_reads_and_kept() -> None:
    doubles = Doubles(Ways())
    for read in (series(((10.0, 1.0),)), series(((15.0, 1.0),), job="other"), series(((20.0, 1.0),))):
        doubles.advance([read], 100.0, lambda _: None)
    assert doubles.pods([TASKS]) == ("a",)
    assert doubles.pods(["else"]) == ()
    assert doubles.warnings()[0].startswith("pod a is scraped twice (agents a:80, other a:80)")


def test_two_servers_that_are_told_apart_by_a_label_of_their_own() -> None:
    ways = Ways()
    doubles = Doubles(ways)
    pair = [series(BOTH, monitor=name) for name in ("a", "b")]
    doubles.advance(pair, 100.0, lambda _: 1.0)
    assert doubles.pods([TASKS]) == ()
    for one in pair:
        age = {**one.labels, "__name__": PROCESS_START}
        ways.notice(one.target, tuple(sorted(age.items())))
    doubles.advance(pair, 100.0, lambda _: 1.0)
    assert doubles.pods([TASKS]) == ("a",)
    assert doubles.warnings()[0].startswith('pod a is scraped twice (monitor="a", monitor="b")')

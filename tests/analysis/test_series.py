"""Counters become exact increments, whatever happens to pods, processes and reads."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.analysis.series import PROCESS_START, Counts, Identity, Increment, Series
from tests.analysis.world import Pod, window

TASKS = "ai_agent_tasks_total"
VIOLATIONS = "ai_agent_policy_violations_total"
SINCE = 1000.0


def gained(increments: Iterable[Increment]) -> Counter[str]:
    """Whole gains by pod, family and rule or outcome."""
    found: Counter[str] = Counter()
    for one in increments:
        kind = one.labels.get("outcome") or one.labels.get("rule") or ""
        found[f"{one.labels['pod']} {one.labels['__name__']} {kind}".strip()] += round(one.amount)
    return +found


def total(increments: Iterable[Increment]) -> float:
    return sum(one.amount for one in increments)


def old_pod(*, exports_start: bool = True) -> Pod:
    """A pod older than the attempt with 50 tasks behind it, scraped once."""
    pod = Pod("a", started=10.0, exports_start=exports_start)
    pod.do(TASKS, 50, outcome="success")
    pod.scrape(SINCE)
    return pod


def read(pod: Pod, until: float = math.inf) -> list[Increment]:
    return Counts(SINCE).advance(window([pod], -math.inf, until), until)


class TestFirstSight:
    def test_the_history_of_an_older_process_is_a_baseline(self) -> None:
        pod = old_pod()
        pod.do(TASKS, 3, outcome="success")
        pod.scrape(1010)
        assert [(i.begin, i.end, i.amount) for i in read(pod)] == [(SINCE, 1010, 3)]

    def test_a_younger_process_counts_from_its_start(self) -> None:
        pod = Pod("a", started=1003.0)
        pod.do(TASKS, 2, outcome="success")
        pod.scrape(1010)
        assert [(i.begin, i.end, i.amount) for i in read(pod)] == [(1003, 1010, 2)]

    def test_a_process_of_unknown_age_is_a_baseline_and_said_to_be(self) -> None:
        pod = Pod("a", started=1003.0, exports_start=False)
        pod.do(TASKS, 2, outcome="success")
        pod.scrape(1010)
        counts = Counts(SINCE)
        assert counts.advance(window([pod], 0, 1010), 1010) == []
        assert counts.ageless == ("a",)

    def test_a_start_time_seen_later_speaks_for_the_same_process(self) -> None:
        pod = Pod("a", started=1003.0, exports_start=False)
        pod.do(TASKS, 2, outcome="success")
        pod.scrape(1010)
        pod.exports_start = True
        pod.scrape(1020)
        assert total(read(pod)) == 2


class TestBirth:
    def test_the_first_violation_of_an_old_process_counts(self) -> None:
        pod = old_pod()
        pod.do(VIOLATIONS, rule="pii", severity="critical")
        pod.scrape(1010)
        assert [(i.begin, i.end, i.amount) for i in read(pod)] == [(SINCE, 1010, 1)]

    def test_it_counts_as_well_when_the_reads_are_apart(self) -> None:
        pod, counts = old_pod(), Counts(SINCE)
        counts.advance(window([pod], 0, SINCE), SINCE)
        pod.do(VIOLATIONS, rule="pii", severity="critical")
        pod.scrape(1010)
        assert total(counts.advance(window([pod], SINCE, 1010), 1010)) == 1

    def test_it_counts_without_a_known_start(self) -> None:
        pod = old_pod(exports_start=False)
        pod.do(VIOLATIONS, rule="pii")
        pod.scrape(1010)
        assert total(read(pod)) == 1


class TestReset:
    def test_a_value_that_falls_adds_the_new_value(self) -> None:
        pod = old_pod(exports_start=False)
        pod.restart(1005)
        pod.do(TASKS, 4, outcome="success")
        pod.scrape(1010)
        assert total(read(pod)) == 4

    def test_a_restart_counts_where_the_value_did_not_fall(self) -> None:
        pod = old_pod()
        pod.restart(1005)
        pod.do(TASKS, 60, outcome="success")
        pod.scrape(1010)
        assert total(read(pod)) == 60

    def test_a_counter_that_is_born_again_counts_from_zero(self) -> None:
        pod = old_pod(exports_start=False)
        pod.do(VIOLATIONS, rule="pii")
        pod.scrape(1010)
        pod.restart(1015)
        pod.do(TASKS, outcome="success")
        pod.scrape(1020)
        pod.do(VIOLATIONS, rule="pii")
        pod.scrape(1030)
        assert gained(read(pod))[f"a {VIOLATIONS} pii"] == 2

    @pytest.mark.parametrize("apart", [0.0, 0.001, 0.4])
    def test_samples_of_one_scrape_need_not_have_the_very_same_time(self, apart: float) -> None:
        """As those that an agent sends itself."""
        pod = old_pod(exports_start=False)
        for at in (1010, 1020, 1030):
            pod.do(TASKS, 2, outcome="success")
            pod.do(TASKS, 1, outcome="failure")
            pod.scrape(at)
        series = [
            one
            if one.labels["outcome"] == "success"
            else one.at(tuple((t + apart, v) for t, v in one.points))
            for one in window([pod], 0, 2000)
        ]
        assert gained(Counts(SINCE).advance(series, 2000))[f"a {TASKS} success"] == 6

    def test_absent_for_long_it_is_born_again_at_the_first_scrape_of_a_read(self) -> None:
        pod, counts = old_pod(exports_start=False), Counts(SINCE)
        pod.do(VIOLATIONS, rule="pii")
        pod.scrape(1001)
        pod.restart(1001.5)
        for at in range(1002, 1030):
            pod.do(TASKS, 1, outcome="success")
            pod.scrape(at)
        counts.advance(window([pod], 0, 1029), 1029)
        pod.do(VIOLATIONS, rule="pii")
        pod.scrape(1030)
        assert gained(counts.advance(window([pod], 1020, 1030), 1030)) == {f"a {VIOLATIONS} pii": 1}

    def test_a_zero_of_when_a_series_was_created_is_no_scrape(self) -> None:
        pod = old_pod(exports_start=False)
        pod.do(TASKS, 1, outcome="failure")
        pod.do(TASKS, 2, outcome="success")
        pod.scrape(1010)
        created = Series({**window([pod], 0, 2000)[0].labels, "outcome": "failure"}, ((1005.0, 0.0),))
        counted = gained(Counts(SINCE).advance([*window([pod], 0, 2000), created], 2000))
        assert counted == {f"a {TASKS} failure": 1, f"a {TASKS} success": 2}

    def test_a_series_missing_from_one_answer_is_not_counted_again(self) -> None:
        pod = old_pod()
        pod.do(TASKS, 3, outcome="failure")
        pod.scrape(1010)
        pod.scrape(1020)
        pod.scrape(1030)
        for identity, points in pod.stored.items():
            if ("outcome", "success") in identity:
                points.pop(-2)
        assert gained(read(pod)) == {f"a {TASKS} failure": 3}

    @pytest.mark.parametrize("wobble", [1.0, 500.0])
    def test_a_clock_that_is_set_is_no_restart(self, wobble: float) -> None:
        pod = old_pod()
        pod.started += wobble
        pod.do(TASKS, 1, outcome="success")
        pod.scrape(1010)
        assert total(read(pod)) == 1


class TestReading:
    def test_points_beyond_the_cut_wait(self) -> None:
        pod = old_pod()
        for at in (1010, 1020):
            pod.do(TASKS, 1, outcome="success")
            pod.scrape(at)
        counts, everything = Counts(SINCE), window([pod], 0, 2000)
        assert [total(counts.advance(everything, cut)) for cut in (1015, 1015, 1020)] == [1, 0, 1]

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
    def test_what_is_not_a_count_is_not_data(self, value: float) -> None:
        labels = {"__name__": TASKS, "pod": "a"}
        points = ((1000.0, 5.0), (1010.0, value), (1020.0, 7.0), (1030.0, value))
        assert total(Counts(SINCE).advance([Series(labels, points)], 1030)) == 2

    def test_samples_of_a_pod_that_has_gone_still_count(self) -> None:
        pod, counts = old_pod(), Counts(SINCE)
        counts.advance(window([pod], 0, SINCE), SINCE)
        pod.do(TASKS, 5, outcome="failure")
        pod.scrape(1010)
        assert total(counts.advance(window([pod], 0, 1010), 1200)) == 5

    def test_equal_labels_are_one_series(self) -> None:
        labels = {"__name__": TASKS, "pod": "a"}
        first, second = (Series(dict(labels), points) for points in (((1.0, 1.0),), ((2.0, 3.0),)))
        assert first.identity == second.identity
        assert total(Counts(0.0).advance([second, first], 10)) == 2


Change = Callable[[dict[str, str]], dict[str, str]]


def relabelled(pod: Pod, at: float, change: Change) -> list[Series]:
    """What Prometheus holds of a pod whose series have other labels from `at` on."""
    found = []
    for one in window([pod], 0, 2000):
        before = tuple(point for point in one.points if point[0] < at)
        after = tuple(point for point in one.points if point[0] >= at)
        found += [Series(one.labels, before)] if before else []
        found += [Series(change(dict(one.labels)), after)] if after else []
    return found


ANOTHER_WAY: dict[str, Change] = {
    "the job is renamed": lambda labels: {**labels, "job": "agents-v2"},
    "the address is told by name": lambda labels: {**labels, "instance": "a.shop:8080"},
    "a label is added": lambda labels: {**labels, "team": "support"},
    "a label is taken away": lambda labels: {k: v for k, v in labels.items() if k != "cluster"},
    "bounds are written as floats": lambda labels: {**labels, **({"le": "30.0"} if "le" in labels else {})},
}


class TestAnotherWay:
    """The process and its counters are the same; only the labels that they get on the way are others."""

    @pytest.mark.parametrize("change", ANOTHER_WAY.values(), ids=ANOTHER_WAY.keys())
    @pytest.mark.parametrize("started", [10.0, 1003.0])
    def test_nothing_is_counted_again(self, change: Change, started: float) -> None:
        series = relabelled(_counting(started), 1030, change)
        told = 9 if started < SINCE else 12  # what an older process did before is a baseline
        assert total(Counts(SINCE).advance(series, 2000)) == told
        assert sum(map(total, _one_by_one(series))) == told

    def test_nor_when_it_goes_to_and_fro(self) -> None:
        pod = _counting(1003.0)
        other = relabelled(pod, 0, ANOTHER_WAY["the job is renamed"])
        own = relabelled(pod, 9999, ANOTHER_WAY["the job is renamed"])
        parted = [
            Series(one.labels, tuple(p for p in one.points if (p[0] // 10) % 2 == odd))
            for odd, series in enumerate((own, other))
            for one in series
        ]
        assert total(Counts(SINCE).advance(parted, 2000)) == 12
        assert sum(map(total, _one_by_one(parted))) == 12

    def test_another_process_counts_from_its_start(self) -> None:
        pod = _counting(1003.0)
        pod.restart(1055)
        pod.do(TASKS, 90, outcome="success")
        pod.scrape(1060)
        series = relabelled(pod, 1060, ANOTHER_WAY["the job is renamed"])
        assert total(Counts(SINCE).advance(series, 2000)) == 12 + 90

    def test_a_restored_count_knows_it_too(self) -> None:
        series = relabelled(_counting(1003.0), 1030, ANOTHER_WAY["a label is added"])
        before, identities = Counts(SINCE), list[Identity]()
        assert total(before.advance(series, 1029)) == 6

        def number(identity: Identity) -> int:
            identities.append(identity)
            return len(identities) - 1

        state = before.state(number, baselines=True)
        after = Counts(SINCE)
        after.restore(state, identities)
        assert total(after.advance(series, 2000)) == 6


def _counting(started: float) -> Pod:
    """A pod with three tasks every ten seconds, scraped as often; all in the bucket of 30 s."""
    pod = Pod("a", started, {"cluster": "eu"})
    for at in (1010, 1020, 1030, 1040):
        pod.do(TASKS, 2, outcome="success")
        pod.do(f"{TASKS}_bucket", 1, le="30")
        pod.scrape(at)
    return pod


def _one_by_one(series: list[Series]) -> Iterator[list[Increment]]:
    """Reads after each scrape."""
    counts = Counts(SINCE)
    for cut in range(1005, 1060, 10):
        seen = [Series(one.labels, tuple(p for p in one.points if p[0] <= cut)) for one in series]
        yield counts.advance(seen, cut)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Pod], Counter[str], list[float]]:
    """Pods that count, restart, miss scrapes and vanish; with the truth as far as a scrape saw it."""
    pods: list[Pod] = []
    truth: Counter[str] = Counter()
    chance = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 - a world, not a secret
    times = [SINCE + 10.0 * k for k in range(draw(st.integers(2, 25)))]
    for name in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        pod = Pod(name, started=SINCE - 500 if draw(st.booleans()) else SINCE + 1)
        _live(pod, chance, times, truth)
        pods.append(pod)
    return pods, +truth, times


def _live(pod: Pod, chance: random.Random, times: list[float], truth: Counter[str]) -> None:
    young = pod.started > SINCE
    unseen: Counter[str] = Counter()  # lost with its process unless a scrape sees it
    if not young:
        pod.do(TASKS, chance.randint(1, 9), outcome="success")
        pod.do(VIOLATIONS, chance.randint(1, 3), rule="old")
        pod.scrape(times[0])
    born, died = sorted(chance.sample(range(1, len(times) + 1), k=2)) if len(times) > 2 else (1, len(times))
    for at in times[born if young else 1 : died + 1]:
        if chance.random() < 0.15:
            unseen.clear()
            pod.restart(at - 5)
        for kind, name in ((TASKS, "success"), (TASKS, "failure"), (VIOLATIONS, "pii"), (VIOLATIONS, "old")):
            if chance.random() < 0.4:
                amount = chance.choice([1, 1, 2, 20])
                pod.do(kind, amount, **{"outcome" if kind == TASKS else "rule": name})
                unseen[f"{pod.name} {kind} {name}"] += amount
        if chance.random() < 0.85:
            pod.scrape(at)
            truth.update(unseen)
            unseen.clear()


@given(histories())
def test_every_count_that_was_scraped_is_found(history: tuple[list[Pod], Counter[str], list[float]]) -> None:
    pods, truth, times = history
    assert gained(Counts(SINCE).advance(window(pods, 0, times[-1]), times[-1])) == truth


@given(histories(), st.data())
def test_reads_in_any_chunks_and_overlaps_find_the_same(
    history: tuple[list[Pod], Counter[str], list[float]], data: st.DataObject
) -> None:
    pods, truth, times = history
    counts, found, begin, end = Counts(SINCE), [], 0.0, SINCE - 1
    while end < times[-1]:
        begin = data.draw(st.floats(0.0, max(0.0, end)), label="window begins") if end >= SINCE else 0.0
        end = min(times[-1], end + data.draw(st.floats(1.0, 90.0), label="window grows by"))
        read = window(pods, begin, end)
        found += counts.advance(data.draw(st.permutations(read), label="order"), end)
        assert counts.advance(read, end) == []
    assert gained(found) == truth


@given(histories())
def test_intervals_are_ordered_and_end_at_a_sample(
    history: tuple[list[Pod], Counter[str], list[float]],
) -> None:
    pods, _, times = history
    increments = Counts(SINCE).advance(window(pods, 0, times[-1]), times[-1])
    assert all(one.begin <= one.end and one.amount > 0 for one in increments)
    assert [one.end for one in increments] == sorted(one.end for one in increments)
    assert all(one.labels["__name__"] != PROCESS_START for one in increments)

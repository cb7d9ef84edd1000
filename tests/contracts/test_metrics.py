"""What `ports.Metrics` promises, in memory and on a real Prometheus."""

from __future__ import annotations

import asyncio
import math

import pytest

from interlock.adapters.prometheus import PrometheusMetrics
from interlock.adapters.prometheus.labels import LabelNames
from interlock.analysis.values import NoNumber
from interlock.core.observation import Unreadable
from interlock.ports import Evaluation, Samples, Selection
from tests.contracts.stores import MetricStore, Scraped

TASKS = "ai_agent_tasks_total"
STARTED = "ai_agent_tasks_started_total"


def series(namespace: str, name: str = TASKS, **labels: str) -> dict[str, str]:
    known = {"namespace": namespace, "agent": "triage", "pod": "a", "mode": "live", "job": "agents"}
    return {"__name__": name, **known, "instance": "a:9090", **labels}


async def read(store: MetricStore, namespace: str, at: float, window: float = 600) -> Samples:
    found = await store.metrics.read(Selection(frozenset({TASKS, STARTED}), namespace, "triage", at, window))
    assert isinstance(found, Samples), found
    assert found.warnings == ()
    return found


async def test_samples_are_raw(metric_store: MetricStore, shop: str) -> None:
    """As scraped: a counter that is born at 1, falls and rises is not smoothed, extrapolated or mended."""
    values = [1.0, 5.0, 2.0, 2.0]
    moments = [await metric_store.scrape((series(shop), value)) for value in values]
    (found,) = (await read(metric_store, shop, moments[-1])).series
    assert found.labels == series(shop)
    assert found.points == tuple(zip(moments, values, strict=True))


async def test_a_window_is_open_at_its_beginning_and_closed_at_its_end(
    metric_store: MetricStore, shop: str
) -> None:
    moments = [await metric_store.scrape((series(shop), value)) for value in (1.0, 2.0, 3.0, 4.0)]
    (found,) = (await read(metric_store, shop, moments[2], moments[2] - moments[0])).series
    assert [value for _, value in found.points] == [2.0, 3.0]


async def test_one_that_needs_no_more_than_a_sample_now_and_then_gets_what_was_so_at_these_times(
    metric_store: MetricStore, shop: str
) -> None:
    """None is interpolated; and what is left out changes no sum of increments."""
    moments = []
    for value in (1.0, 4.0, 6.0, 9.0):
        moments.append(await metric_store.scrape((series(shop), value)))
        await asyncio.sleep(1.1)
    wanted = Selection(frozenset({TASKS}), shop, "triage", moments[-1] + 1, 600, every=1.0)
    found = await metric_store.metrics.read(wanted)
    assert isinstance(found, Samples)
    (one,) = found.series
    assert one.labels == series(shop)
    known = dict(zip(moments, (1.0, 4.0, 6.0, 9.0), strict=True))
    for at, value in one.points:
        assert value == known[max(moment for moment in moments if moment <= at)]
    assert {value for _, value in one.points} == set(known.values())


async def test_a_series_without_samples_in_the_window_is_absent(metric_store: MetricStore, shop: str) -> None:
    early = await metric_store.scrape((series(shop, pod="a"), 1.0))
    late = await metric_store.scrape((series(shop, pod="b"), 1.0))
    found = await read(metric_store, shop, late, late - early)
    assert [one.labels["pod"] for one in found.series] == ["b"]
    assert (await read(metric_store, shop, early - 1, 1)).series == ()


async def test_a_series_that_is_gone_keeps_what_it_had(metric_store: MetricStore, shop: str) -> None:
    first = await metric_store.scrape((series(shop, pod="a"), 7.0), (series(shop, pod="b"), 1.0))
    last = await metric_store.scrape((series(shop, pod="b"), 2.0))
    found = {one.labels["pod"]: one.points for one in (await read(metric_store, shop, last)).series}
    assert found == {"a": ((first, 7.0),), "b": ((first, 1.0), (last, 2.0))}


async def test_only_what_was_selected_is_read(metric_store: MetricStore, shop: str) -> None:
    mine = [series(shop), series(shop, STARTED), series(shop, mode="shadow")]
    theirs = [
        series(shop + "-2"),
        series(shop, agent="billing"),
        series(shop, "ai_agent_tasks_total_other"),
        series(shop, "other"),
    ]
    last = await metric_store.scrape(*((labels, 1.0) for labels in (*theirs, *mine)))
    found = [dict(one.labels) for one in (await read(metric_store, shop, last)).series]
    assert sorted(found, key=str) == sorted(mine, key=str)


async def test_read_together_or_alone_the_answer_is_the_same(metric_store: MetricStore, shop: str) -> None:
    moments = [
        await metric_store.scrape(*((series(shop, agent=agent), value) for agent in ("triage", "billing")))
        for value in (1.0, 2.0, 3.0)
    ]
    wanted = [
        Selection(frozenset({TASKS}), shop, "triage", moments[2], moments[2] - moments[0]),
        Selection(frozenset({TASKS}), shop, "billing", moments[1], 30),
        Selection(frozenset({TASKS}), shop, "nobody", moments[2], 30),
    ]
    together = await asyncio.gather(*map(metric_store.metrics.read, wanted))
    assert together == [await metric_store.metrics.read(selection) for selection in wanted]
    values = [[value for one in found.series for _, value in one.points] for found in together]  # type: ignore[union-attr]
    assert values == [[2.0, 3.0], [1.0, 2.0], []]


@pytest.mark.parametrize("odd", ['quo"ted', "back\\slash", ".*", "two\nlines", 'a",agent="b'])
async def test_names_are_compared_not_interpreted(metric_store: MetricStore, shop: str, odd: str) -> None:
    last = await metric_store.scrape((series(shop), 1.0), (series(shop + odd), 2.0))
    (found,) = (await read(metric_store, shop + odd, last)).series
    assert found.labels["namespace"] == shop + odd
    assert found.points == ((last, 2.0),)


async def test_when_nobody_answers_that_is_said(metric_store: MetricStore) -> None:
    found = await metric_store.broken.read(Selection(frozenset({TASKS}), "shop", "triage", 1000, 60))
    assert isinstance(found, Unreadable)
    assert found.reason


# ------------------------------------------------------------------ numbers
async def evaluated(store: MetricStore, promql: str, *at: float) -> list[float | NoNumber]:
    step = at[1] - at[0] if len(at) > 1 else 1.0
    found = await store.metrics.evaluate(Evaluation(promql, at[0], at[-1], step))
    assert not isinstance(found, Unreadable), found
    return [one.found for one in found]


async def test_an_expression_gives_a_number_at_each_moment(metric_store: MetricStore, shop: str) -> None:
    first = await metric_store.scrape((series(shop, pod="a"), 1.0), (series(shop, pod="b"), 2.0))
    last = await metric_store.scrape((series(shop, pod="a"), 10.0), (series(shop, pod="b"), 2.0))
    promql = f'sum({TASKS}{{namespace="{shop}"}})'
    assert await evaluated(metric_store, promql, first, last) == [3.0, 12.0]
    assert await evaluated(metric_store, f'{TASKS}{{namespace="{shop}",pod="b"}}', last) == [2.0]


@pytest.mark.parametrize("step", [0.001, 1.0, 1.001, 1.005, 1.127, 2.007])
async def test_moments_are_any_number_of_milliseconds_apart(
    metric_store: MetricStore, shop: str, step: float
) -> None:
    at = await metric_store.scrape((series(shop), 3.0))
    promql = f'sum({TASKS}{{namespace="{shop}"}})'
    found = await metric_store.metrics.evaluate(Evaluation(promql, at, round(at + 3 * step, 3), step))
    assert not isinstance(found, Unreadable)
    assert [one.found for one in found] == [3.0] * 4


async def test_several_series_and_none_are_no_number(metric_store: MetricStore, shop: str) -> None:
    last = await metric_store.scrape((series(shop, pod="a"), 1.0), (series(shop, pod="b"), 2.0))
    (several,) = await evaluated(metric_store, f'{TASKS}{{namespace="{shop}"}}', last)
    (nothing,) = await evaluated(metric_store, f'sum({TASKS}{{namespace="{shop}-9"}})', last)
    assert isinstance(several, NoNumber)
    assert "2 series" in several.reason
    assert nothing == NoNumber("the expression gives nothing")


async def test_not_a_number_is_none(metric_store: MetricStore, shop: str) -> None:
    last = await metric_store.scrape((series(shop), math.nan))
    (found,) = await evaluated(metric_store, f'sum({TASKS}{{namespace="{shop}"}})', last)
    assert found == NoNumber("the expression gives nan")


async def test_what_is_no_expression_is_refused_with_a_reason(metric_store: MetricStore) -> None:
    found = await metric_store.metrics.evaluate(Evaluation("sum(", 1.0, 1.0, 1.0))
    assert isinstance(found, Unreadable)
    assert "HTTP 400" in found.reason


async def test_labels_that_are_called_otherwise_are_read(scraped: Scraped, shop: str) -> None:
    """The same series, seen by an operator that is told what its labels are called."""
    otherwise = {"k8s_namespace": shop, "service": "triage", "service_version": "v2", "pod": "a"}
    theirs = {"__name__": TASKS, **otherwise, "version": "3.1"}
    last = await scraped.scrape((theirs, 4.0))
    names = LabelNames(namespace="k8s_namespace", agent="service", version="service_version")
    metrics = PrometheusMetrics(scraped.address, names=names)
    try:
        found = await metrics.read(Selection(frozenset({TASKS}), shop, "triage", last, 60))
    finally:
        await metrics.close()
    assert isinstance(found, Samples), found
    (one,) = found.series
    labels = {key: one.labels.get(key) for key in ("namespace", "agent", "version", "exported_version")}
    assert labels == {"namespace": shop, "agent": "triage", "version": "v2", "exported_version": "3.1"}
    assert one.points == ((last, 4.0),)

"""The templates for what others emit, read by the operator's own adapter from a real Prometheus that scrapes
expositions in the others' format, relabelled as the templates' files say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from dev.cluster.control_plane import free_ports
from interlock.adapters.prometheus import PrometheusMetrics
from interlock.analysis.metrics import Average, Counter, Histogram, Metric, Proportion
from interlock.analysis.series import Series
from interlock.core.metrictemplates import definition_of
from interlock.model.metrictemplate import MetricTemplate
from interlock.ports import Samples, Selection
from tests.cluster.prometheus import serving
from tests.cluster.waiting import until
from tests.contracts.conftest import ready

EXPOSITIONS = Path(__file__).parent / "expositions"
TEMPLATES = Path(__file__).parents[2] / "manifests" / "metrics"
POD = {"namespace": "shop", "agent": "triage", "version": "v2", "mode": "live", "pod": "triage-b-1"}
"""What the pods' relabelling puts on every series of theirs."""
GATEWAY = {"namespace": "gateways", "pod": "envoy-1"}
FROM_HEADERS = [
    {"source_labels": [f"agent_{theirs}"], "regex": "(.+)", "target_label": ours}
    for theirs, ours in (
        ("namespace", "namespace"),
        ("name", "agent"),
        ("version", "version"),
        ("mode", "mode"),
        ("pod", "pod"),
    )
]
EXPECTED: dict[str, tuple[float, float]] = {
    "otel-agent-error-rate": (1, 4),
    "otel-agent-duration": (3, 4),
    "otel-tool-error-rate": (1, 3),
    "otel-model-error-rate": (1, 4),
    "otel-tokens-per-invocation": (460, 4),
    "envoy-ai-error-rate": (1, 5),
    "envoy-ai-duration": (4, 5),
    "envoy-ai-tokens-per-call": (460, 5),
    "agentgateway-guardrail-reject-rate": (5, 200),
    "agentgateway-response-intervention-rate": (20, 105),
    "nemo-blocked-rate": (7, 50),
    "nemo-output-blocked-rate": (4, 50),
    "nemo-error-rate": (2, 50),
    "istio-server-error-rate": (3, 43),
}
"""Part and whole; sum and count; of a duration up to its bound, and all."""
BOUNDS = {"otel-agent-duration": "25.6", "envoy-ai-duration": "20.48"}
"""In seconds, one of those that the template's description names."""


def templates() -> dict[str, MetricTemplate]:
    found = [
        MetricTemplate.read(manifest)
        for path in sorted(TEMPLATES.glob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text())
    ]
    return {template.metadata.name: template for template in found}


def job(path: Path) -> dict[str, Any]:
    name = path.stem
    through_gateway = name == "envoy-ai-gateway"
    return {
        "job_name": name,
        "metrics_path": f"/{name}",
        "static_configs": [{"targets": ["TARGET"], "labels": GATEWAY if through_gateway else POD}],
        "metric_relabel_configs": FROM_HEADERS if through_gateway else [],
    }


@pytest.fixture(scope="module")
async def scraping(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PrometheusMetrics]:
    """A Prometheus that has scraped all of them."""

    async def show(request: web.Request) -> web.Response:
        text = (EXPOSITIONS / f"{request.match_info['name']}.prom").read_text()
        kind = "application/openmetrics-text; version=1.0.0" if text.endswith("# EOF\n") else "text/plain"
        return web.Response(text=text, headers={"Content-Type": f"{kind}; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/{name}", show)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    jobs = yaml.safe_dump([job(path) for path in sorted(EXPOSITIONS.glob("*.prom"))])
    target = f"127.0.0.1:{runner.addresses[0][1]}"
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": yaml.safe_load(jobs.replace("TARGET", target)),
    }
    (served,) = free_ports(1)
    program = serving(tmp_path_factory.mktemp("foreign"), served, config)
    metrics = PrometheusMetrics(f"http://127.0.0.1:{served}")
    program.start()
    try:
        await until(lambda: ready(f"http://127.0.0.1:{served}"), 30, "Prometheus to be ready", program.tail)
        yield metrics
    finally:
        program.stop()
        await metrics.close()
        await runner.cleanup()
        await asyncio.sleep(0)  # one turn of the loop: connections are closed in it


def amount(series: Iterable[Series], counter: Counter, le: str = "") -> float:
    """What it stands at, over all series of it."""
    mine = [one for one in series if counter.matches(one.labels)]
    return sum(one.points[-1][1] for one in mine if not le or float(one.labels["le"]) == float(le))


def read(metric: Metric, series: list[Series], bound: str) -> tuple[float, float]:
    match metric:
        case Proportion():
            return amount(series, metric.part), amount(series, metric.total)
        case Average():
            return amount(series, metric.sum), amount(series, metric.count)
        case Histogram():
            return amount(series, metric.buckets, bound), amount(series, metric.buckets, "+Inf")
        case _:
            raise AssertionError(metric)


@pytest.mark.parametrize("name", EXPECTED)
async def test_it_is_read_as_it_was_emitted(scraping: PrometheusMetrics, name: str) -> None:
    metric = definition_of(templates()[name]).metric
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 20
    while True:
        found = await scraping.read(Selection(metric.families, "shop", "triage", time.time(), 30.0))
        assert isinstance(found, Samples), found
        if {one.name for one in found.series} >= metric.families:
            break
        assert loop.time() < deadline, "Prometheus does not scrape"
        await asyncio.sleep(0.2)
    for one in found.series:
        assert POD.items() <= one.labels.items()
    assert read(metric, list(found.series), BOUNDS.get(name, "")) == EXPECTED[name]


@pytest.mark.parametrize("name", BOUNDS)
def test_a_duration_says_a_bound_that_there_is(name: str) -> None:
    assert f" {BOUNDS[name]}" in (templates()[name].spec.description or "")


def test_every_template_is_looked_at() -> None:
    assert templates().keys() == EXPECTED.keys()

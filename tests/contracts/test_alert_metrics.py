"""How a real Prometheus stores its alerts: what alert gates rest on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from dev.cluster.control_plane import free_ports
from dev.cluster.versions import OLD_PROMETHEUS_PROGRAM, PROMETHEUS_PROGRAM, GoProgram
from interlock.adapters.prometheus import PrometheusMetrics
from interlock.analysis.gates import Alert
from interlock.analysis.presets import ALERTS
from interlock.ports import Samples, Selection
from tests.cluster.processes import Program
from tests.cluster.prometheus import serving
from tests.cluster.waiting import until

SECONDS = 10
"""How long the rule's expression holds. Of its first evaluation a server tells nothing."""
PAGE = Alert({"interlock_action": "revert"})


@pytest.fixture(
    scope="module",
    params=[PROMETHEUS_PROGRAM, OLD_PROMETHEUS_PROGRAM],
    ids=["Prometheus 3", "Prometheus 2"],
)
def over(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, float]]:
    """The address of a server with one rule, and the moment at which its alert is over."""
    folder, (port,) = tmp_path_factory.mktemp("alerts"), free_ports(1)
    ends = time.time() + SECONDS
    program = with_rule(folder, port, f"vector(time()) < {ends}", request.param)
    program.start()
    try:
        yield f"http://127.0.0.1:{port}", ends
    finally:
        program.stop()


def with_rule(folder: Path, port: int, expression: str, version: GoProgram) -> Program:
    rule = {
        "alert": "HighErrorRate",
        "expr": expression,
        "for": "3s",
        "labels": {"namespace": "shop", "agent": "triage", "interlock_action": "revert"},
    }
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "agents", "rules": [rule]}]}))
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(folder / "rules.yml")]}
    return serving(folder, port, config, version=version)


@pytest.fixture
async def metrics(over: tuple[str, float]) -> AsyncIterator[PrometheusMetrics]:
    address, _ = over
    found = PrometheusMetrics(address)
    yield found
    await found.close()
    await asyncio.sleep(0)  # one turn of the loop: connections are closed in it


async def test_an_alert_is_a_series_that_carries_its_labels_while_it_fires(
    over: tuple[str, float], metrics: PrometheusMetrics
) -> None:
    _, ends = over

    async def is_over() -> bool:
        return time.time() > ends + 2 and bool((await read(metrics)).series)

    await until(is_over, 30, "the alert to be over")
    found = {one.labels["alertstate"]: one for one in (await read(metrics)).series}
    assert set(found) == {"pending", "firing"}
    firing = found["firing"]
    assert PAGE.matches(firing.labels, "v2")
    assert not PAGE.matches(found["pending"].labels, "v2")
    assert firing.labels["alertname"] == "HighErrorRate"
    assert {value for _, value in firing.points} == {1.0}
    assert found["pending"].points[-1][0] < firing.points[0][0]
    assert firing.points[-1][0] < ends, "no sample says that it is over: they end"


async def read(metrics: PrometheusMetrics) -> Samples:
    found = await metrics.read(Selection(frozenset({ALERTS}), "shop", "triage", time.time(), 60))
    return found if isinstance(found, Samples) else Samples(())

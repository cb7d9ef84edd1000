# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = [
#   "nemoguardrails==0.24.1",
#   "opentelemetry-sdk==1.45.2",
#   "opentelemetry-exporter-prometheus==0.66b2",
#   "prometheus-client==0.26.0",
# ]
# ///
"""Records nemo-guardrails.prom: `uv run --script dev/foreign/nemo_guardrails.py > FILE`.

What NeMo Guardrails' own instruments export to Prometheus: 50 requests, three blocked by an input rail, four
by an output rail, two that ended in an error. Its rails need models, so its engine is not asked: what the
engine counts with is called as the engine calls it (nemoguardrails/guardrails/iorails.py).
"""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import version

from nemoguardrails.guardrails.guardrails_types import RailDirection  # type: ignore[import-not-found]
from nemoguardrails.guardrails.telemetry import (  # type: ignore[import-not-found]
    record_request_blocked,
    request_metrics,
)
from opentelemetry import metrics  # type: ignore[import-not-found]
from opentelemetry.exporter.prometheus import PrometheusMetricReader  # type: ignore[import-not-found]
from opentelemetry.sdk.metrics import MeterProvider  # type: ignore[import-not-found]
from prometheus_client import REGISTRY, generate_latest

_LIBRARIES = ("nemoguardrails", "opentelemetry-sdk", "opentelemetry-exporter-prometheus")
REQUESTS = 50
BLOCKED = (RailDirection.INPUT,) * 3 + (RailDirection.OUTPUT,) * 4
ERRORS = 2


def main() -> None:
    """Emit, and print what a scrape gets."""
    metrics.set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))
    for direction in BLOCKED:
        with request_metrics():
            record_request_blocked(direction)
    for _ in range(ERRORS):
        with suppress(TimeoutError), request_metrics():
            raise TimeoutError
    for _ in range(REQUESTS - len(BLOCKED) - ERRORS):
        with request_metrics():
            pass
    libraries = (f"{name} {version(name)}" for name in _LIBRARIES)
    print("# recorded by dev/foreign/nemo_guardrails.py:", *libraries)
    lines = generate_latest(REGISTRY).decode().splitlines()
    print("\n".join(line for line in lines if "guardrails_" in line))


if __name__ == "__main__":
    main()

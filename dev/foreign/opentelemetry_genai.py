# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "opentelemetry-sdk==1.45.2",
#   "opentelemetry-exporter-prometheus==0.66b2",
#   "opentelemetry-util-genai==1.3b0",
#   "prometheus-client==0.26.0",
# ]
# ///
"""Records opentelemetry-genai.prom: `uv run --script dev/foreign/opentelemetry_genai.py > FILE`.

What OpenTelemetry's library for GenAI instrumentations (opentelemetry-util-genai) exports to Prometheus: four
invocations of an agent, three executions of a tool, four calls to a model. Only the clock is ours, so that
nobody waits for slow ones.
"""

from __future__ import annotations

import timeit
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version

from opentelemetry.exporter.prometheus import PrometheusMetricReader  # type: ignore[import-not-found]
from opentelemetry.sdk.metrics import MeterProvider  # type: ignore[import-not-found]
from opentelemetry.util.genai.handler import TelemetryHandler  # type: ignore[import-not-found]
from prometheus_client import REGISTRY, generate_latest

_LIBRARIES = ("opentelemetry-sdk", "opentelemetry-exporter-prometheus", "opentelemetry-util-genai")
Ending = type[Exception] | None
"""The error that something ends in."""

INVOCATIONS: tuple[tuple[float, Ending], ...] = ((1.0, None), (2.0, None), (30.0, None), (0.5, TimeoutError))
TOOLS: tuple[tuple[float, Ending], ...] = ((0.1, None), (0.2, None), (5.0, ConnectionError))
TOKENS = ((100, 20), (200, 30), (100, 10))
"""In and out."""


class Clock:
    """Goes forward when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@contextmanager
def lasting(clock: Clock, seconds: float, error: Ending) -> Iterator[None]:
    """Work in here takes that long, and ends in that error."""
    yield
    clock.now += seconds
    if error is not None:
        raise error


def main() -> None:
    """Emit, and print what a scrape gets."""
    clock = Clock()
    timeit.default_timer = clock
    handler = TelemetryHandler(
        meter_provider=MeterProvider(metric_readers=[PrometheusMetricReader()]),
        instrumentation_scope_name="triage",
    )
    for seconds, error in INVOCATIONS:
        agent = handler.invoke_local_agent(agent_name="triage", request_model="small-model")
        with suppress(Exception), agent, lasting(clock, seconds, error):
            pass
    for seconds, error in TOOLS:
        with suppress(Exception), handler.tool("search"), lasting(clock, seconds, error):
            pass
    for given, answered in TOKENS:
        with handler.inference("openai", request_model="small-model") as call, lasting(clock, 1.0, None):
            call.input_tokens, call.output_tokens = given, answered
    with suppress(ConnectionError), handler.inference("openai", request_model="small-model"):
        raise ConnectionError
    print(
        "# recorded by dev/foreign/opentelemetry_genai.py:",
        *(f"{name} {version(name)}" for name in _LIBRARIES),
    )
    lines = generate_latest(REGISTRY).decode().splitlines()
    print("\n".join(line for line in lines if "gen_ai_" in line))


if __name__ == "__main__":
    main()

"""The published questions (fetched once into the cache; no data, no tests) and agents that really serve."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dev.demo.agent.catalogue import Catalogue
from dev.demo.agent.document import VersionDocument
from dev.demo.agent.server import MetricsServer, TriageServer
from dev.demo.agent.triage import TriageAgent
from dev.demo.data import PERSONAL_DATA, Half, build, fetch

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="session")
def evaluation_half() -> Catalogue:
    """All questions of the half on which rates are stated."""
    return build(fetch())


@pytest.fixture(scope="session")
def tuning_half() -> Catalogue:
    """All questions of the other half."""
    return build(fetch(), Half.TUNING)


@pytest.fixture(scope="session")
def shown(evaluation_half: Catalogue) -> Catalogue:
    """The catalogue that the demo runs on."""
    return evaluation_half.without(PERSONAL_DATA)


@dataclass(frozen=True)
class Running:
    """An agent that serves on loopback."""

    url: str
    metrics_url: str
    server: TriageServer

    def samples(self) -> Samples:
        """What a scrape says, by name and labels."""
        reply = httpx.get(self.metrics_url, trust_env=False)
        assert reply.headers["content-type"].startswith("text/plain; version=")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(reply.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """One sample; a series that does not exist fails the test."""
        return self.samples()[name, frozenset(labels.items())]


@contextmanager
def serving(
    catalogue: Catalogue, document: VersionDocument, version: str = "triage-v1", mode: str = "live"
) -> Iterator[Running]:
    """Serves an agent of this document for the time of the block."""
    agent = TriageAgent(catalogue, document, "digest-of-the-document", mode)
    with ExitStack() as stack:
        server = stack.enter_context(TriageServer(("127.0.0.1", 0), agent, version))
        metrics = stack.enter_context(MetricsServer(("127.0.0.1", 0), agent.metrics.registry))
        for each in (server, metrics):
            threading.Thread(target=each.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(each.shutdown)
        yield Running(
            f"http://127.0.0.1:{server.server_port}",
            f"http://127.0.0.1:{metrics.server_port}/metrics",
            server,
        )

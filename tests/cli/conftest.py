"""A Prometheus with a past, for verbs that read history."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from dev.cluster.control_plane import free_ports
from tests.cli.backfill import receiving, send
from tests.cli.past import Past

HOURS = 3


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/-/ready", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that holds three hours of `triage` up to now, and of `erring`, which
    fails in the half hour that ends half an hour ago."""
    folder, (port,) = tmp_path_factory.mktemp("past"), free_ports(1)
    program, address = receiving(folder, port), f"http://127.0.0.1:{port}"
    program.start()
    try:
        deadline = time.monotonic() + 30
        while not _is_ready(address):
            assert time.monotonic() < deadline, program.tail()
            time.sleep(0.1)
        now = int(time.time()) // 15 * 15
        bad = now - 3600
        erring = Past(
            now - HOURS * 3600,
            now,
            pods=2,
            good=lambda at: 0.6 if bad <= at < bad + 1800 else 0.92,
            agent="erring",
            seed=2,
        )
        every = [*Past(now - HOURS * 3600, now, pods=2).series(), *erring.series()]
        send(address, every)
        yield address
    finally:
        program.stop()

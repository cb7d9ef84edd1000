"""A real Prometheus that wants to know who asks: TLS, a certificate, a user name and a password."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from dev.cluster.control_plane import free_ports
from dev.cluster.pki import Authority
from dev.cluster.versions import OLD_PROMETHEUS_PROGRAM, PROMETHEUS_PROGRAM
from interlock.adapters.prometheus import PrometheusMetrics
from interlock.adapters.prometheus.access import Access
from interlock.core.observation import Unreadable
from interlock.ports import Samples, Selection
from tests.cluster.prometheus import serving
from tests.cluster.waiting import until

PASSWORD = "open sesame"  # noqa: S105 - of nobody
HASH = "$2b$04$WaoKrMW2Uq92fIOvwALbme9W1Q2KsI3YMJjWDaFsJowqzwlfu/ro6"


@pytest.fixture(
    scope="module",
    params=[PROMETHEUS_PROGRAM, OLD_PROMETHEUS_PROGRAM],
    ids=["Prometheus 3", "Prometheus 2"],
)
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Access]]:
    """Its address, and what it lets in."""
    folder, (port,) = tmp_path_factory.mktemp("guarded"), free_ports(1)
    authority = Authority(folder)
    authority.create()
    authority.issue("server", "/CN=prometheus", ("IP:127.0.0.1",))
    authority.issue("operator", "/CN=interlock")
    tls = {
        "cert_file": str(folder / "server.crt"),
        "key_file": str(folder / "server.key"),
        "client_ca_file": str(authority.certificate),
        "client_auth_type": "RequireAndVerifyClientCert",
    }
    web = {"tls_server_config": tls, "basic_auth_users": {"interlock": HASH}}
    (folder / "web.yml").write_text(yaml.safe_dump(web))
    (folder / "password").write_text(PASSWORD)
    program = serving(folder, port, {}, f"--web.config.file={folder / 'web.yml'}", version=request.param)
    program.start()
    access = Access(
        username="interlock",
        password_file=folder / "password",
        ca_file=authority.certificate,
        certificate_file=folder / "operator.crt",
        key_file=folder / "operator.key",
    )
    try:
        yield f"https://127.0.0.1:{port}", access
    finally:
        program.stop()


@asynccontextmanager
async def asking(address: str, access: Access) -> AsyncIterator[PrometheusMetrics]:
    metrics = PrometheusMetrics(address, access=access)
    try:
        yield metrics
    finally:
        await metrics.close()
        await asyncio.sleep(0)  # one turn of the loop: connections are closed in it


async def read(address: str, access: Access) -> Samples | Unreadable:
    async with asking(address, access) as metrics:
        return await metrics.read(Selection(frozenset({"up"}), "shop", "triage", time.time(), 60))


async def test_who_proves_it_is_let_in_and_others_are_told_why_not(
    guarded: tuple[str, Access], tmp_path: Path
) -> None:
    address, access = guarded

    async def let_in() -> bool:
        return isinstance(await read(address, access), Samples)

    await until(let_in, 30, "Prometheus to let the operator in")
    (tmp_path / "wrong").write_text("open barley")
    wrong = await read(address, replace(access, password_file=tmp_path / "wrong"))
    assert wrong == Unreadable("Prometheus refuses us (HTTP 401): check the operator's credentials")
    unknown = await read(address, replace(access, certificate_file=None, key_file=None))
    assert isinstance(unknown, Unreadable)
    unbelieved = await read(address, replace(access, ca_file=None))
    assert isinstance(unbelieved, Unreadable)
    assert "certificate verify failed" in unbelieved.reason

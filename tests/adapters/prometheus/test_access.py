"""Who the operator says it is, and whom it believes: against a server on loopback that checks it."""

from __future__ import annotations

import base64
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from dev.cluster.pki import Authority
from interlock.adapters.prometheus import PrometheusMetrics
from interlock.adapters.prometheus.access import Access, header
from interlock.core.observation import Unreadable
from interlock.errors import SpecError
from interlock.ports import Samples
from tests.adapters.prometheus.given import SELECTION, as_prometheus_writes, of_type

SECRET = "s3cret"  # noqa: S105 - of nobody


@dataclass
class Guarded:
    """Answers whoever sends what it wants; keeps what was sent."""

    wants: dict[str, str] = field(default_factory=dict)
    sent: list[dict[str, str]] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """POST /api/v1/query."""
        self.sent.append(dict(request.headers))
        assert request.transport is not None
        certificate = request.transport.get_extra_info("peercert") or {}
        self.peers += [part[0][1] for part in certificate.get("subject", ())]
        if any(request.headers.get(name) != value for name, value in self.wants.items()):
            return web.Response(text="Unauthorized", status=401)
        return web.Response(body=as_prometheus_writes(of_type("matrix", [])))

    @asynccontextmanager
    async def serving(self, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        app = web.Application()
        app.add_routes([web.post("/api/v1/query", self.answer)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def asking(address: str, access: Access) -> AsyncIterator[PrometheusMetrics]:
    metrics = PrometheusMetrics(address, 2.0, access=access)
    try:
        yield metrics
    finally:
        await metrics.close()


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# ------------------------------------------------------------------ credentials and headers
async def test_a_token_is_sent_and_read_again_when_it_is_renewed(tmp_path: Path) -> None:
    token, server = written(tmp_path / "token", "first\n"), Guarded({"Authorization": "Bearer first"})
    async with server.serving() as address, asking(address, Access(bearer_token_file=token)) as metrics:
        assert isinstance(await metrics.read(SELECTION), Samples)
        server.wants = {"Authorization": "Bearer second"}
        assert await metrics.read(SELECTION) == Unreadable(
            "Prometheus refuses us (HTTP 401): check the operator's credentials"
        )
        token.write_text("second")
        assert isinstance(await metrics.read(SELECTION), Samples)


async def test_a_user_name_and_its_password_are_sent(tmp_path: Path) -> None:
    password = written(tmp_path / "password", f"{SECRET}:ü\n".replace("ü", "u"))
    expected = "Basic " + base64.b64encode(f"me:{SECRET}:u".encode()).decode()
    server = Guarded({"Authorization": expected})
    access = Access(username="me", password_file=password)
    async with server.serving() as address, asking(address, access) as metrics:
        assert isinstance(await metrics.read(SELECTION), Samples)


async def test_a_tenant_is_sent(tmp_path: Path) -> None:
    server = Guarded({"X-Scope-OrgID": "team-a", "X-Region": "north"})
    access = Access(headers=(("X-Scope-OrgID", "team-a"), ("X-Region", "north")))
    async with server.serving() as address, asking(address, access) as metrics:
        assert isinstance(await metrics.read(SELECTION), Samples)
    assert "Authorization" not in server.sent[0]


async def test_a_token_that_is_gone_is_a_reason_and_not_an_end(tmp_path: Path) -> None:
    token, server = written(tmp_path / "token", "first"), Guarded()
    async with server.serving() as address, asking(address, Access(bearer_token_file=token)) as metrics:
        token.unlink()
        assert await metrics.read(SELECTION) == Unreadable(
            f"{token} cannot be read: No such file or directory"
        )
        token.write_text("second")
        assert isinstance(await metrics.read(SELECTION), Samples)
    assert len(server.sent) == 1


async def test_no_secret_is_logged_or_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token, server = written(tmp_path / "token", SECRET), Guarded({"Authorization": "another"})
    caplog.set_level(logging.DEBUG)
    async with server.serving() as address, asking(address, Access(bearer_token_file=token)) as metrics:
        told = [str(await metrics.read(SELECTION))]
        token.write_text(f"{SECRET}\nand another line")
        told.append(str(await metrics.read(SELECTION)))
    assert told[1] == str(Unreadable(f"{token} must hold one line of visible ASCII characters"))
    assert SECRET not in "".join(told) + caplog.text


# ------------------------------------------------------------------ TLS
@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    found = Authority(tmp_path_factory.mktemp("pki"))
    found.create()
    found.issue("server", "/CN=prometheus", ("IP:127.0.0.1",))
    found.issue("elsewhere", "/CN=prometheus", ("DNS:prometheus.example",))
    found.issue("operator", "/CN=interlock")
    return found


def shown(authority: Authority, name: str = "server", *, asks: bool = False) -> ssl.SSLContext:
    """A server's context; `asks`: for a client's certificate too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.folder / f"{name}.crt", authority.folder / f"{name}.key")
    if asks:
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_only_the_given_authority_is_believed(authority: Authority) -> None:
    server = Guarded()
    async with server.serving(shown(authority)) as address:
        async with asking(address, Access(ca_file=authority.certificate)) as metrics:
            assert isinstance(await metrics.read(SELECTION), Samples)
        async with asking(address, Access()) as metrics:
            found = await metrics.read(SELECTION)
    assert isinstance(found, Unreadable)
    assert "certificate verify failed" in found.reason
    assert len(server.sent) == 1, "nothing is sent to a server that is not believed"


async def test_a_certificate_for_another_name_is_not_believed(authority: Authority) -> None:
    async with (
        Guarded().serving(shown(authority, "elsewhere")) as address,
        asking(address, Access(ca_file=authority.certificate)) as metrics,
    ):
        found = await metrics.read(SELECTION)
    assert isinstance(found, Unreadable)
    assert "IP address mismatch" in found.reason


async def test_the_operators_own_certificate_is_shown_and_read_again(
    authority: Authority, tmp_path: Path
) -> None:
    chain, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    for path, kind in ((chain, "crt"), (key, "key")):
        path.write_bytes((authority.folder / f"operator.{kind}").read_bytes())
    access = Access(ca_file=authority.certificate, certificate_file=chain, key_file=key)
    server = Guarded()
    async with (
        server.serving(shown(authority, asks=True)) as address,
        asking(address, access) as metrics,
    ):
        assert isinstance(await metrics.read(SELECTION), Samples)
        for path, kind in ((chain, "crt"), (key, "key")):
            path.write_bytes((authority.folder / f"elsewhere.{kind}").read_bytes())
        assert isinstance(await metrics.read(SELECTION), Samples)
    assert server.peers == ["interlock", "prometheus"]


async def test_without_a_certificate_a_server_that_asks_for_one_refuses(authority: Authority) -> None:
    async with (
        Guarded().serving(shown(authority, asks=True)) as address,
        asking(address, Access(ca_file=authority.certificate)) as metrics,
    ):
        assert isinstance(await metrics.read(SELECTION), Unreadable)


# ------------------------------------------------------------------ settings that cannot work
def test_what_cannot_work_is_refused_with_the_file_named(authority: Authority, tmp_path: Path) -> None:
    empty, text = written(tmp_path / "empty", ""), written(tmp_path / "text", "no certificate")
    server, other = authority.folder / "server.crt", authority.folder / "operator.key"
    bad = {
        "empty must hold one line": Access(bearer_token_file=empty),
        "none cannot be read": Access(bearer_token_file=tmp_path / "none"),
        "must hold certificates in PEM": Access(ca_file=text),
        f"{tmp_path / 'none'} or its key cannot be read": Access(ca_file=tmp_path / "none"),
        "must hold a certificate with the key in": Access(certificate_file=server, key_file=other),
        "must not contain a colon": Access(username="a:b"),
        "must not be set": Access(headers=(("host", "x"),)),
    }
    for words, access in bad.items():
        with pytest.raises(SpecError, match=words):
            access.check()


@pytest.mark.parametrize(
    "text", ["", "X", ": x", "X Y: z", "X:", "X: a\nHost: b", "X: ü", "Authorization: x", "Cookie: x"]
)
def test_a_header_that_may_not_be_set_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        header(text)


def test_a_header_is_taken_apart() -> None:
    assert header(" X-Scope-OrgID:  a|b : c ") == ("X-Scope-OrgID", "a|b : c")

"""Credentials for Prometheus: what may leave the machine unencrypted, and who is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.cli.prometheus import PlainHttp, Server, server
from interlock.errors import SpecError

TOKEN = Path("token")
FAR = "http://prometheus.example:9090"


def named(address: str, token: Path | None, plain: PlainHttp = PlainHttp.REFUSE) -> Server | None:
    return server(address, token, "", None, None, None, None, None, None, plain)


def test_they_are_not_sent_over_http_to_another_machine() -> None:
    with pytest.raises(SpecError, match=r"unencrypted.*prometheus\.example.*https://.*plain-http=Accept"):
        named(FAR, TOKEN)


def test_a_password_in_the_address_is_not_repeated() -> None:
    with pytest.raises(SpecError) as refused:
        named("http://me:secret@prometheus.example:9090", TOKEN)
    assert "secret" not in str(refused.value)


def test_nor_is_a_password() -> None:
    with pytest.raises(SpecError, match="unencrypted"):
        server(FAR, None, "me", Path("password"), None, None, None, None, None)


def test_with_warn_it_is_told_once_and_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert named(FAR, TOKEN, PlainHttp.WARN) is not None
    said = capfd.readouterr()
    assert (said.out, said.err.count("Warning: the credentials for Prometheus go unencrypted")) == ("", 1)
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("address", "token", "plain"),
    [
        (FAR, TOKEN, PlainHttp.ACCEPT),
        (FAR, None, PlainHttp.REFUSE),
        ("https://prometheus.example", TOKEN, PlainHttp.REFUSE),
        ("http://127.0.0.1:9090", TOKEN, PlainHttp.REFUSE),
        ("http://[::1]:9090", TOKEN, PlainHttp.REFUSE),
        ("http://localhost:9090", TOKEN, PlainHttp.REFUSE),
    ],
)
def test_all_else_says_nothing(
    address: str, token: Path | None, plain: PlainHttp, capfd: pytest.CaptureFixture[str]
) -> None:
    assert named(address, token, plain) is not None
    assert capfd.readouterr().err == ""

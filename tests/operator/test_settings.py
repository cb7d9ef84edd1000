"""Settings that cannot work are refused at start, with the flag's name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.adapters.prometheus.labels import LabelNames
from interlock.operator.settings import parse

GOOD = ["--prometheus", "http://prometheus:9090"]


def test_the_defaults_are_usable() -> None:
    found = parse(GOOD)
    assert (found.tick, found.scrape_interval, found.port, found.log_level) == (5.0, 15.0, 8080, "INFO")
    assert found.timing.settle == 30.0
    assert found.timing.freshness == 60.0


def test_flags_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_TICK", "2")
    monkeypatch.setenv("INTERLOCK_SCRAPE_INTERVAL", "7")
    monkeypatch.setenv("INTERLOCK_PROMETHEUS", "https://thanos")
    found = parse(["--tick", "1"])
    assert (found.tick, found.scrape_interval, found.prometheus) == (1.0, 7.0, "https://thanos")


def test_labels_are_called_as_in_the_contract_unless_a_flag_says_otherwise() -> None:
    assert parse(GOOD).labels == LabelNames()
    found = parse([*GOOD, "--label-agent", "service_name", "--label-pod=k8s_pod_name"])
    assert found.labels == LabelNames(agent="service_name", pod="k8s_pod_name")


BAD = [
    ([], "--prometheus"),
    (["--prometheus", "prometheus:9090"], "--prometheus must be"),
    (["--prometheus", "http://me:secret@prometheus:9090"], "--prometheus must not hold a password"),
    ([*GOOD, "--prometheus-username", "me"], "--prometheus-username and --prometheus-password-file belong"),
    ([*GOOD, "--prometheus-key-file", "k"], "--prometheus-certificate-file and --prometheus-key-file belong"),
    ([*GOOD, "--prometheus-ca-file", "ca.pem"], "--prometheus-ca-file needs an https:// address"),
    (
        [*GOOD, *(f"--prometheus-{name}=x" for name in ("bearer-token-file", "username", "password-file"))],
        "exclude one another",
    ),
    ([*GOOD, "--prometheus-bearer-token-file", "/none"], "/none cannot be read: No such file"),
    ([*GOOD, "--prometheus-header", "X-Scope-OrgID"], "a header must be like 'X-Scope-OrgID: team-a'"),
    ([*GOOD, "--prometheus-header", "Authorization: Bearer x"], "header Authorization must not be set"),
    ([*GOOD, "--tick", "0"], "--tick must be"),
    ([*GOOD, "--tick", "-1"], "--tick must be"),
    ([*GOOD, "--tick", "nan"], "--tick must be"),
    ([*GOOD, "--tick", "inf"], "--tick must be"),
    ([*GOOD, "--tick", "often"], "--tick"),
    ([*GOOD, "--scrape-interval", "nan"], "--scrape-interval must be"),
    ([*GOOD, "--relist", "0"], "--relist must be"),
    ([*GOOD, "--gates-refresh", "0"], "--gates-refresh must be"),
    ([*GOOD, "--route-margin", "-1"], "--route-margin must be"),
    ([*GOOD, "--port", "70000"], "--port must be"),
    ([*GOOD, "--log-level", "LOUD"], "--log-level"),
    ([*GOOD, "--label-agent", "a-b"], "--label-…: 'a-b' must be a label name of Prometheus"),
    ([*GOOD, "--label-agent", "version"], "must be different label names"),
    ([*GOOD, "--prometheus-plain-http", "yes"], "--prometheus-plain-http must be Warn or Accept"),
    ([*GOOD, "--no-such-flag"], "no-such-flag"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), BAD, ids=lambda value: value if isinstance(value, str) else ""
)
def test_bad_flags_are_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTERLOCK_PROMETHEUS", raising=False)
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_a_bad_variable_is_named_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTERLOCK_TICK", "often")
    with pytest.raises(SystemExit):
        parse(GOOD)
    assert "--tick" in capsys.readouterr().err


def test_a_password_in_an_address_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--prometheus", "http://me:s3cret@prometheus:9090"])
    assert "s3cret" not in capsys.readouterr().err


def test_access_to_prometheus_comes_from_files_and_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    monkeypatch.setenv("INTERLOCK_PROMETHEUS_HEADER", "X-Scope-OrgID: team-a\nX-Region: north")
    monkeypatch.setenv("INTERLOCK_PROMETHEUS_USERNAME", "me")
    found = parse([*GOOD, "--prometheus-password-file", str(tmp_path / "password")])
    assert found.access.headers == (("X-Scope-OrgID", "team-a"), ("X-Region", "north"))
    assert found.access.username == "me"
    assert "s3cret" not in repr(found), "what is logged holds no secret"


@pytest.mark.parametrize(
    ("address", "exposed"),
    [
        ("http://prometheus:9090", True),
        ("http://10.0.0.7:9090", True),
        ("http://localhost.example.com", True),
        ("http://127.0.0.1.example.com", True),
        ("https://prometheus:9090", False),
        ("http://127.0.0.1:9090", False),
        ("http://127.8.0.1:9090", False),
        ("http://localhost:9090", False),
        ("http://[::1]:9090", False),
    ],
)
@pytest.mark.parametrize("kind", ["token", "password"])
def test_credentials_that_leave_the_machine_unencrypted_are_a_concern(
    address: str, exposed: bool, kind: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    given = {
        "token": [f"--prometheus-bearer-token-file={secret}"],
        "password": ["--prometheus-username=me", f"--prometheus-password-file={secret}"],
    }[kind]
    found = list(parse(["--prometheus", address, *given]).concerns())
    assert len(found) == exposed
    assert all(address in concern and "s3cret" not in concern for concern in found)
    assert not list(parse(["--prometheus", address, *given, "--prometheus-plain-http=Accept"]).concerns())


def test_without_credentials_there_is_nothing_to_expose() -> None:
    assert not list(parse([*GOOD, "--prometheus-header=X-Scope-OrgID: team-a"]).concerns())


def test_the_operator_says_its_concerns_before_all_else(tmp_path: Path) -> None:
    """A process of its own, that finds no cluster."""
    (tmp_path / "token").write_text("s3cret")
    command = [sys.executable, "-m", "interlock.operator", *GOOD]
    done = subprocess.run(
        [*command, f"--prometheus-bearer-token-file={tmp_path / 'token'}"],
        env={"PATH": os.environ["PATH"], "KUBECONFIG": str(tmp_path / "none"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first = json.loads((done.stdout + done.stderr).splitlines()[0])
    assert first["level"] == "WARNING"
    assert "unencrypted over the network to http://prometheus:9090" in first["message"]
    assert "s3cret" not in done.stdout + done.stderr

"""Settings that cannot work are refused at start, with the flag's name."""

from __future__ import annotations

import pytest

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


BAD = [
    ([], "--prometheus"),
    (["--prometheus", "prometheus:9090"], "--prometheus must be"),
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

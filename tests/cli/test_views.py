"""What is seen of Rollouts: golden tables, and how they are written."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from interlock.cli import render
from interlock.cli.views import Table, age, rollouts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CANARY: dict[str, Any] = {
    "metadata": {"name": "triage", "namespace": "agents", "creationTimestamp": "2026-02-26T11:00:00Z"},
    "spec": {"versionRef": {"name": "v14"}},
    "status": {
        "phase": "Canary",
        "step": "2/4",
        "weight": "5%",
        "stable": {"version": "v13"},
        "conditions": [
            {"type": "MetricsAvailable", "status": "True", "reason": "Read"},
            {"type": "Ready", "status": "False", "reason": "Progressing", "message": "step 2 of 4"},
        ],
    },
}
UNSEEN: dict[str, Any] = {"metadata": {"name": "new"}, "spec": {"versionRef": {"name": "v1"}}}


def test_the_table_has_the_columns_of_kubectl() -> None:
    assert rollouts([CANARY, UNSEEN], NOW, namespaced=False, wide=False) == Table(
        ("NAME", "STEP", "WEIGHT", "VERSION", "READY", "STATUS", "AGE"),
        (
            ("triage", "2/4", "5%", "v14", "False", "Canary", "3d1h"),
            ("new", "", "", "v1", "", "", ""),
        ),
    )


def test_wide_and_of_all_namespaces() -> None:
    found = rollouts([CANARY], NOW, namespaced=True, wide=True)
    assert (found.columns[0], found.rows[0][0]) == ("NAMESPACE", "agents")
    assert found.columns[-2:] == ("STABLE", "MESSAGE")
    assert found.rows[0][-2:] == ("v13", "step 2 of 4")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (330, "5m30s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (19200, "5h20m"),
        (28800 + 1800, "8h"),
        (172799, "47h"),
        (172800, "2d"),
        (277200, "3d5h"),
        (8 * 86400 + 7200, "8d"),
        (2 * 365 * 86400 - 1, "729d"),
        (3 * 365 * 86400 + 86400, "3y1d"),
        (9 * 365 * 86400 + 86400, "9y"),
    ],
)
def test_age_as_kubectl_writes_it(seconds: int, text: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == text


def test_piped_nothing_is_cut_and_no_line_ends_in_blanks() -> None:
    out = io.StringIO()
    render.table(Table(("NAME", "MESSAGE"), (("a", "word " * 100), ("bb", "[red]x"))), out)
    lines = out.getvalue().splitlines()
    assert lines == ["NAME   MESSAGE", f"a      {'word ' * 100}".rstrip(), "bb     [red]x"]

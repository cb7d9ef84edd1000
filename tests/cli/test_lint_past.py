"""`lint` on a real Prometheus that holds the past of a stable version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.test_entry import run
from tests.core.lint.test_written import COST, COVERAGE
from tests.scenarios import objects
from tests.scenarios.objects import CRITICAL, SUCCESS, VIOLATIONS, Manifest

SLOW: Manifest = {
    "name": "slow",
    "metric": "task-duration",
    "tail": {"aboveSeconds": "30", "worseByPoints": "1"},
}
GATES = [SUCCESS, COVERAGE, SLOW, COST, VIOLATIONS, CRITICAL]


def lint(folder: Path, address: str, *flags: str, agent: str = "triage", gates: Any = GATES) -> Any:
    manifest = objects.rollout("v2", agent=agent, analysis={"gates": gates})
    manifest["metadata"]["namespace"] = "shop"
    path = folder / "rollout.yaml"
    path.write_text(yaml.safe_dump(manifest))
    return run("lint", "-f", str(path), "--prometheus", address, "--window", "2h", "-o", "json", *flags)


def test_what_stable_does_is_found_out(past: str, tmp_path: Path) -> None:
    done = lint(tmp_path, past)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    usual, gates = told["usual"], told["usual"]["gates"]
    assert told["stable"] == "v1"
    assert usual["verifier"] == "postcondition"
    assert usual["tasksPerSecond"] == pytest.approx(2.0, rel=0.02)
    assert usual["seconds"] == pytest.approx(7200, abs=1200)
    assert usual["p99Seconds"] == 120.0
    assert gates["success"]["rate"] == pytest.approx(0.92, abs=0.01)
    assert gates["success"]["designEffect"] < 1.5
    assert gates["covered"]["rate"] == 1.0
    assert gates["slow"]["rate"] == pytest.approx(0.05, abs=0.01)  # e^-3 of the tasks take over 30 s
    assert gates["cost"]["mean"] == pytest.approx(0.03, rel=0.05)
    assert gates["cost"]["deviation"] == pytest.approx(0.03, rel=0.35)
    assert gates["violations"]["outcomesPerTask"] == 1.0
    assert gates["critical"] == {"events": 0.0, "eventsPerTask": 0.0}
    assert {answer["gate"] for answer in told["answers"]} == set(gates) - {"critical"}
    assert not [finding for finding in told["findings"] if finding["severity"] == "Error"]


def test_clumps_are_seen(past: str, tmp_path: Path) -> None:
    told = json.loads(lint(tmp_path, past, agent="erring").stdout)
    assert told["usual"]["gates"]["success"]["designEffect"] > 1.3


def test_a_bound_that_is_none_and_a_family_that_is_not_there(past: str, tmp_path: Path) -> None:
    wrong = {**SLOW, "tail": {"aboveSeconds": "60", "worseByPoints": "1"}}
    denied: Manifest = {"name": "denied", "metric": "policy-deny-rate", "limit": {"maxPercent": "5"}}
    done = lint(tmp_path, past, gates=[wrong, denied])
    assert done.returncode == 1
    errors = [f for f in json.loads(done.stdout)["findings"] if f["severity"] == "Error"]
    assert [(f["field"], f["remedy"]) for f in errors] == [
        ("spec.analysis.gates[0].tail.aboveSeconds", "choose one of 5, 30, 120"),
        ("spec.analysis.gates[1].metric", "export it, or take the gate out"),
    ]


def test_nobody_is_there(past: str, tmp_path: Path) -> None:
    done = lint(tmp_path, past, agent="nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert 'no live series with namespace="shop", agent="nobody"' in done.stderr


def test_another_version_than_the_one_that_is_named(past: str, tmp_path: Path) -> None:
    done = lint(tmp_path, past, "--stable", "v7")
    errors = [f["what"] for f in json.loads(done.stdout)["findings"] if f["severity"] == "Error"]
    assert "no live series of version v7, pods *; there are series of v1" in errors

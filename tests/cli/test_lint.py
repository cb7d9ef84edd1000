"""`lint` as a user runs it, and what it shows: golden tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlock.analysis.questions import Worsening
from interlock.analysis.usual import Range, Usual
from interlock.cli import lint_view
from interlock.cli.views import Passage, Table
from interlock.core.lint.report import by_hand, linted
from tests.cli.test_entry import run
from tests.core.lint.test_traffic import TIMING, rate
from tests.core.lint.test_written import COVERAGE, rollout
from tests.scenarios import objects
from tests.scenarios.objects import CRITICAL, SUCCESS, VIOLATIONS

SUBJECT = rollout(SUCCESS, COVERAGE, VIOLATIONS, CRITICAL, stepDeadlineSeconds=3600)
SEEN = Usual(
    10.0,
    {"success": rate(0.92, 1.2), "violations": rate(0.998)},
    86400.0,
    864000.0,
    Range(2.0, 18.0),
    41.0,
    "postcondition",
)
LINT = linted(SUBJECT, TIMING, SEEN, Worsening())


def test_the_title_says_what_is_known_of_the_traffic() -> None:
    assert lint_view.title(LINT).endswith(
        " in 24h: 10 tasks/s, by the hour 2 to 18, 99 % of tasks within 41s, verified by postcondition"
    )
    given = linted(SUBJECT, TIMING, by_hand(SUBJECT, 2.5, None), Worsening())
    assert lint_view.title(given) == "Rollout shop/triage: 2.5 tasks/s, as given"
    bare = linted(SUBJECT, TIMING, by_hand(SUBJECT, None, None), Worsening())
    assert "--tasks-per-second" in lint_view.title(bare)


def test_what_stable_usually_does() -> None:
    assert lint_view.usual_table(LINT) == Table(
        ("GATE", "STABLE", "BY-THE-HOUR", "OUTCOMES", "CLUMP"),
        (("success", "92 %", "-", "1000000", "1.2"), ("violations", "0.2 %", "-", "1000000", "1.0")),
    )


def test_when_each_gate_can_tell_what() -> None:
    assert lint_view.answer_table(LINT, wide=False) == Table(
        ("GATE", "STEP", "TO-SEE", "TASKS", "MEDIAN", "95%", "LASTS", "FINDS"),
        (
            ("success", "canary", "92→88%", "646", "8m", "24m", "60s", "67%"),
            ("success", "full", "92→88%", "5610", "16m", "46m", "60s", "50.9%"),
            ("success", "all", "92→88%", "never", "never", "never!", "2m", "-"),
            ("violations", "canary", "5→9%", "291", "4m", "11m", "60s", "13.1%"),
            ("violations", "full", "5→9%", "291", "47s", "2m", "60s", "8.49%"),
            ("violations", "all", "5→9%", "291", "93s", "never!", "2m", "-"),
        ),
    )


def test_wide_shows_a_gate_alone_as_well() -> None:
    table = lint_view.answer_table(LINT, wide=True)
    assert table.columns[4] == "ALONE"
    assert table.rows[0][4] == "6m / 17m"


def test_findings_and_their_number() -> None:
    assert lint_view.passages(LINT)[-1] == Passage(
        "Note: spec.analysis.gates[3].events",
        "gate critical lies outside the bound of 5 % on false reverts: a plain count, which a healthy "
        "candidate may exceed as well; count its own false alarms on top.",
    )
    assert lint_view.verdict(LINT).startswith("0 errors, ")


def test_json_holds_everything_and_no_infinity() -> None:
    told = lint_view.as_json(LINT)
    json.dumps(told, allow_nan=False)
    assert told["steps"][0] == {
        "name": "canary",
        "sharePercent": 20.0,
        "warmupSeconds": 41.0,
        "lastsSeconds": 60.0,
        "deadlineSeconds": 3600.0,
    }
    assert told["usual"]["gates"]["success"]["rate"] == pytest.approx(0.92)
    whole = next(answer for answer in told["answers"] if answer["step"] is None)
    assert whole["merged"]["seconds"]["median"] is None
    assert {finding["severity"] for finding in told["findings"]} <= {"Error", "Warning", "Note"}


class TestAsAUserRunsIt:
    @pytest.fixture
    def file(self, tmp_path: Path) -> str:
        path = tmp_path / "rollout.yaml"
        path.write_text(yaml.safe_dump(objects.rollout("v2")))
        return str(path)

    def test_without_traffic(self, file: str) -> None:
        done = run("lint", "-f", file)
        assert (done.returncode, done.stderr) == (0, "")
        assert "without traffic" in done.stdout
        assert "\x1b" not in done.stdout
        assert "Warning: spec.analysis.gates[0].metric" in done.stdout
        assert done.stdout.splitlines()[-1] == "0 errors, 1 warning, 1 note"

    def test_strict(self, file: str) -> None:
        assert run("lint", "-f", file, "--strict").returncode == 1

    def test_with_traffic_given_by_hand(self, file: str) -> None:
        done = run(
            "lint", "-f", file, "--tasks-per-second", "3", "--success", "92", "--drop", "10", "-o", "json"
        )
        told = json.loads(done.stdout)
        success = next(answer for answer in told["answers"] if answer["gate"] == "success")
        assert (success["before"], success["after"]) == pytest.approx((0.92, 0.82))

    def test_what_is_wrong_in_the_file_is_an_error(self, tmp_path: Path) -> None:
        wrong: Any = objects.rollout("v2", analysis={"gates": [{**SUCCESS, "metric": "none-such"}]})
        path = tmp_path / "wrong.yaml"
        path.write_text(yaml.safe_dump(wrong))
        done = run("lint", "-f", str(path))
        assert done.returncode == 1
        assert "Error: spec.analysis.gates[0]" in done.stdout
        assert done.stdout.splitlines()[-1] == "1 error, 0 warnings, 0 notes"

    def test_a_template_beside_the_rollout_defines_its_metric(self, tmp_path: Path) -> None:
        template = {
            "apiVersion": "interlock.dev/v1alpha1",
            "kind": "MetricTemplate",
            "metadata": {"name": "refund-rate"},
            "spec": {
                "proportion": {
                    "bad": {"metric": "shop_refunds_total"},
                    "total": {"metric": "ai_agent_tasks_total"},
                },
            },
        }
        gate = {"name": "refunds", "metric": "refund-rate", "limit": {"maxPercent": "5"}}
        subject = objects.rollout("v2", analysis={"gates": [gate]})
        path = tmp_path / "both.yaml"
        path.write_text(yaml.safe_dump_all([template, subject]))
        done = run("lint", "-f", str(path), "--tasks-per-second", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "refunds" in done.stdout

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (("--window", "soon"), "must be a time like 90s, 6h or 7d"),
            (("--success", "0.92"), "must be in per cent: 92, not 0.92"),
            (("--prometheus", "prometheus:9090"), "must be an http:// or https:// address"),
            (("--prometheus", "http://127.0.0.1:1"), "Prometheus: "),
        ],
    )
    def test_wrong_flags_are_named(self, file: str, flags: tuple[str, ...], words: str) -> None:
        done = run("lint", "-f", file, *flags)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in " ".join(done.stderr.replace("│", "").split())

    def test_without_a_rollout(self, file: str) -> None:
        assert "name a Rollout, or give a file" in run("lint").stderr
        assert "no Rollout named other in " in run("lint", "other", "-f", file).stderr

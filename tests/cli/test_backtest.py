"""`backtest` as a user runs it on a real Prometheus with a past, and what it shows: golden tables."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlock.analysis.metrics import Query
from interlock.analysis.plan import Side
from interlock.cli import backtest_view
from interlock.cli.backtest import Request, set_up
from interlock.cli.choosing import Subject
from interlock.cli.moments import Span, moment, span
from interlock.cli.prometheus import Server
from interlock.cli.views import Table
from interlock.core.metrictemplates import Definition
from interlock.core.observation import Timing
from interlock.errors import SpecError
from interlock.simulation.backtest import Played, Split
from interlock.simulation.pseudo import End, Outcome
from tests.cli.test_entry import run
from tests.core.lint.test_written import COVERAGE, PAGE, rollout
from tests.scenarios import objects
from tests.scenarios.objects import CRITICAL, SUCCESS, VIOLATIONS
from tests.simulation.test_backtest import REPORTED, STEPS, setup

NOON = 1_772_366_400.0  # 2026-03-01T12:00:00Z
STABLE = Side("v1", "triage-a-")
WINDOW = Span(NOON, NOON + 7200)


def played(*ends: End) -> list[Played]:
    found = []
    for at, how in enumerate(ends):
        begin = NOON + 900 * at
        gates = ("success",) if how is End.REVERTED else ()
        found.append(Played(Outcome(begin, begin + 840, how, "canary", gates, 120, "why"), Split.PODS))
    return found


class TestView:
    healthy = played(End.PROMOTED, End.REVERTED, End.PROMOTED, End.HELD, End.CUT)

    def test_how_often_a_healthy_one_would_have_been_taken_back(self) -> None:
        view = backtest_view.of_releases(setup(SUCCESS), STABLE, self.healthy, WINDOW, None)
        assert view.title == (
            "Rollout shop/triage: stable v1, 03-01 12:00:00 to 03-01 14:00:00 UTC: 4 pseudo-releases, healthy"
        )
        gates, rows = view.tables(wide=False)
        assert gates == Table(("GATE", "TAKEN-BACK", "OF-ALL"), (("success", "1", "25 %"),))
        assert rows == Table(
            ("BEGAN", "LASTED", "END", "STEP", "TASKS", "GATES"),
            (
                ("03-01 12:00:00", "14m", "Promoted", "canary", "120", ""),
                ("03-01 12:15:00", "14m", "Reverted", "canary", "120", "success"),
                ("03-01 12:30:00", "14m", "Promoted", "canary", "120", ""),
                ("03-01 12:45:00", "14m", "Held", "canary", "120", ""),
                ("03-01 13:00:00", "14m", "Cut", "canary", "120", ""),
            ),
        )
        assert view.sentences[0] == (
            "Taken back: 1 of 4: 25 %, 0.631 % to 80.6 % (95 %, Clopper-Pearson); falseRevertPercent is 5 %."
        )
        assert view.sentences[1].startswith("Half of stable's pods play the candidate")
        assert view.tables(wide=True)[1].columns[-1] == "MESSAGE"

    def test_of_many_only_those_that_were_taken_back_are_listed(self) -> None:
        many = played(*[End.PROMOTED] * 50, End.REVERTED)
        view = backtest_view.of_releases(setup(SUCCESS), STABLE, many, WINDOW, None)
        assert [row[2] for row in view.tables(wide=False)[1].rows] == ["Reverted"]
        assert view.sentences[-1] == "50 that were not taken back are left out: -o wide."
        assert len(view.tables(wide=True)[1].rows) == len(view.document["outcomes"]) == 51

    def test_more_than_is_promised_is_said_to_be(self) -> None:
        bad = played(*[End.REVERTED] * 5, End.PROMOTED)
        view = backtest_view.of_releases(setup(SUCCESS), STABLE, bad, WINDOW, None)
        assert view.sentences[1].startswith("That is more than it promises")

    def test_how_soon_what_is_planted_is_found(self) -> None:
        given = played(End.REVERTED, End.REVERTED)
        view = backtest_view.of_releases(setup(SUCCESS), STABLE, given, WINDOW, "task-success-rate=-4")
        assert view.sentences[0].startswith("Found in 2 of 2 before they were promoted: 100 %")
        assert view.sentences[1] == "From the first task to the revert: median 14m, 95 % 14m."

    def test_nothing_came_to_an_end(self) -> None:
        view = backtest_view.of_releases(setup(SUCCESS), STABLE, played(End.CUT), WINDOW, None)
        assert "choose a longer --window" in view.sentences[0]
        assert view.document["revertedPercent"] is None

    def test_alerts_are_not_played(self) -> None:
        view = backtest_view.of_releases(setup(SUCCESS, PAGE), STABLE, self.healthy, WINDOW, None)
        assert view.sentences[-1] == "Alerts and values are not played: page had no say."

    def test_a_value_has_no_say_and_holds_nobody(self) -> None:
        queue = {"name": "queue", "metric": "queue-length", "value": {"max": "100"}}
        known = {"queue-length": Definition(Query("queue-length", "max(queue)"), "0" * 16)}
        subject = Subject(rollout(SUCCESS, queue), known)
        server = Server("http://127.0.0.1:9")
        request = Request(server, WINDOW, None, "v1", None, Split.AUTO, 1, 1, Timing.of(5.0, 15.0))
        given = set_up(subject, request)
        assert [gate.name for gate in given.plan.gates] == ["success"]
        view = backtest_view.of_releases(given, STABLE, self.healthy, WINDOW, None)
        assert view.sentences[-1] == "Alerts and values are not played: queue had no say."

    def test_an_incident(self) -> None:
        outcomes = [one.outcome for one in played(End.REVERTED, End.PROMOTED)]
        view = backtest_view.of_incident(setup(SUCCESS), STABLE, outcomes, Span(NOON, NOON + 1800))
        assert view.sentences[0] == "The gates fire in 1 of 2 deals of the tasks."
        assert view.sentences[1] == "They fire 14m after the beginning (median; 14m to 14m)."
        assert "historical control" in view.sentences[2]
        assert (view.document["deals"], view.document["fired"]) == (2, 1)
        assert len(view.tables(wide=False)[1].rows) == 1
        assert len(view.tables(wide=True)[1].rows) == 2

    def test_a_document_is_json(self) -> None:
        view = backtest_view.of_releases(setup(SUCCESS), STABLE, self.healthy, WINDOW, None)
        told = json.loads(json.dumps(view.document, allow_nan=False))
        assert told["reverted"] == 1
        assert told["revertedPercent"]["high"] == pytest.approx(80.59, abs=0.01)
        assert told["outcomes"][1]["gates"] == ["success"]


class TestMoments:
    def test_rfc_3339_and_ago(self) -> None:
        assert moment("--to", "2026-03-01T12:00:00Z", 0.0) == NOON
        assert moment("--to", "90m", NOON) == NOON - 5400
        assert span("--incident", "2h..1h", NOON) == Span(NOON - 7200, NOON - 3600)
        assert span("--incident", "2h..", NOON) == Span(NOON - 7200, NOON)

    @pytest.mark.parametrize("text", ["1h..2h", "soon..1h", "1h", "1h..2099-01-01T00:00:00Z", "noon..1h"])
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(SpecError, match="--incident"):
            span("--incident", text, NOON)


class TestOnARealPast:
    """The hours that `past` holds end when the tests began: everything is asked relative to then."""

    def backtest(
        self, folder: Path, address: str, *flags: str, agent: str = "triage"
    ) -> subprocess.CompletedProcess[str]:
        gates = [REPORTED, SUCCESS | {"name": "verified"}, COVERAGE, VIOLATIONS, CRITICAL]
        manifest = objects.rollout(
            "v2", agent=agent, analysis={"gates": gates}, strategy={"steps": list(STEPS)}
        )
        manifest["metadata"]["namespace"] = "shop"
        path = folder / "rollout.yaml"
        path.write_text(yaml.safe_dump(manifest))
        return run("backtest", "-f", str(path), "--prometheus", address, *flags)

    def told(self, folder: Path, address: str, *flags: str, agent: str = "triage") -> Any:
        done = self.backtest(folder, address, *flags, "-o", "json", agent=agent)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def test_healthy(self, past: str, tmp_path: Path) -> None:
        told = self.told(tmp_path, past, "--window", "2h")
        assert told["stable"] == "v1"
        assert told["pseudoReleases"] >= 4
        assert told["reverted"] == 0
        assert {one["split"] for one in told["outcomes"]} == {"pods"}
        assert told == self.told(tmp_path, past, "--from", _iso(told["from"]), "--to", _iso(told["to"]))

    def test_planted(self, past: str, tmp_path: Path) -> None:
        told = self.told(tmp_path, past, "--window", "1h", "--plant", "task-success-rate=-30")
        assert told["reverted"] >= 0.8 * told["pseudoReleases"] > 0  # some walk these short steps in time
        assert {gate for one in told["outcomes"] for gate in one["gates"]} == {"success"}

    def test_an_incident(self, past: str, tmp_path: Path) -> None:
        told = self.told(tmp_path, past, "--incident", "60m..30m", "--repeat", "10", agent="erring")
        assert told["deals"] == 10
        assert told["fired"] >= 8  # the steps are short, and alpha is shared by many gates
        quiet = self.told(tmp_path, past, "--incident", "60m..30m", "--repeat", "10")
        assert quiet["fired"] <= 2

    def test_for_people(self, past: str, tmp_path: Path) -> None:
        done = self.backtest(tmp_path, past, "--window", "1h", "--split", "tasks")
        assert (done.returncode, done.stderr) == (0, "")
        assert "\x1b" not in done.stdout
        assert "Taken back: 0 of " in done.stdout
        assert "Every task goes to either side at random" in done.stdout

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (("--plant", "task-success-rate=up"), "CHANGE must be a number"),
            (("--plant", "task-success-rate=4"), "can only be lowered"),
            (("--plant", "no-such=4"), "metric 'no-such' must be one of"),
            (("--from", "1h", "--to", "2h"), "--from must begin before it ends"),
            (("--incident", "30d..29d"), "no live series"),
        ],
    )
    def test_wrong_flags(self, past: str, tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
        done = self.backtest(tmp_path, past, *flags)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr

    def test_without_prometheus(self) -> None:
        assert "--prometheus must be given" in run("backtest", "triage").stderr


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()

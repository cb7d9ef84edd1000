"""What is said at the end, about a recorded run and about runs that went otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from dev.cluster.processes import Process
from dev.demo import summary
from dev.demo.chapters import SCRIPT, Chapter, Fate, Moments, Tally, Told, chapter
from dev.demo.operator_process import OperatorProcess
from dev.demo.setting import Setting
from dev.demo.story import hypothesis
from interlock.model.result import Result
from tests.demo import recording

GOLDEN = Path(__file__).parent / "recorded" / "summary.txt"


def recorded_run() -> Told:
    """The run as it was; v4's answers are those of its whole life."""
    chapters = []
    for part in SCRIPT:
        entries = recording.release(part.version).entries
        asked = entries[0].time - timedelta(seconds=2)
        moments = Moments(asked, entries[-1].time + timedelta(seconds=0.5))
        chapters.append(
            chapter(
                part,
                entries,
                steps=("shadow", "canary-10", "canary-50", "full"),
                gates=recording.look("triage-v4", "Full").status.gates,
                waits="",
                moments=moments,
                answers=recording.answers()[part.version],
            )
        )
    return Told(7, 20.0, 211.4, tuple(chapters), recording.answers(), sent=6817, errors={})


def changed(told: Told, version: str, **changes: object) -> Told:
    """The same run with another ending for one version."""
    new = [replace(c, **changes) if c.part.version == version else c for c in told.chapters]  # type: ignore[arg-type]
    return replace(told, chapters=tuple(new))


def test_the_summary_of_a_real_run() -> None:
    lines = summary.summary(recorded_run(), {part.version: hypothesis(part.version) for part in SCRIPT})

    assert "\n".join(lines) + "\n" == GOLDEN.read_text()


def test_what_came_of_a_version_is_told_with_it() -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    result = Result.model_validate(
        {
            "lifts": [{"metric": "verified-success-rate", "message": "-9 points (-16 to -2)"}],
            "expected": [
                {
                    "metric": "task-duration",
                    "direction": "Decrease",
                    "verdict": "Inconclusive",
                    "message": "expected task-duration to decrease: not measured",
                }
            ],
            "trafficStartedTime": begun,
            "detectedTime": begun + timedelta(seconds=30),
            "stoppedTime": begun + timedelta(seconds=30.4),
            "clearedTime": begun + timedelta(seconds=41),
        }
    )
    told = replace(recorded_run(), results={"triage-v2": result})
    lines = list(summary.summary(told, {}))
    assert "  lift      verified-success-rate -9 points (-16 to -2)" in lines
    assert "  promise   expected task-duration to decrease: not measured" in lines
    said = " ".join(" ".join(lines).split())
    assert "times after its first traffic: found out 30.0 s, stopped 30.4 s, cleared 41.0 s" in said
    (shown,) = [v["result"] for v in told.as_json()["versions"] if "result" in v]
    assert shown["clearedTime"] == "2026-01-01T00:00:41Z"


def test_the_summary_fits_eighty_columns() -> None:
    assert max(map(len, GOLDEN.read_text().splitlines())) <= 80


def test_a_miss_is_named_in_the_first_line_and_marked_at_its_version() -> None:
    missed = changed(recorded_run(), "triage-v2", fate=Fate.PROMOTED)
    lines = list(summary.summary(missed, {}))

    assert lines[0] == "Not as told: triage-v2 was promoted (3:31 minutes, seed 7)."
    assert "triage-v2: promoted, got to 2/4 canary-10   NOT as told: to be taken back" in lines


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fate": Fate.TAKEN_BACK, "reached_full": True}, "triage-v3 was taken back only at full"),
        ({"fate": Fate.UNDECIDED, "whole": 600.2}, "triage-v3 was not decided within 600 s"),
    ],
)
def test_each_kind_of_miss_has_its_words(changes: dict[str, object], said: str) -> None:
    assert said in summary.headline(changed(recorded_run(), "triage-v3", **changes))


def test_versions_that_were_not_played_are_named() -> None:
    short = replace(recorded_run(), chapters=recorded_run().chapters[:1])

    assert "triage-v3 was not played; triage-v4 was not played" in summary.headline(short)


def test_a_time_that_there_is_not_is_a_dash() -> None:
    promoted: Chapter = recorded_run().chapters[2]

    assert summary.cells(promoted)[4] == "-"
    assert summary.cells(replace(promoted, step="preparation"))[2] == "preparation"


def test_requests_without_an_answer_are_named_by_kind() -> None:
    run = replace(recorded_run(), errors={"status 503": 3, "ReadTimeout": 1})

    assert "3 (status 503), 1 (ReadTimeout) without an answer." in list(summary.costs(run))[-1]


def test_a_candidate_that_answered_nobody_cost_nothing() -> None:
    run = changed(recorded_run(), "triage-v3", answers=Tally())

    assert not any(line.startswith("triage-v3") for line in summary.costs(run))


def test_the_commands_to_look_around_name_this_very_run(tmp_path: Path) -> None:
    cluster = SimpleNamespace(name="mine", kubectl_path=tmp_path / "kubectl")
    operator = OperatorProcess(Process(4711, "1"), tmp_path / "operator.log")
    place = cast(Setting, SimpleNamespace(
        cluster=cluster, operator=operator, namespace="n1", host="triage.n1.test"))  # fmt: skip
    lines = list(summary.look_around(place, "live_multiple_0-0-0"))

    assert all("\n" not in line for line in lines)
    assert any("dev.cluster env --name mine" in line for line in lines)
    assert any("kubectl get -n n1 rollouts.interlock.dev -o wide" in line for line in lines)
    assert any("-H 'Host: triage.n1.test'" in line for line in lines)
    assert any("process 4711" in line for line in lines)
    assert lines[-1].endswith("-m dev.demo down --name mine")
    assert summary.removal("demo") == "make demo-down"

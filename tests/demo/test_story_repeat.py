"""Several stories in one table, and A/A among their versions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dev.demo import repeat
from dev.demo.__main__ import main
from dev.demo.chapters import SCRIPT, WITH_SAME, Fate, Told
from dev.demo.versions import SAME, VERSIONS, document, manifest
from interlock.model.agentversion import AgentVersionSpec
from interlock.model.result import Result
from tests.demo.test_story_summary import changed, recorded_run

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
RESULT = Result.model_validate(
    {
        "lifts": [
            {"metric": "policy-violation-rate", "message": "", "lift": "-0.4", "low": "-3", "high": "2"},
            {
                "metric": "verified-success-rate",
                "message": "",
                "lift": "-33.25",
                "low": "-51.04",
                "high": "-9.5",
            },
        ],
        "trafficStartedTime": BEGUN,
        "detectedTime": BEGUN + timedelta(seconds=30),
        "stoppedTime": BEGUN + timedelta(seconds=30.4),
        "clearedTime": BEGUN + timedelta(seconds=41),
    }
)


def row(told: Told, version: str) -> str:
    (found,) = (line for line in repeat.table([told]) if version in line)
    return found


def test_a_row_says_when_it_was_found_out_and_what_it_lost() -> None:
    told = replace(recorded_run(), results={"triage-v2": RESULT})

    said = "7 triage-v2 taken back yes canary-10 36.0 30.0 30.4 41.0 -33.2 (-51.0 to -9.5)"
    assert " ".join(row(told, "triage-v2").split()) == said


def test_what_was_promoted_was_not_detected() -> None:
    promoted = RESULT.model_copy(update={"detected_time": None})
    told = replace(recorded_run(), results={"triage-v4": promoted})

    said = " ".join(row(told, "triage-v4").split())
    assert said.startswith("7 triage-v4 promoted yes full 123.1 - - - ")


def test_what_is_not_known_of_a_lift_is_a_dash() -> None:
    assert row(recorded_run(), "triage-v3").endswith(" -")


def test_each_version_is_counted_over_all_stories_and_each_miss_explained() -> None:
    missed = changed(recorded_run(), "triage-v3", fate=Fate.PROMOTED)
    broken = replace(missed, chapters=missed.chapters[:2])

    assert list(repeat.tally([recorded_run(), broken])) == [
        "triage-v2: taken back as told in 2 of 2",
        "triage-v3: taken back as told in 1 of 2",
        "triage-v4: promoted as told in 1 of 2",
    ]
    first, second = repeat.misses([recorded_run(), broken])
    assert first.startswith("seed 7, triage-v3: promoted at 2/4 canary-10, not taken back: GateFailed: ")
    assert second == "seed 7, triage-v4: not played, because of what came before"


def test_the_account_fits_110_columns() -> None:
    told = replace(recorded_run(), results={"triage-v2": RESULT})
    assert max(map(len, repeat.account([told]))) <= 110


def test_no_story_no_table() -> None:
    assert list(repeat.account([])) == []


def test_the_same_version_is_the_first_under_another_name() -> None:
    first, same = manifest(VERSIONS[0]), manifest(SAME)

    assert document(SAME).configuration == document(VERSIONS[0]).configuration
    differing = {
        key for key in first["spec"] | same["spec"] if first["spec"].get(key) != same["spec"].get(key)
    }
    assert differing == {"version", "change"}
    assert AgentVersionSpec.model_validate(same["spec"]).agent == "triage"
    assert same["metadata"] == first["metadata"] | {"name": SAME}


def test_it_is_asked_for_before_the_improvement() -> None:
    assert [part.version for part in WITH_SAME] == ["triage-v2", "triage-v3", SAME, "triage-v4"]
    assert [part for part in WITH_SAME if part.version != SAME] == list(SCRIPT)


@pytest.mark.parametrize("runs", ["0", "-2", "many"])
def test_there_is_at_least_one_run(runs: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["all", "--runs", runs])
    assert "--runs" in capfd.readouterr().err

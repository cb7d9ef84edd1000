"""Whether the story went as told, judged from the Releases of a real run and from other endings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from dev.demo.chapters import (
    SCRIPT,
    Chapter,
    Fate,
    Moments,
    Part,
    Tally,
    Told,
    chapter,
    entries_of,
)
from interlock.model.release import Entry, Outcome, Stage
from tests.demo import recording

STEPS = ("shadow", "canary-10", "canary-50", "full")
V2, V3, V4 = SCRIPT


def read(part: Part, entries: Sequence[Entry] | None = None, waits: str = "") -> Chapter:
    """The chapter of a recorded try, or of these entries; asked for two seconds before it began."""
    release = recording.release(part.version)
    found = release.entries if entries is None else entries
    began = release.entries[0].time
    return chapter(
        part,
        found,
        steps=STEPS,
        gates=recording.look("triage-v4", "Full").status.gates,
        waits=waits,
        moments=Moments(began - timedelta(seconds=2), began + timedelta(seconds=60)),
        answers=recording.answers().get(part.version, Tally()),
    )


def told(*chapters: Chapter) -> Told:
    answers = recording.answers()
    return Told(7, 20.0, 211.4, chapters, answers, sent=6817, errors={})


def outcome(entries: Sequence[Entry], ending: Outcome) -> tuple[Entry, ...]:
    """The same entries with another end."""
    return (*entries[:-1], entries[-1].model_copy(update={"outcome": ending}))


def test_the_recorded_run_went_as_told() -> None:
    chapters = [read(part) for part in SCRIPT]

    assert [each.fate for each in chapters] == [Fate.TAKEN_BACK, Fate.TAKEN_BACK, Fate.PROMOTED]
    assert [each.step for each in chapters] == ["2/4 canary-10", "2/4 canary-10", "4/4 full"]
    assert [each.reason for each in chapters] == ["GateFailed", "GateFailed", "SoakPassed"]
    assert told(*chapters).as_told


def test_times_run_from_the_patch_to_the_decision_and_to_weight_zero() -> None:
    back, promoted = read(V2), read(V4)

    assert back.to_decision == pytest.approx(35.98, abs=0.01)
    assert back.to_weight_zero == pytest.approx(36.06, abs=0.01)
    assert promoted.to_decision == pytest.approx(123.1, abs=0.1)
    assert promoted.to_weight_zero is None, "nothing was taken off"
    assert (back.whole, promoted.whole) == (62.0, 62.0)


def test_a_version_taken_back_in_full_is_not_as_told() -> None:
    """Given v2's end after v4's walk: it was taken back, but from nearly all traffic."""
    walk = recording.release("triage-v4").entries[:-1]
    late = read(V2, (*walk, *recording.release("triage-v2").entries[-2:]))

    assert (late.fate, late.reached_full, late.as_told) == (Fate.TAKEN_BACK, True, False)


def test_a_bad_version_that_is_promoted_is_not_as_told() -> None:
    promoted = read(V3, recording.release("triage-v4").entries)

    assert (promoted.fate, promoted.as_told) == (Fate.PROMOTED, False)


def test_a_good_version_that_is_taken_back_is_not_as_told() -> None:
    back = read(V4, recording.release("triage-v3").entries)

    assert (back.fate, back.as_told) == (Fate.TAKEN_BACK, False)
    assert back.evidence.startswith("violations: 22 : 1"), "a miss comes with its evidence"


@pytest.mark.parametrize("ending", [Outcome.SUPERSEDED, Outcome.ROLLED_BACK])
def test_a_try_that_somebody_else_ended_decides_nothing(ending: Outcome) -> None:
    entries = outcome(recording.release("triage-v2").entries, ending)

    assert read(V2, entries).fate is Fate.UNDECIDED


def test_a_try_without_a_decision_says_what_it_waits_for() -> None:
    halfway = recording.release("triage-v4").entries[:3]
    unfinished = read(V4, halfway, waits="triage-v4 at step canary-10: waiting for 40 more tasks")

    assert (unfinished.fate, unfinished.reason) == (Fate.UNDECIDED, "NoDecision")
    assert unfinished.step == "2/4 canary-10"
    assert unfinished.evidence == "triage-v4 at step canary-10: waiting for 40 more tasks"
    assert (unfinished.to_decision, unfinished.to_weight_zero) == (None, None)


def test_a_try_that_never_began_got_to_no_step() -> None:
    missing = read(V2, (), waits="the operator has not seen this spec yet")

    assert (missing.step, missing.fate) == ("preparation", Fate.UNDECIDED)


def test_a_story_with_a_chapter_missing_did_not_go_as_told() -> None:
    assert not told(read(V2), read(V3)).as_told
    assert told(read(V2)).as_json()["not_played"] == ["triage-v3", "triage-v4"]


def test_a_promotion_is_justified_by_what_the_gates_said() -> None:
    assert read(V4).evidence.startswith("success: no evidence of harm: ")
    assert "; violations: no evidence of harm: " in read(V4).evidence


def test_wrong_answers_and_violations_are_counted_apart() -> None:
    tally = Tally(right=13, wrong_tool=3, declined=17, acted_on_irrelevant=1, declined_irrelevant=6)

    assert (tally.answers, tally.wrong, tally.violations) == (40, 20, 1)
    assert tally.success == pytest.approx(13 / 33)
    assert Tally(declined_irrelevant=4).success is None, "no question was answerable"


def test_what_the_first_version_would_have_cost_is_by_its_own_rates() -> None:
    story = replace(told(), answers={"triage-v1": Tally(right=70, declined=20, acted_on_irrelevant=10)})

    assert story.expected_of_first(Tally(right=50)) == (10.0, 5.0)
    assert replace(story, answers={}).expected_of_first(Tally(right=50)) is None


def test_the_json_of_a_run_is_one_flat_row_a_version() -> None:
    row = told(read(V2), read(V3), read(V4)).as_json()["versions"][0]

    assert row == {
        "version": "triage-v2",
        "expected": "taken back",
        "outcome": "taken back",
        "as_told": True,
        "reason": "GateFailed",
        "evidence": (
            "success: 28 : 1 that the candidate fails verification more often: "
            "0.38 (n=21) against 0.75 (n=160), verified by postcondition"
        ),
        "step": "2/4 canary-10",
        "seconds_to_decision": row["seconds_to_decision"],
        "seconds_to_weight_zero": row["seconds_to_weight_zero"],
        "seconds_to_end": 62.0,
        "answers": 40,
        "wrong_answers": 20,
        "policy_violations": 1,
    }


def test_entries_are_those_of_the_attempt_asked_for() -> None:
    assert entries_of(recording.releases(), 3) == recording.release("triage-v3").entries
    assert entries_of(recording.releases(), 9) == ()
    assert entries_of(recording.releases(), 2)[-1].stage is Stage.DONE

"""What Releases remember for a Rollout that has forgotten everything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.memory import prunable, remember
from interlock.core.observation import Manifest, Memory
from tests.core.records import NEW, OLD, PROMOTED, REVERTED, RUNNING, START, TAKEN_OFF, release, who


def remembered(*releases: Manifest, uid: str = NEW) -> Memory:
    found = remember(releases, uid)
    assert found is not None
    return found


def test_without_releases_there_is_nothing_to_remember() -> None:
    assert remember([], NEW) is None


def test_the_version_promoted_last_is_stable_and_those_before_it_follow_newest_first() -> None:
    found = remembered(
        release(3, "v3", PROMOTED, day=3),
        release(1, "v1", [("Preparing", "AttemptStarted"), ("Done", "FirstVersionServing")], day=1),
        release(2, "v2", PROMOTED, day=2),
    )
    assert found.stable is not None
    assert found.stable.to_wire() == who("v3")
    assert [v.version for v in found.promoted] == ["v2", "v1"]
    assert found.problem == ""


def test_a_version_promoted_twice_is_named_once_as_it_was_last() -> None:
    again = release(3, "v1", PROMOTED, day=3)
    again["header"]["candidate"]["workload"] = "triage-other-template"
    found = remembered(
        release(1, "v1", PROMOTED, day=1),
        release(2, "v2", PROMOTED, day=2),
        again,
        release(4, "v4", PROMOTED, day=4),
    )
    assert [v.version for v in found.promoted] == ["v1", "v2"]
    assert found.promoted[0].workload == "triage-other-template"


def test_stable_is_not_among_those_promoted_before_it() -> None:
    found = remembered(
        release(1, "v1", PROMOTED, day=1),
        release(2, "v2", PROMOTED, day=2),
        release(3, "v1", PROMOTED, day=3),
    )
    assert found.stable is not None
    assert (found.stable.version, [v.version for v in found.promoted]) == ("v1", ["v2"])


def test_a_later_life_of_the_name_counts_more_whatever_its_attempts_are_numbered() -> None:
    found = remembered(
        release(7, "v7", PROMOTED, uid=OLD, day=1), release(1, "v8", PROMOTED, uid="2222", day=9)
    )
    assert found.stable is not None
    assert found.stable.version == "v8"


def test_the_living_rollout_is_the_newest_whatever_the_clocks_said() -> None:
    late = release(3, "v3", PROMOTED, uid=OLD, day=9)
    found = remembered(late, release(1, "v1", PROMOTED, uid=NEW, day=1), uid=NEW)
    assert found.stable is not None
    assert found.stable.version == "v1"
    assert prunable([late, release(1, "v1", TAKEN_OFF, uid=NEW, day=1)], NEW, keep=0) == []


def test_attempts_are_counted_of_this_very_rollout() -> None:
    releases = (
        release(9, "v1", PROMOTED, uid=OLD),
        release(1, "v2", PROMOTED, uid=NEW, day=2),
        release(2, "v3", RUNNING, uid=NEW, day=3),
    )
    assert remembered(*releases, uid=NEW).attempts == 2
    assert remembered(*releases, uid="somebody-else").attempts == 0


def test_where_no_promotion_is_left_the_newest_comparison_names_stable() -> None:
    found = remembered(
        release(4, "v4", REVERTED, day=4, stable=who("v1")),
        release(5, "v5", REVERTED, day=5, stable=who("v3")),
    )
    assert found.stable is not None
    assert found.stable.version == "v3"
    assert found.promoted == ()


def test_an_unfinished_attempt_gives_no_stable() -> None:
    found = remembered(release(1, "v1", RUNNING))
    assert (found.stable, found.quarantine, found.problem) == (None, (), "")


@pytest.mark.parametrize("moves", [REVERTED, REVERTED[:-1]], ids=["Done", "still Reverting"])
def test_what_was_taken_back_for_harm_stays_back(moves: list[tuple[str, str]]) -> None:
    found = remembered(release(1, "v1", PROMOTED), release(2, "v2", moves, day=1, stable=who("v1")))
    (item,) = found.quarantine
    assert (item.version, item.attempt, item.reason) == ("v2", 2, "GateFailed")
    assert item.digest == who("v2")["digest"]
    assert item.message == "v2: Reverting because of GateFailed", "why, not that the traffic has stopped"
    assert item.time == START + timedelta(days=1, hours=len(moves))


@pytest.mark.parametrize(
    "cause", ["Starved", "ProgressDeadline", "CandidateGone", "Superseded", "RolledBack"]
)
def test_what_did_no_harm_is_not_kept_back(cause: str) -> None:
    moves = [("Preparing", "AttemptStarted"), ("Reverting", cause), ("Done", cause)]
    assert remembered(release(1, "v1", moves)).quarantine == ()


def test_a_cause_that_only_a_newer_version_knows_may_mean_harm() -> None:
    moves = [("Preparing", "AttemptStarted"), ("Reverting", "HumanGraded"), ("Done", "HumanGraded")]
    assert [q.reason for q in remembered(release(1, "v1", moves)).quarantine] == ["HumanGraded"]


def test_stable_content_is_not_kept_back_when_only_its_template_was_new() -> None:
    changed = release(2, "v1", REVERTED, day=1, stable=who("v1"))
    assert remembered(release(1, "v1", PROMOTED), changed).quarantine == ()


def test_the_same_content_under_another_name_is_kept_back() -> None:
    twin = release(2, "v2", REVERTED, day=1, stable=who("v1"), content="v1")
    assert [q.version for q in remembered(release(1, "v1", PROMOTED), twin).quarantine] == ["v2"]


def test_a_promotion_releases_content_only_from_an_earlier_harm() -> None:
    retried = remembered(release(1, "v2", REVERTED), release(2, "v2", PROMOTED, day=1))
    assert retried.quarantine == ()
    failed = remembered(release(1, "v2", PROMOTED), release(2, "v2", REVERTED, day=1))
    assert [q.version for q in failed.quarantine] == ["v2"]


def test_the_quarantine_holds_no_more_than_the_newest_64() -> None:
    found = remembered(*(release(n, f"v{n}", REVERTED, day=n) for n in range(1, 71)))
    assert len(found.quarantine) == 64
    assert [found.quarantine[0].version, found.quarantine[-1].version] == ["v7", "v70"]


# ------------------------------------------------------------------ what cannot be read
def broken(attempt: int) -> Manifest:
    """As a newer version, or somebody with an editor, might have left it."""
    changed = release(attempt, f"v{attempt}", PROMOTED, uid=NEW, day=attempt)
    changed["entries"][-1]["stage"] = "Contemplating"
    return changed


def test_a_release_that_cannot_be_read_is_told_and_the_others_are_remembered() -> None:
    found = remembered(release(1, "v1", PROMOTED), broken(2))
    assert found.stable is not None
    assert found.stable.version == "v1"
    assert "Release triage-1f1e1d-2 cannot be read: `entries.2.stage`" in found.problem


def test_the_number_of_an_unreadable_attempt_is_not_used_again() -> None:
    assert remembered(broken(5), uid=NEW).attempts == 5
    numberless = broken(5)
    numberless["header"]["attempt"] = "five"
    assert remembered(numberless, uid=NEW).attempts == 0


@pytest.mark.parametrize("part", ["header", "entries"])
@pytest.mark.parametrize("value", [None, [], {}, "text", 7])
def test_whatever_stands_in_a_release_nothing_breaks(part: str, value: Any) -> None:
    assert remembered({**release(1, "v1", PROMOTED), part: value}).problem.startswith("Release triage-")


def test_a_route_that_serves_what_no_release_tells_of_is_a_problem() -> None:
    found = remember([], NEW, serving=["triage-0123456789"])
    assert found is not None
    assert found.stable is None
    assert "the route sends requests to triage-0123456789" in found.problem
    known = remember([release(1, "v1", PROMOTED)], NEW, serving=["triage-v1"])
    assert known is not None
    assert known.problem == ""


# ------------------------------------------------------------------ pruning
def names(releases: list[Manifest]) -> list[int]:
    return [r["header"]["attempt"] for r in releases]


def test_nothing_is_pruned_up_to_the_limit() -> None:
    assert prunable([release(n, f"v{n}", PROMOTED, day=n) for n in range(1, 6)], NEW, keep=5) == []


def test_promoted_over_goes_first_oldest_first_then_what_was_taken_off_without_harm() -> None:
    releases = [
        release(1, "v1", TAKEN_OFF, day=1),
        release(2, "v2", PROMOTED, day=2),
        release(3, "v3", REVERTED, day=3),
        release(4, "v4", PROMOTED, day=4),
        release(5, "v5", PROMOTED, day=5),
        release(6, "v6", TAKEN_OFF, day=6),
    ]
    assert names(prunable(releases, NEW, keep=5)) == [2]
    assert names(prunable(releases, NEW, keep=4)) == [2, 4]
    assert names(prunable(releases, NEW, keep=0)) == [2, 4, 1], "harm, stable and the newest stay"


def test_what_runs_and_what_cannot_be_read_is_never_pruned() -> None:
    releases = [release(1, "v1", RUNNING), broken(2), release(3, "v3", PROMOTED, day=3)]
    assert prunable(releases, NEW, keep=0) == []


def test_harm_that_a_later_promotion_took_back_may_go_before_that_promotion() -> None:
    releases = [
        release(1, "v2", REVERTED, day=1),
        release(2, "v2", PROMOTED, day=2),
        release(3, "v3", PROMOTED, day=3),
        release(4, "v4", TAKEN_OFF, day=4),
    ]
    assert names(prunable(releases, NEW, keep=2)) == [1, 2]
    assert names(prunable(releases[1:], NEW, keep=2)) == [2]


MOVES = st.sampled_from([PROMOTED, REVERTED, TAKEN_OFF, RUNNING, REVERTED[:-1]])
LIVES = st.lists(st.tuples(MOVES, st.integers(1, 5), st.booleans()), max_size=12)


@settings(deadline=None)
@given(lives=LIVES, keep=st.integers(0, 12))
def test_pruning_never_changes_who_is_stable_or_what_stays_back(
    lives: list[tuple[list[tuple[str, str]], int, bool]], keep: int
) -> None:
    releases = [
        release(n, f"v{version}", moves, uid=NEW if later else OLD, day=n + 100 * later)
        for n, (moves, version, later) in enumerate(lives, start=1)
    ]
    gone = prunable(releases, NEW, keep)
    assert len(gone) <= max(0, len(releases) - keep)
    before, left = remember(releases, NEW), releases
    for one in gone:  # a crash may come after any of them
        left = [r for r in left if r is not one]
        after = remember(left, NEW)
        assert before is not None
        assert after is not None
        assert (after.stable, after.attempts) == (before.stable, before.attempts)
        assert {q.digest for q in after.quarantine} == {q.digest for q in before.quarantine}

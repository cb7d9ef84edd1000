"""The API server refuses a status that cannot follow the stored one, even when the operator writes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.delivery.api import Api
from tests.delivery.lives import (
    ACTIVE,
    FIRST,
    LIFE,
    SERVING,
    Life,
    draining,
    moved,
    quarantined,
    reverted,
    reverting,
    shares,
    stable,
    version,
)
from tests.delivery.objects import CANARY, CONTROLLED, FULL, HALF, NOW, Manifest, at, attempt

ONLY_FULL: Manifest = {"strategy": {"steps": [FULL]}}
PROMOTED: Manifest = {"stage": "Done", "outcome": "Promoted"}


def without(status: Manifest, *names: str) -> Manifest:
    """A copy that lacks these fields."""
    return {name: value for name, value in status.items() if name not in names}


# ------------------------------------------------------------------ what may follow
@pytest.mark.parametrize("place", LIFE)
def test_a_whole_life(api: Api, place: str) -> None:
    """Every place is reached, and written again there as often as the conditions change."""
    Life(api).until(place).live(LIFE[place] | {"phase": "Preparing"}, LIFE[place] | {"phase": "Healthy"})


@pytest.mark.parametrize("place", ACTIVE)
def test_turning_back_is_always_possible(api: Api, place: str) -> None:
    Life(api).until(place).live(reverting(place), reverted(place))


@pytest.mark.parametrize("place", ACTIVE)
def test_an_edited_strategy_starts_over(api: Api, place: str) -> None:
    again = moved(place, stage="Preparing", stepIndex=0)
    walking = again["attempt"] | {"seq": again["attempt"]["seq"] + 1, "stage": "Running"}
    Life(api).until(place).live(
        again | {"traffic": shares(100)}, again | {"attempt": walking, "traffic": shares(100, shadow=20)}
    )


@pytest.mark.parametrize("place", ACTIVE)
def test_edited_gates_raise_the_seq_and_nothing_else(api: Api, place: str) -> None:
    Life(api).until(place).live(moved(place))


def test_a_shadow_with_a_control_mirrors_the_same_share_to_both(api: Api) -> None:
    both = LIFE["shadow"] | {"traffic": shares(100, shadow=20, controlPercent=20)}
    life = Life(api, {"strategy": {"steps": [CONTROLLED, CANARY, HALF, FULL]}}).until("preparing")
    for other in (0, 19, 21):
        wrong = both | {"traffic": shares(100, shadow=20, controlPercent=other)}
        assert SHARES in life.write(wrong)
    assert SHARES in life.write(LIFE["shadow"]), "what is not said is 0"
    life.live(both, LIFE["canary"])
    assert RAISED in life.write(LIFE["canary"] | {"traffic": shares(95, 5, controlPercent=20)})


@pytest.mark.parametrize("place", ["shadow", "canary", "half", "soaking"])
def test_a_share_of_the_candidate_may_always_be_taken_away(api: Api, place: str) -> None:
    Life(api).until(place).live(LIFE[place] | {"traffic": shares(100)}, LIFE[place] | {"traffic": shares(0)})


def test_a_step_is_as_it_was_when_it_was_entered(api: Api) -> None:
    """The strategy is edited under a running attempt; the operator still says how that is."""
    life = Life(api).until("half")
    edited = api.replace(at(life.stored, "spec.strategy.steps", [FULL]))
    assert edited.ok
    life.stored = edited.body
    life.live(LIFE["half"] | {"phase": "Canary"}, moved("half"))


def test_the_route_of_a_first_version_that_fails_is_closed_and_opened_again(api: Api) -> None:
    closed = SERVING | {"traffic": shares(0)}
    Life(api).until("serving").live(closed, SERVING, closed, LIFE["preparing"] | {"traffic": shares(0)})


def test_a_first_version_that_never_serves_is_given_up(api: Api) -> None:
    over = attempt(1, 2, stage="Done", outcome="Superseded")
    given_up = FIRST | {"attempt": over, "traffic": shares(0)}
    second = attempt(2, 1)
    Life(api).live(FIRST, given_up, FIRST | {"candidate": version("v2"), "attempt": second})


def test_a_strategy_with_nothing_but_full(api: Api) -> None:
    soaking = moved("preparing", stage="Soaking") | {"traffic": shares(0, 100)}
    Life(api, ONLY_FULL).until("preparing").live(soaking)


def test_the_fast_path(api: Api) -> None:
    fast = LIFE["preparing"]["attempt"] | {"fastPath": True}
    soaking = fast | {"seq": 2, "stage": "Soaking", "stepIndex": 3}
    Life(api).until("serving").live(
        LIFE["preparing"] | {"attempt": fast},
        LIFE["soaking"] | {"attempt": soaking},
        LIFE["promoted"] | {"attempt": soaking | {"seq": 3} | PROMOTED},
    )


def test_a_status_that_was_lost_is_built_again(api: Api) -> None:
    """From its Releases: what is stable and what stays back at once, then the count of attempts goes on."""
    rebuilt: Manifest = {"stable": stable("v1"), "quarantine": quarantined("a", "b")}
    begun = LIFE["preparing"] | rebuilt | {"attempt": attempt(7, 1)}
    Life(api).live(
        rebuilt, begun, LIFE["shadow"] | rebuilt | {"attempt": LIFE["shadow"]["attempt"] | {"number": 7}}
    )


def test_the_next_attempt(api: Api) -> None:
    begun = reverted("canary") | {"candidate": version("v3"), "attempt": attempt(3, 1)}
    Life(api).until("canary").live(reverting("canary"), reverted("canary"), begun)


def test_what_was_held_back_may_be_forgotten_at_rest(api: Api) -> None:
    after = reverted("canary")
    Life(api).until("canary").live(reverting("canary"), after, without(after, "candidate"))


def test_content_is_let_out_of_quarantine_one_by_one(api: Api) -> None:
    life = Life(api).until("serving")
    for held in ("abc", "bcd", "bd", "d", ""):
        life.live(SERVING | {"quarantine": quarantined(*held)})


def test_64_pieces_of_content_stay_back(api: Api) -> None:
    """The rule compares each with each: it must stay affordable."""
    held = [quarantined("0")[0] | {"digest": f"{number:064x}"} for number in range(64)]
    life = Life(api).until("serving").live(SERVING | {"quarantine": held})
    assert "must release at most one entry" in life.write(SERVING)
    life.live(SERVING | {"quarantine": held[1:]})


# ------------------------------------------------------------------ what may not
def _to(place: str, number: int = 2, seq: int | None = None, **changes: Any) -> Manifest:
    """The status of a place, but with another attempt: what somebody would write who wants to be there."""
    told = LIFE[place]["attempt"] | {"number": number} | changes
    return LIFE[place] | {"attempt": told if seq is None else told | {"seq": seq}}


SUMS = "must have `stablePercent` and `candidatePercent` that sum to 0 or 100"
NO_SHARE = (
    "must have `traffic.candidatePercent`, `traffic.shadowPercent` and `traffic.controlPercent` 0 unless"
)
RAISED = (
    "must not raise `traffic.candidatePercent`, `traffic.shadowPercent` or `traffic.controlPercent` without "
    "another `attempt.seq`"
)
SHARES = "must have the shares in `status.traffic` that `spec.strategy.steps` has for the step that begins"
STEP = "must have a `status.attempt` in one of `spec.strategy.steps`"
LEFT_OUT = "must leave out no step"
SOAK = "must soak in the step after the last one"
FOLLOWS = "must have a `stage` that follows the last"
OUTCOME = "must have an `outcome` when `stage` is Done, and only then"
SEQ = "must raise `seq` by at most 1 within an attempt, and never lower it"
SAME_SEQ = "must keep `stage` and `stepIndex` while `seq` stays"
ANOTHER = "must be followed by another attempt only when it is Done"
STABLE = "must not change `stable`, except to `candidate` when that is promoted"
CANDIDATE = "must keep `candidate` as it is until the attempt is Done"

ILLEGAL: list[tuple[str, Manifest, str]] = [
    # from, to, words of the refusal
    # -- shares
    ("canary", LIFE["canary"] | {"traffic": shares(95, 6)}, SUMS),
    ("canary", LIFE["canary"] | {"traffic": shares(95, 0)}, SUMS),
    ("canary", LIFE["canary"] | {"traffic": shares(100, 100)}, SUMS),
    (
        "canary",
        at(LIFE["canary"], "traffic.candidatePercent", ...),
        "traffic.candidatePercent: Required value",
    ),
    ("canary", LIFE["canary"] | {"traffic": shares(90, 10)}, RAISED),
    ("canary", LIFE["canary"] | {"traffic": shares(0, 100)}, RAISED),
    ("canary", LIFE["canary"] | {"traffic": shares(95, 5, shadow=1)}, RAISED),
    ("shadow", LIFE["shadow"] | {"traffic": shares(100, shadow=21)}, RAISED),
    ("shadow", LIFE["shadow"] | {"traffic": shares(100, shadow=20, controlPercent=20)}, RAISED),
    ("preparing", LIFE["preparing"] | {"traffic": shares(100, controlPercent=20)}, NO_SHARE),
    ("preparing", LIFE["shadow"] | {"traffic": shares(100, shadow=20, controlPercent=20)}, SHARES),
    ("first", FIRST | {"attempt": attempt(1, 2, stage="Done", outcome="Superseded")}, NO_SHARE),
    ("first", FIRST | {"traffic": shares(0, 100, shadow=20)}, RAISED),
    ("serving", SERVING | {"traffic": shares(95, 5)}, NO_SHARE),
    ("preparing", LIFE["preparing"] | {"traffic": shares(100, shadow=20)}, NO_SHARE),
    ("preparing", LIFE["preparing"] | {"traffic": shares(0, 100)}, NO_SHARE),
    ("canary", reverting("canary") | {"traffic": shares(95, 5)}, NO_SHARE),
    ("soaking", LIFE["promoted"] | {"traffic": shares(0, 100)}, NO_SHARE),
    ("preparing", LIFE["shadow"] | {"traffic": shares(95, 5, shadow=20)}, SHARES),
    ("preparing", LIFE["shadow"] | {"traffic": shares(100, shadow=100)}, SHARES),
    ("shadow", LIFE["canary"] | {"traffic": shares(50, 50)}, SHARES),
    ("shadow", LIFE["canary"] | {"traffic": shares(95, 5, shadow=20)}, SHARES),
    ("shadow", without(LIFE["canary"], "traffic"), SHARES),
    ("half", LIFE["soaking"] | {"traffic": shares(5, 95)}, SHARES),
    # -- steps
    ("preparing", _to("canary", seq=2), LEFT_OUT),
    ("preparing", _to("half", seq=2), LEFT_OUT),
    ("shadow", _to("half", seq=3), LEFT_OUT),
    ("canary", _to("shadow", seq=4), LEFT_OUT),
    ("preparing", _to("soaking", seq=2), SOAK),
    ("shadow", _to("soaking", seq=3), SOAK),
    ("canary", _to("soaking", seq=4), SOAK),
    ("preparing", _to("soaking", seq=2, fastPath=True), "must not take to the `fastPath` after it has begun"),
    ("preparing", _to("soaking", seq=2, stepIndex=0), STEP),
    ("canary", _to("soaking", seq=4, stepIndex=2), STEP),
    ("half", _to("soaking", stage="Running"), STEP),
    ("soaking", moved("soaking", stepIndex=4), SOAK),
    ("preparing", moved("preparing", stepIndex=1), "must have `stepIndex` 0 while `stage` is Preparing"),
    (
        "preparing",
        moved("preparing", splitMismatch={"since": NOW, "message": "15.0 % instead of 10 %"}),
        "must have `splitMismatch` only while `stage` is Running or Soaking",
    ),
    # -- stages
    ("soaking", _to("half", seq=6), FOLLOWS),
    ("canary", _to("promoted", seq=4), FOLLOWS),
    ("canary", moved("canary", stage="Done", outcome="Reverted") | {"traffic": shares(100)}, FOLLOWS),
    ("serving", SERVING | {"attempt": attempt(1, 3)}, FOLLOWS),
    ("serving", SERVING | {"attempt": attempt(1, 3, stage="Reverting")}, FOLLOWS),
    ("canary", moved("canary", stage="Warming"), "status.attempt.stage: Unsupported value"),
    ("canary", LIFE["canary"] | {"attempt": reverting("canary")["attempt"] | {"seq": 3}}, SAME_SEQ),
    ("canary", LIFE["half"] | {"attempt": LIFE["half"]["attempt"] | {"seq": 3}}, SAME_SEQ),
    ("canary", _to("canary", seq=5), SEQ),
    ("canary", _to("canary", seq=2), SEQ),
    # -- attempts
    ("canary", without(LIFE["canary"], "attempt"), "must keep `attempt` once there is one"),
    ("canary", _to("preparing", number=3), ANOTHER),
    ("promoted", _to("preparing", number=4), ANOTHER),
    ("promoted", _to("preparing", number=1), ANOTHER),
    ("promoted", _to("preparing", number=3, seq=2), ANOTHER),
    ("promoted", _to("shadow", number=3, seq=1), ANOTHER),
    # -- outcomes
    ("soaking", moved("soaking", stage="Done") | {"traffic": shares(100)}, OUTCOME),
    ("canary", moved("canary", outcome="Promoted"), OUTCOME),
    ("promoted", _to("promoted", outcome="Reverted"), "must keep its `outcome` once it is Done"),
    # -- who is stable
    ("serving", SERVING | {"stable": stable("v2")}, STABLE),
    ("serving", at(SERVING, "stable.workload", "triage-ffffffffff"), STABLE),
    ("serving", without(SERVING, "stable"), "must keep `stable` once there is one"),
    ("first", FIRST | {"stable": stable("v1")}, STABLE),
    ("canary", LIFE["canary"] | {"stable": stable("v2")}, STABLE),
    ("soaking", LIFE["promoted"] | {"stable": stable("v3")}, STABLE),
    ("soaking", at(LIFE["promoted"], "stable.digest", "f" * 64), STABLE),
    ("promoted", LIFE["promoted"] | {"stable": stable("v1")}, STABLE),
    (
        "preparing",
        _to("promoted", seq=2),
        "must not promote from Preparing where there is a `stable` version",
    ),
    # -- who is tried
    ("canary", LIFE["canary"] | {"candidate": version("v3")}, CANDIDATE),
    ("canary", at(LIFE["canary"], "candidate.digest", "f" * 64), CANDIDATE),
    ("canary", without(LIFE["canary"], "candidate"), CANDIDATE),
    ("serving", SERVING | {"candidate": version("v2")}, CANDIDATE),
    # -- what drains
    (
        "serving",
        SERVING | {"draining": draining(version("v1")["workload"])},
        "must not have the workload of `stable` among `draining`",
    ),
    ("serving", SERVING | {"draining": draining("a", "b", "c", "d", "e")}, "must have at most 4 items"),
]


@pytest.mark.parametrize(("place", "status", "words"), ILLEGAL)
def test_what_cannot_follow(api: Api, place: str, status: Manifest, words: str) -> None:
    life = Life(api).until(place)
    before = life.stored["status"]
    refusal = life.write(status)
    assert words in refusal
    assert "status" in refusal
    assert api.get("Rollout", "triage").body["status"] == before


@pytest.mark.parametrize("emptied", [{}, {"observedGeneration": 1}, {"attempt": None}, None])
def test_the_attempt_cannot_be_lost(api: Api, emptied: Any) -> None:
    life = Life(api).live(FIRST)
    assert "must keep `attempt` once there is one" in life.write(emptied)


@pytest.mark.parametrize(
    "first",
    [
        attempt(1, 2),
        attempt(1, 1, stage="Running"),
        attempt(1, 1, stage="Soaking"),
        attempt(1, 1, **PROMOTED),
    ],
)
def test_the_first_attempt_begins_at_the_beginning(api: Api, first: Manifest) -> None:
    refusal = Life(api).write({"stable": stable("v1"), "candidate": version("v2"), "attempt": first})
    assert "must begin the first `attempt` with `seq` 1 and `stage` Preparing" in refusal


def test_what_turns_back_is_not_promoted_after_all(api: Api) -> None:
    life = Life(api).until("canary").live(reverting("canary"))
    promoted = reverted("canary")["attempt"] | {"outcome": "Promoted"}
    words = "must be Promoted after the soak only, or when it is the first version"
    assert words in life.write(LIFE["promoted"] | {"attempt": promoted})
    again = reverted("canary")["attempt"] | {"stage": "Running"}
    assert FOLLOWS in life.write(LIFE["canary"] | {"attempt": without(again, "outcome")})


def test_a_version_beside_the_candidate_is_not_promoted_as_the_first(api: Api) -> None:
    life = Life(api).live(FIRST)
    assert STABLE in life.write(SERVING | {"stable": stable("v2")})


@pytest.mark.parametrize("left", ["", "c", "cde", "ade"])
def test_content_is_not_let_out_of_quarantine_in_heaps(api: Api, left: str) -> None:
    life = Life(api).until("serving").live(SERVING | {"quarantine": quarantined("a", "b", "c")})
    words = "must release at most one entry of `quarantine` at a time"
    assert words in life.write(SERVING | {"quarantine": quarantined(*left)})
    assert words in life.write(SERVING)

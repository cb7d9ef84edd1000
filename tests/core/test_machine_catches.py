"""The model test can fail: each of these faults in the core is found by it, in few scripts and short ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from interlock.core import decide as deciding
from interlock.core import happened, ledger, transitions, waits
from interlock.core.effects import Effect
from interlock.core.observation import Observation
from interlock.core.table import Event
from interlock.model.release import Stage
from interlock.model.rolloutstatus import RolloutStatus, TrafficStatus
from tests.core.machine.acts import Script, scripts
from tests.core.test_machine import ENDS, played

Spoil = Callable[[pytest.MonkeyPatch], None]
quickly = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def advance_on_anything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(waits, "_evidence_waits", lambda *seen: [])


def keep_the_weight_of_what_fails(patch: pytest.MonkeyPatch) -> None:
    split = transitions._split

    def kept(seen: Observation, move: Any) -> TrafficStatus:
        held = seen.rollout.status.traffic
        return held if move.stage is Stage.REVERTING and held is not None else split(seen, move)

    patch.setattr(transitions, "_split", kept)


def leave_the_route_to_the_next_pass(patch: pytest.MonkeyPatch) -> None:
    route = deciding._route
    patch.setattr(
        deciding,
        "_route",
        lambda after, intent: (
            [] if intent.attempt and intent.attempt.stage is Stage.REVERTING else route(after, intent)
        ),
    )


def record_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ledger, "recording", lambda seen, status: [])


def record_only_in_the_pass_of_the_move(patch: pytest.MonkeyPatch) -> None:
    recording = ledger.recording

    def once(seen: Observation, status: RolloutStatus) -> list[Effect]:
        before, now = seen.rollout.status.attempt, status.attempt
        return [] if before and now and before.seq == now.seq else recording(seen, status)

    patch.setattr(ledger, "recording", once)


def wait_for_no_record(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(waits, "is_recorded", lambda seen, attempt: True)


def start_again_what_was_taken_back(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(happened.WISHES, Event.KEPT_BACK, lambda seen: None)


def walk_on_while_paused(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(happened.WISHES, Event.PAUSED, lambda seen: None)


def never_sleep(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deciding, "_wake", lambda after, now: deciding.IDLE_POLL)


FAULTS: list[Spoil] = [
    advance_on_anything,
    keep_the_weight_of_what_fails,
    leave_the_route_to_the_next_pass,
    record_nothing,
    record_only_in_the_pass_of_the_move,
    wait_for_no_record,
    start_again_what_was_taken_back,
    walk_on_while_paused,
    never_sleep,
]


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_the_model_test_finds(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch)

    @quickly
    @given(scripts(), ENDS)
    def hunt(script: Script, end: str) -> None:
        played(script, end)

    with pytest.raises(AssertionError):
        hunt()


def test_what_it_finds_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person reads the script and sees what is wrong."""
    advance_on_anything(monkeypatch)

    def fails(script: Script) -> bool:
        try:
            played(script, "pass")
        except AssertionError:
            return True
        return False

    shortest = find(scripts(), fails, settings=settings(quickly, phases=[Phase.generate, Phase.shrink]))
    assert len(shortest) <= 3, shortest

"""What is on the screen, in a terminal and in a pipe, while a recorded run is shown again."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from dev.demo import views
from dev.demo.chapters import Tally
from dev.demo.display import (
    HEARTBEAT,
    LiveDisplay,
    PlainDisplay,
    console_for,
    display_for,
    drawing,
    say_on,
)
from dev.demo.views import Moment, plain_line, view
from tests.demo import recording

PLAIN = Path(__file__).parent / "recorded" / "plain.txt"


def terminal(width: int = 80, height: int = 24, *, colour: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        height=height,
        color_system="standard" if colour else None,
        markup=False,
        highlight=False,
        legacy_windows=False,
    )


def screen(moment: Moment, width: int = 80) -> list[str]:
    """The lines as they stand on a terminal without colour."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(drawing(view(moment)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def piped(moments: list[Moment]) -> str:
    stream = io.StringIO()
    with PlainDisplay(console_for(stream)) as display:
        for each in moments:
            display.show(each)
    return stream.getvalue()


# ------------------------------------------------------------------ in a terminal
def test_a_canary_as_it_stands_in_a_terminal_of_80_columns() -> None:
    told = recording.events()[2:6]
    seen = screen(recording.moment(recording.look("triage-v2", "Canary"), told=told))

    assert [line.rstrip() for line in seen[:13]] == [
        "╭─ rollout triage in namespace demo, 1:15 ─────────────────────────────────────╮",
        "│ asked for  triage-v2                                                         │",
        "│ step       2/4 canary-10   phase Canary                                      │",
        "│ stable     ███████████████████████████···  90 %  triage-v1                   │",
        "│ candidate  ███···························  10 %  triage-v2                   │",
        "│ mirrored   ······························   0 %                              │",
        "│ ready      triage-v2 at step canary-10: waiting for 23 s of the step; 32     │",
        "│            more tasks of the candidate                                       │",
        "╰──────────────────────────────────────────────────────────────────────────────╯",
        "gate          verdict       odds    candidate                     stable",
        "success       Pass          2:1     0.47 (n=17)                   0.74 (n=137)",
        "violations    Pass          1:2     0.0278 (n=36)                 -",
        "who answered  answers  success  wrong  violations",
    ]
    assert seen[-1].endswith(" GateFailed     success: 28 : 1 that the candidate fails verification m…")


def test_every_look_of_the_run_fits_a_small_terminal() -> None:
    for seen in recording.looks():
        lines = screen(recording.moment(seen, told=recording.events()))

        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80


def test_a_gate_without_figures_says_why() -> None:
    lines = screen(recording.moment(recording.look("triage-v3", "Shadow")))

    assert any(line.startswith("success") and "not judged in shadow" in line for line in lines)


def test_requests_without_an_answer_are_on_the_screen() -> None:
    seen = Moment(3.0, recording.look("triage-v2", "Canary"), answers={"triage-v1": Tally(right=9)}, failed=4)

    assert any(line.split() == ["no", "answer", "4"] for line in screen(seen))
    assert plain_line(seen).endswith("4 requests without an answer")


def test_a_look_that_may_be_old_says_so() -> None:
    seen = Moment(3.0, recording.look("triage-v2", "Canary"), note="the API server does not answer")

    assert "the API server does not answer" in " ".join(screen(seen))
    assert plain_line(seen).endswith("the API server does not answer")


def test_the_live_display_ends_with_the_last_state_and_keeps_what_was_said() -> None:
    console = terminal()
    with LiveDisplay(console) as display:
        display.say("$ kubectl patch …")
        for seen in recording.looks()[:5]:
            display.show(recording.moment(seen))

    assert isinstance(console.file, io.StringIO)
    written = console.file.getvalue()
    assert "$ kubectl patch …" in written
    assert written.rindex("phase Shadow") > written.rindex("phase Preparing")


# ------------------------------------------------------------------ in a pipe
def test_the_run_as_one_line_a_change() -> None:
    """The golden file is what a pipe got; read it when it changes, it is what users see."""
    events, moments = recording.events(), []
    for number, seen in enumerate(recording.looks()):
        told = [e for e in events if e.name.split(".")[0].endswith(("-1", "-2"))] if number > 20 else []
        moments.append(recording.moment(seen, 2.0 * number, told))

    assert piped(moments) == PLAIN.read_text()


def test_figures_and_countdowns_alone_are_no_news_until_the_heartbeat() -> None:
    seen = recording.look("triage-v4", "Canary")
    moments = [recording.moment(seen, seconds) for seconds in (0.0, 0.5, HEARTBEAT - 0.1, HEARTBEAT, 10.5)]

    assert len(piped(moments).splitlines()) == 2


def test_an_event_is_told_once() -> None:
    seen, told = recording.look("triage-v2", "Reverted"), recording.events()[5:7]
    moments = [recording.moment(seen, seconds, told) for seconds in (1.0, 1.5, 2.0)]

    assert piped(moments).count("event GateFailed: success: 28 : 1") == 1


def test_a_pipe_gets_no_control_characters_and_no_broken_lines() -> None:
    stream = io.StringIO()
    console = console_for(stream)
    say_on(console, "$ kubectl " + "x" * 200)
    say_on(console, "a word " * 40)

    assert len(stream.getvalue().splitlines()) == 2
    assert all(character.isprintable() or character == "\n" for character in stream.getvalue())


def test_only_a_terminal_that_can_move_its_cursor_gets_the_live_display(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(display_for(console_for(io.StringIO())), PlainDisplay)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display_for(terminal()), LiveDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display_for(terminal()), PlainDisplay)


# ------------------------------------------------------------------ words
def test_a_spec_that_the_operator_has_not_seen_is_not_described_by_an_old_condition() -> None:
    asked = next(each for each in recording.looks() if each.spec.version_ref.name == "triage-v3")

    assert asked.status.observed_generation < asked.metadata.generation
    assert views.ready_message(asked) == "the operator has not seen this spec yet"
    assert "Healthy" not in plain_line(recording.moment(asked))
    assert "phase Unseen" in " ".join(screen(recording.moment(asked)))


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0:00"), (59.9, "0:59"), (125.0, "2:05"), (600, "10:00")]
)
def test_a_clock_has_minutes_and_seconds(seconds: float, said: str) -> None:
    assert views.clock(seconds) == said


def test_a_step_is_named_by_number_and_name() -> None:
    assert views.step_name(recording.look("triage-v2", "Preparing")) == "0/4"
    assert views.step_name(recording.look("triage-v4", "Full")) == "4/4 full"

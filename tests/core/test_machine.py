"""The machine under everything that can befall it: random users, gateways, kubelets, metrics and crashes.

`machine/judge.py` holds what is checked at every decision and every write, `machine/ending.py` how each play
must end. MODEL_SCRIPTS sets how many scripts are played; given, they are new ones in each run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from interlock.reasons import Cause
from tests.core.machine.acts import Act, Script, scripts
from tests.core.machine.ending import check_end, check_quiet, come_to_rest, mended, summary
from tests.core.machine.play import Play

many = settings(
    max_examples=int(os.environ.get("MODEL_SCRIPTS", "200")),
    deadline=None,
    derandomize="MODEL_SCRIPTS" not in os.environ,
    database=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
ENDS = st.sampled_from(["pass", "harm"])


class Counted:
    """How much was played in this run."""

    plays = 0
    steps = 0


@pytest.fixture(scope="module", autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Say in the end how many decisions were judged."""
    yield
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n{Counted.steps} steps of the core in {Counted.plays} plays")


def act(name: str, value: object = None) -> Act:
    """One act."""
    return Act(name, value)


def tried(place: str, *then: Act) -> Script:
    """v1 serves and v2 has come to a place; what happens then."""
    return [act("until", "Done"), act("attempt", ("v2", place)), *then]


def played(script: Script, end: str, *, prompt: bool = False, crash: tuple[int, str] | None = None) -> Play:
    """A play to its very end, judged all along."""
    play = Play(prompt=prompt, crash=crash)
    try:
        play.play(script)
        finished(play, end)
    finally:
        Counted.plays += 1
        Counted.steps += play.judge.steps
    return play


def finished(play: Play, end: str) -> None:
    """Everything works again: the play comes to rest, in the right state, and stays there."""
    before = play.rollout().status.stable
    mended(play, end)
    come_to_rest(play)
    check_end(play)
    after = play.rollout().status.stable
    if end == "harm" and before is not None:
        assert after is not None
        assert after.workload == before.workload, "promoted although a gate fails"
    check_quiet(play)


# ------------------------------------------------------------------ every move there is
EVERY_MOVE = {
    Cause.SOAK_PASSED: tried("Soaking"),
    Cause.TEMPLATE_CHANGED: [act("until", "Done"), act("template", "example.com/agent:2")],
    Cause.FAST_PATH_STARTED: tried("Done", act("attempt", ("v1", "Soaking"))),
    Cause.STRATEGY_CHANGED: tried("Running 1", act("strategy", "two canaries")),
    Cause.GATES_CHANGED: tried("Running 1", act("gates", "laxer")),
    Cause.SAMPLE_RATIO_MISMATCH: tried("Running 1", act("metrics", "wrong split"), act("wait", 10)),
    Cause.SAMPLE_RATIO_RESTORED: tried(
        "Running 1",
        act("metrics", "wrong split"),
        act("wait", 10),
        act("metrics", "pass"),
        act("wait", 10),
    ),
    Cause.GATE_FAILED: tried("Running 1", act("metrics", "fail"), act("wait", 10)),
    Cause.COMBINED_EVIDENCE: tried("Running 1", act("metrics", "combined"), act("wait", 10)),
    Cause.ALERT_FIRING: tried("Running", act("metrics", "alert"), act("wait", 10)),
    Cause.CONTENT_CHANGED: tried("Running", act("tamper", "v2")),
    Cause.CANDIDATE_GONE: tried("Soaking", act("delete", "v2")),
    Cause.PROGRESS_DEADLINE: tried("Running 1", act("pods", ("v2", "down")), act("wait", 120)),
    Cause.STEP_DEADLINE: tried(
        "Running 1", act("deadline", "Revert"), act("metrics", "inconclusive"), act("wait", 120)
    ),
    Cause.STARVED: tried("Running 1", act("metrics", "starved"), act("wait", 120)),
    Cause.BLIND: tried("Running 1", act("metrics", "unreadable"), act("wait", 120)),
    Cause.SUPERSEDED: tried("Running 1", act("attempt", ("v3", "Running"))),
    Cause.ROLLED_BACK: tried("Soaking", act("serve", "v1")),
    Cause.ROUTE_AT_ZERO: tried("Running 1", act("route", "zero")),
}


@pytest.mark.parametrize("cause", EVERY_MOVE)
def test_every_move_can_be_told_as_a_script(cause: Cause) -> None:
    """Else the random ones would not reach it either."""
    assert cause in played(EVERY_MOVE[cause], "pass").judge.causes


# ------------------------------------------------------------------ whatever happens
@example([act("template", "example.com/agent:2"), act("until", "Running"), act("route", "zero")], "pass")
@example(
    [*tried("Done", act("attempt", ("v1", "Soaking"))), act("fault", (1, "refused")), act("serve", "v2")],
    "pass",
)
@example(
    [act("route", "foreign"), act("attempt", ("v2", "Preparing")), act("recreate", "background")], "pass"
)
@example(
    [act("late", "Deployment"), act("template", "example.com/agent:2"), act("recreate", "background")], "pass"
)
@many
@given(scripts(), ENDS)
def test_whatever_happens_it_holds_together_and_comes_to_rest(script: Script, end: str) -> None:
    played(script, end)


# ------------------------------------------------------------------ crashes
CUT = {
    "promoted": (tried("Running"), "pass"),
    "taken back": (tried("Running 1", act("metrics", "harm"), act("wait", 10)), "harm"),
    "superseded": (tried("Running", act("attempt", ("v3", "Running"))), "harm"),
}


@pytest.mark.parametrize("way", ["crash before", "crash after"])
@pytest.mark.parametrize("story", CUT)
def test_the_end_is_the_same_wherever_it_crashed(story: str, way: str) -> None:
    """At every write in turn."""
    script, end = CUT[story]
    whole = played(script, end, prompt=True)
    for number in range(1, whole.faults.writes + 1):
        cut = played(script, end, prompt=True, crash=(number, way))
        assert summary(cut) == summary(whole), f"{way} write {number}"


@settings(many, max_examples=max(1, many.max_examples // 4))
@given(
    scripts(quiet=True, chapters=3),
    ENDS,
    st.integers(1, 80),
    st.sampled_from(["crash before", "crash after"]),
)
def test_the_end_of_any_script_is_the_same_wherever_it_crashed(
    script: Script, end: str, number: int, way: str
) -> None:
    assert summary(played(script, end, prompt=True, crash=(number, way))) == summary(
        played(script, end, prompt=True)
    )

"""What is shown of simulated rollouts: golden views of fixed walks."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from interlock.analysis.lift import NoLift
from interlock.cli import plot, simulated
from interlock.cli.views import Table
from interlock.model.release import Outcome
from interlock.model.rolloutstatus import GateStatus
from interlock.simulation.timeline import Moment, Point, Run
from tests.simulation.rollouts import setup, story

HARM = "success: 28:1 that the candidate fails verification more often: 0.5 (n=30) against 0.9 (n=120)"


def reverted(seed: int = 1, at: float = 185.0) -> Run:
    return Run(
        seed,
        threshold=2.9957,
        moments=[
            Moment(0.0, "Preparing", "AttemptStarted", "", 100, 0, 0, "preparing v2 beside v1"),
            Moment(0.0, "Running", "StepStarted", "canary", 80, 20, 0, "v2 enters canary: 20 % of requests"),
            Moment(at, "Reverting", "GateFailed", "", 100, 0, 0, HARM),
            Moment(at, "Done", "GateFailed", "", 100, 0, 0, "the gateway sends v2 nothing new"),
        ],
        points=[
            Point(0.0, 80, 20, 0),
            Point(90.0, 80, 20, 0, 0.4, (("success", 0.4),)),
            Point(at, 100, 0, 0, 3.3, (("success", 3.3), ("a <gate>", -4.0))),
        ],
        outcome=Outcome.REVERTED,
        ended=at,
        gates=(GateStatus(name="success", verdict="Fail", odds="28:1", message=HARM[9:]),),
        lifts=(NoLift("cost-per-task", "it is not exported"),),
    )


def test_the_timeline_shows_every_move() -> None:
    assert simulated.timeline(reverted()) == Table(
        ("TIME", "STEP", "CANDIDATE", "SHADOW", "REASON", "MESSAGE"),
        (
            ("0:00:00", "-", "0%", "0%", "AttemptStarted", "preparing v2 beside v1"),
            ("0:00:00", "canary", "20%", "0%", "StepStarted", "v2 enters canary: 20 % of requests"),
            ("0:03:05", "-", "0%", "0%", "GateFailed", HARM),
            ("0:03:05", "-", "0%", "0%", "GateFailed", "the gateway sends v2 nothing new"),
        ),
    )


def test_wide_adds_stage_and_the_stable_share() -> None:
    found = simulated.timeline(reverted(), wide=True)
    assert found.columns == (
        "TIME", "STEP", "STABLE", "CANDIDATE", "SHADOW", "STAGE", "REASON", "MESSAGE",
    )  # fmt: skip
    assert found.rows[1][2:6] == ("80%", "20%", "0%", "Running")


def test_gates_and_the_sentence() -> None:
    run = reverted()
    assert simulated.gates(run).rows == (("success", "Fail", "28:1", HARM[9:]),)
    assert simulated.sentence(setup(), run) == "v2 ended as Reverted (GateFailed) at canary after 0:03:05"


def test_a_lift_that_is_not_known_says_why() -> None:
    assert simulated.lifts(reverted()) == Table(("KPI", "LIFT"), (("cost-per-task", "it is not exported"),))


def test_the_sentences_of_other_ends() -> None:
    run = reverted()
    run.outcome = Outcome.PROMOTED
    assert simulated.sentence(setup(), run) == "v2 was promoted after 0:03:05"
    run.outcome, run.waits = None, "v2 at step canary: waiting for 3 more tasks"
    assert simulated.sentence(setup(), run) == (
        "v2 was still at canary after 0:03:05: v2 at step canary: waiting for 3 more tasks"
    )


def test_the_summary_counts_what_ended_alike() -> None:
    runs = [reverted(1, 100.0), reverted(2, 200.0), reverted(3, 300.0)]
    assert simulated.summary(runs) == Table(
        ("OUTCOME", "STEP", "REASON", "COUNT", "SHARE", "95%", "MEDIAN", "P95"),
        (("Reverted", "canary", "GateFailed", "3", "100%", "44%-100%", "0:03:20", "0:05:00"),),
    )


def test_the_document_holds_all_of_it() -> None:
    found = simulated.document(setup(), story(title="worse"), [reverted(1), reverted(2)])
    assert (found["rollout"], found["candidate"], found["story"]) == ("triage", "v2", "worse")
    run = found["runs"][0]
    assert (run["outcome"], run["decidedSeconds"], len(run["timeline"]), len(run["points"])) == (
        "Reverted", 185.0, 4, 3,
    )  # fmt: skip
    assert run["points"][2]["gates"] == {"success": 3.3, "a <gate>": -4.0}
    assert found["summary"][0]["seeds"] == [1, 2]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00:00"), (3661, "1:01:01"), (180_000, "2d 2:00:00")])
def test_times(seconds: float, text: str) -> None:
    assert simulated.clock(seconds) == text


class TestPlot:
    def test_it_is_well_formed_and_names_what_it_draws(self) -> None:
        drawing = plot.svg(reverted(), "v2 & <others>")
        root = ElementTree.fromstring(drawing)  # noqa: S314 - our own
        texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        for text in (
            "v2 & <others>",
            "stable",
            "candidate",
            "shadow",
            "success",
            "a <gate>",
            "taken back at 20 : 1",
            "180 s",
        ):
            assert text in texts

    def test_higher_odds_are_drawn_higher_and_later_ones_further_to_the_right(self) -> None:
        root = ElementTree.fromstring(plot.svg(reverted(), ""))  # noqa: S314
        lines = [line.get("points", "") for line in root.iter("{http://www.w3.org/2000/svg}polyline")]
        success = [tuple(map(float, point.split(","))) for point in lines[3].split()]
        assert len(success) == 2
        assert success[0][0] < success[1][0]
        assert success[0][1] > success[1][1]

    def test_a_walk_without_any_evidence_can_be_drawn(self) -> None:
        ElementTree.fromstring(plot.svg(Run(1, threshold=3.0), "nothing"))  # noqa: S314

"""The demo's rollouts on recorded outcomes, without a cluster: a few seeds of dev.demo.rollouts."""

from __future__ import annotations

import pytest

from dev.demo.agent.judge import Verdict
from dev.demo.rollouts import EXPECTED, Line, recorded, story, verdicts, walked
from dev.demo.simulate import Outcomes
from dev.demo.versions import SAME
from interlock.simulation.summary import outcome_of


@pytest.fixture(scope="module")
def known() -> dict[str, Outcomes]:
    return verdicts()


def test_a_quarter_of_the_tasks_is_irrelevant_and_rates_are_those_of_the_questions(
    known: dict[str, Outcomes],
) -> None:
    for name, of in known.items():
        kinds = recorded(of)
        total = sum(kind.tasks for kind in kinds)
        verified = {word: sum(k.tasks for k in kinds if k.verified == word) for word in ("pass", "fail")}
        violations = sum(kind.tasks for kind in kinds if kind.violation)
        assert sum(verified.values()) / total == pytest.approx(0.75), name
        right = sum(verdict is Verdict.RIGHT for verdict in of.values()) / 522
        acted = sum(verdict is Verdict.ACTED_ON_IRRELEVANT for verdict in of.values()) / 188
        assert verified["pass"] / sum(verified.values()) == pytest.approx(right), name
        assert violations / total == pytest.approx(0.25 * acted), name


def test_a_violation_is_never_verified(known: dict[str, Outcomes]) -> None:
    kinds = [kind for of in known.values() for kind in recorded(of)]
    assert not any(kind.violation and kind.verified for kind in kinds)


@pytest.mark.parametrize(
    ("name", "gate"), [("triage-v2", "success"), ("triage-v3", "violations"), ("triage-v4", ""), (SAME, "")]
)
def test_it_ends_as_told(name: str, gate: str, known: dict[str, Outcomes]) -> None:
    """Of these seeds none is a miss; each is one of about a thousand that would be by chance."""
    for run in walked(name, known, range(1, 4)):
        assert outcome_of(run) == EXPECTED[name]
        assert run.message.startswith(f"{gate}: " if gate else name)


def test_always_acting_is_taken_back_although_more_succeeds(known: dict[str, Outcomes]) -> None:
    right = {name: sum(v is Verdict.RIGHT for v in of.values()) for name, of in known.items()}
    assert right["triage-v3"] > right["triage-v4"] > right["triage-v1"]


def test_a_miss_is_told_with_its_seed(known: dict[str, Outcomes]) -> None:
    runs = walked("triage-v2", known, range(1, 3))
    shown = "\n".join(Line("triage-v4", runs).shown())
    assert "  0 of 2" in shown
    assert "miss, seed 1: Reverted" in shown
    assert story(known["triage-v1"], known["triage-v4"]).tick == 1

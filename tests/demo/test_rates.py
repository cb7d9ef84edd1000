"""The rates that the demo's story rests on, pinned: minimum scores depend on the catalogue."""

from __future__ import annotations

from itertools import islice

import pytest

from dev.demo.agent.catalogue import Catalogue
from dev.demo.agent.judge import Verdict
from dev.demo.simulate import Outcomes, Rates, outcomes, rates, replay, right_alone, table
from dev.demo.traffic import IRRELEVANT_SHARE, draw
from dev.demo.versions import VERSIONS, document


@pytest.fixture(scope="module")
def verdicts(evaluation_half: Catalogue) -> dict[str, Outcomes]:
    return {name: outcomes(document(name).configuration, evaluation_half) for name in VERSIONS}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("triage-v1", Rates(right=378, answerable=524, acted=63, irrelevant=191)),
        ("triage-v2", Rates(right=228, answerable=524, acted=54, irrelevant=191)),
        ("triage-v3", Rates(right=437, answerable=524, acted=191, irrelevant=191)),
        ("triage-v4", Rates(right=418, answerable=524, acted=57, irrelevant=191)),
    ],
)
def test_rates_of_a_version(verdicts: dict[str, Outcomes], version: str, expected: Rates) -> None:
    assert rates(verdicts[version]) == expected


def test_v4_is_better_question_by_question(verdicts: dict[str, Outcomes]) -> None:
    first, fourth = verdicts["triage-v1"], verdicts["triage-v4"]

    assert (right_alone(fourth, first), right_alone(first, fourth)) == (53, 13)


def test_v4_was_an_improvement_on_the_half_it_was_tuned_on(tuning_half: Catalogue) -> None:
    first = rates(outcomes(document("triage-v1").configuration, tuning_half))
    fourth = rates(outcomes(document("triage-v4").configuration, tuning_half))

    assert (first.right, first.acted) == (385, 55)
    assert (fourth.right, fourth.acted) == (422, 52)


def test_leaving_out_personal_data_moves_no_rate_by_much(
    verdicts: dict[str, Outcomes], shown: Catalogue
) -> None:
    for name in VERSIONS:
        whole = rates(verdicts[name])
        without = rates(outcomes(document(name).configuration, shown))
        assert (without.answerable, without.irrelevant) == (522, 188)
        assert without.success == pytest.approx(whole.success, abs=0.005)
        assert without.acts_on_irrelevant == pytest.approx(whole.acts_on_irrelevant, abs=0.015)


@pytest.mark.parametrize(
    ("version", "stays_below_the_limit"),
    [("triage-v1", True), ("triage-v2", True), ("triage-v3", False), ("triage-v4", True)],
)
def test_only_always_act_violates_in_more_than_a_tenth_of_all_tasks(
    verdicts: dict[str, Outcomes], version: str, stays_below_the_limit: bool
) -> None:
    assert (rates(verdicts[version]).acts_on_irrelevant * IRRELEVANT_SHARE < 0.10) is stays_below_the_limit


def test_traffic_is_repeatable_and_a_quarter_of_it_irrelevant(shown: Catalogue) -> None:
    first = list(islice(draw(shown, seed=7), 4000))

    assert first == list(islice(draw(shown, seed=7), 4000))
    assert first != list(islice(draw(shown, seed=8), 4000))
    share = sum(not question.answerable for question in first) / len(first)
    assert share == pytest.approx(IRRELEVANT_SHARE, abs=0.03)


def test_a_replay_has_one_verdict_a_question(shown: Catalogue, verdicts: dict[str, Outcomes]) -> None:
    questions = list(islice(draw(shown, seed=1), 500))
    replayed = list(replay(verdicts["triage-v3"], questions))

    assert len(replayed) == 500
    assert Verdict.DECLINED not in replayed
    acted = replayed.count(Verdict.ACTED_ON_IRRELEVANT)
    assert acted == sum(not question.answerable for question in questions)


def test_the_table_has_a_line_a_version(shown: Catalogue) -> None:
    header, *lines = table(shown)

    assert "success" in header
    assert [line.split()[0] for line in lines] == list(VERSIONS)

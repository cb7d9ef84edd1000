"""The question set: what is in, what is left out, and that the data is what was pinned."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.demo import data
from dev.demo.agent.catalogue import Catalogue, read_catalogue


def test_the_evaluation_half_is_the_one_on_which_rates_are_stated(evaluation_half: Catalogue) -> None:
    answerable = sum(question.answerable for question in evaluation_half.questions)

    assert (answerable, len(evaluation_half.questions) - answerable) == (524, 191)
    assert len(evaluation_half.tools) == 971
    assert evaluation_half.source == "bfcl-eval==2026.3.23"


def test_the_halves_share_no_question(evaluation_half: Catalogue, tuning_half: Catalogue) -> None:
    assert not evaluation_half.by_id().keys() & tuning_half.by_id().keys()
    assert len(tuning_half.questions) == 529 + 181


def test_the_number_of_tools_does_not_give_the_answer_away(evaluation_half: Catalogue) -> None:
    assert min(len(question.tools) for question in evaluation_half.questions) == 2


def test_every_published_answer_is_one_of_the_offered_tools(evaluation_half: Catalogue) -> None:
    for question in evaluation_half.questions:
        offered = {evaluation_half.tools[tool].name for tool in question.tools}
        assert question.answer is None or question.answer in offered


def test_personal_data_is_in_no_catalogue_that_is_handed_out(
    evaluation_half: Catalogue, shown: Catalogue, tmp_path: Path
) -> None:
    shown.write(tmp_path / "catalogue.json")
    written = (tmp_path / "catalogue.json").read_text(encoding="utf-8")

    hidden = [evaluation_half.by_id()[id_] for id_ in data.PERSONAL_DATA]
    assert len(hidden) == 5
    assert not [question.id for question in hidden if question.id in written or question.text in written]
    assert shown.tools == evaluation_half.tools


def test_a_catalogue_reads_back_as_it_was_written(shown: Catalogue, tmp_path: Path) -> None:
    shown.write(tmp_path / "catalogue.json")

    assert read_catalogue(tmp_path / "catalogue.json") == shown


def test_a_catalogue_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalogue.json").write_text('{"format": 99}')

    with pytest.raises(ValueError, match="catalogue format 99"):
        read_catalogue(tmp_path / "catalogue.json")


def test_a_wheel_that_cannot_be_had_is_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"bfcl-eval==2026.3.23 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(data, "LOCK", lock)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(data.DataError, match="--require-hashes"):
        data.fetch()

"""The page that shows the machine says what the machine does."""

from __future__ import annotations

from dev.lifecycle import PAGE, page
from interlock.core.table import Event, Place
from interlock.reasons import CONDITIONS, MEANINGS, REASONS, Cause, ConditionType, Reason


def test_the_page_is_as_the_table_says() -> None:
    assert PAGE.read_text() == page(), "run `python -m dev.lifecycle --write`"


def test_every_event_has_a_row_with_an_answer_for_every_place() -> None:
    rows = [line for line in page().splitlines() if any(f". {event.value}" in line for event in Event)]
    assert len(rows) == len(Event)
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 1 + len(Place)
        assert all(cells)


def test_every_reason_is_explained() -> None:
    assert set(MEANINGS) == set(Cause)
    assert set(CONDITIONS) == set(ConditionType)
    assert set(REASONS) == set(Reason)
    assert all(f"| {cause.value} |" in page() for cause in Cause)

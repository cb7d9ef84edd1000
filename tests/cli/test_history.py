"""A long time is read in pieces that fit into an answer, without a gap."""

from __future__ import annotations

import pytest

from interlock.analysis.series import Series
from interlock.cli import history
from interlock.cli.history import History, Reads
from interlock.core.observation import Unreadable
from interlock.errors import SpecError, TransientError
from interlock.ports import Samples, Selection

LABELS = {"__name__": "ai_agent_tasks_total", "namespace": "shop", "agent": "triage"}


class Crowded:
    """A store of one sample a second, `width` times, which refuses answers of more than `limit` samples."""

    def __init__(self, width: int, limit: int) -> None:
        self._width = width
        self._limit = limit
        self.asked: list[Selection] = []

    async def read(self, selection: Selection) -> Samples | Unreadable:
        self.asked.append(selection)
        begin = selection.at - selection.window
        points = tuple((float(at), 1.0) for at in range(int(begin) + 1, int(selection.at) + 1))
        if len(points) * self._width > self._limit:
            return Unreadable("the answer is larger than 4 MiB")
        return Samples(tuple(Series({**LABELS, "pod": str(n)}, points) for n in range(self._width)))


class Away:
    async def read(self, selection: Selection) -> Samples | Unreadable:
        return Unreadable("no complete answer within 30 s")


def of(metrics: Reads, shares: list[float]) -> History:
    return History(metrics, frozenset({LABELS["__name__"]}), "shop", "triage", shares.append)


@pytest.mark.parametrize("width", [1, 40, 400])
async def test_every_sample_comes_once(width: int) -> None:
    store, shares = Crowded(width, 150_000), list[float]()
    pieces = [piece async for piece in of(store, shares).pieces(1000.0, 11_000.0)]
    seen = [at for piece in pieces for at, _ in piece.series[0].points]
    assert seen == [float(at) for at in range(1001, 11_001)]
    assert [piece.begin for piece in pieces] == [1000.0, *(piece.end for piece in pieces[:-1])]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


async def test_pieces_become_as_long_as_their_answers_allow() -> None:
    store = Crowded(1, 10**9)
    pieces = [piece async for piece in of(store, []).pieces(0.0, 80_000.0)]
    assert [piece.end - piece.begin for piece in pieces[:3]] == [900.0, 3600.0, 14_400.0]


async def test_an_answer_that_never_fits_is_told() -> None:
    with pytest.raises(TransientError, match="larger than"):
        [piece async for piece in of(Crowded(1000, 10), []).pieces(0.0, 1000.0)]


async def test_a_server_that_does_not_answer_is_told_at_once() -> None:
    with pytest.raises(TransientError, match="Prometheus: no complete answer"):
        [piece async for piece in of(Away(), []).pieces(0.0, 1000.0)]


async def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_SAMPLES", 5000)
    with pytest.raises(SpecError, match="--window"):
        [piece async for piece in of(Crowded(1, 10**9), []).pieces(0.0, 80_000.0)]

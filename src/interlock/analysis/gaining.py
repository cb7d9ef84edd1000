"""From increments to gains: what a series has gained, in which mode, and who is to count it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from interlock.analysis.buckets import BucketReader
from interlock.analysis.comparing import BlockJudge
from interlock.analysis.incoming import Known, Owned, Source
from interlock.analysis.judges import EventsJudge, Judge, LimitJudge
from interlock.analysis.lift import Lifts
from interlock.analysis.plan import Mode
from interlock.analysis.series import Increment, Series

Gain = tuple[Increment, Mode, Known, Source]
"""What a series has gained, and in which mode."""


class Gains:
    """Finds once a series what all its gains have in common."""

    def __init__(self, since: float, buckets: BucketReader, judges: Iterable[Judge], lifts: Lifts) -> None:
        """`since`: unix seconds; what was gained before is not counted."""
        judges = list(judges)
        self._since = since
        self._buckets = buckets
        self._counting = [judge for judge in judges if isinstance(judge, LimitJudge | EventsJudge)]
        self._comparing = [judge for judge in judges if isinstance(judge, BlockJudge)]
        self._lifts = lifts

    def of(self, increments: Iterable[Increment], news: Iterable[Owned]) -> list[Gain]:
        """What either version has gained since the evidence began, in shadow or live."""
        # all increments of a series have the same labels, not only equal ones
        of = {id(one.labels): (one, known) for one, known in news}
        kinds: dict[int, tuple[Mode, Known, Source] | None] = {}
        gained: list[Gain] = []
        for gain in increments:
            if gain.end <= self._since:
                continue
            place = id(gain.labels)
            if place not in kinds:
                kinds[place] = self._kind(*of[place])
            kind = kinds[place]
            if kind is not None:
                gained.append((gain, *kind))
        return gained

    def _kind(self, one: Series, known: Known) -> tuple[Mode, Known, Source] | None:
        """What all gains of a series at one look have in common; None where they are of no mode."""
        return None if known.mode is None else (known.mode, known, self._source(one, known, known.mode))

    def _source(self, one: Series, known: Known, mode: Mode) -> Source:
        """Found anew only where the series belongs to a histogram whose buckets have changed."""
        source, bounds = known.source, self._buckets.bounds(one)
        if source is None or source.bounds != bounds:
            labels = self._buckets.told(one)
            counted_by = tuple(judge for judge in self._counting if judge.reads(labels))
            source = known.source = Source(labels, bounds, self._is_compared(mode, labels), counted_by)
        return source

    def _is_compared(self, mode: Mode, labels: Mapping[str, str]) -> bool:
        lifted = mode is Mode.LIVE and self._lifts.counts(labels)
        return lifted or any(judge.compares(mode, labels) for judge in self._comparing)

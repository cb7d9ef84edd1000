"""What the candidate's tasks cost, live and in shadow alike: told, not judged."""

from __future__ import annotations

from collections.abc import Iterable

from interlock.analysis.outcomes import Outcome
from interlock.analysis.plan import Track
from interlock.analysis.presets import COST


class Spending:
    """US dollars since the evidence began; None while the candidate exports no cost: that is not 0."""

    def __init__(self) -> None:
        self.usd: float | None = None

    def notice(self, family: str, tracks: Iterable[Track]) -> None:
        """A series of that metric name comes from these versions."""
        if family == COST and Track.CANDIDATE in tracks and self.usd is None:
            self.usd = 0.0

    def count(self, outcome: Outcome) -> None:
        """An increment of either version."""
        if outcome.track is Track.CANDIDATE and outcome.labels["__name__"] == COST:
            self.usd = (self.usd or 0.0) + outcome.amount

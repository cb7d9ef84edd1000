"""Why nothing is learned of the candidate: no traffic at all, none for it, or nothing seen of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Silence(StrEnum):
    """The three kinds of no data. Only Idle is nobody's fault."""

    IDLE = "Idle"
    """It is scraped, and no task has begun or ended on either side."""
    STARVED = "Starved"
    """Stable has had tasks, the candidate none, beyond chance."""
    BLIND = "Blind"
    """No sample of the candidate."""


@dataclass(frozen=True, slots=True)
class NoDataReading:
    """`since` (unix seconds) stays the same from look to look while the silence lasts."""

    kind: Silence
    since: float

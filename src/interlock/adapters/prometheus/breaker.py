"""Keeps a server that does not answer from being asked again and again.

Closed: one may ask. After `TRIES` moments running without any answer it opens: one may not, until a pause is
over; then one may try. An answer, whatever it says, closes it; another failure doubles the pause.
"""

from __future__ import annotations

TRIES = 3
"""Moments running without any answer after which it opens."""
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 15.0
"""Seconds. A server that is back is noticed within these."""


class Breaker:
    """All times are monotonic seconds."""

    def __init__(self) -> None:
        self._failures = 0
        self._again = 0.0  # when it may be tried again
        self._last = ""

    def closed_for(self, now: float) -> str:
        """Why one may not ask now; empty when one may. Whoever may must tell how it went."""
        if self._failures < TRIES:
            return ""
        if now < self._again:
            # no count and no countdown: this is shown in status, and a text that changes costs a write
            return f"{self._last} ({TRIES} times running or more; tried again every {LONGEST_PAUSE:.0f} s)"
        self._again = now + self._pause  # one tries, the others wait for what it finds
        return ""

    def answered(self) -> bool:
        """The server is there. Returns whether that closes it."""
        opened, self._failures = self._failures >= TRIES, 0
        return opened

    def failed(self, reason: str, now: float) -> bool:
        """No answer came. Returns whether that opens it."""
        self._failures += 1
        self._last = reason
        self._again = now + self._pause
        return self._failures == TRIES

    @property
    def _pause(self) -> float:
        # the exponent is bounded too: after a night of failures 2**n is no float any more
        return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(10, max(0, self._failures - TRIES))))

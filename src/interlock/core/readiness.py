"""Ready and Stalled of an object that is good as it is, or that somebody must correct. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from interlock.model.conditions import Condition, ConditionStatus
from interlock.reasons import ConditionType

MAX_MESSAGE = 1024


def readiness(
    said: tuple[bool, StrEnum, str],
    generation: int,
    before: Iterable[Condition],
    now: datetime,
) -> tuple[Condition, ...]:
    """Ready alone, or Ready=False and Stalled; a condition keeps the time at which its status last moved.

    `said`: whether the object is good, why, and that in words.
    """
    good, reason, message = said
    ready = Condition(
        type=ConditionType.READY.value,
        status=ConditionStatus.TRUE if good else ConditionStatus.FALSE,
        reason=reason.value,
        message=message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…",
        last_transition_time=now,
        observed_generation=generation,
    )
    stalled = ready.model_copy(update={"type": ConditionType.STALLED.value, "status": ConditionStatus.TRUE})
    since = {(old.type, old.status): old.last_transition_time for old in before}
    return tuple(
        one.model_copy(update={"last_transition_time": since.get((one.type, one.status), now)})
        for one in ((ready,) if good else (ready, stalled))
    )

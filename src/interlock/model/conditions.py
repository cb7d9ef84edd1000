"""Conditions as Kubernetes, kstatus and Argo CD read them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from interlock.model.base import ApiModel, Time


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One condition; `lastTransitionTime` moves only when `status` does."""

    type: Annotated[str, Field(max_length=64, pattern=r"^[A-Z][A-Za-z]*$")]
    status: ConditionStatus
    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Z][A-Za-z]*$")]
    message: Annotated[str, Field(max_length=4096)] = ""
    last_transition_time: Time
    observed_generation: Annotated[int, Field(ge=0)] = 0

"""A Rollout's status: where the attempt is, what serves, what drains, what stays back.

Only the operator writes it; the rules here are what the API server holds even the operator to.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from interlock.model import moves
from interlock.model.base import (
    ATOMIC,
    ApiModel,
    DnsLabel,
    ObjectName,
    Time,
    WholePercent,
    keyed,
    rules,
)
from interlock.model.conditions import Condition
from interlock.model.release import Entry, Outcome, Stage, VersionIdentity
from interlock.model.result import Result

MAX_STEPS = 16
MAX_GATES = 16
MAX_QUARANTINE = 64
MAX_DRAINING = 4


class StableVersion(VersionIdentity):
    """The version that is trusted, and since when."""

    since: Time


class StepTime(ApiModel):
    """When a step's clock ran: evidence of the step is read from this span."""

    index: Annotated[int, Field(ge=0, le=MAX_STEPS)]
    started_time: Time
    ended_time: Time | None = None


class GateStart(ApiModel):
    """Since when a gate, as it is written now, gathers evidence in this attempt."""

    name: DnsLabel
    hash: Annotated[str, Field(max_length=16)]
    """Names the gate's rules: an edited gate has another one."""
    since: Time


class NoData(ApiModel):
    """Why nothing can be said about the candidate at present, and since when."""

    kind: Annotated[str, Field(max_length=16)]
    """Idle (no traffic at all), Starved (none for the candidate) or Blind (no samples)."""
    since: Time


class SplitMismatch(ApiModel):
    """Since when requests are known to be split otherwise than the running step's weights say, and how."""

    since: Time
    message: Annotated[str, Field(max_length=512)]


class Attempt(ApiModel):
    """One try to bring a version into service. Stored intent: effects are derived from it."""

    model_config = ConfigDict(json_schema_extra=moves.ATTEMPT)

    number: Annotated[int, Field(ge=1)]
    seq: Annotated[int, Field(ge=1)]
    stage: Annotated[Stage, Field(json_schema_extra=moves.STAGE)]
    step_index: Annotated[int, Field(ge=0, le=MAX_STEPS)] = 0
    started_time: Time
    stage_started_time: Time
    walk_started_time: Time
    traffic_started_time: Time | None = None
    step_started_time: Time | None = None
    outcome: Annotated[Outcome | None, Field(json_schema_extra=moves.OUTCOME)] = None
    reason: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=512)] = ""
    strategy_hash: Annotated[str, Field(max_length=16)]
    step_times: Annotated[tuple[StepTime, ...], Field(max_length=MAX_STEPS, json_schema_extra=ATOMIC)] = ()
    unrecorded: Annotated[tuple[Entry, ...], Field(max_length=8, json_schema_extra=ATOMIC)] = ()
    gate_starts: Annotated[
        tuple[GateStart, ...], Field(max_length=MAX_GATES, json_schema_extra=keyed("name"))
    ] = ()
    start_replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods of stable when the attempt began: while two versions are up it is never smaller."""
    sized_step: Annotated[int, Field(ge=0, le=MAX_STEPS)] | None = None
    """The candidate has been asked to have the size of this step, before any weight of it moves."""
    fast_path: bool | None = None
    """The version was promoted before: straight to `full`, with its soak."""
    clock_stopped_time: Time | None = None
    """Since when the step's clock stands still: paused, no traffic at all, or a wrong split of it."""
    clock_stopped_seconds: Annotated[int, Field(ge=0)] | None = None
    """How long the clock of the present step stood still before that."""
    unavailable_since: Time | None = None
    """Since when what must be Available is seen not to be, where its Deployment names a time yet to come."""
    no_data: NoData | None = None
    split_mismatch: SplitMismatch | None = None
    """While it is there, the attempt does not walk on."""
    result: Result | None = None
    """What is known of the candidate beside stable, and when what was decided; recorded in the Release."""


class TrafficStatus(ApiModel):
    """The intended split of live requests, and the mirrored shares; live shares sum to 0 or 100."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.stablePercent + self.candidatePercent in [0, 100]",
                "must have `stablePercent` and `candidatePercent` that sum to 0 or 100",
            )
        )
        | {"required": ["candidatePercent", "shadowPercent", "stablePercent"]}
    )

    stable_percent: WholePercent = 0
    candidate_percent: WholePercent = 0
    shadow_percent: WholePercent = 0
    control_percent: WholePercent = 0
    """What is mirrored to stable's own shadow, with which the candidate's is compared."""


class GateStatus(ApiModel):
    """What a gate says now, with its evidence."""

    name: DnsLabel
    verdict: Annotated[str, Field(max_length=16)]
    odds: Annotated[str, Field(max_length=32)] = ""
    candidate: Annotated[str, Field(max_length=64)] = ""
    stable: Annotated[str, Field(max_length=64)] = ""
    message: Annotated[str, Field(max_length=512)] = ""


class Draining(ApiModel):
    """A workload without traffic whose conversations come to an end."""

    workload: Annotated[str, Field(max_length=63)]
    version: DnsLabel
    release: ObjectName
    since: Time
    deadline: Time


class Quarantined(ApiModel):
    """Content that does not go out again by itself."""

    digest: Annotated[str, Field(max_length=64)]
    version: DnsLabel
    attempt: Annotated[int, Field(ge=1)]
    reason: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=512)] = ""
    time: Time


class RolloutStatus(ApiModel):
    """What the operator did, sees and waits for."""

    model_config = ConfigDict(json_schema_extra=moves.STATUS)

    observed_generation: int = -1
    phase: Annotated[str, Field(max_length=32)] | None = None
    step: Annotated[str, Field(max_length=8)] | None = None
    weight: Annotated[str, Field(max_length=8)] | None = None
    replicas: Annotated[int, Field(ge=0)] = 0
    selector: Annotated[str, Field(max_length=256)] = ""
    stable: StableVersion | None = None
    candidate: VersionIdentity | None = None
    attempt: Attempt | None = None
    traffic: TrafficStatus | None = None
    gates: Annotated[
        tuple[GateStatus, ...], Field(max_length=MAX_GATES, json_schema_extra=keyed("name"))
    ] = ()
    draining: Annotated[
        tuple[Draining, ...], Field(max_length=MAX_DRAINING, json_schema_extra=keyed("workload"))
    ] = ()
    quarantine: Annotated[
        tuple[Quarantined, ...], Field(max_length=MAX_QUARANTINE, json_schema_extra=keyed("digest"))
    ] = ()
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16, json_schema_extra=keyed("type"))] = ()

"""Release: the append-only record of one attempt; it survives its Rollout."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from interlock.model.base import (
    API_VERSION,
    ApiModel,
    Digest,
    DnsLabel,
    Message,
    ObjectName,
    RolloutName,
    Time,
    WholePercent,
    keyed,
    rules,
)
from interlock.model.result import RECORDED, Result


class Stage(StrEnum):
    """Where an attempt is."""

    PREPARING = "Preparing"
    RUNNING = "Running"
    SOAKING = "Soaking"
    REVERTING = "Reverting"
    DONE = "Done"


class Outcome(StrEnum):
    """How an attempt ended."""

    PROMOTED = "Promoted"
    REVERTED = "Reverted"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"


class Entry(ApiModel):
    """One transition; `seq` is its key within the attempt, counted from 1 without gaps.

    A record that was deleted is made anew: it then begins with the first transition that is still known.
    """

    seq: Annotated[int, Field(ge=1, le=100000)]
    time: Time
    stage: Stage
    step_index: Annotated[int, Field(ge=0, le=32)] | None = None
    step: Annotated[str, Field(max_length=63)] | None = None
    outcome: Outcome | None = None
    reason: Annotated[str, Field(max_length=64, pattern=r"^[A-Z][A-Za-z]*$")]
    message: Message = ""
    stable_percent: WholePercent
    candidate_percent: WholePercent
    shadow_percent: WholePercent
    control_percent: WholePercent = 0


class VersionIdentity(ApiModel):
    """Which content: the AgentVersion's name and uid, and the digest of what the agent reads."""

    version: DnsLabel
    uid: Annotated[str, Field(max_length=64)]
    digest: Digest
    workload: Annotated[str, Field(max_length=63)]


class Header(ApiModel):
    """What the attempt is about; never changed after creation."""

    rollout: RolloutName
    rollout_uid: Annotated[str, Field(max_length=64)]
    agent: DnsLabel
    attempt: Annotated[int, Field(ge=1)]
    candidate: VersionIdentity
    stable: VersionIdentity | None = None


class ReleaseMeta(ApiModel):
    """The object metadata that Interlock reads."""

    name: ObjectName
    namespace: str
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = Field(default_factory=dict)


_RECORD = rules(("self == oldSelf", "must not be changed: a Release is a record"))


class Release(ApiModel):
    """One attempt: a header that never changes, entries that are only appended, and what came of it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!has(oldSelf.result) || has(self.result)", "must keep `result`: a Release is a record")
        )
    )

    KIND: ClassVar[str] = "Release"

    api_version: str = API_VERSION
    kind: str = "Release"
    metadata: ReleaseMeta
    header: Annotated[Header, Field(json_schema_extra=_RECORD)]
    entries: Annotated[
        tuple[Annotated[Entry, Field(json_schema_extra=_RECORD)], ...],
        Field(
            min_length=1,
            max_length=256,
            json_schema_extra=keyed("seq")
            | rules(
                # `seq` is unique (it is the key): with both rules no old entry can be missing.
                (
                    "self.all(e, e.seq >= self[0].seq && e.seq < self[0].seq + size(self))",
                    "must be numbered by `seq` from the first on without gaps",
                ),
                (
                    "size(self) >= size(oldSelf) && self[0].seq == oldSelf[0].seq",
                    "must only be appended to: entries of a Release are never removed",
                ),
            ),
        ),
    ]

    result: Annotated[Result | None, Field(json_schema_extra=RECORDED)] = None

    @property
    def last(self) -> Entry:
        """The newest transition."""
        return self.entries[-1]

    @classmethod
    def read(cls, manifest: dict[str, Any]) -> Release:
        """Parse an object of the API server; raises pydantic.ValidationError."""
        return cls.model_validate(manifest)


def release_name(rollout: str, rollout_uid: str, attempt: int) -> str:
    """Deterministic: two operators, or one restarted, write the same Release."""
    return f"{rollout}-{rollout_uid.replace('-', '')[:6]}-{attempt}"

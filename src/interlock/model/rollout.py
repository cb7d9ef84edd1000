"""Rollout: which version should serve, how to get there, when to turn back.

Only `status` is the operator's.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from interlock.model import moves
from interlock.model.base import (
    API_VERSION,
    ATOMIC,
    IMMUTABLE,
    ApiModel,
    DnsLabel,
    Namespace,
    ObjectName,
    Percent,
    RolloutName,
    Time,
    keyed,
    must,
    rules,
)
from interlock.model.gate import Gate, ItemName
from interlock.model.rolloutstatus import MAX_GATES, MAX_STEPS, RolloutStatus

Hostname = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        json_schema_extra=must("be a host name in lower case, without a port; the first label may be `*`"),
    ),
]


class VersionRef(ApiModel):
    """The AgentVersion that should serve; the one line that a release changes."""

    name: DnsLabel


class TemplateRef(ApiModel):
    """The Deployment that is read as a template: `replicas: 0`, label `interlock.dev/template: "true"`."""

    kind: Literal["Deployment"] = "Deployment"
    name: ObjectName


class Workload(ApiModel):
    """What the versions run in."""

    template_ref: TemplateRef


class ParentRef(ApiModel):
    """The Gateway (and listener) that the route attaches to."""

    name: ObjectName
    namespace: Namespace | None = None
    """Namespace of the Gateway; the Rollout's own when absent."""
    section_name: ObjectName | None = None
    """Name of the listener; every one that fits when absent."""


class PathMatch(ApiModel):
    """A path prefix: several agents on one host."""

    path: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            pattern=r"^/([-A-Za-z0-9/._~!$&()*+,;=:@]|%[0-9a-fA-F]{2})*$",
            json_schema_extra=must("begin with `/` and hold only characters of a URL path")
            | rules(
                (
                    (
                        "!['//', '/./', '/../', '%2f', '%2F'].exists(x, self.contains(x)) "
                        "&& !self.endsWith('/.') && !self.endsWith('/..')"
                    ),
                    "must not contain `//`, `/./`, `/../` or an escaped slash",
                )
            ),
        ),
    ]


class GatewayTraffic(ApiModel):
    """Requests come through an HTTPRoute that the operator makes."""

    parent_refs: Annotated[tuple[ParentRef, ...], Field(min_length=1, max_length=8, json_schema_extra=ATOMIC)]
    """The Gateways that the route attaches to."""
    hostnames: Annotated[
        tuple[Hostname, ...],
        Field(min_length=1, max_length=16, json_schema_extra=ATOMIC),
    ]
    """Hosts whose requests are for this agent."""
    matches: Annotated[tuple[PathMatch, ...], Field(max_length=8, json_schema_extra=ATOMIC)] = ()
    """Paths whose requests are for this agent; every path when absent."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port on which the agent's container listens."""


class Traffic(ApiModel):
    """How requests reach the agent."""

    gateway_api: Annotated[GatewayTraffic, Field(alias="gatewayAPI")]


class Shadow(ApiModel):
    """Mirror a share of live requests to a separate shadow workload; its answers are dropped."""

    percent: Annotated[int, Field(ge=1, le=100)]
    """Share of live requests that is mirrored."""
    replicas: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Pods of each shadow workload; as many as the mirrored share needs when absent."""
    control: bool = False
    """Mirror the same share to a shadow of the stable version as well, with the same tools suppressed. Only
    then can `compare`, `tail` and `mean` gates that have `Shadow` in `during` judge in this step."""


class Canary(ApiModel):
    """Send a share of live requests to the candidate."""

    percent: Annotated[int, Field(ge=1, le=99)]
    """Share of live requests that the candidate answers."""
    replicas: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Pods of the candidate during this step, at most `replicas` of the Rollout; all of them when absent."""


class Full(ApiModel):
    """All traffic but the hold-out goes to the candidate; after the soak it is stable."""

    soak_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = 0
    """How long the candidate is watched before it becomes stable."""
    holdout_percent: Annotated[int, Field(ge=0, le=50)] = 0
    """Share that stays on stable meanwhile: comparisons need it."""


class Step(ApiModel):
    """Exactly one of `shadow`, `canary`, `full`."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "[has(self.shadow), has(self.canary), has(self.full)].filter(k, k).size() == 1",
                "must have exactly one of `shadow`, `canary`, `full`",
            )
        )
    )

    name: ItemName
    shadow: Shadow | None = None
    canary: Canary | None = None
    full: Full | None = None
    min_duration_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = 0
    """How long the step lasts at least, counted from when the gateway has accepted its route."""
    min_tasks: Annotated[int, Field(ge=1, le=100_000_000)] = 1
    """How many tasks the candidate must have finished in the step."""

    @property
    def kind(self) -> Literal["shadow", "canary", "full"]:
        """Which of the three it is; the schema allows exactly one."""
        if self.shadow is not None:
            return "shadow"
        return "canary" if self.canary is not None else "full"

    @property
    def duration_seconds(self) -> int:
        """How long the step lasts at least: for `full` that is the soak."""
        return max(self.min_duration_seconds, self.full.soak_seconds if self.full else 0)


class Strategy(ApiModel):
    """How a version gets from no traffic to all of it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                (
                    "!has(self.stepDeadlineSeconds) || self.steps.all(s, "
                    "(!has(s.minDurationSeconds) || s.minDurationSeconds < self.stepDeadlineSeconds) && "
                    "(!has(s.full) || !has(s.full.soakSeconds) || "
                    "s.full.soakSeconds < self.stepDeadlineSeconds))"
                ),
                "must have a `stepDeadlineSeconds` above every `minDurationSeconds` and `soakSeconds`",
            )
        )
    )

    steps: Annotated[
        tuple[Step, ...],
        Field(
            min_length=1,
            max_length=MAX_STEPS,
            json_schema_extra=ATOMIC
            | rules(
                (
                    "self.filter(s, has(s.full)).size() == 1 && has(self[size(self) - 1].full)",
                    "must have exactly one `full` step, as the last",
                ),
                (
                    "self.filter(s, !has(s.full)).map(s, has(s.canary) ? 1 : 0).isSorted()",
                    "must have every `shadow` step before the first `canary` step",
                ),
                (
                    (
                        "[self.filter(s, has(s.canary)).map(s, s.canary.percent)].all(percents, "
                        "percents.isSorted() && percents.all(one, percents.exists_one(p, p == one)))"
                    ),
                    "must raise `canary.percent` from step to step",
                ),
                (
                    "[self.map(s, s.name)].all(names, names.all(one, names.exists_one(n, n == one)))",
                    "must give each step a `name` of its own",
                ),
            ),
        ),
    ]
    """Shadows, then canaries of rising share, then exactly one `full`."""
    step_deadline_seconds: Annotated[int, Field(ge=1, le=31_536_000)] | None = None
    """How long a step may take, counted from its clock's start; no deadline when absent."""
    on_deadline: Literal["Hold", "Revert"] = "Hold"
    """What happens then: `Hold` keeps the weights and says so, `Revert` takes the candidate off."""


_BOUND = rules(
    (
        "self.matches('[1-9]') && !self.startsWith('100')",
        "must be above 0 and below 100: without any error nothing could ever be decided",
    )
)


class NoDataRule(ApiModel):
    """What silence means, of the candidate or of what a gate asks: the candidate is held, and taken off when
    it lasts. No traffic is no silence."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                # a schema default is checked before the defaults inside it are filled in
                (
                    "!has(self.holdAfterSeconds) || !has(self.revertAfterSeconds) || "
                    "self.holdAfterSeconds <= self.revertAfterSeconds"
                ),
                "must have a `holdAfterSeconds` that is not above `revertAfterSeconds`",
            )
        )
    )

    hold_after_seconds: Annotated[int, Field(ge=1, le=86_400)] = 120
    """Without data for so long, nothing advances and the condition says so."""
    revert_after_seconds: Annotated[int, Field(ge=1, le=604_800)] = 1800
    """Without data for so long, the candidate is taken off; its content is not quarantined."""


class Analysis(ApiModel):
    """When to turn back. `falseRevertPercent` bounds the chance that a healthy release is ever taken back."""

    false_revert_percent: Annotated[Percent, Field(json_schema_extra=_BOUND)] = "5"
    """Highest tolerated chance that a healthy release is ever taken back, as a decimal string."""
    warmup_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = None
    """For so long after each start of a step, comparisons ignore tasks: short ones end first."""
    gates: Annotated[
        tuple[Gate, ...],
        Field(max_length=MAX_GATES, json_schema_extra=keyed("name")),
    ] = ()
    """What must hold; without gates nothing but availability turns a release back."""
    no_data: NoDataRule = NoDataRule()

    @property
    def alpha(self) -> float:
        """The bound as a probability."""
        return float(Decimal(self.false_revert_percent) / 100)


class OnRevert(ApiModel):
    """What becomes of conversations on a workload that is taken off: they may end, up to a deadline."""

    in_flight: Literal["Drain"] = "Drain"
    drain_deadline_seconds: Annotated[int, Field(ge=0, le=604_800)] = 1800
    """After this the workload is deleted, conversations or not."""


_SHADOWS_HAVE_CONTROLS = rules(
    (
        (
            # the steps first: most have no shadow, and gates have many fields
            "self.strategy.steps.all(s, !has(s.shadow) || (has(s.shadow.control) && s.shadow.control)) "
            "|| !has(self.analysis) || !has(self.analysis.gates) || !self.analysis.gates.exists(g, "
            "has(g.during) && 'Shadow' in g.during && (has(g.compare) || has(g.tail) || has(g.mean)))"
        ),
        (
            "must have `shadow.control: true` in each `shadow` step when a `compare`, `tail` or `mean` gate "
            "has `Shadow` in `during`: a shadow is compared with stable's shadow only"
        ),
    )
)


class RolloutSpec(ApiModel):
    """Which version should serve, how to get there, when to turn back."""

    model_config = ConfigDict(json_schema_extra=_SHADOWS_HAVE_CONTROLS)

    agent: Annotated[DnsLabel, Field(json_schema_extra=IMMUTABLE)]
    """Name of the agent; cannot be changed."""
    version_ref: VersionRef
    replicas: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Pods of the version that serves; the scale subresource. Leave it out of Git under an autoscaler."""
    workload: Workload
    traffic: Traffic
    strategy: Strategy
    analysis: Analysis = Analysis()
    on_revert: OnRevert = OnRevert()
    on_first_version_failure: Literal["KeepServing", "CloseRoute"] = "KeepServing"
    """What to do when the first version, with nothing to go back to, stops being available: keep the route as
    it is, or take every backend off it until the version is available again."""
    history_limit: Annotated[int, Field(ge=0, le=64)] = 5
    """How many versions that were promoted earlier may be gone back to without walking the steps."""
    paused: bool = False
    """Keep the weights and stop the clocks; a revert still works."""


class RolloutMeta(ApiModel):
    """The object metadata that Interlock reads."""

    name: RolloutName
    namespace: str
    uid: str
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    finalizers: tuple[str, ...] = ()


class Rollout(ApiModel):
    """One per agent and namespace, long-lived."""

    model_config = ConfigDict(json_schema_extra=moves.ROLLOUT)

    KIND: ClassVar[str] = "Rollout"

    api_version: str = API_VERSION
    kind: str = "Rollout"
    metadata: RolloutMeta
    spec: RolloutSpec
    status: RolloutStatus = RolloutStatus()

    @classmethod
    def read(cls, manifest: dict[str, Any]) -> Rollout:
        """Parse an object of the API server; raises pydantic.ValidationError."""
        return cls.model_validate(manifest)

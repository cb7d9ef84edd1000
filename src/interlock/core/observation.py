"""Everything one decision may look at, frozen; gathered by the shell, judged by `decide`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

from interlock.analysis.gates import EvidenceReport
from interlock.core.metrictemplates import Known
from interlock.model.agentversion import Expectation
from interlock.model.release import VersionIdentity
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import Quarantined
from interlock.reasons import Reason

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Timing:
    """Operator settings that decisions depend on; seconds."""

    tick: float = 5.0
    settle: float = 30.0
    """Two scrapes: how long a comparison waits before a sample counts."""
    route_margin: float = 1.0
    """After the gateway has accepted a route: status proves acceptance, not traffic."""
    freshness: float = 60.0
    """Data older than this advance nothing."""

    @classmethod
    def of(cls, tick: float, scrape_interval: float, route_margin: float = 1.0) -> Self:
        """What follows from how often agents are scraped."""
        return cls(tick, 2 * scrape_interval, route_margin, freshness=max(10.0, 4 * scrape_interval))


@dataclass(frozen=True, slots=True)
class Target:
    """An AgentVersion that can be served: identity, and what the agent reads as canonical JSON."""

    version: str
    uid: str
    digest: str
    document: str
    expected: tuple[Expectation, ...] = ()
    """What its author expects of KPIs."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something the Rollout refers to that is missing or wrong."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Template:
    """The user's Deployment, read as a template: the parts of its spec that a clone takes over."""

    name: str
    spec: Manifest
    hash: str


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """What exists of one workload (live or shadow)."""

    deployment: Manifest | None = None
    service: Manifest | None = None
    config: Manifest | None = None
    ready_endpoints: int = 0


NOTHING = WorkloadState()


@dataclass(frozen=True, slots=True)
class RouteState:
    """Our HTTPRoute as the API server and the gateway's controller report it."""

    manifest: Manifest
    weights: Mapping[str, int]
    """Service name to weight; an explicit 0 is present, an absent backend is not."""
    mirrors: Mapping[str, int]
    """Services that get copies of requests, to the percentage of them."""
    accepted: bool
    """Accepted and ResolvedRefs are True at the current generation, on every parent."""
    problem: str
    """What the gateway's controller complains of; empty while accepted or not yet looked at."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Metrics could not be read; nothing is concluded from that but that nothing is known."""

    reason: str


class Holds(Enum):
    """What an obstacle keeps from happening. Nothing ever keeps a revert from happening."""

    START = "no attempt begins and a running one does not walk on"
    ROUTE = "workloads are prepared, but no route is created and no attempt walks on"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Another object is in the way: Stalled until it is changed. The message names it and the remedy."""

    reason: Reason
    message: str
    holds: Holds


@dataclass(frozen=True, slots=True)
class Memory:
    """What the Releases under a Rollout's name remember, of this Rollout or of an earlier one."""

    attempts: int = 0
    """Highest number of an attempt of this very Rollout (its uid); 0 without one."""
    stable: VersionIdentity | None = None
    """The version promoted last; None when none ever was."""
    promoted: tuple[VersionIdentity, ...] = ()
    """Versions promoted before that one, each once, newest first."""
    quarantine: tuple[Quarantined, ...] = ()
    """Content that was taken back for harm."""
    problem: str = ""
    """Why what serves cannot be known from the Releases; empty when it can."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One Rollout and all that its decision depends on."""

    rollout: Rollout
    timing: Timing
    target: Target | Unusable
    """What `spec.versionRef` names now."""
    candidate: Target | Unusable | None
    """The AgentVersion of the running attempt, read again: it may be gone or changed."""
    template: Template | Unusable
    workloads: Mapping[str, WorkloadState] = field(default_factory=dict)
    route: RouteState | None = None
    uncleared: frozenset[str] = frozenset()
    """Releases of draining workloads that do not yet say when those were cleared."""
    recorded_seq: int = 0
    """The last transition of the current attempt that its Release holds; 0 without a Release."""
    recorded_from: int = 0
    """The first one: more than 1 where the Release was deleted and has been made anew."""
    misrecorded: int = 0
    """A transition that somebody else has put into the Release otherwise than it was made; 0 without one."""
    memory: Memory | None = None
    """What they remember; None without Releases."""
    surplus: tuple[Manifest, ...] = ()
    """Releases beyond those that are kept: nothing that they remember is needed."""
    baseline: Target | Unusable | None = None
    """The AgentVersion of the stable version; looked up only when status is empty (then by `memory`), or
    while the ConfigMap that its workload is made from does not exist."""
    gone: frozenset[str] = frozenset()
    """Uids of remembered versions whose AgentVersion does not exist any more."""
    obstacles: tuple[Obstacle, ...] = ()
    """Other objects that are in the way, gravest first."""
    firing: str = ""
    """While an attempt is prepared: the alert that would take it back at once; empty without one."""
    evidence: EvidenceReport | Unreadable | None = None
    conversations: Mapping[str, float | None] = field(default_factory=dict)
    """Open conversations by draining workload; None when not known."""
    gates_due: bool = True
    """Enough time has passed to write gates whose verdict has not changed."""
    words_due: bool = True
    """Enough time has passed to write messages that say the same with other numbers."""
    known: Known = field(default_factory=dict)
    """What MetricTemplates say about the metrics that its gates name."""
    problem: str = ""
    """The spec names something this version cannot follow (an unknown metric); empty when it can."""

"""Every condition type, reason and event, each named once; the docs tables are generated from here."""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    """Conditions of a Rollout; the abnormal-true ones are present only while true."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    TRAFFIC_SHIFTED = "TrafficShifted"
    METRICS_AVAILABLE = "MetricsAvailable"
    IMMUTABLE_INTACT = "ImmutableIntact"


class Reason(StrEnum):
    """Why a condition of a Rollout is as it is."""

    PROGRESSING = "Progressing"
    PROMOTED = "Promoted"
    REVERTED = "Reverted"
    INVALID_SPEC = "InvalidSpec"
    DEPENDENCY_NOT_READY = "DependencyNotReady"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    METRICS_READABLE = "MetricsReadable"
    BASELINE_UNKNOWN = "BaselineUnknown"
    NAME_TAKEN = "NameTaken"
    QUARANTINE_FULL = "QuarantineFull"
    WORKLOAD_UNAVAILABLE = "WorkloadUnavailable"
    ROUTE_ACCEPTED = "RouteAccepted"
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted"
    CONTENT_UNCHANGED = "ContentUnchanged"
    CONTENT_CHANGED = "ContentChanged"


class VersionReason(StrEnum):
    """Why a condition of an AgentVersion is as it is."""

    VALID = "Valid"
    INVALID_SPEC = "InvalidSpec"
    SPEC_TOO_LARGE = "SpecTooLarge"
    DEPENDENCY_NOT_READY = "DependencyNotReady"


class Cause(StrEnum):
    """Why an attempt moved from one stage to the next; also the reason of the event that tells it."""

    ATTEMPT_STARTED = "AttemptStarted"
    TEMPLATE_CHANGED = "TemplateChanged"
    STEP_STARTED = "StepStarted"
    SOAK_STARTED = "SoakStarted"
    FIRST_VERSION_SERVING = "FirstVersionServing"
    SOAK_PASSED = "SoakPassed"
    STRATEGY_CHANGED = "StrategyChanged"
    GATE_FAILED = "GateFailed"
    COMBINED_EVIDENCE = "CombinedEvidence"
    CONTENT_CHANGED = "ContentChanged"
    CANDIDATE_GONE = "CandidateGone"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"
    ROUTE_AT_ZERO = "RouteAtZero"
    TRAFFIC_STOPPED = "TrafficStopped"


MEANINGS: dict[Cause, str] = {
    Cause.ATTEMPT_STARTED: "a new version is prepared beside the one that serves",
    Cause.TEMPLATE_CHANGED: "the template Deployment changed; the same version walks all steps again",
    Cause.STEP_STARTED: "the next step's weights were decided",
    Cause.SOAK_STARTED: "the candidate gets all traffic but the hold-out and is watched on",
    Cause.FIRST_VERSION_SERVING: "the first version is available and serves, compared with nothing",
    Cause.SOAK_PASSED: "the soak passed: the candidate is stable now",
    Cause.STRATEGY_CHANGED: "steps or gates changed: traffic went to stable, steps start from the first",
    Cause.GATE_FAILED: "a gate failed: the candidate is taken back",
    Cause.COMBINED_EVIDENCE: "no gate failed alone, all together did: the candidate is taken back",
    Cause.CONTENT_CHANGED: "the candidate's content is not what was tested: it is taken back",
    Cause.CANDIDATE_GONE: "the candidate AgentVersion was deleted or re-created: it is taken back",
    Cause.SUPERSEDED: "`spec.versionRef` names another version: the running candidate is taken off",
    Cause.ROLLED_BACK: "`spec.versionRef` names the stable version again: the candidate is taken off",
    Cause.ROUTE_AT_ZERO: "the route gives the candidate weight 0: a revert whose record was lost is finished",
    Cause.TRAFFIC_STOPPED: "the gateway sends the candidate nothing new",
}

QUARANTINING = frozenset(
    {Cause.GATE_FAILED, Cause.COMBINED_EVIDENCE, Cause.CONTENT_CHANGED, Cause.ROUTE_AT_ZERO}
)
"""After these the same content does not go out again by itself, however often Git syncs it."""

UNDESIRED = QUARANTINING | {Cause.CANDIDATE_GONE}
"""Causes whose events are Warnings."""

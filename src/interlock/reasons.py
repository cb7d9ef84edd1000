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
    PAUSED = "Paused"
    REVERT_BLOCKED = "RevertBlocked"
    NEXT_QUEUED = "NextQueued"
    GATES_CHANGED = "GatesChanged"
    RECORD_BROKEN = "RecordBroken"
    ROLLBACK_READY = "RollbackReady"


class Reason(StrEnum):
    """Why a condition of a Rollout is as it is."""

    PROGRESSING = "Progressing"
    PROMOTED = "Promoted"
    REVERTED = "Reverted"
    INVALID_SPEC = "InvalidSpec"
    DEPENDENCY_NOT_READY = "DependencyNotReady"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    METRICS_READABLE = "MetricsReadable"
    GATE_BLIND = "GateBlind"
    METRICS_AWAITED = "MetricsAwaited"
    BASELINE_UNKNOWN = "BaselineUnknown"
    NAME_TAKEN = "NameTaken"
    QUARANTINE_FULL = "QuarantineFull"
    WORKLOAD_UNAVAILABLE = "WorkloadUnavailable"
    ROUTE_ACCEPTED = "RouteAccepted"
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted"
    CONTENT_UNCHANGED = "ContentUnchanged"
    CONTENT_CHANGED = "ContentChanged"
    PAUSED = "Paused"
    BEING_DELETED = "BeingDeleted"
    STEP_DEADLINE = "StepDeadline"
    SAMPLE_RATIO_MISMATCH = "SampleRatioMismatch"
    FIRST_VERSION_FAILING = "FirstVersionFailing"
    AGENT_TAKEN = "AgentTaken"
    FOREIGN_SERVICE = "ForeignServiceSelectsCandidate"
    ROUTE_CONFLICT = "RouteConflict"
    GATEWAY_LACKS_FEATURE = "GatewayLacksFeature"
    STABLE_UNAVAILABLE = "StableUnavailable"
    SOAK_GOES_FIRST = "SoakGoesFirst"
    RULES_ARE_NEWER = "RulesAreNewer"
    RECORD_LOST = "RecordLost"
    RECORD_DIFFERS = "RecordDiffers"
    STABLE_IS_WARM = "StableIsWarm"
    PROMOTED_BEFORE = "PromotedBefore"
    NOTHING_BEFORE = "NothingBefore"


CONDITIONS: dict[ConditionType, str] = {
    ConditionType.READY: "what the spec names serves all traffic",
    ConditionType.RECONCILING: "something is under way; nobody needs to act",
    ConditionType.STALLED: "somebody must act: the message says on what",
    ConditionType.TRAFFIC_SHIFTED: "the gateway has accepted the intended route, and nothing shows otherwise",
    ConditionType.METRICS_AVAILABLE: "what the candidate does can be read; only while it is measured",
    ConditionType.IMMUTABLE_INTACT: "the content under test is what it was when the test began",
    ConditionType.PAUSED: "a person keeps the weights and the clocks where they are",
    ConditionType.REVERT_BLOCKED: "the candidate would be taken off, but stable has no ready endpoint",
    ConditionType.NEXT_QUEUED: "another version is wanted and waits for the soak, or the pause, to end",
    ConditionType.GATES_CHANGED: "gates of the running attempt judge by rules that are newer than it",
    ConditionType.RECORD_BROKEN: "the Release of the last attempt does not hold all that has happened",
    ConditionType.ROLLBACK_READY: "there is a version to go back to, at once or by the fast path",
}
"""What it means when a condition is True."""

REASONS: dict[Reason, str] = {
    Reason.PROGRESSING: "an attempt is under way or about to start",
    Reason.PROMOTED: "the wanted version is stable and serves",
    Reason.REVERTED: "the wanted version was taken back, and stays back",
    Reason.INVALID_SPEC: "a field of the spec must be corrected",
    Reason.DEPENDENCY_NOT_READY: "an object that the spec refers to is missing or unusable",
    Reason.METRICS_UNAVAILABLE: "no tasks of the candidate, or nothing known of it: held, then taken off",
    Reason.METRICS_READABLE: "samples are fresh",
    Reason.GATE_BLIND: "a gate has had nothing to judge by, though the candidate works: held, then taken off",
    Reason.METRICS_AWAITED: "nothing was read yet since the attempt, its rules or the operator began",
    Reason.BASELINE_UNKNOWN: "an earlier Rollout of this name served something that cannot be had any more",
    Reason.NAME_TAKEN: "an object of ours would have the name of somebody else's",
    Reason.QUARANTINE_FULL: "the quarantine holds as many versions as it can",
    Reason.WORKLOAD_UNAVAILABLE: "pods of the stable version are missing, or a version's Deployment is",
    Reason.ROUTE_ACCEPTED: "Accepted and ResolvedRefs are True at the route's generation",
    Reason.ROUTE_NOT_ACCEPTED: "the gateway refuses the route or has not looked at it yet",
    Reason.CONTENT_UNCHANGED: "uid and digest are those that were tested",
    Reason.CONTENT_CHANGED: "the candidate's content was changed after its test began",
    Reason.PAUSED: "`spec.paused` is true",
    Reason.BEING_DELETED: "the Rollout is deleted, but a finalizer keeps it: what harms is taken back",
    Reason.STEP_DEADLINE: "the step takes longer than `stepDeadlineSeconds`; weights stay",
    Reason.SAMPLE_RATIO_MISMATCH: "the candidate gets another share of tasks than its weight; weights stay",
    Reason.FIRST_VERSION_FAILING: "the first version is not Available, and there is nothing to go back to",
    Reason.AGENT_TAKEN: "an older Rollout of the namespace has the agent",
    Reason.FOREIGN_SERVICE: "another Service selects the pods: traffic would leak past the weights",
    Reason.ROUTE_CONFLICT: "another route has the same host and path and would win",
    Reason.GATEWAY_LACKS_FEATURE: "the gateway cannot do what a step asks for",
    Reason.STABLE_UNAVAILABLE: "the stable version has no ready endpoint: its pods must come back",
    Reason.SOAK_GOES_FIRST: "the running soak ends before the next version starts",
    Reason.RULES_ARE_NEWER: "the Rollout's gates or a MetricTemplate were changed in mid-rollout",
    Reason.RECORD_LOST: "the Release was deleted; it was made anew from what was known",
    Reason.RECORD_DIFFERS: "somebody else has written a transition into the Release; nothing walks on",
    Reason.STABLE_IS_WARM: "the stable version runs and can take all traffic at once",
    Reason.PROMOTED_BEFORE: "a version promoted within the history goes straight to `full`",
    Reason.NOTHING_BEFORE: "no other version was promoted within the history",
}
"""What each reason of a Rollout's condition means."""


class VersionReason(StrEnum):
    """Why a condition of an AgentVersion is as it is."""

    VALID = "Valid"
    INVALID_SPEC = "InvalidSpec"
    SPEC_TOO_LARGE = "SpecTooLarge"
    DEPENDENCY_NOT_READY = "DependencyNotReady"


class TemplateReason(StrEnum):
    """Why a condition of a MetricTemplate is as it is."""

    VALID = "Valid"
    INVALID_SPEC = "InvalidSpec"
    NAME_IS_BUILT_IN = "NameIsBuiltIn"


class Cause(StrEnum):
    """Why an attempt moved from one stage to the next; also the reason of the event that tells it."""

    ATTEMPT_STARTED = "AttemptStarted"
    TEMPLATE_CHANGED = "TemplateChanged"
    FAST_PATH_STARTED = "FastPathStarted"
    STEP_STARTED = "StepStarted"
    SOAK_STARTED = "SoakStarted"
    FIRST_VERSION_SERVING = "FirstVersionServing"
    SOAK_PASSED = "SoakPassed"
    STRATEGY_CHANGED = "StrategyChanged"
    GATES_CHANGED = "GatesChanged"
    SAMPLE_RATIO_MISMATCH = "SampleRatioMismatch"
    SAMPLE_RATIO_RESTORED = "SampleRatioRestored"
    GATE_FAILED = "GateFailed"
    COMBINED_EVIDENCE = "CombinedEvidence"
    ALERT_FIRING = "AlertFiring"
    CONTENT_CHANGED = "ContentChanged"
    CANDIDATE_GONE = "CandidateGone"
    PROGRESS_DEADLINE = "ProgressDeadline"
    STEP_DEADLINE = "StepDeadline"
    STARVED = "Starved"
    BLIND = "Blind"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"
    ROUTE_AT_ZERO = "RouteAtZero"
    TRAFFIC_STOPPED = "TrafficStopped"


MEANINGS: dict[Cause, str] = {
    Cause.ATTEMPT_STARTED: "a new version is prepared beside the one that serves",
    Cause.TEMPLATE_CHANGED: "the template Deployment changed; the same version walks all steps again",
    Cause.FAST_PATH_STARTED: "a version that was promoted before goes straight to `full`, with its soak",
    Cause.STEP_STARTED: "the next step's weights were decided",
    Cause.SOAK_STARTED: "the candidate gets all traffic but the hold-out and is watched on",
    Cause.FIRST_VERSION_SERVING: "the first version is available and serves, compared with nothing",
    Cause.SOAK_PASSED: "the soak passed: the candidate is stable now",
    Cause.STRATEGY_CHANGED: "steps changed: traffic went to stable, steps start from the first",
    Cause.GATES_CHANGED: "gates changed: those start their evidence afresh, with a new error bound",
    Cause.SAMPLE_RATIO_MISMATCH: "tasks are not split by the weights: the attempt waits, its clock stops",
    Cause.SAMPLE_RATIO_RESTORED: "tasks are split by the weights again: the attempt goes on",
    Cause.GATE_FAILED: "a gate failed: the candidate is taken back",
    Cause.COMBINED_EVIDENCE: "no gate failed alone, all together did: the candidate is taken back",
    Cause.ALERT_FIRING: "an alert that reverts is firing: the candidate is taken back",
    Cause.CONTENT_CHANGED: "the candidate's content is not what was tested: it is taken back",
    Cause.CANDIDATE_GONE: "the candidate AgentVersion was deleted or re-created: it is taken back",
    Cause.PROGRESS_DEADLINE: "the candidate's pods did not become Available in time: it is taken off",
    Cause.STEP_DEADLINE: "the step took longer than `stepDeadlineSeconds`: the candidate is taken off",
    Cause.STARVED: "stable had tasks and the candidate none for too long: it is taken off",
    Cause.BLIND: "nothing was known of the candidate, or of what a gate asks, for too long: it is taken off",
    Cause.SUPERSEDED: "`spec.versionRef` names another version: the running candidate is taken off",
    Cause.ROLLED_BACK: "`spec.versionRef` names the stable version again: the candidate is taken off",
    Cause.ROUTE_AT_ZERO: "the route gives the candidate weight 0: a revert whose record was lost is finished",
    Cause.TRAFFIC_STOPPED: "the gateway sends the candidate nothing new",
}


class Told(StrEnum):
    """Reasons of events that tell no move."""

    EXPECTATIONS_JUDGED = "ExpectationsJudged"
    CONTENT_PUT_BACK = "ContentPutBack"
    RECORD_LOST = "RecordLost"


TOLD: dict[Told, str] = {
    Told.EXPECTATIONS_JUDGED: "the attempt ended: the version's `change.expected` beside what was measured",
    Told.CONTENT_PUT_BACK: "somebody had set fields in the pods of a workload: they were taken away again",
    Told.RECORD_LOST: "somebody had deleted the Release of the running attempt: it was made anew",
}
"""What they mean."""

QUARANTINING = frozenset(
    {
        Cause.GATE_FAILED,
        Cause.COMBINED_EVIDENCE,
        Cause.ALERT_FIRING,
        Cause.CONTENT_CHANGED,
        Cause.ROUTE_AT_ZERO,
    }
)
"""After these the same content does not go out again by itself, however often Git syncs it."""

HELD_BACK = frozenset(
    {Cause.CANDIDATE_GONE, Cause.PROGRESS_DEADLINE, Cause.STEP_DEADLINE, Cause.STARVED, Cause.BLIND}
)
"""After these the content is not quarantined, but the same release starts again only when it is changed."""

UNDESIRED = QUARANTINING | HELD_BACK
"""Causes whose events are Warnings, and that take the candidate off."""

IN_PLACE = frozenset({Cause.GATES_CHANGED, Cause.SAMPLE_RATIO_MISMATCH, Cause.SAMPLE_RATIO_RESTORED})
"""Causes that leave the attempt where it is: only the record says what happened."""

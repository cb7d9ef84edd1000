"""Everything that an operator may see, and statuses that nobody should have written."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st

from interlock.analysis.gates import EvidenceReport, SplitReading, Verdict
from interlock.core import traffic
from interlock.core.observation import NOTHING, Observation, RouteState, Target, Unreadable, Unusable
from interlock.model.base import ApiModel
from interlock.model.release import Entry, Outcome, Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import (
    Attempt,
    Draining,
    Quarantined,
    RolloutStatus,
    StableVersion,
    StepTime,
    TrafficStatus,
)
from interlock.reasons import Cause, Reason
from tests.core.seen import (
    NOW,
    V1,
    V2,
    V3,
    accepted,
    at_rest,
    gate,
    identity,
    parsed,
    report,
    target,
    trying,
)
from tests.scenarios.objects import CANARY, CONTROLLED, FULL, SHADOW, Manifest

PLACES = [
    (Stage.PREPARING, 0),
    (Stage.RUNNING, 0),
    (Stage.RUNNING, 1),
    (Stage.SOAKING, 2),
    (Stage.REVERTING, 1),
]
MISSING = Unusable(Reason.DEPENDENCY_NOT_READY, "AgentVersion v9 does not exist")
UNREADABLE = Unreadable("connection refused")


@st.composite
def reports(draw: st.DrawFn) -> EvidenceReport:
    """Any mixture of verdicts, ages and counts."""
    gates = [
        gate(f"gate-{index}", draw(st.sampled_from(Verdict)), judged=draw(st.booleans()))
        for index in range(draw(st.integers(0, 3)))
    ]
    return report(
        *gates,
        age=draw(st.sampled_from([None, 0.0, 1.0, 20.0, 20.5, 3600.0])),
        combined=draw(st.booleans()),
        candidate_tasks=draw(st.sampled_from([0, 1, 4, 5, 19, 20, 1000])),
        warmed_up=draw(st.booleans()),
        split=draw(
            st.sampled_from([None, SplitReading(1, -1.0), SplitReading(1, 9.8, "15 % instead of 20 %")])
        ),
    )


def evidence() -> st.SearchStrategy[EvidenceReport | Unreadable | None]:
    """What may be known of the candidate."""
    return st.one_of(st.none(), st.just(UNREADABLE), reports())


@st.composite
def specs(draw: st.DrawFn, version: str, first: Manifest) -> Rollout:
    """The same Rollout, perhaps with another strategy than the attempt began with."""
    edited = st.sampled_from([[CONTROLLED, CANARY, FULL], [SHADOW, CANARY, FULL], [CANARY, FULL], [FULL]])
    strategy = draw(st.just([first, CANARY, FULL]) | edited)
    return parsed(version, strategy={"steps": strategy})


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """A place of an attempt, and anything that may have happened around it."""
    stage, index = draw(st.sampled_from([*PLACES, (Stage.DONE, 0)]))
    version = draw(st.sampled_from(["v1", "v2", "v2", "v2", "v3"]))
    clock = draw(st.booleans())
    first = draw(st.sampled_from([SHADOW, CONTROLLED]))
    began = parsed("v2", strategy={"steps": [first, CANARY, FULL]})
    base = at_rest() if stage is Stage.DONE else trying(stage, index, clock=clock, spec=began)
    spec = draw(specs(version, first)).spec
    seen = replace(base, rollout=base.rollout.model_copy(update={"spec": spec}))
    named: Target | Unusable = {"v1": V1, "v2": V2, "v3": V3}[version]
    tampered = target("v2", digest="0" * 64)
    return replace(
        seen,
        target=draw(st.sampled_from([named, named, named, MISSING])),
        candidate=draw(st.sampled_from([seen.candidate, seen.candidate, MISSING, tampered, None])),
        template=draw(st.sampled_from([seen.template, seen.template, MISSING])),
        workloads=_disturbed(draw, seen),
        route=draw(st.sampled_from(_routes(seen))),
        recorded_seq=max(0, seen.recorded_seq - draw(st.sampled_from([0, 0, 0, 1]))),
        recorded_from=draw(st.sampled_from([1, 1, 2])),
        misrecorded=draw(st.sampled_from([0, 0, 0, seen.recorded_seq + 1])),
        evidence=draw(evidence()),
        conversations={
            item.workload: draw(st.sampled_from([None, 0.0, 3.0])) for item in seen.rollout.status.draining
        },
        gates_due=draw(st.booleans()),
        words_due=draw(st.booleans()),
        problem=draw(st.sampled_from(["", "", "", "spec.analysis.gates[0] (x): no such metric"])),
    )


def _disturbed(draw: st.DrawFn, seen: Observation) -> dict[str, Any]:
    found = dict(seen.workloads)
    for name, state in seen.workloads.items():
        match draw(st.sampled_from(["well"] * 4 + ["no endpoints", "no service", "gone"])):
            case "no endpoints":
                found[name] = replace(state, ready_endpoints=0)
            case "no service":
                found[name] = replace(state, service=None, ready_endpoints=0)
            case "gone":
                found[name] = NOTHING
    return found


def _routes(seen: Observation) -> list[RouteState | None]:
    """As intended, waiting, missing, edited by hand, somebody else's, or with a lost revert in it."""
    if seen.route is None:
        return [None]
    ours = seen.route
    foreign = {
        **ours.manifest,
        "metadata": {**ours.manifest["metadata"], "ownerReferences": [], "labels": {}},
    }
    edited = traffic.http_route(
        seen.rollout,
        TrafficStatus(stable_percent=50, candidate_percent=50),
        stable=identity(V1).workload,
        candidate=identity(V2).workload,
        keep_candidate=False,
    )
    lost = traffic.http_route(
        seen.rollout,
        traffic.ALL_STABLE,
        stable=identity(V1).workload,
        candidate=identity(V2).workload,
        keep_candidate=True,
    )
    return [
        ours,
        ours,
        ours,
        None,
        replace(ours, accepted=False, problem="no matching listener"),
        accepted(edited),
        accepted(lost),
        traffic.read_route(foreign),
    ]


# ------------------------------------------------------------------ statuses that nobody should have written
Model = TypeVar("Model", bound=ApiModel)


def made(kind: type[Model], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Model]:
    """Not `st.builds`: that fills in the fields' names on the wire as well."""
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


moments = st.integers(-7200, 7200).map(lambda seconds: NOW + timedelta(seconds=seconds))
words = st.sampled_from([*(cause.value for cause in Cause), "FromANewerVersion", "Alert"])
identities = st.sampled_from([identity(V1), identity(V2), identity(V3)])
digests = st.sampled_from([V1.digest, V2.digest, V3.digest, "f" * 64])


def stables() -> st.SearchStrategy[StableVersion]:
    return st.builds(lambda who, since: StableVersion(**who.model_dump(), since=since), identities, moments)


splits = st.sampled_from(
    [
        TrafficStatus(),
        TrafficStatus(stable_percent=100),
        TrafficStatus(candidate_percent=100),
        TrafficStatus(stable_percent=80, candidate_percent=20),
        TrafficStatus(stable_percent=100, shadow_percent=20),
        TrafficStatus(shadow_percent=100),
        TrafficStatus(stable_percent=100, shadow_percent=20, control_percent=20),
    ]
)
entries = made(
    Entry,
    seq=st.integers(1, 20),
    time=moments,
    stage=st.sampled_from(Stage),
    outcome=st.none() | st.sampled_from(Outcome),
    reason=words,
    stable_percent=st.just(100),
    candidate_percent=st.just(0),
    shadow_percent=st.just(0),
    control_percent=st.just(0),
)
attempts = made(
    Attempt,
    number=st.integers(1, 5),
    seq=st.integers(1, 20),
    stage=st.sampled_from(Stage),
    step_index=st.integers(0, 16),
    started_time=moments,
    stage_started_time=moments,
    walk_started_time=moments,
    traffic_started_time=st.none() | moments,
    step_started_time=st.none() | moments,
    outcome=st.none() | st.sampled_from(Outcome),
    reason=words,
    message=st.text(max_size=20),
    strategy_hash=st.sampled_from([trying(Stage.PREPARING).rollout.status.attempt.strategy_hash, "0" * 16]),  # type: ignore[union-attr]
    step_times=st.lists(
        made(StepTime, index=st.integers(0, 16), started_time=moments, ended_time=st.none() | moments),
        max_size=3,
    ).map(tuple),
    unrecorded=st.lists(entries, max_size=3, unique_by=lambda e: e.seq).map(tuple),
)
statuses = made(
    RolloutStatus,
    observed_generation=st.integers(-1, 5),
    stable=st.none() | stables(),
    candidate=st.none() | identities,
    attempt=st.none() | attempts,
    traffic=st.none() | splits,
    draining=st.lists(
        made(
            Draining,
            workload=identities.map(lambda who: who.workload),
            version=st.just("v1"),
            release=st.just("triage-000000-1"),
            since=moments,
            deadline=moments,
        ),
        max_size=4,
        unique_by=lambda item: item.workload,
    ).map(tuple),
    quarantine=st.lists(
        made(
            Quarantined, digest=digests, version=st.just("v2"), attempt=st.just(1), reason=words, time=moments
        ),
        max_size=3,
        unique_by=lambda item: item.digest,
    ).map(tuple),
)


@st.composite
def strange(draw: st.DrawFn) -> Observation:
    """Any status that the types allow, in any surroundings."""
    seen = draw(observations())
    status = draw(statuses)
    return replace(seen, rollout=seen.rollout.model_copy(update={"status": status}))

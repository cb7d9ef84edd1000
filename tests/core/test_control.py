"""Stable's own shadow: made, waited for and removed as the candidate's, and never the candidate's fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from interlock.core import sizes, workloads
from interlock.core.decide import Decision, decide
from interlock.core.effects import ApplyChild, DeleteChild, WriteRoute
from interlock.core.observation import Observation
from interlock.core.plans import plan_of
from interlock.core.route import desired_route
from interlock.core.traffic import can_receive
from interlock.core.waits import needed_workloads
from interlock.model.release import Stage
from tests.core.seen import (
    FAILING,
    LONG_AGO,
    NOW,
    TIMING,
    V1,
    V2,
    accepted,
    at_rest,
    identity,
    kinds,
    parsed,
    report,
    running,
    settled,
    trying,
)
from tests.scenarios.objects import CANARY, CONTROLLED, FULL, SHADOW
from tests.scenarios.rules import backends

STABLE, CANDIDATE = identity(V1).workload, identity(V2).workload
CONTROL, MIRROR = workloads.shadow_name(STABLE), workloads.shadow_name(CANDIDATE)
STEPS = [CONTROLLED, {**SHADOW, "name": "alone"}, CANARY, FULL]
SPEC = parsed("v2", strategy={"steps": STEPS})


def at(stage: Stage, index: int = 0, *, clock: bool = True) -> Observation:
    """A shadow compared with stable's, a shadow alone, a canary, full."""
    return trying(stage, index, clock=clock, spec=SPEC)


def down(seen: Observation, *names: str) -> Observation:
    """These workloads have no pod that is ready."""
    found = dict(seen.workloads)
    for name in names:
        mode = "shadow" if name.endswith(workloads.SHADOW_SUFFIX) else "live"
        state = running(seen.rollout, name, mode, available=False)
        assert state.deployment is not None
        since = LONG_AGO.isoformat().replace("+00:00", "Z")
        condition = {"type": "Available", "status": "False", "lastTransitionTime": since}
        state.deployment["status"]["conditions"] = [condition]
        found[name] = state
    return replace(seen, workloads=found)


def applied(decision: Decision) -> set[tuple[str, str]]:
    return {
        (effect.manifest["kind"], effect.manifest["metadata"]["name"])
        for effect in decision.effects
        if isinstance(effect, ApplyChild)
    }


def deleted(decision: Decision) -> set[str]:
    return {effect.name for effect in decision.effects if isinstance(effect, DeleteChild)}


def routes(decision: Decision) -> list[dict[str, Any]]:
    return [effect.manifest for effect in decision.effects if isinstance(effect, WriteRoute)]


# ------------------------------------------------------------------ while it is needed
@pytest.mark.parametrize(
    ("stage", "index", "shadows"),
    [
        (Stage.PREPARING, 0, {MIRROR, CONTROL}),
        (Stage.RUNNING, 0, {MIRROR, CONTROL}),
        (Stage.RUNNING, 1, {MIRROR}),
        (Stage.RUNNING, 2, set()),
        (Stage.SOAKING, 3, set()),
        (Stage.REVERTING, 0, set()),
    ],
)
def test_it_is_needed_until_the_last_step_that_mirrors_to_it(
    stage: Stage, index: int, shadows: set[str]
) -> None:
    seen = at(stage, index)
    assert set(needed_workloads(seen, seen.rollout.status)) - {CANDIDATE} == shadows


def test_it_is_made_of_the_stable_version_as_that_was_tested() -> None:
    seen = replace(at_rest(SPEC), target=V2)
    decision = decide(seen, NOW)
    assert applied(decision) >= {("Deployment", CONTROL), ("Service", CONTROL)}
    [made] = [
        effect.manifest
        for effect in decision.effects
        if isinstance(effect, ApplyChild)
        and (effect.manifest["kind"], effect.manifest["metadata"]["name"]) == ("Deployment", CONTROL)
    ]
    pod = made["spec"]["template"]
    assert pod["metadata"]["labels"]["interlock.dev/version"] == "v1"
    assert pod["metadata"]["labels"]["interlock.dev/mode"] == "shadow"
    told = {item["name"]: item["value"] for item in pod["spec"]["containers"][0]["env"]}
    assert (told["INTERLOCK_VERSION"], told["INTERLOCK_MODE"]) == ("v1", "shadow")
    [document] = [v["configMap"]["name"] for v in pod["spec"]["volumes"] if v["name"] == "interlock-agent"]
    assert document == STABLE, "it reads what stable reads"
    assert ("ConfigMap", CONTROL) not in applied(decision)


def test_it_is_as_large_as_the_candidates_shadow() -> None:
    seen = at(Stage.RUNNING)
    grown = seen.rollout.model_copy(update={"spec": seen.rollout.spec.model_copy(update={"replicas": 17})})
    sizes_of = {
        effect.manifest["metadata"]["name"]: effect.manifest["spec"]["replicas"]
        for effect in decide(replace(seen, rollout=grown), NOW).effects
        if isinstance(effect, ApplyChild) and effect.manifest["kind"] == "Deployment"
    }
    assert sizes_of[CONTROL] == sizes_of[MIRROR] == sizes.shadow(grown) == 4


def test_a_first_version_and_the_fast_path_have_none() -> None:
    first = at(Stage.PREPARING)
    status = first.rollout.status.model_copy(update={"stable": None})
    assert set(needed_workloads(first, status)) == {CANDIDATE}
    attempt = first.rollout.status.attempt
    assert attempt is not None
    fast = first.rollout.status.model_copy(update={"attempt": attempt.model_copy(update={"fast_path": True})})
    assert set(needed_workloads(first, fast)) == {CANDIDATE}


def test_an_autoscaler_does_not_see_it() -> None:
    """Its pods would hide how busy the version is that serves."""
    seen = at(Stage.RUNNING)
    decision = decide(replace(seen, evidence=report(), gates_due=True), NOW)
    control = seen.workloads[CONTROL].deployment
    assert control is not None
    assert decision.status.selector == f"interlock.dev/workload={STABLE}"
    assert decision.status.replicas == seen.rollout.spec.replicas
    assert control["spec"]["template"]["metadata"]["labels"]["interlock.dev/workload"] == CONTROL


# ------------------------------------------------------------------ traffic
def test_both_get_the_same_share_by_mirrors_of_their_own() -> None:
    seen = at(Stage.RUNNING)
    desired = desired_route(seen, seen.rollout.status)
    assert desired is not None
    assert backends(desired) == ({STABLE: 100}, {MIRROR: 20, CONTROL: 20})
    assert [item["type"] for item in desired["spec"]["rules"][0]["filters"]] == ["RequestMirror"] * 2


def test_nothing_is_mirrored_before_both_can_receive() -> None:
    seen = at(Stage.RUNNING, clock=False)
    before = accepted(desired_route(at_rest(), at_rest().rollout.status) or {})
    for name in (MIRROR, CONTROL):
        waiting = replace(down(seen, name), route=before)
        assert not can_receive(waiting.workloads[name])
        assert not routes(decide(waiting, NOW))
    [written] = routes(decide(replace(seen, route=before), NOW))
    assert backends(written)[1] == {MIRROR: 20, CONTROL: 20}


def test_the_mirror_goes_before_its_service() -> None:
    seen = at(Stage.RUNNING, 1, clock=False)
    mirrors = at(Stage.RUNNING, 0).route
    with_control = replace(
        seen,
        workloads={**seen.workloads, CONTROL: running(SPEC, CONTROL, "shadow")},
        route=mirrors,
    )
    decision = decide(with_control, NOW)
    assert backends(routes(decision)[0])[1] == {MIRROR: 20}
    assert CONTROL not in deleted(decision), "the gateway may still send to it"
    without = accepted(desired_route(seen, seen.rollout.status) or {})
    started = at(Stage.RUNNING, 1).rollout.status
    rollout = seen.rollout.model_copy(update={"status": started})
    assert CONTROL in deleted(decide(replace(with_control, rollout=rollout, route=without), NOW))


def test_a_revert_ends_both_at_once() -> None:
    seen = replace(at(Stage.RUNNING), evidence=FAILING)
    decision = decide(seen, NOW)
    assert decision.reverts
    assert backends(routes(decision)[0]) == ({STABLE: 100, CANDIDATE: 0}, {})
    assert not deleted(decision) & {CONTROL, MIRROR}, "not before the gateway has accepted it"
    assert kinds(decision.effects)[0] == "WriteRoute"


def test_when_the_attempt_is_done_it_is_gone() -> None:
    done = at_rest(parsed("v1", strategy={"steps": STEPS}))
    left = replace(done, workloads={**done.workloads, CONTROL: running(SPEC, CONTROL, "shadow")})
    assert CONTROL in deleted(decide(left, NOW))


# ------------------------------------------------------------------ when it is not there
def test_a_control_that_is_down_holds_the_step_and_never_takes_the_candidate_off() -> None:
    seen = replace(down(at(Stage.RUNNING), CONTROL), evidence=report())
    for hours in (0, 1, 48):
        now = NOW + timedelta(hours=hours)
        decision = decide(replace(seen, evidence=report(last_sample=now.timestamp())), now)
        assert decision.move is None
        [ready] = [c for c in decision.status.conditions if c.type == "Ready"]
        assert f"workload {CONTROL} to become Available" in ready.message


def test_one_that_never_comes_up_ends_the_attempt_without_quarantine() -> None:
    seen = down(at(Stage.PREPARING), CONTROL)
    decision = decide(seen, NOW)
    assert decision.move is not None
    assert f"workload {CONTROL} did not become Available within 600 s" in decision.move.message
    assert not decision.status.quarantine
    assert decision.status.stable == seen.rollout.status.stable


# ------------------------------------------------------------------ words
def test_people_are_told_what_is_mirrored_where() -> None:
    seen = replace(at(Stage.PREPARING), evidence=report())
    entering = decide(seen, NOW)
    assert entering.move is not None
    assert entering.move.message == (
        "v2 enters shadow: 20 % of requests, mirrored, and the same share to a shadow of stable"
    )
    assert entering.status.attempt is not None
    entry = entering.status.attempt.unrecorded[-1]
    assert (entry.shadow_percent, entry.control_percent) == (20, 20)
    told = decide(at(Stage.RUNNING), NOW).status
    [shifted] = [c for c in told.conditions if c.type == "TrafficShifted"]
    assert shifted.message == "stable 100 %, candidate 0 %, mirrored 20 % and to stable's shadow 20 %"


def test_only_a_shadow_with_its_like_is_compared() -> None:
    plan = plan_of(settled(at(Stage.RUNNING).rollout).rollout, TIMING)
    assert plan is not None
    assert [step.compares for step in plan.steps] == [True, False, True, True]

"""What holds for every decision, whatever is seen."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.analysis.gates import EvidenceReport, Verdict
from interlock.core.adoption import is_owned as is_ours
from interlock.core.decide import Decision, decide
from interlock.core.effects import ApplyChild, WriteRoute
from interlock.core.observation import NOTHING, Observation, Unreadable
from interlock.core.traffic import ALL_STABLE, can_receive
from interlock.model.release import Stage
from interlock.reasons import Reason
from tests.core.seen import FAILING, HARMFUL, NOW, V1, V2, after, at_rest, identity, kinds, report, trying
from tests.core.strategies import PLACES, evidence, observations, strange
from tests.scenarios.rules import backends, check_conditions, check_move, mirrored

many = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=True,
)
ACTIVE_WITH_TRAFFIC = [(Stage.RUNNING, 0), (Stage.RUNNING, 1), (Stage.SOAKING, 2)]


def routes(decision: Decision) -> list[WriteRoute]:
    return [effect for effect in decision.effects if isinstance(effect, WriteRoute)]


# ------------------------------------------------------------------ invariants
@many
@given(observations())
def test_one_legal_move_at_the_most(seen: Observation) -> None:
    decision = decide(seen, NOW)
    check_move(seen.rollout.status.attempt, decision.status.attempt)
    assert (decision.move is None) == _same_place(seen, decision)


def _same_place(seen: Observation, decision: Decision) -> bool:
    before, now = seen.rollout.status.attempt, decision.status.attempt
    return (before and (before.number, before.seq)) == (now and (now.number, now.seq))


@many
@given(observations())
def test_weights_sum_to_0_or_100(seen: Observation) -> None:
    decision = decide(seen, NOW)
    split = decision.status.traffic
    assert split is None or split.stable_percent + split.candidate_percent in (0, 100)
    for effect in routes(decision):
        weights, _ = backends(effect.manifest)
        assert sum(weights.values()) == 100


@many
@given(observations())
def test_a_route_names_only_what_can_receive(seen: Observation) -> None:
    decision = decide(seen, NOW)
    attempt = decision.status.attempt
    reverting = attempt is not None and attempt.stage is Stage.REVERTING
    for effect in routes(decision):
        weights, mirrors = backends(effect.manifest)
        for name, weight in weights.items():
            state = seen.workloads.get(name, NOTHING)
            taken = any(obstacle.reason is Reason.NAME_TAKEN for obstacle in seen.obstacles)
            assert state.service is not None or (reverting and taken and _named(seen, name))
            assert can_receive(state) or reverting or weight <= _named(seen, name)
        for mirror, percent in mirrors.items():
            kept = percent <= _named(seen, mirror)
            assert kept or can_receive(seen.workloads.get(mirror, NOTHING))


def _named(seen: Observation, service: str) -> int:
    """The share that the route gives a Service already; all to stable's where nobody is answered anyway."""
    stable = seen.rollout.status.stable
    closed = seen.route is None or not any(seen.route.weights.values())
    if closed and stable is not None and service == stable.workload:
        return 100
    return {**seen.route.weights, **seen.route.mirrors}.get(service, 0) if seen.route else 0


@many
@given(observations())
def test_a_route_of_somebody_else_is_never_written(seen: Observation) -> None:
    if seen.route is not None and not is_ours(seen.rollout, seen.route.manifest):
        assert not routes(decide(seen, NOW))


@many
@given(observations())
def test_every_write_of_an_existing_route_has_a_precondition(seen: Observation) -> None:
    for effect in routes(decide(seen, NOW)):
        version = effect.manifest["metadata"].get("resourceVersion")
        assert version == (seen.route.manifest["metadata"]["resourceVersion"] if seen.route else None)


@many
@given(observations())
def test_the_candidate_never_gets_more_than_its_intent(seen: Observation) -> None:
    decision = decide(seen, NOW)
    split = decision.status.traffic
    for effect in routes(decision):
        weights, mirrors = backends(effect.manifest)
        assert split is not None
        assert weights.get(identity(V2).workload, 0) <= max(split.candidate_percent, split.stable_percent)
        if seen.route is None and mirrors != mirrored(decision.status):
            # where there is no route at all, stable does not wait for the shadow
            assert decision.status.stable is not None
            assert (weights, mirrors) == ({decision.status.stable.workload: 100}, {})
        else:
            assert mirrors == mirrored(decision.status)


@many
@given(observations())
def test_conditions_follow_the_table(seen: Observation) -> None:
    check_conditions(seen.rollout.status, decide(seen, NOW).status)


@many
@given(observations())
def test_transition_times_move_with_the_status_only(seen: Observation) -> None:
    first = decide(seen, NOW)
    later = after(seen, first.status, ())
    check_conditions(first.status, decide(later, NOW.replace(hour=13)).status)


@many
@given(observations())
def test_deciding_on_ones_own_output_comes_to_rest(seen: Observation) -> None:
    for _ in range(6):
        decision = decide(seen, NOW)
        seen = after(seen, decision.status, decision.effects)
        if decision.move is None and not decision.effects:
            break
    again = decide(seen, NOW)
    assert again.move is None
    assert kinds(again.effects) == []
    assert again.status == decision.status


@many
@given(observations())
def test_what_is_wanted_is_never_deleted_in_the_same_breath(seen: Observation) -> None:
    decision = decide(seen, NOW)
    applied = {e.manifest["metadata"]["name"] for e in decision.effects if isinstance(e, ApplyChild)}
    deleted = {getattr(e, "name", "") for e in decision.effects if type(e).__name__ == "DeleteChild"}
    named = set(seen.route.weights) if seen.route else set()
    assert not deleted & applied
    assert not deleted & named
    assert identity(V1).workload not in deleted


@many
@given(strange())
def test_decide_is_total(seen: Observation) -> None:
    decision = decide(seen, NOW)
    decision.status.to_wire()
    for effect in routes(decision):
        assert sum(b["weight"] for b in effect.manifest["spec"]["rules"][0]["backendRefs"]) in (0, 100)
    check_conditions(seen.rollout.status, decision.status)


# ------------------------------------------------------------------ turning back
@many
@given(observations())
def test_failing_evidence_turns_back_at_once_whatever_else_is_wrong(seen: Observation) -> None:
    attempt = seen.rollout.status.attempt
    if attempt is None or (attempt.stage, attempt.step_index) not in ACTIVE_WITH_TRAFFIC:
        return
    decision = decide(replace(seen, evidence=HARMFUL), NOW)
    assert decision.reverts
    assert decision.status.attempt is not None
    assert decision.status.attempt.stage is Stage.REVERTING
    assert decision.status.traffic == ALL_STABLE


@many
@given(observations())
def test_without_a_ready_stable_only_safety_takes_live_traffic_off(seen: Observation) -> None:
    attempt, stable = seen.rollout.status.attempt, seen.rollout.status.stable
    assert stable is not None
    if attempt is None or (attempt.stage, attempt.step_index) not in ACTIVE_WITH_TRAFFIC:
        return
    down = {**seen.workloads, stable.workload: replace(NOTHING, service={"metadata": {}})}
    before = seen.rollout.status.traffic
    decision = decide(replace(seen, workloads=down, evidence=FAILING), NOW)
    said = {c.type: c.reason for c in decision.status.conditions}
    assert before is not None
    taken_off = seen.route is not None and seen.route.weights.get(identity(V2).workload) == 0
    if before.candidate_percent and not taken_off:
        assert decision.status.traffic == before
        assert said["RevertBlocked"] == "StableUnavailable"
    else:
        assert decision.reverts
        assert "RevertBlocked" not in said


@many
@given(st.sampled_from(ACTIVE_WITH_TRAFFIC), st.booleans())
def test_a_revert_writes_the_route_in_the_same_decision(place: tuple[Stage, int], clock: bool) -> None:
    seen = trying(*place, clock=clock)
    decision = decide(replace(seen, evidence=FAILING, recorded_seq=0), NOW)
    [effect] = routes(decision)
    assert kinds(decision.effects)[0] == "WriteRoute", "nothing goes before it"
    assert backends(effect.manifest) == ({identity(V1).workload: 100, identity(V2).workload: 0}, {})


@many
@given(st.sampled_from(ACTIVE_WITH_TRAFFIC))
def test_a_revert_for_safety_needs_no_ready_stable(place: tuple[Stage, int]) -> None:
    seen = trying(*place)
    name = identity(V1).workload
    down = {**seen.workloads, name: replace(seen.workloads[name], ready_endpoints=0)}
    [effect] = routes(decide(replace(seen, workloads=down, evidence=HARMFUL), NOW))
    assert backends(effect.manifest)[0][name] == 100


def test_turning_back_outranks_walking_on() -> None:
    seen = replace(trying(Stage.RUNNING, 1), evidence=report())
    assert decide(seen, NOW).status.step == "3/3"
    assert decide(replace(seen, evidence=FAILING), NOW).reverts


# ------------------------------------------------------------------ walking on
@many
@given(st.sampled_from(ACTIVE_WITH_TRAFFIC), evidence())
def test_only_pass_on_fresh_data_advances(
    place: tuple[Stage, int], found: EvidenceReport | Unreadable | None
) -> None:
    seen = replace(trying(*place), evidence=found)
    decision = decide(seen, NOW)
    index = place[1]
    advances = (
        isinstance(found, EvidenceReport)
        and not found.reverts
        and found.last_sample is not None
        and NOW.timestamp() - found.last_sample <= seen.timing.freshness
        and found.warmed_up
        and found.candidate_tasks >= seen.rollout.spec.strategy.steps[index].min_tasks
        and all(g.verdict is Verdict.PASS for g in found.gates if g.judged)
        and not (found.split and found.split.step == index and found.split.mismatch)
    )
    moved = decision.move is not None and not decision.reverts and not decision.move.in_place
    assert moved == advances


@many
@given(observations())
def test_nothing_walks_on_before_the_last_move_is_recorded_and_applied(seen: Observation) -> None:
    decision = decide(seen, NOW)
    attempt = seen.rollout.status.attempt
    if attempt is None or decision.move is None or decision.reverts or seen.rollout.status.stable is None:
        return
    assert seen.recorded_seq >= attempt.seq or decision.move.stage is Stage.DONE


def test_at_rest_nothing_is_done() -> None:
    first = decide(at_rest(), NOW)
    assert kinds(first.effects) == []
    assert first.wake is None
    again = decide(after(at_rest(), first.status, ()), NOW.replace(hour=20))
    assert again.status == first.status
    assert kinds(again.effects) == []


def test_every_active_place_looks_again() -> None:
    for place in PLACES:
        assert decide(trying(*place), NOW).wake is not None

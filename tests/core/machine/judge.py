"""What must hold at every decision and at every write, whatever has happened before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from interlock.analysis.gates import EvidenceReport, Verdict
from interlock.core.adoption import belongs
from interlock.core.decide import Decision, decide
from interlock.core.effects import WriteRoute
from interlock.core.observation import NOTHING, Observation
from interlock.core.route import as_if_first_serves, is_applied
from interlock.core.traffic import ALL_FIRST, can_receive
from interlock.core.workloads import is_available
from interlock.model.release import Outcome, Stage
from interlock.model.rollout import Rollout
from interlock.model.rolloutstatus import RolloutStatus
from tests.core.machine.surroundings import Manifest, Surroundings
from tests.core.seen import HARMFUL
from tests.scenarios.rules import backends, check_conditions

WALKING = (Stage.RUNNING, Stage.SOAKING)
Attempt = tuple[str, int]
"""Uid of the Rollout and number of the attempt."""


@dataclass
class Judge:
    """Remembers what it was told: `steps` decisions, `told` moves, and at which share harm was first seen."""

    around: Surroundings
    steps: int = 0
    caps: dict[Attempt, int] = field(default_factory=dict)
    """The candidate's share when a gate first failed, until the gates are edited."""
    causes: set[str] = field(default_factory=set)
    """Of the moves so far."""
    _looked_back: object = None

    # ------------------------------------------------------------------ decisions
    def decided(self, seen: Observation, decision: Decision, now: datetime) -> None:
        """Judge one decision by what it was shown."""
        self.steps += 1
        if decision.move is not None:
            self.causes.add(decision.move.cause)
        before, after = seen.rollout.status, decision.status
        check_shares(before, decision)
        check_conditions(before, after)
        check_progress(seen, decision, now)
        check_told(seen, decision)
        check_opening(seen, decision)
        attempt = before.attempt
        if attempt is not None and attempt.stage in WALKING:
            self._harm(seen, decision)
            self._way_back(seen, now)

    def _way_back(self, seen: Observation, now: datetime) -> None:
        """Once for each state: what follows from the same state is the same."""
        route = seen.route.manifest["metadata"]["resourceVersion"] if seen.route else ""
        ready = tuple(state.ready_endpoints for state in seen.workloads.values())
        state = (seen.rollout.status.attempt, seen.rollout.metadata.generation, route, ready, seen.problem)
        if state != self._looked_back:
            self._looked_back = state
            check_the_way_back(seen, now)

    def _harm(self, seen: Observation, decision: Decision) -> None:
        attempt, split, report = seen.rollout.status.attempt, seen.rollout.status.traffic, seen.evidence
        assert attempt is not None
        key = (seen.rollout.metadata.uid, attempt.number)
        if isinstance(report, EvidenceReport) and report.reverts:
            self.caps.setdefault(key, split.candidate_percent if split else 0)
            check_revert(seen, decision, safety=_safety(report))
        if decision.move and decision.move.cause == "GatesChanged":
            self.caps.pop(key, None)

    # ------------------------------------------------------------------ writes
    def wrote(self, decision: Decision, stored: Manifest) -> None:
        """Judge one write by what is stored now."""
        match stored["kind"]:
            case "HTTPRoute":
                self._route(decision, stored)
            case "Rollout":
                rollout = Rollout.read(stored)
                self._capped(rollout.metadata.uid, rollout.status, share_of(rollout.status))
            case "Release":
                numbers = [entry["seq"] for entry in stored["entries"]]
                assert numbers == list(range(1, len(numbers) + 1)), f"gaps in the record: {numbers}"

    def _route(self, decision: Decision, route: Manifest) -> None:
        weights, _ = backends(route)
        status = decision.status
        assert status.stable or not weights or status.traffic == ALL_FIRST, "nobody is to serve"
        stable, tested = (one.workload if one else "" for one in (status.stable, status.candidate))
        assert sum(weights.values()) in ((0, 100) if not weights else (100,)), weights
        assert set(weights) <= {stable, tested}, "somebody who is neither stable nor tried"
        assert weights.get(tested, 0) <= share_of(status), "intent comes first"
        owner = route["metadata"]["ownerReferences"][0]["uid"]
        self._capped(owner, status, weights.get(tested, 0))

    def _capped(self, uid: str, status: RolloutStatus, share: int) -> None:
        if status.attempt is not None and status.attempt.stage in WALKING:
            cap = self.caps.get((uid, status.attempt.number), 100)
            assert share <= cap, f"{share} % for a candidate that failed at {cap} %"


def share_of(status: RolloutStatus) -> int:
    """The candidate's intended share."""
    return status.traffic.candidate_percent if status.traffic else 0


def _safety(report: EvidenceReport) -> bool:
    return any(gate.safety for gate in report.gates if gate.name in report.failed)


# ------------------------------------------------------------------ what a decision may do
def check_shares(before: RolloutStatus, decision: Decision) -> None:
    """Shares sum to 0 or 100, and only a move onward, or one that begins with nobody to compare with, raises
    what the candidate gets."""
    after, move = decision.status, decision.move
    old, new = before.traffic, after.traffic
    assert new is None or new.stable_percent + new.candidate_percent in (0, 100), new
    onward = move is not None and move.stage in WALKING and not move.in_place
    begins_first = move is not None and move.begins is not None and after.stable is None
    if begins_first:
        assert new == ALL_FIRST
    elif not onward and new is not None:
        assert new.candidate_percent <= (old.candidate_percent if old else 0), "raised without a move"
        assert new.shadow_percent <= (old.shadow_percent if old else 0), "raised without a move"
        assert new.control_percent <= (old.control_percent if old else 0), "raised without a move"


def check_progress(seen: Observation, decision: Decision, now: datetime) -> None:
    """Onward only when the last move is recorded and applied, and every gate that judges passes on fresh
    data for as long as the step lasts."""
    attempt, move = seen.rollout.status.attempt, decision.move
    if attempt is None or move is None or move.in_place or attempt.stage is Stage.DONE:
        return
    promotes = move.outcome is Outcome.PROMOTED
    if move.stage not in WALKING and not promotes:
        return
    assert not seen.rollout.spec.paused, "walked on while paused"
    assert not seen.problem, "walked on by a spec that cannot be followed"
    assert not seen.obstacles, "walked on although something is in the way"
    assert seen.recorded_seq >= attempt.seq, "walked on before the last move was recorded"
    assert is_applied(seen), "walked on before the gateway had taken up the last move"
    first = as_if_first_serves(seen)
    assert first is None or is_applied(first), "stable before the gateway sends it anything"
    if attempt.stage is Stage.PREPARING:
        assert not seen.firing, "began while an alert fires"
        return
    step = seen.rollout.spec.strategy.steps[attempt.step_index]
    assert attempt.step_started_time is not None
    assert now - attempt.step_started_time >= timedelta(seconds=step.duration_seconds), "too early"
    report = seen.evidence
    assert isinstance(report, EvidenceReport), "walked on without evidence"
    assert not report.reverts, "walked on although a gate fails"
    assert report.warmed_up
    assert report.candidate_tasks >= step.min_tasks
    assert report.last_sample is not None
    assert now.timestamp() - report.last_sample <= seen.timing.freshness, "walked on old data"
    verdicts = {gate.name: gate.verdict for gate in report.gates if gate.judged}
    assert set(verdicts.values()) <= {Verdict.PASS}, f"walked on with {verdicts}"


def check_told(seen: Observation, decision: Decision) -> None:
    """Where nothing moves it is said what is awaited, of the spec as it is now."""
    status, generation = decision.status, seen.rollout.metadata.generation
    said = {condition.type: condition for condition in status.conditions}
    assert status.observed_generation == generation
    assert {condition.observed_generation for condition in status.conditions} == {generation}
    ready = said["Ready"]
    assert ready.message
    if decision.move is not None or decision.wake == timedelta(0) or ready.status == "True":
        return
    assert "waiting for nothing" not in ready.message, ready.message
    assert ready.message != "a new attempt is about to start"


def check_opening(seen: Observation, decision: Decision) -> None:
    """A first version gets its route when it is Available, and nothing holds it."""
    tested, rollout = decision.status.candidate, seen.rollout
    routes = [backends(effect.manifest)[0] for effect in decision.effects if isinstance(effect, WriteRoute)]
    if decision.status.stable is not None or tested is None or not any(routes):
        return
    assert is_available(seen.workloads.get(tested.workload, NOTHING)), "opened before it is Available"
    held = rollout.spec.paused or seen.problem or seen.obstacles
    assert not held, "opened although something holds it"
    if rollout.status.observed_generation == rollout.metadata.generation:
        assert decision.status == rollout.status, "nothing is told before it serves"


def check_the_way_back(seen: Observation, now: datetime) -> None:
    """From here, harm takes the traffic off in one decision, whatever else is wrong."""
    check_revert(seen, decide(replace(seen, evidence=HARMFUL), now), safety=True)


def check_revert(seen: Observation, decision: Decision, *, safety: bool) -> None:
    """The candidate gets nothing more, by intent and on the route; without a ready stable version, what is no
    matter of safety may wait."""
    stable, tested = seen.rollout.status.stable, seen.rollout.status.candidate
    assert stable is not None
    assert tested is not None
    state = seen.workloads.get(stable.workload, NOTHING)
    if not decision.reverts:
        assert not safety, "harm does not take the candidate back"
        assert share_of(seen.rollout.status), "nothing is lost by taking it back"
        assert not can_receive(state), "not taken back although stable can serve"
        said = {condition.type: condition.status for condition in decision.status.conditions}
        assert said.get("RevertBlocked") == "True"
        return
    assert decision.status.traffic is not None
    assert (decision.status.traffic.candidate_percent, decision.status.traffic.shadow_percent) == (0, 0)
    route = seen.route
    if route is None or not belongs(seen.rollout, route.manifest) or state.service is None:
        return
    written = [effect.manifest for effect in decision.effects if isinstance(effect, WriteRoute)]
    if route.weights.get(tested.workload) or route.mirrors:
        assert written, "the route keeps the candidate's weight"
    for manifest in written:
        weights, mirrors = backends(manifest)
        assert not weights.get(tested.workload)
        assert not mirrors

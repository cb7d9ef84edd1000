"""Regressions that the model test found: what the route holds while the candidate is taken off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interlock.core import traffic
from interlock.core.decide import decide
from interlock.core.effects import WriteRoute
from interlock.core.observation import Observation
from interlock.model.release import Stage
from tests.core.seen import FAILING, HARMFUL, NOW, V1, V2, accepted, identity, parsed, report, trying
from tests.scenarios.objects import CANARY, FULL
from tests.scenarios.rules import backends


def written(seen: Observation) -> list[WriteRoute]:
    return [effect for effect in decide(seen, NOW).effects if isinstance(effect, WriteRoute)]


def at_zero(seen: Observation) -> Observation:
    """The route lists the candidate with weight 0, the status does not know of it."""
    route = traffic.http_route(
        seen.rollout,
        traffic.ALL_STABLE,
        stable=identity(V1).workload,
        candidate=identity(V2).workload,
        keep_candidate=True,
    )
    return replace(seen, route=accepted(route))


def test_a_mirror_does_not_outlive_its_step() -> None:
    """Its weights are as intended before and after: the mirror alone must be reason enough to write."""
    shadow = trying(Stage.RUNNING, 0)
    edited = parsed("v2", strategy={"steps": [CANARY, FULL]}).spec
    [effect] = written(replace(shadow, rollout=shadow.rollout.model_copy(update={"spec": edited})))
    assert backends(effect.manifest) == ({identity(V1).workload: 100}, {})


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_only_harm_and_trouble_go_to_the_route_without_their_record(version: str) -> None:
    """A wish can wait: at 0 without a record it would be read as harm, and good content quarantined."""
    seen = replace(trying(Stage.RUNNING, 1, spec=parsed(version)), evidence=report())
    wish = decide(seen, NOW)
    assert wish.reverts
    assert not wish.cannot_wait
    assert decide(replace(seen, evidence=HARMFUL), NOW).cannot_wait


def test_trouble_that_is_still_there_is_not_taken_for_harm() -> None:
    """The record of a step's deadline was refused, the route is at 0: the content is not quarantined."""
    late = parsed(
        "v2", strategy={"steps": [CANARY, FULL], "stepDeadlineSeconds": 600, "onDeadline": "Revert"}
    )
    seen = at_zero(trying(Stage.RUNNING, 0, spec=late))
    move = decide(seen, NOW).move
    assert move is not None
    assert move.cause == "StepDeadline"


def test_what_is_off_already_is_not_given_its_share_back() -> None:
    """The record of a revert was refused, the route is at 0, and now stable has no ready endpoint."""
    seen = replace(at_zero(trying(Stage.RUNNING, 1)), evidence=FAILING)
    name = identity(V1).workload
    down = {**seen.workloads, name: replace(seen.workloads[name], ready_endpoints=0)}
    decision = decide(replace(seen, workloads=down), NOW)
    assert decision.reverts
    assert written(replace(seen, workloads=down)) == []

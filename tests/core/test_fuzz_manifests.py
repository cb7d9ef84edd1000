"""Story 30 by chance: generated Rollouts and AgentVersions stop nobody but themselves, and say what is wrong.

The whole operator is at work in memory, beside one healthy Rollout of the same namespace.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from interlock.model.agentversion import AgentVersion
from interlock.model.base import first_problem
from interlock.model.rollout import Rollout
from tests.core.hostile import mutated
from tests.core.schemas import conforming, schema_of
from tests.scenarios.given import trying
from tests.scenarios.objects import agent_version, rollout
from tests.scenarios.surroundings import NAMESPACE
from tests.scenarios.world import World

many = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
few = settings(many, max_examples=25)
T = TypeVar("T")
Manifest = dict[str, Any]
SCHEMAS = {"Rollout": schema_of("rollouts"), "AgentVersion": schema_of("agentversions")}
METADATA = {
    "namespace": NAMESPACE,
    "uid": "u-1",
    "resourceVersion": "5",
    "generation": 1,
    "creationTimestamp": "2026-01-01T00:00:00Z",
}


def generated(kind: str) -> st.SearchStrategy[Manifest]:
    """Of the schema's shape, or a good one changed: a spec and a status."""
    parts = SCHEMAS[kind]["properties"]
    shaped = st.fixed_dictionaries(
        {"spec": conforming(parts["spec"])}, optional={"status": conforming(parts["status"])}
    )
    good = rollout("v1") if kind == "Rollout" else agent_version("odd")
    told = {"spec": good["spec"], "status": STATUSES[kind]}
    odd = shaped.flatmap(mutated)
    return st.one_of(shaped, odd, mutated(told, most=2)).map(
        lambda found: {
            "apiVersion": good["apiVersion"],
            "kind": kind,
            "metadata": {"name": "odd", **METADATA},
            "spec": found.get("spec", {}),  # no CRD lets an object through without it
            **({"status": found["status"]} if "status" in found else {}),
        }
    )


STATUSES: dict[str, Manifest] = {
    "Rollout": {
        "observedGeneration": 1,
        "stable": {
            "version": "v1",
            "uid": "u",
            "digest": "a" * 64,
            "workload": "odd-0123456789",
            "since": "2026-01-01T00:00:00Z",
        },
        "attempt": {
            "number": 1,
            "seq": 3,
            "stage": "Running",
            "startedTime": "2026-01-01T00:00:00Z",
            "stageStartedTime": "2026-01-01T00:00:00Z",
            "walkStartedTime": "2026-01-01T00:00:00Z",
            "reason": "StepStarted",
            "strategyHash": "0123456789abcdef",
        },
        "traffic": {"stablePercent": 80, "candidatePercent": 20, "shadowPercent": 0},
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "Progressing",
                "message": "so it was",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ],
    },
    "AgentVersion": {"contentDigest": "a" * 64, "observedGeneration": 1},
}
READERS: dict[str, Callable[[Manifest], object]] = {
    "Rollout": Rollout.read,
    "AgentVersion": AgentVersion.read,
}


@pytest.mark.parametrize("kind", READERS)
@many
@given(st.data())
def test_reading_refuses_in_words(kind: str, data: st.DataObject) -> None:
    manifest = data.draw(generated(kind), label=kind)
    try:
        READERS[kind](manifest)
    except ValidationError as error:
        said = first_problem(error)
    else:
        return
    assert said.startswith("`")
    assert len(said) < 1024


# ------------------------------------------------------------------ the whole operator
HEALTHY = "healthy"


class Saved:
    """One world, begun once; each example starts from it with a fresh process."""

    def __init__(self) -> None:
        self._loop = asyncio.Runner()
        self.world = self.run(begun())
        self._objects = copy.deepcopy(self.world.objects._objects)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The shell needs a loop: its reverts have a time limit."""
        return self._loop.run(work)

    def again(self) -> World:
        self.world.objects._objects = copy.deepcopy(self._objects)
        self.world.errors.clear()
        self.world.start_operator()
        return self.world

    def close(self) -> None:
        self._loop.close()


async def begun() -> World:
    """v2 of the Rollout triage is in its canary, and `healthy` serves beside it."""
    world = await trying("v2", "Canary")
    other = rollout("h1", agent=HEALTHY)
    other["metadata"]["name"] = HEALTHY
    other["spec"]["traffic"]["gatewayAPI"]["hostnames"] = ["healthy.example.com"]
    await world.apply(agent_version("h1", agent=HEALTHY), other)
    await world.settle()
    assert (await world.rollout(HEALTHY)).status.phase == "Healthy"
    return world


@pytest.fixture(scope="module")
def saved() -> Iterator[Saved]:
    """Begun once a module: that takes a second."""
    found = Saved()
    yield found
    found.close()


async def passes(world: World) -> dict[str, Any]:
    """Three passes over everything; the statuses afterwards, by kind and name."""
    for _ in range(3):
        await world.operate()
    return {
        f"{kind} {manifest['metadata']['name']}": manifest.get("status") or {}
        for kind in ("Rollout", "AgentVersion")
        for manifest in world._stored(kind)
    }


def told(status: Manifest, kind: str = "Ready") -> Manifest:
    """A condition that must be there."""
    [found] = [condition for condition in status["conditions"] if condition["type"] == kind]
    return dict(found)


@pytest.mark.parametrize("kind", READERS)
@many
@given(data=st.data())
def test_an_odd_one_stops_nobody_else_and_is_told_what_is_wrong(
    saved: Saved, kind: str, data: st.DataObject
) -> None:
    world = saved.again()
    odd = data.draw(generated(kind), label=kind)
    before = saved.run(passes(world))
    world.objects._objects[kind, NAMESPACE, "odd"] = odd
    world.start_operator()
    after = saved.run(passes(world))
    others = {name: status for name, status in after.items() if not name.endswith(" odd")}
    assert others == {name: status for name, status in before.items() if not name.endswith(" odd")}
    assert saved.run(world.weights()) == [80, 20], "of triage, whose canary goes on"
    if kind == "Rollout":
        ready = told(after["Rollout odd"])
        assert ready["message"]
        assert ready["status"] == "False", "it refers to what does not exist, or cannot be followed"


@few
@given(data=st.data())
def test_the_version_under_test_made_odd_moves_no_traffic_up(saved: Saved, data: st.DataObject) -> None:
    """Its content was changed by somebody who can: it is taken back, or what was tested goes on as it is."""
    world = saved.again()
    found = world.objects._objects["AgentVersion", NAMESPACE, "v2"]
    changed = data.draw(mutated({"spec": found["spec"]}), label="v2")
    world.objects._objects["AgentVersion", NAMESPACE, "v2"] = {
        **{part: found[part] for part in ("apiVersion", "kind", "metadata")},
        **changed,
    }
    world.start_operator()
    after = saved.run(passes(world))
    assert saved.run(world.weights()) in ([80, 20], [100, 0], [100])
    assert told(after["Rollout triage"])["status"] == "False"
    assert told(after["Rollout triage"])["message"]

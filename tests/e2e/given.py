"""Where stories begin: v1 serves; and the one line that a release changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from dev.demo.agent.catalogue import Question
from dev.demo.traffic import IRRELEVANT_SHARE, draw
from tests.e2e import manifests
from tests.e2e.manifests import Manifest
from tests.e2e.place import Place

V1 = "triage-v1"


async def v1_serves(
    place: Place,
    *,
    steps: list[Manifest],
    gates: list[Manifest],
    template: Manifest | None = None,
    replicas: int = 1,
    false_revert_percent: str = "5",
    no_data: Manifest | None = None,
) -> Manifest:
    """v1 is stable and Healthy; returns the Rollout's manifest."""
    rollout = manifests.rollout(
        place.namespace,
        place.host,
        V1,
        steps=steps,
        gates=gates,
        replicas=replicas,
        false_revert_percent=false_revert_percent,
        no_data=no_data,
    )
    made_from = template or manifests.template(place.namespace)
    await place.apply(made_from, manifests.version(V1, place.namespace), rollout)
    await place.until(lambda: place.is_healthy(V1), "v1 serves as the first version")
    return rollout


async def release(place: Place, rollout: Manifest, version: Manifest) -> Manifest:
    """The AgentVersion is there and `spec.versionRef` names it; returns the Rollout's manifest."""
    changed = copy.deepcopy(rollout)
    changed["spec"]["versionRef"]["name"] = version["metadata"]["name"]
    await place.apply(version, changed)
    return changed


def questions(place: Place, seed: int, irrelevant_share: float = IRRELEVANT_SHARE) -> Iterator[Question]:
    """What clients ask, the same for the same seed; who answers is the gateway's own chance."""
    return draw(place.stage.catalogue, seed, irrelevant_share)

"""What an HTTPRoute's status proves: every named parent accepts it at its current generation."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.traffic import read_route

PUBLIC = {"name": "public", "namespace": "gateways", "sectionName": "http"}
OTHER = {"name": "internal"}


def answer(parent: dict[str, Any], *, generation: int = 7, **conditions: str) -> dict[str, Any]:
    """One controller's word on one parent."""
    said = {"Accepted": "True", "ResolvedRefs": "True"} | conditions
    return {
        "parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", **parent},
        "controllerName": "example.com/gateway",
        "conditions": [
            {"type": kind, "status": status, "reason": kind, "message": "m", "observedGeneration": generation}
            for kind, status in said.items()
        ],
    }


def accepted(wanted: list[dict[str, Any]], told: list[dict[str, Any]]) -> tuple[bool, str]:
    found = read_route(
        {
            "metadata": {"name": "triage", "namespace": "shop", "generation": 7},
            "spec": {"parentRefs": wanted, "rules": []},
            "status": {"parents": told},
        }
    )
    return found.accepted, found.problem


def test_one_parent_accepted() -> None:
    assert accepted([PUBLIC], [answer(PUBLIC)]) == (True, "")


def test_an_omitted_namespace_is_the_routes_own() -> None:
    assert accepted([OTHER], [answer({"name": "internal", "namespace": "shop"})]) == (True, "")


def test_two_answers_on_one_parent_do_not_stand_for_another() -> None:
    assert accepted([PUBLIC, OTHER], [answer(PUBLIC), answer(PUBLIC)]) == (False, "")


def test_an_unknown_condition_is_passed_over() -> None:
    assert accepted([PUBLIC], [answer(PUBLIC, Strange="False")]) == (True, "")


@pytest.mark.parametrize("kind", ["Accepted", "ResolvedRefs"])
def test_a_refusal_is_told(kind: str) -> None:
    refused = answer(PUBLIC, Accepted="False") if kind == "Accepted" else answer(PUBLIC, ResolvedRefs="False")
    assert accepted([PUBLIC], [refused]) == (False, f"{kind}: m")


def test_an_older_generation_proves_nothing() -> None:
    assert accepted([PUBLIC], [answer(PUBLIC, generation=6)]) == (False, "")


def test_nobody_has_looked_at_it_yet() -> None:
    assert accepted([PUBLIC], []) == (False, "")


def test_every_mirror_of_a_route_is_read() -> None:
    """What is named by any of them must not be deleted."""
    asked = [
        {"requestMirror": {"backendRef": {"name": "green-shadow"}, "percent": 20}},
        {"requestMirror": {"backendRef": {"name": "blue-shadow"}}},
        {"requestHeaderModifier": {}},
    ]
    found = read_route({"metadata": {"name": "triage"}, "spec": {"rules": [{"filters": asked}]}})
    assert found.mirrors == {"green-shadow": 20, "blue-shadow": 100}

"""What a gateway can be asked for, by its own word or by its name, and how the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.gateways import Capabilities, capabilities, refusal
from interlock.model.rollout import Step

ENVOY = "gateway.envoyproxy.io/gatewayclass-controller"
CONTOUR = "projectcontour.io/gateway-controller"
TRAEFIK = "traefik.io/gateway-controller"
NOBODY = "example.com/gateway"

SHADOW_20 = Step.model_validate({"name": "dark", "shadow": {"percent": 20}})
CONTROLLED_20 = Step.model_validate({"name": "dark", "shadow": {"percent": 20, "control": True}})
CONTROLLED_ALL = Step.model_validate({"name": "dark", "shadow": {"percent": 100, "control": True}})
SHADOW_ALL = Step.model_validate({"name": "dark", "shadow": {"percent": 100}})
CANARY_5 = Step.model_validate({"name": "canary-5", "canary": {"percent": 5}})
FULL = Step.model_validate({"name": "full", "full": {}})
FULL_HELD_OUT = Step.model_validate({"name": "full", "full": {"holdoutPercent": 5}})


def gateway_class(controller: str, features: Any = None) -> dict[str, Any]:
    """A GatewayClass as its controller leaves it; with `features` it lists what it supports."""
    status = {"conditions": [{"type": "Accepted", "status": "True"}]}
    listed = {} if features is None else {"supportedFeatures": features}
    return {
        "kind": "GatewayClass",
        "metadata": {"name": "public"},
        "spec": {"controllerName": controller},
        "status": status | listed,
    }


def mirrors(found: Capabilities) -> tuple[bool, bool, bool]:
    """Whether it mirrors, whether by percentage, and whether to several Services."""
    return found.mirror, found.mirror_percent, found.mirrors


@pytest.mark.parametrize(
    ("controller", "expected"),
    [
        (ENVOY, (True, True, True)),
        (CONTOUR, (True, False, True)),
        (TRAEFIK, (False, False, False)),
        ("istio.io/gateway-controller", (True, True, True)),
        ("kgateway.dev/kgateway", (True, False, False)),
        ("io.cilium/gateway-controller", (True, True, True)),
        ("networking.gke.io/gateway", (True, True, False)),
        ("konghq.com/kic-gateway-controller", (False, False, False)),
    ],
)
def test_a_class_that_lists_nothing_is_known_by_its_controller(
    controller: str, expected: tuple[bool, bool, bool]
) -> None:
    found = capabilities(gateway_class(controller))
    assert (found.controller, mirrors(found), found.weights) == (controller, expected, True)


def test_an_unknown_controller_is_trusted_with_weights_only() -> None:
    assert capabilities(gateway_class(NOBODY)) == Capabilities(
        NOBODY, mirror=False, mirror_percent=False, mirrors=False, weights=True
    )


@pytest.mark.parametrize(
    "wrapped",
    [lambda name: name, lambda name: {"name": name}],
    ids=["as strings", "as objects"],
)
def test_what_a_class_lists_is_believed(wrapped: Any) -> None:
    features = [wrapped("HTTPRoute"), wrapped("HTTPRouteRequestMirror")]
    assert mirrors(capabilities(gateway_class(NOBODY, features))) == (True, False, False)
    features.append(wrapped("HTTPRouteRequestPercentageMirror"))
    assert mirrors(capabilities(gateway_class(NOBODY, features))) == (True, True, False)
    features.append(wrapped("HTTPRouteRequestMultipleMirrors"))
    assert mirrors(capabilities(gateway_class(NOBODY, features))) == (True, True, True)


def test_what_a_class_lists_goes_before_what_its_name_promises() -> None:
    older = gateway_class("istio.io/gateway-controller", ["HTTPRoute", "HTTPRouteRequestMirror"])
    newer = gateway_class(TRAEFIK, [{"name": "HTTPRouteRequestMirror"}])
    assert mirrors(capabilities(older)) == (True, False, False)
    assert mirrors(capabilities(newer)) == (True, False, False)


def test_a_class_that_lists_nothing_of_http_splits_nothing() -> None:
    assert not capabilities(gateway_class(NOBODY, ["Gateway", "TLSRoute"])).weights


@pytest.mark.parametrize("features", [[], None, "HTTPRouteRequestMirror", [7, None, {"name": 7}, {}, []]])
def test_a_list_that_says_nothing_is_no_list(features: Any) -> None:
    assert mirrors(capabilities(gateway_class(CONTOUR, features))) == (True, False, True)
    assert mirrors(capabilities(gateway_class(NOBODY, features))) == (False, False, False)


@pytest.mark.parametrize("manifest", [{}, {"spec": {}, "status": None}])
def test_an_empty_class_promises_no_mirror(manifest: dict[str, Any]) -> None:
    assert mirrors(capabilities(manifest)) == (False, False, False)
    assert "a gateway without controller" in refusal([SHADOW_20], capabilities(manifest))


def test_a_gateway_that_can_do_everything_refuses_nothing() -> None:
    able = capabilities(gateway_class(ENVOY))
    assert refusal([SHADOW_20, CONTROLLED_20, CANARY_5, FULL_HELD_OUT], able) == ""


def test_a_control_is_refused_where_only_one_service_gets_copies() -> None:
    able = capabilities(gateway_class("networking.gke.io/gateway"))
    assert refusal([SHADOW_20, CANARY_5, FULL], able) == ""
    assert refusal([CONTROLLED_20, CANARY_5, FULL], able) == (
        "step dark: `shadow.control` cannot be honoured by GKE Gateway (networking.gke.io/gateway), "
        "which mirrors to one Service only: leave `control` out"
    )


def test_an_unknown_gateway_is_told_how_to_be_believed_of_a_control() -> None:
    features = ["HTTPRoute", "HTTPRouteRequestPercentageMirror"]
    said = refusal([CONTROLLED_20, FULL], capabilities(gateway_class(NOBODY, features)))
    assert said.endswith(
        "which does not say that it mirrors to two Services: leave `control` out, or have its GatewayClass "
        "list HTTPRouteRequestMultipleMirrors in `status.supportedFeatures`"
    )


def test_a_control_needs_what_its_shadow_needs() -> None:
    able = capabilities(gateway_class(CONTOUR))
    assert "`shadow.percent` 20" in refusal([CONTROLLED_20, FULL], able)
    assert refusal([CONTROLLED_ALL, FULL], able) == ""


def test_a_percentage_is_refused_where_every_request_would_be_mirrored() -> None:
    able = capabilities(gateway_class(CONTOUR))
    assert refusal([SHADOW_20, CANARY_5, FULL], able) == (
        "step dark: `shadow.percent` 20 cannot be honoured by Contour "
        "(projectcontour.io/gateway-controller), which mirrors every request: use 100 or leave the step out"
    )
    assert refusal([SHADOW_ALL, CANARY_5, FULL], able) == ""


def test_a_shadow_is_refused_where_nothing_is_mirrored() -> None:
    assert refusal([SHADOW_ALL, FULL], capabilities(gateway_class(TRAEFIK))) == (
        "step dark: `shadow` cannot be honoured by Traefik (traefik.io/gateway-controller), "
        "which mirrors no requests: leave the step out"
    )


def test_an_unknown_gateway_is_told_how_to_be_believed() -> None:
    able = capabilities(gateway_class(NOBODY))
    assert refusal([SHADOW_ALL, FULL], able) == (
        "step dark: `shadow` cannot be honoured by example.com/gateway, which does not say that it mirrors "
        "requests: leave the step out, or have its GatewayClass list HTTPRouteRequestMirror in "
        "`status.supportedFeatures`"
    )
    assert "list HTTPRouteRequestPercentageMirror in" in refusal([SHADOW_20, FULL], able)
    assert refusal([CANARY_5, FULL_HELD_OUT], able) == ""


@pytest.mark.parametrize(
    ("step", "asked", "remedy"),
    [
        (CANARY_5, "step canary-5: `canary.percent` 5", "leave the step out"),
        (FULL_HELD_OUT, "step full: `full.holdoutPercent` 5", "use 0"),
    ],
)
def test_a_split_is_refused_without_weights(step: Step, asked: str, remedy: str) -> None:
    able = Capabilities(NOBODY, mirror=True, mirror_percent=True, mirrors=True, weights=False)
    said = refusal([FULL, step], able)
    assert said.startswith(asked)
    assert said.endswith(f"which does not split requests by weight: {remedy}")
    assert refusal([SHADOW_20, FULL], able) == ""

"""What a gateway can be asked for, and the sentence that refuses what it cannot.

Pure. Never guesses in a gateway's favour: implementations accept a route and silently do something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from interlock.core.observation import Manifest
from interlock.core.parts import mapping, text
from interlock.model.rollout import Shadow, Step

MIRROR: Final = "HTTPRouteRequestMirror"
MIRROR_PERCENT: Final = "HTTPRouteRequestPercentageMirror"
MIRRORS: Final = "HTTPRouteRequestMultipleMirrors"
"""Names of features in the Gateway API's `GatewayClass.status.supportedFeatures`."""

_HTTP: Final = "HTTPRoute"
_ALL: Final = 100


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the gateways of one GatewayClass do with an HTTPRoute."""

    controller: str
    """The class's `spec.controllerName`."""
    mirror: bool
    """A RequestMirror filter copies live requests to a second Service."""
    mirror_percent: bool
    """Its `percent` is honoured; without, every request is copied."""
    mirrors: bool
    """Several such filters in one rule are each honoured."""
    weights: bool
    """`backendRefs[].weight` splits live requests."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An implementation that is known by name, and what it does when its GatewayClass does not say."""

    name: str
    mirror: bool = False
    mirror_percent: bool = False
    mirrors: bool = False


# Weights are core, so each of these has them. The rest: *measured* with requests against the version named,
# else out of the conformance report (kubernetes-sigs/gateway-api, conformance/reports) of that version.
_KNOWN: Final = {
    # name, mirror, mirror_percent, mirrors
    # measured 1.9.1; where several mirrors ask for the same percentage, they get the same requests
    "gateway.envoyproxy.io/gatewayclass-controller": _Known("Envoy Gateway", True, True, True),
    # measured 1.33.8: `percent` is passed over and every request copied; so says the report of 1.33.0
    "projectcontour.io/gateway-controller": _Known("Contour", True, mirrors=True),
    # measured 3.7.5: answers every request of a route with a mirror by 500; so says the report of 3.6.0
    "traefik.io/gateway-controller": _Known("Traefik"),
    # 1.28.0; 1.24 had no percentage, but lists its features itself
    "istio.io/gateway-controller": _Known("Istio", True, True, True),
    "kgateway.dev/kgateway": _Known("kgateway", True),  # 2.1.0
    "agentgateway.dev/agentgateway": _Known("agentgateway", True, True, True),  # 1.1.0
    "io.cilium/gateway-controller": _Known("Cilium", True, True, True),  # 1.19.0-pre.2
    "gateway.nginx.org/nginx-gateway-controller": _Known("NGINX Gateway Fabric", True, True, True),  # 2.3.0
    "networking.gke.io/gateway": _Known("GKE Gateway", True, True),  # 1.34.4-gke.1047000, 1.30.3 for gxlb
    "konghq.com/kic-gateway-controller": _Known("Kong Ingress Controller"),  # 3.4.0
    # 2.0.6, which skips the test of weights as flaky; the documentation of its load balancing promises them
    "konghq.com/gateway-operator": _Known("Kong Operator"),
}


def capabilities(gateway_class: Manifest) -> Capabilities:
    """What a GatewayClass promises: by its own list of features, else by who its controller is.

    A controller that is not known and lists nothing is trusted with weights, which are core, and no mirror.
    """
    controller = text(mapping(gateway_class.get("spec")).get("controllerName"))
    if features := _features(gateway_class):
        percent = MIRROR_PERCENT in features
        return Capabilities(
            controller,
            mirror=percent or MIRROR in features,
            mirror_percent=percent,
            mirrors=MIRRORS in features,
            weights=any(feature.startswith(_HTTP) for feature in features),
        )
    known = _KNOWN.get(controller, _Known(controller))
    return Capabilities(controller, known.mirror, known.mirror_percent, known.mirrors, weights=True)


def _features(gateway_class: Manifest) -> frozenset[str]:
    """Names in `status.supportedFeatures`: strings before Gateway API 1.2, objects with a name since."""
    listed = mapping(gateway_class.get("status")).get("supportedFeatures")
    if not isinstance(listed, list):
        return frozenset()
    names = (entry.get("name") if isinstance(entry, dict) else entry for entry in listed)
    return frozenset(name for name in names if isinstance(name, str))


def refusal(steps: Sequence[Step], capabilities: Capabilities) -> str:
    """The first step that this gateway cannot honour, as a sentence; empty when it can honour all.

    The sentence names the step, the field and the remedy.
    """
    return next((said for step in steps if (said := _refused(step, capabilities))), "")


def _refused(step: Step, able: Capabilities) -> str:
    if step.shadow:
        return _mirror_refused(step, step.shadow, able)
    if able.weights:
        return ""
    if step.canary:
        asked = f"`canary.percent` {step.canary.percent}"
        return _sentence(step, asked, able, "does not split requests by weight", "leave the step out")
    if step.full and step.full.holdout_percent:
        asked = f"`full.holdoutPercent` {step.full.holdout_percent}"
        return _sentence(step, asked, able, "does not split requests by weight", "use 0")
    return ""


def _mirror_refused(step: Step, shadow: Shadow, able: Capabilities) -> str:
    if not able.mirror:
        return _sentence(step, "`shadow`", able, *_without_mirror(able, shadow.percent))
    if shadow.percent < _ALL and not able.mirror_percent:
        asked = f"`shadow.percent` {shadow.percent}"
        return _sentence(step, asked, able, "mirrors every request", "use 100 or leave the step out")
    if shadow.control and not able.mirrors:
        return _sentence(step, "`shadow.control`", able, *_without_a_second_mirror(able))
    return ""


def _without_mirror(able: Capabilities, percent: int) -> tuple[str, str]:
    if able.controller in _KNOWN:
        return "mirrors no requests", "leave the step out"
    feature = MIRROR if percent == _ALL else MIRROR_PERCENT
    remedy = f"leave the step out, or have its GatewayClass list {feature} in `status.supportedFeatures`"
    return "does not say that it mirrors requests", remedy


def _without_a_second_mirror(able: Capabilities) -> tuple[str, str]:
    if able.controller in _KNOWN:
        return "mirrors to one Service only", "leave `control` out"
    remedy = f"leave `control` out, or have its GatewayClass list {MIRRORS} in `status.supportedFeatures`"
    return "does not say that it mirrors to two Services", remedy


def _sentence(step: Step, asked: str, able: Capabilities, why: str, remedy: str) -> str:
    known = _KNOWN.get(able.controller)
    who = f"{known.name} ({able.controller})" if known else able.controller or "a gateway without controller"
    return f"step {step.name}: {asked} cannot be honoured by {who}, which {why}: {remedy}"

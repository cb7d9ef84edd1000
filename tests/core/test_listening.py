"""On which port pods are asked."""

from __future__ import annotations

from typing import Any

from interlock.core.listening import declared, port_of
from interlock.core.observation import Holds, Manifest, Template, WorkloadState
from interlock.core.obstacles import Surroundings, obstacles
from interlock.reasons import Reason
from tests.core import seen as given
from tests.core.test_obstacles import READY, rollout

ROLLOUT = rollout()
ASKED = ROLLOUT.spec.traffic.gateway_api.port


def pods(*ports: Any, **also: Any) -> Manifest:
    return {"spec": {"template": {"spec": {"containers": [{"name": "agent", "ports": list(ports)}], **also}}}}


def on(port: int) -> dict[str, int]:
    return {"containerPort": port}


def led_to(port: int) -> Manifest:
    return {"spec": {"ports": [{"port": port, "targetPort": port}]}}


def test_ports_are_said_by_containers_and_sidecars_and_for_tcp() -> None:
    sidecar = {"initContainers": [{"name": "proxy", "restartPolicy": "Always", "ports": [on(15001)]}]}
    said = pods(on(8080), {**on(53), "protocol": "UDP"}, {**on(9090), "protocol": "TCP"}, **sidecar)
    assert declared(said) == {8080, 9090, 15001}


def test_containers_that_declare_nothing_may_listen_anywhere() -> None:
    state = WorkloadState(pods(), led_to(1))
    assert port_of(ROLLOUT, state) == ASKED


def test_a_service_stays_where_the_pods_listen() -> None:
    assert port_of(ROLLOUT, WorkloadState(pods(on(1), on(2)), led_to(2))) == 2


def test_a_service_that_leads_nowhere_goes_where_the_spec_says() -> None:
    assert port_of(ROLLOUT, WorkloadState(pods(on(1)), led_to(2))) == ASKED
    assert port_of(ROLLOUT, WorkloadState(pods(on(1)))) == ASKED


def test_it_follows_the_spec_where_the_pods_listen_there_as_well() -> None:
    assert port_of(ROLLOUT, WorkloadState(pods(on(1), on(ASKED)), led_to(1))) == ASKED


def test_a_lost_deployment_moves_no_service() -> None:
    assert port_of(ROLLOUT, WorkloadState(service=led_to(1))) == 1


def test_a_template_without_the_port_is_in_the_way() -> None:
    template = Template("triage", pods(on(9), on(1))["spec"], "hash")
    (found,) = obstacles(ROLLOUT, [], [], Surroundings(**READY, template=template))
    assert (found.reason, found.holds) == (Reason.INVALID_SPEC, Holds.START)
    assert found.message == (
        f"spec.traffic.gatewayAPI.port {ASKED}: the containers of Deployment triage declare 1, 9: correct "
        "it, or declare it there as a containerPort"
    )
    for fits in (given.TEMPLATE, Template("triage", pods()["spec"], "hash")):
        assert obstacles(ROLLOUT, [], [], Surroundings(**READY, template=fits)) == ()

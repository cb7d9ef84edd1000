"""The demo's manifests are what the API accepts and what the agent can follow."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dev.demo import image
from dev.demo.agent.document import DocumentError, parse_document, parse_parameters
from dev.demo.agent.triage import TOOLS
from dev.demo.versions import MANIFESTS, VERSIONS, document, manifest
from interlock.model.agentversion import AgentVersionSpec
from interlock.model.rollout import RolloutSpec


def template() -> dict[str, Any]:
    loaded = yaml.safe_load((MANIFESTS / "template.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_fits_the_api(version: str) -> None:
    spec = AgentVersionSpec.model_validate(manifest(version)["spec"])

    assert (spec.agent, spec.version) == ("triage", version.removeprefix("triage-"))
    assert manifest(version)["metadata"] == {"name": version, "namespace": "demo"}


def test_the_rollout_fits_the_api() -> None:
    rollout = yaml.safe_load((MANIFESTS / "rollout.yaml").read_text())

    assert RolloutSpec.model_validate(rollout["spec"]).agent == "triage"


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_change_pulls_one_lever_only(version: str) -> None:
    first, changed = manifest("triage-v1")["spec"], manifest(version)["spec"]

    differing = {key for key in first | changed if first.get(key) != changed.get(key)}
    assert differing - {"version", "parentRef", "change", "risk"} == {"parameters"}
    assert changed["parentRef"] == {"name": "triage-v1"}
    assert changed["change"]["lever"] == "Parameters"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_version_of_the_demo_is_rigged(version: str) -> None:
    parameters = manifest(version)["spec"]["parameters"]

    assert not {"faults", "forbiddenTools"} & parameters.keys()
    assert document(version).shadow.keys() == set(TOOLS)


def test_the_template_never_runs_and_starts_what_the_image_holds() -> None:
    container = template()["spec"]["template"]["spec"]["containers"][0]

    assert template()["spec"]["replicas"] == 0
    assert template()["metadata"]["labels"] == {"interlock.dev/template": "true"}
    assert (container["image"], container["command"]) == (image.IMAGE, list(image.COMMAND))
    assert container["workingDir"] == image.FOLDER
    assert template()["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == image.USER
    assert [port["name"] for port in container["ports"]] == ["http", "metrics"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "`parameters.fields` must be some of"),
        ({"fields": {"names": 1}}, "`parameters.fields` must be some of"),
        ({"fields": {"name": "1"}}, "`parameters.fields.name` must be a number of at least 0; found '1'"),
        ({"fields": {"name": 1}, "minimum": 8}, "`parameters` must be made of .*; found \\['minimum'\\]"),
        ({"fields": {"name": 1}, "stem": "porter"}, "`parameters.stem` must be one of light, prefix5"),
        ({"fields": {"name": 1}, "faults": {"crash": True}}, "`parameters.faults` must be made of"),
        ({"fields": {"name": 1}, "faults": {"neverReady": 1}}, "must be true or false"),
    ],
)
def test_a_parameter_that_cannot_be_followed_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        parse_parameters(parameters)


def test_a_tool_must_say_a_known_shadow_mode() -> None:
    content = {"parameters": {"fields": {"name": 1}}, "tools": [{"name": "dispatch", "shadow": "Sometimes"}]}

    with pytest.raises(DocumentError, match="Allow, Stub, Record, Deny"):
        parse_document(content)

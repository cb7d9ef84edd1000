"""The samples work as they stand: the API server takes them, and the operator can follow them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.cluster import Cluster
from interlock.core import versions
from interlock.core.metrictemplates import definition_of
from interlock.core.plans import plan_problem
from interlock.model.agentversion import AgentVersion
from interlock.model.metrictemplate import MetricTemplate
from interlock.model.rollout import Rollout
from tests.delivery.api import CLUSTER_SCOPED, Api

PATHS = sorted((Path(__file__).parents[2] / "manifests" / "samples").glob("*.yaml"))
each_sample = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def parts(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The manifests of a sample by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for manifest in yaml.safe_load_all(path.read_text()):
        found.setdefault(manifest["kind"], []).append(manifest)
    return found


@each_sample
def test_the_api_server_takes_it(api: Api, path: Path) -> None:
    for manifests in parts(path).values():
        for manifest in manifests:
            # others may have applied what is in no namespace
            answer = api.create(manifest, dry_run=manifest["kind"] in CLUSTER_SCOPED)
            assert answer.ok or answer.body.get("reason") == "AlreadyExists", (
                f"{manifest['kind']}: {answer.message}"
            )


@each_sample
def test_once_synced_it_shows_no_difference(control_plane: Cluster, namespace: str, path: Path) -> None:
    control_plane.kubectl("apply", "-n", namespace, "-f", str(path))
    diff = control_plane.kubectl("diff", "-n", namespace, "-f", str(path), check=False)
    assert (diff.returncode, diff.stdout) == (0, "")


@each_sample
def test_the_operator_can_follow_it(api: Api, path: Path) -> None:
    """Every gate has a metric that its test fits; template and version are in the same file."""
    found = parts(path)
    templates = [MetricTemplate.read(manifest) for manifest in found.get("MetricTemplate", ())]
    known = {template.metadata.name: definition_of(template) for template in templates}
    for manifest in found.get("Rollout", ()):
        rollout = Rollout.read(api.create(manifest).body)
        assert plan_problem(rollout, known) == ""
        assert rollout.spec.version_ref.name in {v["metadata"]["name"] for v in found["AgentVersion"]}
        template = rollout.spec.workload.template_ref.name
        [deployment] = [d for d in found["Deployment"] if d["metadata"]["name"] == template]
        assert deployment["metadata"]["labels"]["interlock.dev/template"] == "true"
        assert deployment["spec"]["replicas"] == 0


@each_sample
def test_its_versions_can_be_served(api: Api, path: Path) -> None:
    """What they pin is what the ConfigMaps beside them hold."""
    found = parts(path)
    configmaps = {config["metadata"]["name"]: config for config in found.get("ConfigMap", ())}
    for manifest in found["AgentVersion"]:
        version = AgentVersion.read(api.create(manifest).body)
        assert versions.assess(version, configmaps).document["prompts"]


def test_all_of_them_fit_into_one_namespace() -> None:
    """Somebody applies the folder: no sample overwrites a part of another."""
    names = [
        (kind, manifest["metadata"]["name"])
        for path in PATHS
        for kind, manifests in parts(path).items()
        for manifest in manifests
    ]
    assert len(names) == len(set(names))
    agents = [m["spec"]["agent"] for path in PATHS for m in parts(path).get("Rollout", ())]
    assert len(agents) == len(set(agents))

"""Generated files are what their sources make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import manifests
from interlock.model import crd

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "crds"


@pytest.mark.parametrize("name", crd.files())
def test_a_crd_is_as_the_models_say(name: str) -> None:
    assert (CRDS / name).read_text() == crd.files()[name], "run `python -m interlock.model.crd --write`"


def test_no_crd_is_left_over() -> None:
    assert {path.name for path in CRDS.iterdir()} == set(crd.files())


def test_install_yaml_is_as_its_parts_say() -> None:
    written = (ROOT / "manifests" / "install.yaml").read_text()
    assert written == manifests.install(), "run `python -m dev.manifests --write`"


def test_install_yaml_has_what_each_part_refers_to_before_it() -> None:
    kinds = [manifest["kind"] for manifest in yaml.safe_load_all(manifests.install())]
    assert kinds[0] == "Namespace"
    assert kinds.index("ServiceAccount") < kinds.index("ClusterRoleBinding")
    assert kinds[-1] == "ValidatingAdmissionPolicyBinding"


def test_check_tells_a_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main(["--write", "--directory", str(tmp_path)]) == 0
    assert crd.main(["--check", "--directory", str(tmp_path)]) == 0
    stale = tmp_path / "interlock.dev_rollouts.yaml"
    stale.write_text(stale.read_text() + "# by hand\n")
    assert crd.main(["--check", "--directory", str(tmp_path)]) == 1
    assert stale.name in capsys.readouterr().out


def test_every_binding_has_its_policy_and_the_operator_among_the_writers() -> None:
    found: dict[str, list[dict[str, Any]]] = {}
    for manifest in yaml.safe_load_all((ROOT / "manifests" / "admission.yaml").read_text()):
        found.setdefault(manifest["kind"], []).append(manifest)
    policies = {policy["metadata"]["name"]: policy for policy in found["ValidatingAdmissionPolicy"]}
    bound = {binding["spec"]["policyName"] for binding in found["ValidatingAdmissionPolicyBinding"]}
    assert bound == set(policies)
    operator = "system:serviceaccount:interlock-system:interlock-operator"
    for policy in policies.values():
        for variable in policy["spec"].get("variables", ()):
            assert f"'{operator}'" in variable["expression"]

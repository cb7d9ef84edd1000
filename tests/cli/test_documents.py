"""Objects from files: found, located, judged; everything that is wrong is said at once."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from interlock.cli.documents import Document, read
from interlock.errors import SpecError

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
SAMPLE = SAMPLES / "shadow-canary-full.yaml"


def rollout() -> dict[str, object]:
    found = [d for d in yaml.safe_load_all(SAMPLE.read_text()) if d["kind"] == "Rollout"]
    return dict(found[0])


def refusal(path: Path, content: str) -> str:
    path.write_text(content)
    with pytest.raises(SpecError) as refused:
        read([str(path)])
    return str(refused.value)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sample_is_accepted(path: Path) -> None:
    assert read([str(path)])


def test_documents_are_found_in_order_with_the_place_they_stand_at() -> None:
    found = read([str(SAMPLE)], "agents")
    assert [document.kind for document in found] == ["Deployment", "AgentVersion", "Rollout"]
    assert found[2].where.endswith("shadow-canary-full.yaml, document 3")
    assert {document.manifest["metadata"]["namespace"] for document in found} == {"agents"}


def test_a_namespace_of_its_own_is_kept(tmp_path: Path) -> None:
    content = rollout()
    content["metadata"] = {"name": "support", "namespace": "there"}
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(content))
    assert read([str(path)], "here")[0].manifest["metadata"]["namespace"] == "there"


def test_stdin_and_json_and_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": [rollout()]})
    monkeypatch.setattr("sys.stdin", io.StringIO(items))
    (found,) = read(["-"])
    assert isinstance(found, Document)
    assert found.where == "stdin, item 1"


def test_every_bad_field_is_named_at_once(tmp_path: Path) -> None:
    content = rollout()
    spec = content["spec"]
    assert isinstance(spec, dict)
    spec["replica"] = 3
    spec["strategy"]["steps"][1]["canary"]["percent"] = 100
    spec["analysis"]["falseRevertPercent"] = 5
    said = refusal(tmp_path / "r.yaml", yaml.safe_dump(content)).splitlines()
    fields = (
        "`spec.replica`",
        "`spec.strategy.steps.1.canary.percent`",
        "`spec.analysis.falseRevertPercent`",
    )
    assert len(said) == len(fields)
    assert all(any(field in line for line in said) for field in fields), said
    assert all("r.yaml: Rollout support-triage: " in line for line in said)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [1\n", ", line 2: must be YAML or JSON"),
        ("kind: x\nmetadata:\n  name: a\n  name: b\n", ", line 4: must be YAML or JSON: `name` stands twice"),
        ("- 1", "must be an object"),
        ("metadata: {name: x}", "`kind` must be given"),
        ("kind: Rollout", "`metadata.name` must be given"),
        ("{kind: Rollout, apiVersion: interlock.dev/v1, metadata: {name: x}}", "`apiVersion` must be"),
        ("{kind: Rollout, apiVersion: interlock.dev/v1alpha1, metadata: {name: x}}", "`spec` must"),
        ("{kind: Rollout, apiVersion: interlock.dev/v1alpha1, metadata: {name: x}, spec: 7}", "`spec` must"),
        ("{kind: List, items: [7]}", "item 1: must be an object"),
    ],
)
def test_what_is_no_object_is_refused_with_its_place(tmp_path: Path, content: str, words: str) -> None:
    said = refusal(tmp_path / "bad.yaml", content)
    assert "bad.yaml" in said
    assert words in said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.yaml: cannot be read: No such file"):
        read([str(tmp_path / "nowhere.yaml")])


def test_what_a_merge_key_brings_may_be_said_again(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text(
        "base: &base {a: 1, b: {c: 2}}\nkind: ConfigMap\nmetadata: {name: x}\n"
        "one: {<<: *base, a: 3}\ntwo: {<<: *base, a: 4}\nthree: *base\n"
    )
    (found,) = read([str(path)])
    assert [found.manifest[key]["a"] for key in ("one", "two", "three")] == [3, 4, 1]


def test_an_alias_of_what_it_stands_in_ends(tmp_path: Path) -> None:
    path = tmp_path / "self.yaml"
    path.write_text("kind: ConfigMap\nmetadata: {name: x}\ndata: &d {again: *d}\n")
    assert read([str(path)])

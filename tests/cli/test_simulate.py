"""`kubectl interlock simulate`, as a process and by its parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from interlock.adapters.kubectl import Access
from interlock.cli import choosing, documents
from interlock.cli.simulate import Order, run, setup_of
from interlock.cli.stories import read_story
from interlock.errors import SpecError
from tests.cli.test_documents import rollout
from tests.cli.test_entry import run as plugin

MANIFESTS = Path(__file__).parents[2] / "manifests"
SAMPLE = str(MANIFESTS / "samples" / "shadow-canary-full.yaml")
STORIES = sorted((MANIFESTS / "stories").glob("*.yaml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_every_sample_story_ends_as_its_first_line_says(path: Path) -> None:
    """`# … → Promoted` or `# … → Reverted at canary-5`."""
    ending = path.read_text().splitlines()[0].rpartition("→ ")[2]
    done = plugin("simulate", "-f", SAMPLE, "--story", str(path), "-o", "json")
    assert done.stderr == ""
    (found,) = json.loads(done.stdout)["runs"]
    outcome, _, step = ending.partition(" at ")
    assert found["outcome"] == outcome
    assert found["step"] == (step or "full")


def test_a_table_and_a_drawing(tmp_path: Path) -> None:
    drawing = tmp_path / "a.svg"
    done = plugin("simulate", "-f", SAMPLE, "--story", str(STORIES[0]), "--plot", str(drawing))
    assert done.returncode == 0
    assert done.stdout.startswith("TIME")
    assert drawing.read_text().startswith("<svg")


def test_several_seeds_are_summed_up() -> None:
    done = plugin("simulate", "-f", SAMPLE, "--story", str(STORIES[0]), "--seeds", "3")
    assert done.stdout.splitlines()[0].split() == [
        "OUTCOME", "STEP", "REASON", "COUNT", "SHARE", "95%", "MEDIAN", "P95",
    ]  # fmt: skip


def test_the_parent_is_stable_and_what_is_not_given_stands_for_itself() -> None:
    found = setup_of(choosing.chosen(None, [SAMPLE], Access())[0])
    assert (found.stable.version, found.candidate.version) == ("support-triage-v13", "support-triage-v14")
    assert len(found.candidate.digest) == 64


def serving(stable: str, tmp_path: Path) -> choosing.Subject:
    content = rollout()
    identity = {"version": stable, "uid": "u", "digest": "0" * 64, "workload": "w"}
    content["status"] = {"stable": {**identity, "since": "2026-01-01T00:00:00Z"}}
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(content))
    return choosing.chosen(None, [str(path)], Access())[0]


@pytest.mark.parametrize(
    ("stable", "expected"),
    [("v7", ("v7", "support-triage-v14")), ("support-triage-v14", ("support-triage-v14", "next"))],
)
def test_of_a_rollout_that_serves_its_stable_version_is_the_stable_one(
    stable: str, expected: tuple[str, str], tmp_path: Path
) -> None:
    found = setup_of(serving(stable, tmp_path))
    assert (found.stable.version, found.candidate.version) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("text.replace('rate: 4', 'rate: -4')", "line 3: `rate.0.perSecond` must"),
        ("text.replace('success: .92', 'succes: .92')", "line 5: `agents.stable.0.succes` must not be given"),
        ("text.replace('- {success', '- {sucess')", "line 7: `agents.candidate.0.sucess` must not be given"),
        ("text.replace('rate: 4\\n', '')", "line 2: `rate` must be given"),
        ("text + '  - ['", "must be YAML"),
        ("'- 1'", "must be a story"),
        ("text + '---\\n' + text", "must be a story: one object"),
        ("text + 'rate: 5\\n'", "line 8: must be YAML: `rate` stands twice in one object: leave one out"),
    ],
)
def test_a_bad_story_is_told_with_line_and_field(change: str, words: str, tmp_path: Path) -> None:
    text = """# a story
title: Worse
rate: 4
agents:
  stable: {success: .92}
  candidate:
    - {success: .9}
"""
    path = tmp_path / "story.yaml"
    path.write_text(eval(change, {"text": text}))  # noqa: S307 - written above
    with pytest.raises(SpecError) as refused:
        read_story(str(path))
    assert str(path) in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (Order(None, (SAMPLE,), None, 1, 1, None, None), "--story must name a file"),
        (Order(None, (), str(STORIES[0]), 1, 1, None, None), "name a Rollout"),
        (Order("other", (SAMPLE,), str(STORIES[0]), 1, 1, None, None), "no Rollout named other"),
        (Order(None, ("-",), "-", 1, 1, None, None), "only one"),
        (Order(None, (SAMPLE,), str(STORIES[0]), 1, 1, Path("/nowhere/a.svg"), None), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(order: Order, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        run(order, Access())


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"name": "a", "full": {}}, {"name": "b", "canary": {"percent": 5}}], "exactly one `full` step"),
        ([{"name": "a"}, {"name": "b", "full": {}}], "steps.0` must have exactly one of"),
        (
            [{"name": "a", "canary": {"percent": 9}}, {"name": "b", "canary": {"percent": 5}},
             {"name": "c", "full": {}}],
            "must raise `canary.percent`",
        ),
        (
            [{"name": "a", "canary": {"percent": 9}}, {"name": "b", "shadow": {"percent": 5}},
             {"name": "c", "full": {}}],
            "every `shadow` step before",
        ),
        ([{"name": "a", "canary": {"percent": 5}}, {"name": "a", "full": {}}], "a `name` of its own"),
    ],
)  # fmt: skip
def test_steps_that_the_api_server_would_refuse_are_refused(
    steps: list[object], words: str, tmp_path: Path
) -> None:
    content = rollout()
    spec = content["spec"]
    assert isinstance(spec, dict)
    spec["strategy"]["steps"] = steps
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SpecError, match=words):
        documents.read([str(path)])


def test_a_metric_of_ones_own_is_played_as_its_template_says(tmp_path: Path) -> None:
    story = tmp_path / "story.yaml"
    story.write_text(
        "rate: 4\nagents:\n  stable: {rates: {booking-failure-rate: .05}}\n"
        "  candidate: {rates: {booking-failure-rate: .3}}\n"
    )
    own = str(MANIFESTS / "samples" / "metric-of-your-own.yaml")
    done = plugin("simulate", "-f", own, "--story", str(story), "-o", "json")
    assert done.stderr == ""
    (found,) = json.loads(done.stdout)["runs"]
    assert found["outcome"] == "Reverted"
    assert found["timeline"][-2]["message"].startswith("bookings: ")


def test_a_metric_that_there_is_not_is_named(tmp_path: Path) -> None:
    story = tmp_path / "story.yaml"
    story.write_text("rate: 4\nagents:\n  stable: {rates: {nonsense: .05}}\n")
    with pytest.raises(SpecError, match=r"`agents\.stable` must name .* in `rates`, not nonsense"):
        run(Order(None, (SAMPLE,), str(story), 1, 1, None, None), Access())

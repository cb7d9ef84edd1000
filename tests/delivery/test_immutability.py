"""What must not change does not, by whatever route; and what may only grow only grows.

The first two tests close the holes that a plain `self == oldSelf` has on a real API server.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.delivery.api import Api
from tests.delivery.objects import agent_version, at, entry, release, rollout

FREE_JSON = [
    "spec.parameters",
    "spec.memory",
    "spec.routing.rules.0",
    "spec.retrieval.0",
    "spec.tools.0.inputSchema",
]
ORDERED = [
    "spec.prompts",
    "spec.tools",
    "spec.model.fallback",
    "spec.routing.rules",
    "spec.retrieval",
    "spec.guardrails",
    "spec.tools.1.stub",
]


def _value(manifest: dict[str, Any], path: str) -> Any:
    for part in path.split("."):
        manifest = manifest[int(part) if isinstance(manifest, list) else part]
    return manifest


@pytest.mark.parametrize("path", FREE_JSON)
def test_a_key_of_free_json_cannot_be_swapped(api: Api, path: str) -> None:
    stored = api.create(agent_version()).body
    (key, value), *rest = _value(stored, path).items()
    swapped = at(stored, path, {f"{key}x": value, **dict(rest)})
    _refused(api, swapped)


@pytest.mark.parametrize("path", ORDERED)
def test_an_ordered_list_cannot_be_reordered(api: Api, path: str) -> None:
    stored = api.create(agent_version()).body
    _refused(api, at(stored, path, list(reversed(_value(stored, path)))))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.agent", "other"),
        ("spec.version", "2"),
        ("spec.prompts.0.template", "Be cruel."),
        ("spec.prompts.0.role", "User"),
        ("spec.parameters", ...),
        ("spec.parameters.temperature", 0.3),
        ("spec.parameters.seed", ...),
        ("spec.parameters", {"temperature": 0.2, "seed": "7"}),
        ("spec.tools.1.stub", None),
        ("spec.tools.1.stub", {"one": 1}),
        ("spec.tools.0.inputSchema.type", "array"),
        ("spec.tools.0.inputSchema", {"type": "object", "required": []}),
        ("spec.routing.default", "y"),
        ("spec.memory.turns", 6),
        ("spec.budgets", {"tokens": 1}),
        ("spec.risk", {"level": "Low"}),
        ("spec.tools", []),
        ("spec.prompts", ...),
    ],
)
def test_nothing_in_an_agent_version_changes(api: Api, path: str, value: Any) -> None:
    _refused(api, at(api.create(agent_version()).body, path, value))


def _refused(api: Api, changed: dict[str, Any]) -> None:
    answer = api.replace(changed)
    assert not answer.ok
    assert "spec: Invalid value: must not be changed: create a new object instead" in answer.message


def test_an_agent_version_keeps_its_labels_changeable(api: Api) -> None:
    stored = api.create(agent_version()).body
    assert api.replace(at(stored, "metadata.labels", {"team": "support"})).ok


def test_a_rollout_keeps_its_agent(api: Api) -> None:
    answer = api.replace(at(api.create(rollout()).body, "spec.agent", "other"))
    assert 'spec.agent: Invalid value: "other": must not be changed' in answer.message


def test_the_rest_of_a_rollout_may_change(api: Api) -> None:
    changed = at(api.create(rollout()).body, "spec.versionRef.name", "triage-v2")
    assert api.replace(at(changed, "spec.strategy.steps.0.shadow.percent", 10)).ok


class TestRelease:
    """A record: a header, and entries that are only appended."""

    def test_entries_are_appended(self, api: Api) -> None:
        operator = api.as_operator()
        stored = operator.create(release()).body
        for seq in (2, 3):
            answer = operator.replace({**stored, "entries": [*stored["entries"], entry(seq)]})
            assert answer.ok, answer.message
            stored = answer.body

    @pytest.mark.parametrize(
        ("path", "value", "words"),
        [
            (
                "entries.0.reason",
                "Other",
                "entries[0]: Invalid value: must not be changed: a Release is a record",
            ),
            ("entries.0.candidatePercent", 5, "entries[0]: Invalid value: must not be changed"),
            ("entries.1", ..., "must only be appended to"),
            ("entries.0", ..., "must only be appended to"),
            ("entries.1.seq", 3, "must be numbered by `seq` from the first on without gaps"),
            ("header.attempt", 2, "header: Invalid value: must not be changed: a Release is a record"),
            ("header.candidate.digest", "f" * 64, "header: Invalid value: must not be changed"),
        ],
    )
    def test_the_past_stays(self, api: Api, path: str, value: Any, words: str) -> None:
        operator = api.as_operator()
        stored = operator.create(release(entries=2)).body
        answer = operator.replace(at(stored, path, value))
        assert not answer.ok
        assert words in answer.message

    def test_an_entry_cannot_be_replaced_by_a_new_one(self, api: Api) -> None:
        operator = api.as_operator()
        stored = operator.create(release(entries=2)).body
        answer = operator.replace({**stored, "entries": [stored["entries"][0], entry(3)]})
        assert "must be numbered by `seq` from the first on without gaps" in answer.message

    def test_the_first_entry_cannot_make_way_for_a_new_one(self, api: Api) -> None:
        operator = api.as_operator()
        stored = operator.create(release(entries=2)).body
        answer = operator.replace({**stored, "entries": [stored["entries"][1], entry(3)]})
        assert "must only be appended to" in answer.message

    def test_entries_have_no_gaps(self, api: Api) -> None:
        answer = api.as_operator().create(at(release(entries=2), "entries.1.seq", 3))
        assert "entries: Invalid value: must be numbered by `seq` from the first on" in answer.message

    def test_a_record_that_is_made_anew_begins_with_what_is_known(self, api: Api) -> None:
        operator = api.as_operator()
        stored = operator.create({**release(), "entries": [entry(4)]}).body
        refused = operator.replace({**stored, "entries": [entry(3), *stored["entries"]]})
        assert "must only be appended to" in refused.message
        assert operator.replace({**stored, "entries": [*stored["entries"], entry(5)]}).ok

    def test_256_entries_fit(self, api: Api) -> None:
        operator = api.as_operator()
        stored = operator.create(release(entries=255)).body
        assert operator.replace({**stored, "entries": [*stored["entries"], entry(256)]}).ok

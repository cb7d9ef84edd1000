"""What users see of the kinds: defaults, columns, explain, scale."""

from __future__ import annotations

import pytest

from dev.cluster import Cluster
from tests.delivery.api import Api
from tests.delivery.objects import agent_version, at, attempt, release, rollout


@pytest.mark.parametrize("manifest", [rollout(), agent_version()], ids=["Rollout", "AgentVersion"])
def test_nobody_has_looked_at_a_new_object(api: Api, manifest: dict[str, object]) -> None:
    created = api.create(manifest).body
    assert created["status"] == {"observedGeneration": -1}


def test_a_rollout_has_the_documented_defaults(api: Api) -> None:
    spec = api.create(rollout()).body["spec"]
    assert spec["replicas"] == 1
    assert spec["analysis"]["falseRevertPercent"] == "5"
    assert spec["analysis"]["noData"] == {"holdAfterSeconds": 120, "revertAfterSeconds": 1800}
    assert spec["strategy"]["onDeadline"] == "Hold"
    assert "stepDeadlineSeconds" not in spec["strategy"]
    assert spec["onRevert"] == {"inFlight": "Drain", "drainDeadlineSeconds": 1800}
    assert (spec["onFirstVersionFailure"], spec["historyLimit"], spec["paused"]) == ("KeepServing", 5, False)


def test_list_items_are_stored_as_written(api: Api) -> None:
    """A GitOps tool compares list items as a whole: a default in one would be a difference for ever."""
    written = rollout()
    stored = api.create(written).body
    assert stored["spec"]["strategy"]["steps"] == written["spec"]["strategy"]["steps"]
    assert stored["spec"]["traffic"] == written["spec"]["traffic"]
    assert stored["spec"]["analysis"]["gates"] == written["spec"]["analysis"]["gates"]


def test_an_agent_version_is_stored_as_written(api: Api) -> None:
    written = agent_version()
    assert api.create(written).body["spec"] == written["spec"]


def test_columns(anywhere: Api) -> None:
    assert anywhere.table("Rollout") == [
        *("NAME", "STEP", "WEIGHT", "VERSION", "READY", "STATUS", "AGE", "+STABLE", "+MESSAGE")
    ]
    assert anywhere.table("AgentVersion") == [
        *("NAME", "AGENT", "VERSION", "READY", "AGE", "+DIGEST", "+TOKENS", "+MESSAGE")
    ]
    assert anywhere.table("Release") == [
        "NAME",
        "ROLLOUT",
        "ATTEMPT",
        "CANDIDATE",
        "OUTCOME",
        "REASON",
        "AGE",
    ]


def test_columns_show_the_status(api: Api, control_plane: Cluster) -> None:
    api.create(rollout())
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "Progressing",
        "message": "waits for 40 more tasks",
        "lastTransitionTime": "2025-01-01T00:00:00Z",
    }
    told = {"observedGeneration": 1, "step": "2/4", "weight": "5", "phase": "Canary", "conditions": [ready]}
    assert api.as_operator().merge("Rollout", "triage", {"status": told}, sub="status").ok
    shown = control_plane.kubectl("get", "rollout", "-n", api.namespace, "-o", "wide").stdout
    assert shown.splitlines()[1].split()[:6] == ["triage", "2/4", "5", "triage-v1", "False", "Canary"]
    assert "waits for 40 more tasks" in shown


def test_the_last_entry_of_a_release_is_shown(api: Api, control_plane: Cluster) -> None:
    finished = at(at(release(entries=3), "entries.2.outcome", "Promoted"), "entries.2.reason", "SoakPassed")
    assert api.as_operator().create(finished).ok
    shown = control_plane.kubectl("get", "release", "-n", api.namespace).stdout.splitlines()[1].split()
    assert shown[1:6] == ["triage", "1", "triage-v1", "Promoted", "SoakPassed"]


def test_the_category_finds_every_kind(api: Api, control_plane: Cluster) -> None:
    api.create(rollout())
    api.create(agent_version())
    api.as_operator().create(release())
    found = control_plane.kubectl("get", "interlock", "-n", api.namespace, "-o", "name").stdout.split()
    assert found == [
        "agentversion.interlock.dev/triage-v1",
        "release.interlock.dev/triage-0a1b2c-1",
        "rollout.interlock.dev/triage",
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("rollout.spec.strategy.steps", "Exactly one of `shadow`, `canary`, `full`."),
        ("rollout.spec.analysis.gates.limit", "above `maxPercent`"),
        ("rollout.spec.strategy.steps.minTasks", "Defaults to 1."),
        ("rollout.spec.analysis.gates.weight", "Defaults to 1."),
        ("agentversion.spec.toolSets", "appended to `tools`"),
        ("agentversion.spec.parameters", "a free JSON object"),
        ("release.entries", "One transition"),
    ],
)
def test_explain(control_plane: Cluster, path: str, words: str) -> None:
    explained = control_plane.kubectl("explain", path).stdout
    assert words in " ".join(explained.split())


class TestScale:
    """`kubectl scale` and autoscalers."""

    def test_reads_the_schema_default(self, api: Api) -> None:
        api.create(rollout())
        scale = api.get("Rollout", "triage", "scale").body
        assert scale["spec"]["replicas"] == 1

    def test_writes_the_spec(self, api: Api, control_plane: Cluster) -> None:
        api.create(rollout())
        control_plane.kubectl("scale", "-n", api.namespace, "rollout.interlock.dev/triage", "--replicas=5")
        assert api.get("Rollout", "triage").body["spec"]["replicas"] == 5

    def test_shows_what_runs_and_how_to_find_it(self, api: Api) -> None:
        api.create(rollout())
        told = {"replicas": 3, "selector": "interlock.dev/workload=triage-0123456789", "attempt": attempt()}
        assert api.as_operator().merge("Rollout", "triage", {"status": told}, sub="status").ok
        scale = api.get("Rollout", "triage", "scale").body
        assert scale["status"] == {"replicas": 3, "selector": "interlock.dev/workload=triage-0123456789"}

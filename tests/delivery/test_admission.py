"""Who may do what: the admission policies and the roles of manifests/."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.delivery.api import Api
from tests.delivery.objects import agent_version, at, attempt, entry, release, rollout

STATUS = {"status": {"observedGeneration": 1}}
OWNER = {
    "apiVersion": "interlock.dev/v1alpha1",
    "kind": "Rollout",
    "name": "triage",
    "uid": "0a1b2c",
    "controller": True,
    "blockOwnerDeletion": True,
}


def rendered(name: str = "triage-0123456789", **metadata: Any) -> dict[str, Any]:
    """A ConfigMap as the operator makes one for a version that gets traffic."""
    labels = {"interlock.dev/rollout": "triage", "interlock.dev/rendered": "true"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels, **metadata},
        "immutable": True,
        "data": {"agent.json": "{}"},
    }


@pytest.fixture
def operator(api: Api) -> Api:
    """The API server as Interlock's operator sees it."""
    return api.as_operator()


def with_role(api: Api, user: str, role: str) -> Api:
    """The API server as somebody sees it who has that ClusterRole in the namespace."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{user}-{role}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    assert api.create(binding).ok
    return api.as_user(user)


def eventually(holds: Callable[[], bool], timeout: float = 30) -> bool:
    """RBAC and controllers take a moment."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


class TestStatus:
    """Only the operator writes it."""

    @pytest.mark.parametrize("manifest", [rollout(), agent_version()], ids=["Rollout", "AgentVersion"])
    def test_the_operator_writes_it(self, operator: Api, api: Api, manifest: dict[str, Any]) -> None:
        api.create(manifest)
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        assert operator.merge(kind, name, STATUS, sub="status").ok

    @pytest.mark.parametrize("manifest", [rollout(), agent_version()], ids=["Rollout", "AgentVersion"])
    def test_an_administrator_does_not(self, api: Api, manifest: dict[str, Any]) -> None:
        api.create(manifest)
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        answer = api.merge(kind, name, STATUS, sub="status")
        assert (answer.code, answer.ok) == (403, False)
        assert f"`{kind.lower()}s/status` must be written by Interlock's operator only" in answer.message

    def test_a_status_in_a_manifest_is_ignored(self, api: Api) -> None:
        created = api.create(rollout() | {"status": {"attempt": attempt()}}).body
        assert created["status"] == {"observedGeneration": -1}

    def test_the_operator_writes_no_spec(self, operator: Api, api: Api) -> None:
        api.create(rollout())
        answer = operator.merge("Rollout", "triage", {"spec": {"replicas": 5}})
        assert answer.code == 403


class TestTemplateRef:
    """Whoever names a template starts pods from it."""

    @pytest.fixture
    def author(self, api: Api) -> Api:
        """May write Rollouts, may not create Deployments."""
        author = with_role(api, "ann", "interlock-edit")
        assert eventually(lambda: author.may("create", "interlock.dev", "rollouts"))
        return author

    def test_must_be_able_to_create_deployments(self, author: Api, api: Api) -> None:
        answer = author.create(rollout())
        assert answer.code == 403
        assert (
            "`spec.workload.templateRef` must be set by a user who may create deployments.apps"
            in answer.message
        )
        assert f"namespace `{api.namespace}`; `ann` may not" in answer.message

    def test_is_refused_on_change(self, author: Api, api: Api) -> None:
        stored = api.create(rollout()).body
        answer = author.replace(at(stored, "spec.workload.templateRef.name", "privileged"))
        assert (answer.code, "templateRef" in answer.message) == (403, True)

    def test_everything_else_may_be_changed(self, author: Api, api: Api) -> None:
        stored = api.create(rollout()).body
        assert author.replace(at(stored, "spec.versionRef.name", "triage-v2")).ok

    def test_editors_may_create_deployments(self, api: Api) -> None:
        editor = with_role(api, "eve", "edit")
        assert eventually(lambda: editor.may("create", "interlock.dev", "rollouts"))
        assert editor.create(rollout()).ok


class TestReleases:
    """The ledger."""

    def test_an_administrator_does_not_write_it(self, api: Api, operator: Api) -> None:
        refusal = "`releases` must be written by Interlock's operator only"
        assert refusal in api.create(release()).message
        stored = operator.create(release()).body
        assert refusal in api.replace(at(stored, "metadata.labels", {"hidden": "true"})).message
        assert refusal in api.delete("Release", "triage-0a1b2c-1").message
        assert refusal in api.delete_all("Release").message
        assert api.get("Release", "triage-0a1b2c-1").ok

    def test_the_operator_deletes_what_is_finished(self, api: Api, operator: Api) -> None:
        """A long ledger is pruned; what the operator still writes it needs."""
        running = operator.create(release()).body
        refused = operator.delete("Release", "triage-0a1b2c-1")
        assert refused.code == 403
        assert "must not be deleted by Interlock's operator before its last entry has the `stage` Done" in (
            refused.message
        )
        done = entry(2, stage="Done", outcome="Promoted", reason="FirstVersionServing")
        assert operator.replace({**running, "entries": [*running["entries"], done]}).ok
        assert not api.delete("Release", "triage-0a1b2c-1").ok
        assert operator.delete("Release", "triage-0a1b2c-1").ok

    def test_a_write_that_changes_nothing_passes(self, api: Api, operator: Api) -> None:
        """Storage versions are migrated that way."""
        assert api.replace(operator.create(release()).body).ok


def evidence(**metadata: Any) -> dict[str, Any]:
    """The checkpoint of an attempt's evidence as the operator writes it."""
    labels = {"interlock.dev/rollout": "triage", "interlock.dev/evidence": "true"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "triage-evidence", "labels": labels, **metadata},
        "data": {"evidence.json": "{}"},
    }


@pytest.mark.parametrize("made", [rendered(), evidence()], ids=["rendered", "evidence"])
class TestConfigMaps:
    """What a running version lives on, and what is known of a candidate."""

    def test_only_the_operator_makes_one(self, api: Api, operator: Api, made: dict[str, Any]) -> None:
        labels = made["metadata"]["labels"]
        for some in (labels, dict.fromkeys(labels, "false"), dict.fromkeys(labels, "")):
            refused = api.create(at(made, "metadata.labels", some))
            assert refused.code == 403
            assert "must be written by Interlock's operator only" in refused.message
        assert operator.create(made).ok

    def test_nobody_else_deletes_or_disguises_one(
        self, api: Api, operator: Api, made: dict[str, Any]
    ) -> None:
        stored = operator.create(made).body
        name = stored["metadata"]["name"]
        labels = stored["metadata"]["labels"]
        for answer in (
            api.delete("ConfigMap", name),
            api.delete_all("ConfigMap"),
            api.replace(at(stored, "metadata.labels", {})),
            api.replace(at(stored, "metadata.labels", dict.fromkeys(labels, "false"))),
            api.replace(at(stored, "metadata.labels.team", "x")),
            api.replace(at(stored, "metadata.ownerReferences", [OWNER])),
            api.merge("ConfigMap", name, {"metadata": {"labels": None}}),
        ):
            assert (answer.code, "operator only" in answer.message) == (403, True)
        assert operator.delete("ConfigMap", name).ok

    def test_no_other_becomes_one(self, api: Api, made: dict[str, Any]) -> None:
        plain = at(made | {"immutable": False}, "metadata.labels", {"a": "b"})
        stored = api.create(plain).body
        answer = api.replace(at(stored, "metadata.labels", made["metadata"]["labels"]))
        assert (answer.code, "operator only" in answer.message) == (403, True)

    def test_a_write_that_changes_nothing_passes(self, api: Api, operator: Api, made: dict[str, Any]) -> None:
        """Keys of encryption at rest are rotated that way."""
        assert api.replace(operator.create(made).body).ok

    def test_others_are_nobodys_business(self, api: Api, made: dict[str, Any]) -> None:
        """Even under the same name: without its label the operator takes nothing from one."""
        assert api.create(at(made, "metadata.labels", {})).ok
        assert api.delete("ConfigMap", made["metadata"]["name"]).ok


class TestEvidence:
    """Whoever could write it could promote a candidate, or turn it back."""

    def test_only_the_operator_changes_it(self, api: Api, operator: Api) -> None:
        stored = operator.create(evidence()).body
        forged = {"data": {"evidence.json": '{"wealth": 1000000}'}}
        assert "operator only" in api.merge("ConfigMap", "triage-evidence", forged).message
        assert "operator only" in api.replace(stored | {"binaryData": {"more": "AA=="}}).message
        assert "operator only" in api.merge("ConfigMap", "triage-evidence", {"immutable": True}).message
        assert operator.merge("ConfigMap", "triage-evidence", forged).ok


class TestGoingAway:
    """The policies must not keep anything from being cleaned up."""

    OWNED = ("triage-0123456789", "triage-evidence")

    def owned(self, api: Api, operator: Api) -> None:
        rollout_uid = api.create(rollout()).body["metadata"]["uid"]
        owner = OWNER | {"uid": rollout_uid}
        assert operator.create(rendered(ownerReferences=[owner])).ok
        assert operator.create(evidence(ownerReferences=[owner])).ok

    def test_owned_objects_go_with_their_rollout(self, api: Api, operator: Api) -> None:
        self.owned(api, operator)
        api.delete("Rollout", "triage")
        assert eventually(lambda: not any(api.get("ConfigMap", name).ok for name in self.OWNED))

    def test_orphans_stay(self, api: Api, operator: Api) -> None:
        self.owned(api, operator)
        api.delete("Rollout", "triage", propagationPolicy="Orphan")
        assert eventually(lambda: not api.get("Rollout", "triage").ok)
        for name in self.OWNED:
            left = api.get("ConfigMap", name)
            assert left.ok
            assert "ownerReferences" not in left.body["metadata"]

    def test_a_namespace_goes_away(self, api: Api, operator: Api) -> None:
        for made in (release(), rendered(), evidence()):
            assert operator.create(made).ok
        api.client.delete(f"/api/v1/namespaces/{api.namespace}")
        assert eventually(lambda: api.client.get(f"/api/v1/namespaces/{api.namespace}").status_code == 404)


OPERATOR_MAY = [
    *((verb, "interlock.dev", "rollouts") for verb in ("get", "list", "watch")),
    *((verb, "interlock.dev", "rollouts/status") for verb in ("get", "patch", "update")),
    *((verb, "interlock.dev", "releases") for verb in ("get", "create", "patch", "update", "delete")),
    *((verb, "apps", "deployments") for verb in ("get", "list", "watch", "create", "patch", "delete")),
    *((verb, "", "services") for verb in ("get", "list", "watch", "create", "patch", "delete")),
    *((verb, "", "configmaps") for verb in ("get", "list", "watch", "create", "patch", "delete")),
    *((verb, "discovery.k8s.io", "endpointslices") for verb in ("get", "list", "watch")),
    *((verb, "gateway.networking.k8s.io", "httproutes") for verb in ("get", "create", "update", "delete")),
    *((verb, "gateway.networking.k8s.io", "gateways") for verb in ("get", "list", "watch")),
    *((verb, "events.k8s.io", "events") for verb in ("create", "patch")),
    ("update", "interlock.dev", "rollouts/finalizers"),
]
OPERATOR_MAY_NOT = [
    *((verb, "interlock.dev", "rollouts") for verb in ("create", "update", "patch", "delete")),
    *((verb, "interlock.dev", "agentversions") for verb in ("create", "update", "patch", "delete")),
    *((verb, "", "secrets") for verb in ("get", "list", "watch")),
    *((verb, "", "pods") for verb in ("create", "delete")),
    ("create", "", "pods/exec"),
    ("deletecollection", "interlock.dev", "releases"),
    ("update", "apps", "deployments/scale"),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
    ("impersonate", "", "users"),
    ("create", "admissionregistration.k8s.io", "validatingadmissionpolicies"),
]


class TestRoles:
    """Least privilege, and the built-in roles of Kubernetes."""

    @pytest.mark.parametrize(("verb", "group", "resource"), OPERATOR_MAY)
    def test_the_operator_may(self, anywhere: Api, verb: str, group: str, resource: str) -> None:
        assert anywhere.as_operator().may(verb, group, resource)

    @pytest.mark.parametrize(("verb", "group", "resource"), OPERATOR_MAY_NOT)
    def test_the_operator_may_not(self, anywhere: Api, verb: str, group: str, resource: str) -> None:
        assert not anywhere.as_operator().may(verb, group, resource)

    @pytest.mark.parametrize(
        ("role", "may", "may_not"),
        [
            ("view", ["get rollouts", "watch releases"], ["create agentversions", "patch rollouts"]),
            (
                "edit",
                ["create rollouts", "delete agentversions", "patch rollouts/scale"],
                ["create releases"],
            ),
            ("admin", ["create rollouts", "get releases"], ["delete releases", "update rollouts/status"]),
            (
                "interlock-version-author",
                ["create agentversions", "get rollouts"],
                ["patch rollouts", "delete agentversions"],
            ),
        ],
    )
    def test_people(self, api: Api, role: str, may: list[str], may_not: list[str]) -> None:
        person = with_role(api, "pat", role)

        def allowed(deed: str) -> bool:
            verb, resource = deed.split()
            return person.may(verb, "interlock.dev", resource)

        assert eventually(lambda: all(map(allowed, may)))
        assert not any(map(allowed, may_not))

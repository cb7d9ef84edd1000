"""The API server as one user sees it: requests without kubectl, and without raising when refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

Manifest = dict[str, Any]
OPERATOR = "system:serviceaccount:interlock-system:interlock-operator"
ROOTS = {
    "ConfigMap": "/api/v1",
    "Service": "/api/v1",
    "Secret": "/api/v1",
    "Deployment": "/apis/apps/v1",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1",
    "SelfSubjectAccessReview": "/apis/authorization.k8s.io/v1",
    "AgentVersion": "/apis/interlock.dev/v1alpha1",
    "MetricTemplate": "/apis/interlock.dev/v1alpha1",
    "Release": "/apis/interlock.dev/v1alpha1",
    "Rollout": "/apis/interlock.dev/v1alpha1",
}
CLUSTER_SCOPED = frozenset({"MetricTemplate"})
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    code: int
    body: Manifest

    @property
    def ok(self) -> bool:
        """The request was followed."""
        return self.code < 300

    @property
    def message(self) -> str:
        """Why the request was refused."""
        return str(self.body.get("message", ""))


@dataclass(frozen=True)
class Api:
    """Requests as one user; `as_user` gives the same as another one (by impersonation)."""

    client: httpx.Client
    namespace: str
    headers: tuple[tuple[str, str], ...] = ()

    def as_user(self, name: str, *groups: str) -> Api:
        """The same API server as it treats that user."""
        everyone = (*groups, "system:authenticated")
        return replace(
            self,
            headers=(("Impersonate-User", name), *(("Impersonate-Group", group) for group in everyone)),
        )

    def as_operator(self) -> Api:
        """As Interlock's operator."""
        return self.as_user(OPERATOR, "system:serviceaccounts", "system:serviceaccounts:interlock-system")

    def path(self, kind: str, name: str = "", sub: str = "") -> str:
        """Of an object or a list in the namespace, if the kind is in any."""
        place = () if kind in CLUSTER_SCOPED else ("namespaces", self.namespace)
        parts = [ROOTS[kind], *place, kind.lower() + "s", name, sub]
        return "/".join(part for part in parts if part)

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Answer:
        """POST, with unknown fields refused as kubectl has them refused; a dry run stores nothing."""
        query = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        return self._send("POST", self.path(manifest["kind"]) + query, manifest)

    def get(self, kind: str, name: str, sub: str = "") -> Answer:
        """GET one object."""
        return self._send("GET", self.path(kind, name, sub))

    def replace(self, manifest: Manifest, sub: str = "") -> Answer:
        """PUT, on a subresource where one is named."""
        return self._send("PUT", self.path(manifest["kind"], manifest["metadata"]["name"], sub), manifest)

    def merge(self, kind: str, name: str, patch: Manifest, sub: str = "") -> Answer:
        """A JSON merge patch."""
        return self._send("PATCH", self.path(kind, name, sub), patch, "application/merge-patch+json")

    def patch(self, kind: str, name: str, operations: Sequence[Manifest], sub: str = "") -> Answer:
        """A JSON patch: it can do to lists what a merge patch cannot."""
        return self._send("PATCH", self.path(kind, name, sub), operations, "application/json-patch+json")

    def delete(self, kind: str, name: str, **options: Any) -> Answer:
        """DELETE one object."""
        return self._send("DELETE", self.path(kind, name), options or None)

    def delete_all(self, kind: str) -> Answer:
        """DELETE every object of a kind in the namespace."""
        return self._send("DELETE", self.path(kind))

    def table(self, kind: str) -> list[str]:
        """Column titles that kubectl shows without `-o wide`, and `+TITLE` for those of `-o wide`."""
        body = self._send("GET", self.path(kind), accept=TABLE).body
        return [
            ("+" if column["priority"] else "") + column["name"].upper()
            for column in body["columnDefinitions"]
        ]

    def may(self, verb: str, group: str, resource: str) -> bool:
        """Does RBAC let this user do that in the namespace? `resource` may be `x/subresource`."""
        name, _, sub = resource.partition("/")
        attributes = {"namespace": self.namespace, "verb": verb, "group": group, "resource": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes | ({"subresource": sub} if sub else {})},
        }
        path = ROOTS["SelfSubjectAccessReview"] + "/selfsubjectaccessreviews"
        return bool(self._send("POST", path, review).body["status"]["allowed"])

    def _send(
        self,
        verb: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        headers = [*self.headers, ("Content-Type", content_type), ("Accept", accept)]
        content = (
            None if body is None else json.dumps(body)
        )  # ASCII, so that half a surrogate pair can be sent
        response = self.client.request(verb, path, content=content, headers=headers)
        return Answer(response.status_code, response.json())

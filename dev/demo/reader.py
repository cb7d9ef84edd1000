"""Reads what the story is told from, as any client would: the Rollout, its Releases, the events about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from dev.demo.setting import ROLLOUT, Setting
from interlock.model.release import Release
from interlock.model.rollout import Rollout

_GROUP, _VERSION = "interlock.dev", "v1alpha1"
_SECONDS = 5
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

Unreachable = (ApiException, HTTPError, OSError)
"""What reading raises while the API server does not answer."""


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event about the Rollout."""

    name: str
    time: datetime
    reason: str
    note: str
    warning: bool

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> EventLine:
        """From an events.k8s.io/v1 Event of the operator."""
        return cls(
            name=manifest["metadata"]["name"],
            time=datetime.fromisoformat(manifest["eventTime"]),
            reason=manifest["reason"],
            note=manifest.get("note") or "",
            warning=manifest["type"] == "Warning",
        )


class Reader:
    """Blocking; each call is one request of at most five seconds and raises `Unreachable`."""

    def __init__(self, setting: Setting) -> None:
        self._namespace = setting.namespace
        settings = client.Configuration()
        config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(setting.cluster.kubeconfig), client_configuration=settings
        )
        if urlsplit(settings.host).hostname in _LOOPBACK:
            settings.proxy = None  # no proxy leads to this machine, whatever the environment says
        self._objects = client.CustomObjectsApi(client.ApiClient(settings))

    def rollout(self) -> Rollout:
        """The Rollout as it is now."""
        found = self._objects.get_namespaced_custom_object(
            _GROUP, _VERSION, self._namespace, "rollouts", ROLLOUT, _request_timeout=_SECONDS
        )
        return Rollout.read(cast("dict[str, Any]", found))

    def releases(self) -> list[Release]:
        """The records of all its attempts."""
        return [Release.read(each) for each in self._list(_GROUP, _VERSION, "releases")]

    def events(self) -> list[EventLine]:
        """What the operator told about it, oldest first."""
        told = [
            EventLine.read(each)
            for each in self._list("events.k8s.io", "v1", "events")
            if each["regarding"].get("kind") == "Rollout" and each.get("eventTime")
        ]
        return sorted(told, key=lambda event: event.time)

    def _list(self, group: str, version: str, plural: str) -> list[dict[str, Any]]:
        found = self._objects.list_namespaced_custom_object(
            group, version, self._namespace, plural, _request_timeout=_SECONDS
        )
        items: list[dict[str, Any]] = cast("dict[str, Any]", found)["items"]
        return items

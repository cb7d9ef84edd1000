"""What the API server tells of the objects of one story, every state with the time it was heard of."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sight:
    """A state of an object and when it was heard of, unix seconds; `gone` with its last state."""

    at: float
    manifest: Manifest
    gone: bool = False


class Watched:
    """The objects of one collection: every state seen, in order."""

    def __init__(self, api: httpx.AsyncClient, path: str, selector: str = "") -> None:
        self._api = api
        self._path = path
        self._selector = selector
        self.history: list[Sight] = []

    async def run(self) -> None:
        """Watches until cancelled. The server ends one after half an hour or more: no story is as long."""
        params = {"watch": "1", "labelSelector": self._selector}
        async with self._api.stream("GET", self._path, params=params, timeout=None) as reply:
            reply.raise_for_status()
            async for line in reply.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise AssertionError(f"the watch of {self._path} broke: {event['object']}")
                self.history.append(Sight(time.time(), event["object"], event["type"] == "DELETED"))

    @property
    def present(self) -> dict[str, Manifest]:
        """What exists now, by name."""
        found: dict[str, Manifest] = {}
        for sight in self.history:
            name = sight.manifest["metadata"]["name"]
            if sight.gone:
                found.pop(name, None)
            else:
                found[name] = sight.manifest
        return found

    def born_after(self, moment: float) -> set[str]:
        """Names of objects first heard of after that moment."""
        before = {sight.manifest["metadata"]["uid"] for sight in self.history if sight.at <= moment}
        return {
            sight.manifest["metadata"]["name"]
            for sight in self.history
            if sight.manifest["metadata"]["uid"] not in before
        }


class Watches:
    """The watches of one story, run together."""

    def __init__(self, *watched: Watched) -> None:
        self._watched = watched
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen."""
        self._tasks = [asyncio.create_task(one.run()) for one in self._watched]

    def check(self) -> None:
        """Raises what broke a watch."""
        for task in self._tasks:
            if task.done():
                task.result()
                raise AssertionError("a watch ended early")

    async def stop(self) -> None:
        """Listen no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextmanager
def _pair(user: Manifest) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
        file.flush()
        yield file.name


def administrator(kubeconfig: Path) -> httpx.AsyncClient:
    """Requests to the API server, as the one who installed it."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    with _pair(user) as file:
        tls.load_cert_chain(file)
    return httpx.AsyncClient(base_url=cluster["server"], verify=tls, timeout=60, trust_env=False)


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()

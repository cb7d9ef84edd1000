"""The few calls this tool makes to an API server itself: each costs less than starting kubectl."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.cluster.errors import ClusterError


@dataclass(frozen=True, slots=True)
class Api:
    """An API server on ``port`` of ``host``, and the files of a client certificate it accepts."""

    host: str
    port: int
    authority: Path
    certificate: Path
    key: Path

    @property
    def url(self) -> str:
        """What a kubeconfig calls the server."""
        return f"https://{self.host}:{self.port}"

    def request(self, method: str, path: str, body: Any = None, timeout: float = 10) -> tuple[int, Any]:
        """Status and decoded answer of one request; raises OSError when the server cannot be reached."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.certificate, self.key)
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except http.client.HTTPException as broken:
            raise ConnectionError(str(broken)) from broken
        finally:
            connection.close()
        return answer.status, _decoded(text)

    def get(self, path: str, timeout: float = 10) -> Any:
        """The answer to a GET, or None when the server is not there, not ready or knows no such thing."""
        try:
            status, answer = self.request("GET", path, timeout=timeout)
        except OSError:
            return None
        return answer if status == http.HTTPStatus.OK else None

    def create(self, path: str, body: Any) -> Any:
        """Create an object below ``path``; one that exists already is left as it is."""
        status, answer = self.request("POST", path, body, timeout=60)
        if status >= http.HTTPStatus.BAD_REQUEST and status != http.HTTPStatus.CONFLICT:
            raise ClusterError(f"The API server refused POST {path} with {status}: {answer}")
        return answer

    def ready(self) -> bool:
        """Whether the server says that it serves."""
        return self.get("/readyz", timeout=1) is not None

    def token(self, namespace: str, service_account: str, seconds: int) -> str:
        """A token of a service account, valid for ``seconds``."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        status, answer = self.request("POST", path, request | {"spec": {"expirationSeconds": seconds}})
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise ClusterError(f"No token for service account {namespace}/{service_account}: {answer}")
        return str(answer["status"]["token"])

    def kubeconfig(self, user: dict[str, str], *, namespace: str = "default") -> str:
        """A kubeconfig that needs no other file. JSON, which is YAML too."""
        cluster = {"server": self.url, "certificate-authority-data": _inline(self.authority)}
        context = {"cluster": "interlock", "user": "interlock", "namespace": namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "interlock",
            "clusters": [{"name": "interlock", "cluster": cluster}],
            "users": [{"name": "interlock", "user": user}],
            "contexts": [{"name": "interlock", "context": context}],
        }
        return json.dumps(content, indent=1) + "\n"

    def certificate_kubeconfig(self) -> str:
        """The kubeconfig of the client certificate that this object itself uses."""
        return self.kubeconfig(
            {"client-certificate-data": _inline(self.certificate), "client-key-data": _inline(self.key)}
        )


def wait_until(what: str, holds: Callable[[], bool], seconds: float, pause: float = 0.1) -> None:
    """Wait until ``holds()``; a ClusterError that names ``what`` when it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ClusterError(f"Waited {seconds:.0f} s in vain for: {what}")
        time.sleep(pause)


def write_private(place: Path, text: str) -> Path:
    """Write a file that only its owner can read, from the first byte on."""
    place.unlink(missing_ok=True)
    place.touch(mode=0o600)
    place.write_text(text)
    return place


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()

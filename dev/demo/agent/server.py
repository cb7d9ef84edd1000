"""The agent over HTTP: `POST /triage`, `GET /healthz`, and `GET /metrics` on a port of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from .triage import Answer, InjectedFaultError, UnknownQuestionError

_MAX_BODY_BYTES = 65_536


class Triage(Protocol):
    """What the server needs of an agent."""

    @property
    def ready(self) -> bool: ...

    def triage(self, question_id: str) -> Answer: ...


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without this the last packet of an answer waits for the delayed acknowledgement: 44 ms instead of 1.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Says nothing: one line a request would be most of what this process does."""

    def respond(
        self, status: HTTPStatus, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _TriageHandler(_Handler):
    server: TriageServer

    def do_GET(self) -> None:
        if self.path != "/healthz":
            self._json(HTTPStatus.NOT_FOUND, {"error": "ask POST /triage"})
        elif self.server.agent.ready and not self.server.leaving.is_set():
            self._json(HTTPStatus.OK, {"status": "ok"})
        else:
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready"})

    def do_POST(self) -> None:
        # The body is read whatever the path, or its bytes would be taken for the next request.
        body = self._body()
        if body is None:
            return
        if self.path != "/triage":
            self._json(HTTPStatus.NOT_FOUND, {"error": "ask POST /triage"})
            return
        question_id = _question_id(body)
        if question_id is None:
            self._json(HTTPStatus.BAD_REQUEST, {"error": 'the body must be {"question_id": "…"}'})
            return
        self._triage(question_id)

    def _triage(self, question_id: str) -> None:
        try:
            answer = self.server.agent.triage(question_id)
        except UnknownQuestionError:
            self._json(HTTPStatus.NOT_FOUND, {"error": "no such question in the catalogue"})
        except InjectedFaultError as fault:
            self._json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": str(fault)})
        else:
            content = {
                "question_id": answer.question_id,
                "decision": "decline" if answer.tool is None else "act",
                "tool": answer.tool,
                "score": round(answer.score, 4),
            }
            self._json(HTTPStatus.OK, content)

    def _body(self) -> bytes | None:
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _MAX_BODY_BYTES:
            self.close_connection = True
            self._json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "the body is too large"})
            return None
        return self.rfile.read(int(length))

    def _json(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
        headers = {"x-agent-version": self.server.version}
        if self.server.leaving.is_set():
            # The caller opens its next connection to a pod that stays.
            headers["connection"] = "close"
            self.close_connection = True
        self.respond(status, json.dumps(content).encode(), "application/json", headers)


def _question_id(body: bytes) -> str | None:
    try:
        content = json.loads(body)
    except ValueError:
        return None
    question_id = content.get("question_id") if isinstance(content, dict) else None
    return question_id if isinstance(question_id, str) else None


class _MetricsHandler(_Handler):
    server: MetricsServer

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/metrics":
            self.respond(HTTPStatus.OK, generate_latest(self.server.registry), CONTENT_TYPE_LATEST)
        else:
            self.respond(HTTPStatus.NOT_FOUND, b"see /metrics\n", "text/plain; charset=utf-8")


class TriageServer(ThreadingHTTPServer):
    """Serves one agent; `leaving` is set once it has been told to end."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], agent: Triage, version: str) -> None:
        self.agent = agent
        self.version = version
        self.leaving = threading.Event()
        super().__init__(address, _TriageHandler)


class MetricsServer(ThreadingHTTPServer):
    """Serves one registry in the text format."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], registry: CollectorRegistry) -> None:
        self.registry = registry
        super().__init__(address, _MetricsHandler)

"""Starts the agent as a container does: settings from the environment, an orderly end on SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import disable_created_metrics

from .catalogue import read_catalogue
from .document import DocumentError, read_document
from .server import MetricsServer, TriageServer
from .triage import TriageAgent

# Long enough for the endpoint to be taken out of a proxy that watches, well below any grace period.
_LAME_DUCK_SECONDS = 1.0
_LAST_ANSWERS_SECONDS = 20.0


@dataclass(frozen=True)
class Settings:
    """Where the agent listens and what it reads; the operator sets the `INTERLOCK_*` variables."""

    agent: str
    version: str
    digest: str
    mode: str
    document: Path
    catalogue: Path
    host: str
    port: int
    metrics_port: int


def settings_from(environment: Mapping[str, str]) -> Settings:
    """The settings of a process; without the operator's variables the agent runs as version `unversioned`."""
    beside_the_package = Path(__file__).resolve().parent.parent / "catalogue.json"
    return Settings(
        agent=environment.get("INTERLOCK_AGENT", "triage"),
        version=environment.get("INTERLOCK_VERSION", "unversioned"),
        digest=environment.get("INTERLOCK_DIGEST", ""),
        mode=environment.get("INTERLOCK_MODE", "live"),
        document=Path(environment.get("DEMO_DOCUMENT", "/etc/interlock/agent/agent.json")),
        catalogue=Path(environment.get("DEMO_CATALOGUE", beside_the_package)),
        host=environment.get("DEMO_HOST", "0.0.0.0"),  # noqa: S104 - a pod's own address is not known before
        port=int(environment.get("DEMO_PORT", "8080")),
        metrics_port=int(environment.get("DEMO_METRICS_PORT", "9464")),
    )


def serve(settings: Settings, stop: threading.Event) -> None:
    """Serves until `stop` is set, then a little longer for those who do not know it yet, then ends."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    document = read_document(settings.document)
    agent = TriageAgent(read_catalogue(settings.catalogue), document, settings.digest, settings.mode)
    with (
        MetricsServer((settings.host, settings.metrics_port), agent.metrics.registry) as metrics,
        TriageServer((settings.host, settings.port), agent, settings.version) as server,
    ):
        for each in (metrics, server):
            threading.Thread(target=each.serve_forever, daemon=True).start()
        print(
            f"{settings.agent} {settings.version} ({settings.mode}) serves on port {server.server_port},"
            f" metrics on {metrics.server_port}, digest {settings.digest or 'unknown'}",
            flush=True,
        )
        stop.wait()
        server.leaving.set()
        time.sleep(_LAME_DUCK_SECONDS)
        server.shutdown()
        _wait_for_last_answers(agent)
        metrics.shutdown()


def _wait_for_last_answers(agent: TriageAgent) -> None:
    deadline = time.monotonic() + _LAST_ANSWERS_SECONDS
    while agent.metrics.active() and time.monotonic() < deadline:
        time.sleep(0.02)


def main() -> int:
    """Entry point of the container. Exit code 2 says that the version document cannot be followed."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        serve(settings_from(os.environ), stop)
    except DocumentError as error:
        print(f"version document: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

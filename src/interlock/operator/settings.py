"""Operator settings: addresses, intervals and ports; never in a custom resource."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from interlock.adapters.prometheus.access import Access, header
from interlock.adapters.prometheus.labels import LabelNames
from interlock.core.observation import Timing
from interlock.errors import SpecError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
ACCESS: tuple[tuple[str, str], ...] = (
    ("bearer-token-file", "file of a token that is sent with each query; read again when it changes"),
    ("username", "user name of basic authentication"),
    ("password-file", "file of its password; read again when it changes"),
    ("ca-file", "PEM file of the only authorities that Prometheus' certificate may come from"),
    ("certificate-file", "PEM file of the operator's own certificate"),
    ("key-file", "PEM file of its key"),
)
PLAIN_HTTP = ("Warn", "Accept")


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds unless said otherwise."""

    prometheus: str
    """Base URL of the Prometheus HTTP API."""
    access: Access = field(default_factory=Access)
    """How the operator proves to Prometheus who it is."""
    plain_http: str = PLAIN_HTTP[0]
    """Whether credentials that leave the machine unencrypted are worth a warning."""
    labels: LabelNames = field(default_factory=LabelNames)
    """What Prometheus calls the labels that tell agents and versions apart."""
    tick: float = 5.0
    scrape_interval: float = 15.0
    """What Prometheus scrapes agents at; comparisons settle for two of them."""
    route_margin: float = 1.0
    gates_refresh: float = 20.0
    """Gates whose verdict has not changed are written to status at most this often."""
    relist: float = 300.0
    port: int = 8080
    """Of /livez, /readyz and /metrics."""
    host: str = "0.0.0.0"  # noqa: S104 - probes come from the kubelet
    log_level: str = "INFO"

    def concerns(self) -> Iterator[str]:
        """What works, but should be known to whoever runs the operator; a sentence each, without secrets."""
        if self.plain_http == "Warn" and self.access.exposed_at(self.prometheus):
            yield (
                f"the credentials for Prometheus go unencrypted over the network to {self.prometheus}: "
                "use an https:// address, or --prometheus-plain-http=Accept where something else encrypts "
                "what is on the way (a mesh, a tunnel)"
            )

    @property
    def timing(self) -> Timing:
        """The part that decisions depend on."""
        return Timing.of(self.tick, self.scrape_interval, self.route_margin)


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """From flags, else from INTERLOCK_* environment variables, else the default."""
    parser = argparse.ArgumentParser(prog="interlock-operator", description=__doc__)

    def option(name: str, kind: type, default: object, text: str) -> None:
        fallback = os.environ.get("INTERLOCK_" + name.upper().replace("-", "_"), default)
        parser.add_argument(
            f"--{name}", type=kind, default=fallback, required=fallback is None, help=f"{text} [{default}]"
        )

    option("prometheus", str, None, "base URL of the Prometheus HTTP API")
    for name, text in ACCESS:
        option(f"prometheus-{name}", str, "", text)
    parser.add_argument(
        "--prometheus-header",
        action="append",
        metavar="NAME: VALUE",
        help="sent with each query, like 'X-Scope-OrgID: team-a'; may be given several times, "
        "in the environment a line each",
    )
    option(
        "prometheus-plain-http",
        str,
        PLAIN_HTTP[0],
        "Warn: say at the start when credentials go over http:// to another machine; Accept: it is meant so",
    )
    for label in fields(LabelNames):
        option(f"label-{label.name}", str, label.name, f"the label that holds the {label.name} of a series")
    option("tick", float, 5.0, "seconds between looks at an active rollout")
    option("scrape-interval", float, 15.0, "seconds between scrapes of the agents")
    option("route-margin", float, 1.0, "seconds from acceptance of a route to the start of a step's clock")
    option("gates-refresh", float, 20.0, "seconds between writes of gates whose verdict is unchanged")
    option("relist", float, 300.0, "seconds between full listings that find missed events")
    option("host", str, "0.0.0.0", "address of probes and metrics")  # noqa: S104
    option("port", int, 8080, "port of probes and metrics")
    option("log-level", str, "INFO", "DEBUG, INFO, WARNING or ERROR")
    found = vars(parser.parse_args(arguments))
    for name in ("tick", "scrape_interval", "gates_refresh", "relist"):
        if not 0 < found[name] < math.inf:
            parser.error(f"--{name.replace('_', '-')} must be greater than 0, not {found[name]}")
    if not 0 <= found["route_margin"] < math.inf:
        parser.error(f"--route-margin must be at least 0, not {found['route_margin']}")
    if not 0 <= found["port"] <= 65535:
        parser.error(f"--port must be between 0 and 65535, not {found['port']}")
    if found["log_level"].upper() not in LOG_LEVELS:
        parser.error(f"--log-level must be one of {', '.join(LOG_LEVELS)}, not {found['log_level']!r}")
    found["plain_http"] = found.pop("prometheus_plain_http")
    if found["plain_http"] not in PLAIN_HTTP:
        chosen = found["plain_http"]
        parser.error(f"--prometheus-plain-http must be {' or '.join(PLAIN_HTTP)}, not {chosen!r}")
    try:
        _check_address(found["prometheus"])
        found["access"] = _access(found)
        found["labels"] = _labels(found)
    except SpecError as error:
        parser.error(str(error))
    return Settings(**found)


def _check_address(address: str) -> None:
    if "@" in urlsplit(address).netloc:
        text = "must not hold a password: use --prometheus-username and --prometheus-password-file"
        raise SpecError(f"--prometheus {text}")
    if not address.startswith(("http://", "https://")):
        raise SpecError(f"--prometheus must be an http:// or https:// address, not {address!r}")


def _labels(found: dict[str, Any]) -> LabelNames:
    """Takes the names of labels out of the flags; SpecError where they cannot be so."""
    names = LabelNames(**{label.name: found.pop(f"label_{label.name}") for label in fields(LabelNames)})
    try:
        names.check()
    except SpecError as error:
        raise SpecError(f"--label-…: {error}") from error
    return names


def _access(found: dict[str, Any]) -> Access:
    """Takes what is about access out of the flags; SpecError where it cannot work."""
    chosen = {name: found.pop(f"prometheus_{name.replace('-', '_')}") for name, _ in ACCESS}
    texts = found.pop("prometheus_header") or os.environ.get("INTERLOCK_PROMETHEUS_HEADER", "").splitlines()
    _check_together({name for name, value in chosen.items() if value}, found["prometheus"])
    username = chosen.pop("username")
    files = {name.replace("-", "_"): Path(value) if value else None for name, value in chosen.items()}
    try:
        access = Access(username=username, headers=tuple(map(header, texts)), **files)
        access.check()
    except SpecError as error:
        raise SpecError(f"access to Prometheus: {error}") from error
    return access


def _check_together(given: set[str], address: str) -> None:
    for one, other in (("username", "password-file"), ("certificate-file", "key-file")):
        if len(given & {one, other}) == 1:
            raise SpecError(f"--prometheus-{one} and --prometheus-{other} belong together: give both or none")
    if {"bearer-token-file", "username"} <= given:
        raise SpecError("--prometheus-bearer-token-file and --prometheus-username exclude one another")
    for name in sorted(given & {"ca-file", "certificate-file"}):
        if not address.startswith("https://"):
            raise SpecError(f"--prometheus-{name} needs an https:// address, not {address!r}")

"""Operator settings: addresses, intervals and ports; never in a custom resource."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from interlock.core.observation import Timing

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds unless said otherwise."""

    prometheus: str
    """Base URL of the Prometheus HTTP API."""
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

    @property
    def timing(self) -> Timing:
        """The part that decisions depend on."""
        settle = 2 * self.scrape_interval
        return Timing(self.tick, settle, self.route_margin, freshness=max(10.0, 4 * self.scrape_interval))


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """From flags, else from INTERLOCK_* environment variables, else the default."""
    parser = argparse.ArgumentParser(prog="interlock-operator", description=__doc__)

    def option(name: str, kind: type, default: object, text: str) -> None:
        fallback = os.environ.get("INTERLOCK_" + name.upper().replace("-", "_"), default)
        parser.add_argument(
            f"--{name}", type=kind, default=fallback, required=fallback is None, help=f"{text} [{default}]"
        )

    option("prometheus", str, None, "base URL of the Prometheus HTTP API")
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
    if not str(found["prometheus"]).startswith(("http://", "https://")):
        parser.error(f"--prometheus must be an http:// or https:// address, not {found['prometheus']!r}")
    return Settings(**found)

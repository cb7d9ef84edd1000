"""`python -m dev.bench`: each figure beside its target, and beside what the established controllers need.

cold      all Rollouts created at once, until the last is Healthy
idle      nothing active: CPU, writes, queries, memory
restart   from the start of the process until each Rollout was looked at once
failures  many candidates do something critical at once, until all weights are 0
requests  API requests of an active Rollout, by the API server's audit log
reverts   one candidate after the other: decision and metric to weight 0

Times need a machine that does nothing else; where the load average is above the number of cores, compare the
seconds of CPU that stand beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dev.bench import failures, fleet, requests, reverts, scale
from dev.bench.setting import MANAGER, Setting, cluster
from dev.cluster import Cluster
from tests.cluster.landscape import Landscape

ALL = ("reverts", "requests", "failures", "cold", "idle", "restart")
SCALE = {"cold", "idle", "restart"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen measurements; returns 0 when they could be made, whatever they say."""
    parser = argparse.ArgumentParser(
        prog="python -m dev.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which of the above; `scale` is three [all]")
    parser.add_argument("--rollouts", type=int, default=1000, help="of cold, idle and restart [1000]")
    parser.add_argument("--namespaces", type=int, default=10, help="that they are spread over [10]")
    parser.add_argument("--failures", type=int, default=100, help="candidates that fail at once [100]")
    parser.add_argument("--active", type=int, default=10, help="Rollouts of requests [10]")
    parser.add_argument("--reverts", type=int, default=20, help="candidates of reverts [20]")
    chosen = parser.parse_args(arguments)
    names = [part for name in chosen.names or ALL for part in (SCALE if name == "scale" else {name})]
    if unknown := set(names) - set(ALL):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; one can measure {', '.join((*ALL, 'scale'))}")
    print(f"{os.cpu_count()} cores; controller manager with {' '.join(MANAGER)}; pods on paper", flush=True)
    if "reverts" in names:
        with cluster() as (running, _), tempfile.TemporaryDirectory() as folder:
            asyncio.run(_reverts(Landscape(running, Path(folder)), chosen.reverts))
    for name in ("requests", "failures", "scale"):  # each in a cluster of its own: no leftovers
        if name in names or (name == "scale" and SCALE & set(names)):
            with cluster() as (running, place):
                asyncio.run(_measure(running, place, name, names, chosen))
    return 0


async def _measure(
    running: Cluster, folder: Path, name: str, names: Sequence[str], chosen: argparse.Namespace
) -> None:
    setting = Setting(running, folder)
    async with setting.living():
        match name:
            case "requests":
                await requests.measure(setting, chosen.active)
            case "failures":
                await failures.measure(setting, chosen.failures, chosen.namespaces)
            case _:
                await scale.measure(setting, chosen.rollouts, chosen.namespaces, names)


async def _reverts(land: Landscape, count: int) -> None:
    await fleet.gateway(land.api)
    async with land.living():
        await land.operate()
        try:
            await reverts.measure(land, count)
        finally:
            await land.rest()


if __name__ == "__main__":
    sys.exit(main())

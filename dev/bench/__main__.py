"""`python -m dev.bench`: each figure beside its target."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dev.bench import idle, reverts
from dev.cluster import up
from tests.cluster.api import INTERLOCK, core, grouped
from tests.cluster.landscape import Landscape
from tests.cluster.operator import TICK_SECONDS
from tests.cluster.story import Story
from tests.cluster.waiting import until

INSTALL = Path(__file__).parents[2] / "manifests" / "install.yaml"
IDLE_SECONDS = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all measurements; returns 0 when they could be made, whatever they say."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench", description=__doc__)
    parser.add_argument("--reverts", type=int, default=20, help="how many candidates are taken back [20]")
    chosen = parser.parse_args(arguments)
    cluster = up(f"bench-{os.getpid()}", "control-plane", owner=os.getpid())
    try:
        cluster.kubectl("apply", "--server-side", "-f", str(INSTALL))
        cluster.kubectl(
            "wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/name=interlock"
        )
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_measure(Landscape(cluster, Path(folder)), chosen.reverts))
    finally:
        cluster.down()
    return 0


async def _measure(land: Landscape, count: int) -> None:
    async with land.living():
        await land.operate()
        try:
            empty = await idle.measure(land, 5.0)
            found = [await reverts.measure(await _story(land)) for _ in range(count)]
            await until(lambda: _at_rest(land), 60, "conversations to end")
            rested = await idle.measure(land, IDLE_SECONDS)
        finally:
            await land.rest()
    _print_seconds("decision → route written", [r.from_decision for r in found], 0.05)
    _print_seconds("metric visible → weight 0", [r.from_metric for r in found], TICK_SECONDS + 0.1)
    print(f"{'idle RSS, no Rollout':34}{empty.resident_mib:8.1f} MiB   target  100 MiB")
    print(f"{f'idle RSS, {count} Rollouts':34}{rested.resident_mib:8.1f} MiB   target  100 MiB")
    print(f"{'idle CPU':34}{rested.cpu_percent:8.2f} % of a core   target  1 %")
    spent = f"{rested.writes:.0f} writes, {rested.queries} queries in {rested.seconds:.0f} s"
    print(f"{'at rest':34}{spent}   target  0, 0")


async def _at_rest(land: Landscape) -> bool:
    """No conversation is waited for, and what followed from the last one has been written."""
    before = await land.operator.writes()
    await asyncio.sleep(2 * TICK_SECONDS)
    if await land.operator.writes() > before:
        return False
    rollouts = await land.api.items(grouped(INTERLOCK, "", "rollouts"))
    return not any(rollout["status"].get("draining") for rollout in rollouts)


async def _story(land: Landscape) -> Story:
    name = f"bench-{secrets.token_hex(4)}"
    await land.api.post(core("", "namespaces"), {"metadata": {"name": name}})
    return Story(land, name)


def _print_seconds(what: str, values: list[float], target: float) -> None:
    ordered = sorted(values)
    worst = ordered[-1]
    print(
        f"{what:34}median {statistics.median(ordered) * 1000:6.1f} ms   max {worst * 1000:6.1f} ms   "
        f"(n={len(ordered)})   target {target * 1000:6.0f} ms   max/target {worst / target:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())

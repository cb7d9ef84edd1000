"""What befalls the API server itself: it is killed, and etcd forgets its history."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from pathlib import Path

import httpx

from dev.cluster import Cluster
from dev.cluster.instance import state_root
from tests.cluster.waiting import until


async def without_api_server(cluster: Cluster, seconds: float) -> None:
    """Kill it, and each that its supervisor starts instead; return when one serves again."""
    place = _place(cluster)
    end = time.monotonic() + seconds
    killed: set[int] = set()
    while time.monotonic() < end:
        process = (json.loads(place.read_text()) or {}).get("process")
        if process and process["pid"] not in killed:
            killed.add(process["pid"])
            os.kill(process["pid"], signal.SIGKILL)
        await asyncio.sleep(0.1)

    async def serves() -> bool:
        done = await asyncio.to_thread(cluster.kubectl, "get", "--raw", "/readyz", check=False)
        return done.returncode == 0

    await until(serves, 60, "the API server to come back")


async def compact_history(cluster: Cluster) -> None:
    """etcd forgets all revisions but the newest: who watches from an earlier one is told 410 Gone."""
    async with httpx.AsyncClient(base_url=_etcd(cluster), timeout=10, trust_env=False) as client:
        status = (await client.post("/v3/maintenance/status", json={})).raise_for_status().json()
        body = {"revision": status["header"]["revision"], "physical": True}
        (await client.post("/v3/kv/compaction", json=body)).raise_for_status()


def _place(cluster: Cluster) -> Path:
    """Where the supervisor says which process is the API server."""
    return state_root() / cluster.name / "run" / "component-kube-apiserver.json"


def _etcd(cluster: Cluster) -> str:
    """The address of etcd, as the API server was given it."""
    pid = json.loads(_place(cluster).read_text())["process"]["pid"]
    (address,) = re.findall(r"--etcd-servers=([^\0]*)", Path(f"/proc/{pid}/cmdline").read_text())
    return str(address)

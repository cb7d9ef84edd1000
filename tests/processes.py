"""Which tests one process runs, where several share the work: `pytest -n`, as `make test` does.

There is one control plane and one node a session, so that all tests of either belong to one process. Groups
of pytest-xdist 3.8 would say the same, but with pytest 9.2 have no effect: it writes to `Node._nodeid`.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

CLUSTERS = {
    "control plane": ("tests/cluster/", "tests/contracts/", "tests/delivery/"),
    "node": ("tests/e2e/", "tests/dev/test_cluster_node.py"),
}
"""Tests that want one: folders and files."""
BACK = 15
"""Nice value, 0 to 19, of tests that only compute: clusters have deadlines."""


def cluster_of(test: str) -> str:
    """Whose cluster a test wants, by its node id; empty where it wants none."""
    return next((name for name, places in CLUSTERS.items() if test.startswith(places)), "")


class OneProcessACluster(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist is untyped here
    """Hands out all tests of a cluster together, and all others by file."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        config.option.loadscopereorder = False  # clusters come first, whatever they have to run
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return cluster_of(nodeid) or nodeid.split("::", 1)[0]


def sorted_by_cluster(items: list[pytest.Item]) -> list[pytest.Item]:
    """What lasts longest first."""
    order = [*CLUSTERS, ""]
    return sorted(items, key=lambda item: order.index(cluster_of(item.nodeid)))


def stand_back(test: str) -> None:
    """Let clusters go first. Only root can come forward again."""
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0 if cluster_of(test) else BACK)

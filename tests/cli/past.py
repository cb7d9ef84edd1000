"""A day of an agent as its pods counted it: tasks, verification, violations, costs and durations."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from dev.cluster.control_plane import free_ports
from interlock.analysis.series import Series
from tests.analysis.attempt import BUCKETS, COST, STARTED, TASKS, VERIFIED, VIOLATIONS
from tests.analysis.world import Pod, window
from tests.cli.backfill import receiving, send

HOURS = 3
NAMESPACE = "shop"
BOUNDS = ("5", "30", "120", "+Inf")
SCRAPE = 15


@dataclass
class Past:
    """Pods of version v1 from `begin` to `end` (unix seconds), scraped every 15 s.

    `good`: the success rate at a time. All series are there from the start.
    """

    begin: int
    end: int
    tasks_per_second: float = 2.0
    pods: int = 3
    good: Callable[[float], float] = lambda at: 0.92
    violates: Callable[[float], float] = lambda at: 0.001
    bad_pods: int = 0
    """The first so many succeed in 60 of 100 tasks only."""
    agent: str = "triage"
    seed: int = 1
    made: list[Pod] = field(default_factory=list)

    def series(self) -> list[Series]:
        """All samples."""
        chance = random.Random(self.seed)  # noqa: S311 - a world, not a secret
        self.made = [self._pod(number) for number in range(self.pods)]
        for at in range(self.begin, self.end + 1, SCRAPE):
            for pod in self.made:
                pod.scrape(at)
                self._work(pod, at, chance)
        return window(self.made, self.begin - 1, self.end)

    def _pod(self, number: int) -> Pod:
        labels = {"agent": self.agent, "version": "v1", "mode": "live"}
        pod = Pod(f"{self.agent}-a-{number}", self.begin - 86400.0, labels)
        for outcome in ("success", "failure"):
            pod.do(TASKS, 0, outcome=outcome)
        for result in ("pass", "fail"):
            pod.do(VERIFIED, 0, result=result, verifier="postcondition")
        for severity in ("low", "critical"):
            pod.do(VIOLATIONS, 0, rule="pii", severity=severity)
        for bound in BOUNDS:
            pod.do(BUCKETS, 0, le=bound)
        pod.do(STARTED, 0)
        pod.do(COST, 0, kind="inference")
        return pod

    def _work(self, pod: Pod, at: int, chance: random.Random) -> None:
        expected = self.tasks_per_second * SCRAPE / self.pods
        for _ in range(int(expected) + (chance.random() < expected % 1)):
            good = chance.random() < (0.6 if pod in self.made[: self.bad_pods] else self.good(at))
            pod.do(STARTED)
            pod.do(TASKS, outcome="success" if good else "failure")
            pod.do(VERIFIED, result="pass" if good else "fail", verifier="postcondition")
            pod.do(COST, chance.expovariate(1 / 0.03), kind="inference")
            length = chance.expovariate(1 / 10)
            for bound in BOUNDS:
                pod.do(BUCKETS, float(length <= float(bound)), le=bound)
            if chance.random() < self.violates(at):
                pod.do(VIOLATIONS, rule="pii", severity="low")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a Prometheus that holds three hours of `triage` up to now, and of `erring`, whose tasks
    come in clumps, and which fails in the half hour that ends half an hour ago."""
    (port,) = free_ports(1)
    program, address = receiving(folder, port), f"http://127.0.0.1:{port}"
    program.start()
    try:
        deadline = time.monotonic() + 30
        while not _is_ready(address):
            assert time.monotonic() < deadline, program.tail()
            time.sleep(0.1)
        now = int(time.time()) // SCRAPE * SCRAPE
        begin, bad = now - HOURS * 3600, now - 3600
        erring = Past(
            begin,
            now,
            pods=2,
            good=lambda at: 0.3 if bad <= at < bad + 1800 else 0.91 + 0.02 * (at // 300 % 2),
            agent="erring",
            seed=2,
        )
        send(address, [*Past(begin, now, pods=2).series(), *erring.series()])
        yield address
    finally:
        program.stop()


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/-/ready", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False

"""`python -m dev.bench.simulated`: a day of five gates played by `kubectl interlock simulate`, as a command.

From the start of the process to its end, imports and the table included; the least of some runs, since other
work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from dev.bench.figures import Figure, show

MANIFESTS = Path(__file__).parents[2] / "manifests"
ROLLOUT = MANIFESTS / "samples" / "shadow-canary-full.yaml"
STORY = MANIFESTS / "stories" / "a-good-candidate.yaml"
DAY = 86_400
LIMIT = 2.0
"""Seconds that a day may take."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one run of the command."""

    cpu: float
    """User and system time of its process."""
    wall: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; returns 0 when they could be measured, whatever they say."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench.simulated", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of which the least is shown [5]")
    runs = parser.parse_args(arguments).runs
    if runs < 1:
        parser.error(f"--runs must be at least 1, not {runs}")
    with tempfile.TemporaryDirectory() as folder:
        rollout = Path(folder) / "rollout.yaml"
        rollout.write_text(a_day_long(ROLLOUT.read_text(encoding="utf-8")), encoding="utf-8")
        costs = [command(rollout, STORY) for _ in range(runs)]
    note = f"least of {runs}"
    show(
        Figure("a simulated day as a command: CPU", min(cost.cpu for cost in costs), "s", LIMIT, note=note),
        Figure("a simulated day as a command: wall", min(cost.wall for cost in costs), "s", LIMIT, note=note),
    )
    return 0


def a_day_long(sample: str) -> str:
    """The manifests with the soak of the Rollout as long as makes all its steps a day."""
    documents = list(yaml.safe_load_all(sample))
    (steps,) = (one["spec"]["strategy"]["steps"] for one in documents if one["kind"] == "Rollout")
    *before, last = steps
    last["full"]["soakSeconds"] = DAY - sum(step["minDurationSeconds"] for step in before)
    return yaml.safe_dump_all(documents)


def command(rollout: Path, story: Path) -> Cost:
    """Run it in a process of its own. CalledProcessError where it fails."""
    words = [sys.executable, "-m", "interlock.cli.entry", "simulate", "-f", str(rollout)]
    begun, before = time.monotonic(), os.times()
    subprocess.run([*words, "--story", str(story)], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(cpu, time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main())

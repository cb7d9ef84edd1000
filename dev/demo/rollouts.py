"""The demo's rollouts without a cluster: `python -m dev.demo.rollouts [--seeds 20]`.

What each version does with each question is computed by the agent's own code; a simulated task is one of the
questions, drawn with replacement. Evidence and decisions are the operator's own.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from dev.demo.agent.judge import Verdict
from dev.demo.data import shown_catalogue
from dev.demo.simulate import Outcomes, outcomes
from dev.demo.traffic import IRRELEVANT_SHARE
from dev.demo.versions import MANIFESTS, SAME, VERSIONS, document
from interlock.analysis.lift import Lift
from interlock.cli.simulated import clock
from interlock.core.observation import Target
from interlock.core.workloads import template_of
from interlock.model.rollout import Rollout
from interlock.simulation.story import Recorded, Story
from interlock.simulation.summary import outcome_of, quantile, wilson
from interlock.simulation.timeline import Run
from interlock.simulation.walk import Setup, Walk

RATE = 20
"""Tasks a second."""
EXPECTED = {"triage-v2": "Reverted", "triage-v3": "Reverted", "triage-v4": "Promoted", SAME: "Promoted"}
_TOLD: dict[Verdict, dict[str, object]] = {
    Verdict.RIGHT: {"verified": "pass"},
    Verdict.WRONG_TOOL: {"verified": "fail"},
    Verdict.DECLINED: {"success": False, "verified": "fail"},
    Verdict.ACTED_ON_IRRELEVANT: {"violation": True},
    Verdict.DECLINED_IRRELEVANT: {"success": False},
}
"""A verdict as the agent's metrics tell it: `success` is its own claim, that it acted."""
_IRRELEVANT = (Verdict.ACTED_ON_IRRELEVANT, Verdict.DECLINED_IRRELEVANT)


def recorded(verdicts: Outcomes) -> tuple[Recorded, ...]:
    """The outcomes of all questions, in such numbers that irrelevant ones are their share of all tasks."""
    counts = Counter(verdicts.values())
    irrelevant = sum(counts[verdict] for verdict in _IRRELEVANT)
    answerable = len(verdicts) - irrelevant
    weights = (round(100 * (1 - IRRELEVANT_SHARE)) * irrelevant, round(100 * IRRELEVANT_SHARE) * answerable)
    return tuple(
        Recorded.model_validate({"tasks": count * weights[verdict in _IRRELEVANT], **_TOLD[verdict]})
        for verdict, count in sorted(counts.items())
    )


def setup(candidate: str) -> Setup:
    """The demo's own Rollout; v1 serves, `candidate` is tried."""
    rollout, template = (
        yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("rollout", "template")
    )
    rollout["metadata"] |= {"uid": "demo", "generation": 1}
    rollout["spec"]["versionRef"]["name"] = candidate
    return Setup(Rollout.read(rollout), _target(VERSIONS[0]), _target(candidate), template_of(template))


def _target(name: str) -> Target:
    return Target(name, name, hashlib.sha256(name.encode()).hexdigest(), "{}")


def story(stable: Outcomes, candidate: Outcomes) -> Story:
    """As the demo runs: 20 tasks a second, scraped and looked at every second."""
    kinds = {"stable": recorded(stable), "candidate": recorded(candidate)}
    return Story.model_validate(
        {
            "lasts": "15m",
            "scrapeInterval": 1,
            "tick": 1,
            "rate": RATE,
            "agents": {
                who: {"recorded": [one.model_dump(by_alias=True) for one in of]} for who, of in kinds.items()
            },
        }
    )


def verdicts() -> dict[str, Outcomes]:
    """What every version does with every question that the demo asks."""
    catalogue = shown_catalogue()
    found = {name: outcomes(document(name).configuration, catalogue) for name in VERSIONS}
    return found | {SAME: found[VERSIONS[0]]}


def walked(name: str, known: dict[str, Outcomes], seeds: Sequence[int]) -> list[Run]:
    """One rollout of a version a seed."""
    given, told = setup(name), story(known[VERSIONS[0]], known[name])
    return [Walk(given, told, seed).run() for seed in seeds]


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one version."""

    name: str
    runs: Sequence[Run]

    @property
    def hits(self) -> int:
        """How often it ended as expected."""
        return sum(outcome_of(run) == EXPECTED[self.name] for run in self.runs)

    def shown(self) -> Iterator[str]:
        """A line, the lift that was measured, and every miss with its seed and its reason."""
        low, high = wilson(self.hits, len(self.runs))
        times = sorted(run.decided for run in self.runs)
        where = ", ".join(f"{step} {n}" for step, n in Counter(run.step for run in self.runs).most_common())
        median, late = (clock(quantile(times, share)) for share in (0.5, 0.95))
        often = f"{self.hits:3} of {len(self.runs)} ({low:.0%}-{high:.0%})"
        yield f"{self.name:16} {EXPECTED[self.name]:9} {often}   median {median}, 95 % {late}   {where}"
        yield from (f"    lift of {name}: {text}" for name, text in self._lifts())
        if EXPECTED[self.name] == "Reverted":
            yield f"    for example, seed {self.runs[0].seed}: {self.runs[0].message}"
        for run in self.runs:
            if outcome_of(run) != EXPECTED[self.name]:
                ended = f"{outcome_of(run)} at {run.step} after {clock(run.decided)}"
                yield f"    miss, seed {run.seed}: {ended}: {run.waits or run.message}"

    def _lifts(self) -> Iterator[tuple[str, str]]:
        """As measured on the way: the middle one of all seeds by its estimate, with its interval."""
        found: dict[str, list[Lift]] = {}
        for lift in (lift for run in self.runs for lift in run.lifts):
            if isinstance(lift, Lift):
                found.setdefault(lift.name, []).append(lift)
        for name, lifts in found.items():
            middle = sorted(lifts, key=lambda lift: lift.estimate)[len(lifts) // 2]
            yield name, f"{middle.message} (median of {len(lifts)} seeds)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when more is missed than chance explains: a version at less than nine in ten."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo.rollouts", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many, from 1 on (default: %(default)s)")
    seeds = range(1, parser.parse_args(arguments).seeds + 1)
    known, lines = verdicts(), []
    print(f"{RATE} tasks a second, {len(known[SAME])} questions: what is expected, and how often it was so")
    for name in EXPECTED:
        lines.append(Line(name, walked(name, known, seeds)))
        print(*lines[-1].shown(), sep="\n", flush=True)
    return int(any(line.hits < 0.9 * len(line.runs) for line in lines))


if __name__ == "__main__":
    sys.exit(main())

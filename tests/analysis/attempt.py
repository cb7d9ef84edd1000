"""An attempt told in the domain's words: two versions at work, scraped each second, looked at each tick."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from interlock.analysis.gates import (
    AttemptEvidence,
    Compare,
    Events,
    EvidenceReport,
    Gate,
    GateReading,
    Limit,
    Plan,
    PlannedStep,
    Side,
    StepTime,
)
from interlock.analysis.presets import metric
from interlock.analysis.series import Series
from tests.analysis.world import Pod, window

SINCE = 1000.0
STARTED = "ai_agent_tasks_started_total"
TASKS = "ai_agent_tasks_total"
VERIFIED = "ai_agent_tasks_verified_total"
VIOLATIONS = "ai_agent_policy_violations_total"
COST = "ai_agent_cost_usd_total"
BUCKETS = "ai_agent_task_duration_seconds_bucket"

SUCCESS = Gate("success", metric("task-success-rate"), Compare(0.0))
VIOLATION = Gate("violations", metric("policy-violation-rate"), Limit(0.005), safety=True)
CRITICAL = Gate("critical", metric("critical-policy-violations"), Events(0), safety=True)

CANARY = PlannedStep(0, "canary", 100)


def plan(
    *gates: Gate,
    steps: Sequence[PlannedStep] = (CANARY,),
    tick: float = 5.0,
    settle: float = 2.0,
    warmup: float | None = 10.0,
    verifier: str | None = None,
) -> Plan:
    return Plan(
        gates=gates,
        alpha=0.05,
        steps=tuple(steps),
        candidate=Side("v2", "triage-b-"),
        stable=Side("v1", "triage-a-"),
        tick=tick,
        settle=settle,
        warmup=warmup,
        verifier=verifier,
    )


def agent(name: str, version: str, started: float, mode: str = "live") -> Pod:
    """A pod of one version that exports its counters at 0 from the start, as the SDK does."""
    pod = Pod(name, started, {"agent": "triage", "version": version, "mode": mode})
    for outcome in ("success", "failure"):
        pod.do(TASKS, 0, outcome=outcome)
    pod.do(STARTED, 0)
    pod.do(VIOLATIONS, 0, rule="pii", severity="low")
    return pod


@dataclass
class Attempt:
    """Time passes by `run`; every second is scraped, every `look` seconds the evidence advances."""

    plan: Plan
    look: int = 5
    seed: int = 1
    now: int = int(SINCE)
    times: tuple[StepTime, ...] = (StepTime(0, SINCE),)
    candidate: Pod = field(default_factory=lambda: agent("triage-b-1", "v2", SINCE - 5))
    shadow: Pod = field(default_factory=lambda: agent("triage-b-shadow-1", "v2", SINCE - 5, "shadow"))
    stable: Pod = field(default_factory=lambda: agent("triage-a-1", "v1", 10.0))
    control: Pod = field(default_factory=lambda: agent("triage-a-shadow-1", "v1", SINCE - 5, "shadow"))
    controlled: bool = False
    """Whether stable has a shadow of its own."""
    alerts: list[Series] = field(default_factory=list)
    bounds: tuple[str, ...] = ()
    """Of the histograms of task durations; none are exported without."""
    costs: bool = False
    """Whether what tasks cost is exported."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - a world, not a secret
        self.lengths = random.Random(f"lengths {self.seed}")  # noqa: S311 - apart: it changes no other chance
        self.evidence = AttemptEvidence(self.plan, SINCE)
        self.scrape()
        self.advance()

    @property
    def pods(self) -> list[Pod]:
        return [self.candidate, self.shadow, self.stable, *([self.control] if self.controlled else [])]

    def run(
        self,
        seconds: int,
        *,
        stable: float = 0.92,
        candidate: float = 0.92,
        share: float = 0.1,
        tasks: int = 20,
        slow: tuple[float, float] = (0.1, 0.1),
        cost: tuple[float, float] = (0.03, 0.03),
    ) -> Attempt:
        """Live tasks each second, a share of them on the candidate, with these success rates.

        `slow`: how many of stable's and of the candidate's tasks take longer than a minute, not 10 seconds.
        `cost`: what a task of stable's and of the candidate's costs on average, USD.
        """
        for _ in range(seconds):
            for _ in range(tasks):
                mine = self.chance.random() < share
                good = self.chance.random() < (candidate if mine else stable)
                work(self.candidate if mine else self.stable, good=good)
                if self.bounds:
                    length = 61.0 if self.lengths.random() < slow[mine] else 10.0
                    last(self.candidate if mine else self.stable, length, self.bounds)
                if self.costs:
                    spent = self.lengths.expovariate(1 / cost[mine])
                    (self.candidate if mine else self.stable).do(COST, spent, kind="inference")
            self.second()
        return self

    def mirror(
        self,
        seconds: int,
        *,
        control: float = 0.92,
        shadow: float = 0.92,
        live: float = 0.92,
        share: float = 0.5,
        tasks: int = 20,
        slow: tuple[float, float] = (0.1, 0.1),
        cost: tuple[float, float] = (0.03, 0.03),
    ) -> Attempt:
        """Live tasks each second, all on stable; each is copied to either shadow with the chance `share`.

        `control` and `shadow`: how often stable's and the candidate's succeed there. `slow`, `cost`: as in
        `run`, of the two shadows.
        """
        for _ in range(seconds):
            for _ in range(tasks):
                work(self.stable, good=self.chance.random() < live)
                for at, (pod, rate) in enumerate(((self.control, control), (self.shadow, shadow))):
                    if self.chance.random() < share:
                        work(pod, good=self.chance.random() < rate)
                        if self.bounds:
                            length = 61.0 if self.lengths.random() < slow[at] else 10.0
                            last(pod, length, self.bounds)
                        if self.costs:
                            pod.do(COST, self.lengths.expovariate(1 / cost[at]), kind="inference")
            self.second()
        return self

    def second(self) -> None:
        self.now += 1
        self.scrape()
        if self.now % self.look == 0:
            self.advance()

    def scrape(self) -> None:
        for pod in self.pods:
            pod.scrape(self.now)

    def advance(self) -> None:
        self.evidence.advance(self.times, self.series(self.now - 60.0), float(self.now))

    def series(self, begin: float = 0.0) -> list[Series]:
        return window(self.pods, begin, self.now) + self.alerts

    def alert(self, at: float, **labels: str) -> None:
        """Prometheus has evaluated a rule, which fires unless the labels say otherwise."""
        known = {"__name__": "ALERTS", "alertstate": "firing", "namespace": "shop", "agent": "triage"}
        self.alerts.append(Series(known | labels, ((at, 1.0),)))

    def report(self) -> EvidenceReport:
        return self.evidence.report()

    def gate(self, name: str) -> GateReading:
        return next(gate for gate in self.report().gates if gate.name == name)

    def start(self, index: int) -> None:
        """The running step ends now and the clock of another starts."""
        self.end()
        self.times = (*self.times, StepTime(index, self.now))

    def end(self) -> None:
        last = self.times[-1]
        ended = last.ended if last.ended is not None else self.now
        self.times = (*self.times[:-1], StepTime(last.index, last.started, ended))


def work(pod: Pod, *, good: bool, times: int = 1) -> None:
    pod.do(STARTED, times)
    pod.do(TASKS, times, outcome="success" if good else "failure")


def last(pod: Pod, seconds: float, bounds: tuple[str, ...]) -> None:
    """A task took so long: a histogram's buckets are cumulative, and all there from the start."""
    for bound in bounds:
        pod.do(BUCKETS, float(seconds <= float(bound)), le=bound)

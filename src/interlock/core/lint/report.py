"""All that lint says of one Rollout. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from interlock.analysis.evidence import Tally
from interlock.analysis.plan import Plan, Side
from interlock.analysis.power import Answer, Leg
from interlock.analysis.questions import Worsening
from interlock.analysis.sightings import Sightings
from interlock.analysis.usual import Usual, UsualRate
from interlock.core.lint.findings import Finding, Severity
from interlock.core.lint.forecast import NOBODY, forecast, legs, planned
from interlock.core.lint.series import looked_at
from interlock.core.lint.traffic import judged
from interlock.core.lint.written import SUCCESS, spoken, unfit
from interlock.core.metrictemplates import Known
from interlock.core.observation import Timing
from interlock.core.plans import NO_TEMPLATES
from interlock.model.rollout import Rollout

GIVEN = 1e6
"""Outcomes that a rate given by hand stands for."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What Prometheus shows of the stable version: its last day, and its series of the last minutes."""

    stable: Side
    usual: Usual
    seen: Sightings


@dataclass(frozen=True, slots=True)
class Lint:
    """`plan` is None where the object cannot be followed; `findings` then say why, and no more is told."""

    rollout: Rollout
    findings: tuple[Finding, ...]
    plan: Plan | None = None
    usual: Usual = field(default_factory=Usual)
    legs: tuple[Leg, ...] = ()
    answers: tuple[Answer, ...] = ()

    def count(self, severity: Severity) -> int:
        """How many findings are as severe."""
        return Counter(finding.severity for finding in self.findings)[severity]

    def fails(self, *, strict: bool) -> bool:
        """Whether there is an error or, if `strict`, a warning."""
        return bool(self.count(Severity.ERROR) or (strict and self.count(Severity.WARNING)))


def linted(
    rollout: Rollout,
    timing: Timing,
    traffic: Traffic | Usual,
    worsening: Worsening,
    known: Known = NO_TEMPLATES,
) -> Lint:
    """`traffic` is what Prometheus shows or, without it, what is known by hand (`by_hand`)."""
    if refused := unfit(rollout, known):
        return Lint(rollout, refused)
    stable, usual = (traffic.stable, traffic.usual) if isinstance(traffic, Traffic) else (NOBODY, traffic)
    plan = planned(rollout, timing, stable, known)
    way = legs(rollout, plan, usual)
    told = forecast(rollout, plan, usual, worsening)
    findings = [*spoken(rollout, plan)]
    if isinstance(traffic, Traffic):
        findings += looked_at(plan, traffic.seen)
    if usual.tasks_per_second is not None:
        findings += judged(rollout, plan, usual, way, told)
    order = list(Severity)
    findings.sort(key=lambda finding: order.index(finding.severity))
    return Lint(rollout, tuple(findings), plan, usual, way, told)


def by_hand(rollout: Rollout, tasks_per_second: float | None, success: float | None) -> Usual:
    """The usual traffic as somebody states it: tasks a second, and the share of successes in (0, 1)."""
    gates: Mapping[str, UsualRate] = {}
    if success is not None:
        rate = UsualRate(Tally(success * GIVEN, GIVEN))
        gates = {gate.name: rate for gate in rollout.spec.analysis.gates if gate.metric in SUCCESS}
    return Usual(tasks_per_second, gates)

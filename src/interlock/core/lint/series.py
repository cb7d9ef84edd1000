"""What stable's series say of the gates that will read them: missing, doubled, without labels. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interlock.analysis.metrics import Counter, Matcher
from interlock.analysis.plan import Gate, Plan
from interlock.analysis.series import PROCESS_START
from interlock.analysis.sightings import GateSightings, Sightings
from interlock.core.lint.findings import Finding, error, warning
from interlock.core.lint.written import gate_field

LABELS = "put it there by relabelling of pod labels, as the PodMonitor of the chart does"
MOST_PODS = 3
"""Names of pods in a sentence."""
JITTER = 1.5
"""Times the scrape interval that the operator reckons with, from which on a longer one is said."""


def looked_at(plan: Plan, seen: Sightings) -> tuple[Finding, ...]:
    """Everything that the series of the last minutes say."""
    return (
        *_targets(plan, seen),
        *(
            found
            for gate in plan.gates
            if seen.pods and gate.name in seen.gates
            for found in _of_gate(plan, gate, seen.gates[gate.name])
        ),
    )


def _targets(plan: Plan, seen: Sightings) -> Iterator[Finding]:
    for label in seen.unlabelled:
        yield error("Prometheus", f"some series of the agent have no label `{label}`", LABELS)
    if not seen.pods:
        others = f"; there are series of {', '.join(seen.others)}" if seen.others else ""
        what = f"no live series of version {plan.stable.version}, pods {plan.stable.pod_prefix}*{others}"
        yield error(
            "Prometheus", what, "look at the labels `namespace`, `agent`, `version`, `mode` and `pod`"
        )
        return
    if seen.ageless:
        what = (
            f"{PROCESS_START} is not exported by {_pods(seen.ageless)}: what new pods do first is not counted"
        )
        yield warning("Prometheus", what, "export it: client libraries do so by default")
    for doubled in seen.doubled:
        yield error("Prometheus", *_halves(doubled))
    scrape_interval = plan.settle / 2  # comparisons settle for two scrapes
    if seen.interval and seen.interval > JITTER * scrape_interval:
        what = f"stable is scraped every {seen.interval:g} s, the operator reckons with {scrape_interval:g} s"
        yield warning("Prometheus", what, "set the operator's --scrape-interval to what it is")


def _halves(sentence: str) -> tuple[str, str]:
    what, _, remedy = sentence.partition(": ")
    return what, remedy


def _of_gate(plan: Plan, gate: Gate, seen: GateSightings) -> Iterator[Finding]:
    for family in seen.missing:
        what = f"gate {gate.name}: stable exports no {family}: without it the gate never passes"
        yield error(gate_field(plan, gate, "metric"), what, "export it, or take the gate out")
    if seen.bound:
        what, _, choice = seen.bound.removeprefix("not decided: ").partition("; there are: ")
        yield error(gate_field(plan, gate, "tail.aboveSeconds"), what, f"choose one of {choice}")
    if seen.missing:
        return
    for counter, pods in seen.unborn:
        what = (
            f"gate {gate.name}: {_pods(pods)} export no {series(counter)}: that looks as if none had happened"
        )
        yield warning(gate_field(plan, gate, "metric"), what, "export it at 0 from the start")


def series(counter: Counter) -> str:
    """A counter as Prometheus writes it."""
    where = ",".join(f'{one.label}{_operator(one)}"{"|".join(one.values)}"' for one in counter.where)
    return counter.family + (f"{{{where}}}" if where else "")


def _operator(matcher: Matcher) -> str:
    equal = "" if len(matcher.values) == 1 else "~"
    return f"!{equal or '='}" if matcher.negated else f"={equal}"


def _pods(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_PODS])
    return shown if len(names) <= MOST_PODS else f"{shown} and {len(names) - MOST_PODS} more"

"""Stories 22, 24 and 25: what is counted, what is not, and what no answer of Prometheus may do."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.cluster import objects
from tests.cluster.agents import line
from tests.cluster.conftest import NewStory
from tests.cluster.lies import changed, down, says
from tests.cluster.operator import Operator
from tests.cluster.prometheus import Answer
from tests.cluster.story import Story, condition, measured, phase
from tests.cluster.waiting import until

QUICK = {"steps": [{**objects.CANARY, "minDurationSeconds": 1}, objects.FULL]}
ATTENTIVE = {
    "warmupSeconds": 1,
    "gates": [objects.SUCCESS, objects.VIOLATIONS, objects.CRITICAL],
    "noData": {"holdAfterSeconds": 2},
}
"""Silence counts after two seconds."""
COUNTED = {
    "strategy": {"steps": [objects.HELD, objects.FULL]},
    "analysis": {"gates": [{**objects.VIOLATIONS, "limit": {"maxPercent": "90"}}, objects.CRITICAL]},
}
"""A canary that lasts, and a limit that shows every task of the candidate and holds nothing against it."""


# ------------------------------------------------------------------ 22
def every_value(text: str) -> Answer:
    """All samples have this value."""

    def change(found: dict[str, Any]) -> None:
        for series in found["data"]["result"]:
            series["values"] = [[moment, text] for moment, _ in series["values"]]

    return changed(change)


def doubled(found: dict[str, Any]) -> None:
    """Each series a second time, as from a second server of a pair."""
    result = found["data"]["result"]
    result += [{**one, "metric": {**one["metric"], "prometheus_replica": "b"}} for one in result]


MATRIX = '{"status":"success","data":{"resultType":"matrix","result":%s}}'
LIES: dict[str, Answer] = {  # more of their kind: tests/adapters/test_prometheus.py
    "NaN": every_value("NaN"),
    "+Inf": every_value("+Inf"),
    "-Inf": every_value("-Inf"),
    "empty": says(MATRIX % "[]"),
    "no metric": says(MATRIX % '[{"values":[[1,"1"]]}]'),
    "string": says('{"status":"success","data":{"resultType":"string","result":[1,"1"]}}'),
    "vector": says('{"status":"success","data":{"resultType":"vector","result":[]}}'),
    "5 MB": says(MATRIX % ("[" + " " * 5_000_000 + "]")),
    "HTML": says("<html>Sign in</html>", kind="text/html"),
    "nothing": says(""),
    "deep": says("[" * 100_000),
    "refused": says('{"status":"error","errorType":"bad_data","error":"parse error"}', 400),
    "unavailable": down(),
    "warnings": changed(lambda found: found.update(warnings=["one store did not answer"])),
    "doubled": changed(doubled),
}


async def test_22_no_malformed_answer_passes_a_gate_or_ends_the_operator(
    new_story: NewStory, operator: Operator
) -> None:
    stories = [await new_story() for _ in LIES]
    await asyncio.gather(*(_lied_to(story, name) for story, name in zip(stories, LIES, strict=True)))
    assert await operator.probe("livez") == 200
    await asyncio.gather(*(_mended(story, name) for story, name in zip(stories, LIES, strict=True)))
    assert "Traceback" not in operator.program.log.read_text()


async def _lied_to(story: Story, name: str) -> None:
    """From before the canary begins until it has held for a while."""
    story.traffic(10)
    await story.first_version(strategy=QUICK, analysis=ATTENTIVE, replicas=1)
    story.land.relay.lies[story.namespace] = LIES[name]
    await story.release("v2")
    found = await story.until(lambda r: condition(r, "MetricsAvailable")[0] == "False" or _refuses(r))
    asked = story.land.relay.queries[story.namespace]

    async def asked_again() -> bool:
        return story.land.relay.queries[story.namespace] >= asked + 3

    await until(asked_again, 30, f"the operator to go on asking ({name})")
    found = await story.rollout()
    held = ("Canary", "Stalled") if name == "doubled" else ("Canary",)
    assert found.status.phase in held, name
    assert all(gate.verdict in ("NoData", "Inconclusive") for gate in found.status.gates), name
    if name != "doubled":
        assert condition(found, "MetricsAvailable")[:2] == ("False", "MetricsUnavailable"), name
        assert condition(found, "Ready")[:2] == ("False", "MetricsUnavailable"), name


def _refuses(found: Any) -> bool:
    """Says at the gates that the counts are wrong, and what is to be done about it."""
    gates = [gate for gate in found.status.gates if "counts are wrong" in gate.message]
    return bool(gates) and "counts are doubled: keep one monitor" in condition(found, "MetricsAvailable")[2]


async def _mended(story: Story, name: str) -> None:
    """Prometheus says the truth again: the walk goes on. Doubled counts stay spoilt for the attempt, and call
    for somebody."""
    del story.land.relay.lies[story.namespace]
    if name == "doubled":
        found = await story.until(phase("Stalled"))
        assert condition(found, "Stalled")[:2] == ("True", "GateBlind")
    else:
        await story.until(phase("Full", "Healthy"), 60)


# ------------------------------------------------------------------ 24
async def test_24_series_of_others_never_count(story: Story) -> None:
    await story.first_version(**COUNTED)
    await story.release("v2")
    await story.until(measured("violations"))
    workload = await story.candidate()
    pod = (await story.pods(workload))[0]
    family = "ai_agent_policy_violations_total"
    wrong = {
        "namespace": story.namespace + "-2",
        "agent": "billing",
        "mode": "shadow",
        "version": "v3",
        "pod": "other-" + pod.name,
    }
    try:
        for value in (0, 50):  # born at 0 and grown, so that nothing can be put down to a missing baseline
            story.land.agents.foreign[story.namespace] = [
                _as_if(line(family, pod, value, rule=label, severity="critical"), label, text)
                for label, text in wrong.items()
            ]
            await story.scraped(3)
        await story.holds(phase("Canary"), 2)
        gates = {gate.name: gate for gate in (await story.rollout()).status.gates}
        assert gates["critical"].candidate == "0"
        assert gates["violations"].candidate.startswith("0 ")
        story.land.agents.foreign[story.namespace].append(
            line(family, pod, 1, rule="own", severity="critical")
        )
        await story.until(phase("Reverted"))
    finally:
        del story.land.agents.foreign[story.namespace]


def _as_if(text: str, label: str, value: str) -> str:
    """The series with one label changed."""
    return re.sub(rf'(?<=[{{,]){label}="[^"]*"', f'{label}="{value}"', text, count=1)


async def test_24_a_shadow_step_reads_shadow_series_only(story: Story) -> None:
    shadow = {"name": "shadow", "shadow": {"percent": 50}, "minDurationSeconds": 3600}
    await story.first_version(**{**COUNTED, "strategy": {"steps": [shadow, objects.FULL]}})
    await story.release("v2")
    await story.until(measured("violations"))
    workload = await story.candidate()
    for pod in await story.pods(workload):
        pod.count("ai_agent_policy_violations_total", 50, rule="live", severity="critical")
    await story.scraped(3)
    await story.holds(phase("Shadow"), 1)
    (mirrored,) = await story.pods(f"{workload}-shadow")
    mirrored.count("ai_agent_policy_violations_total", 1, rule="payment", severity="critical")
    await story.until(phase("Reverted"))


# ------------------------------------------------------------------ 25
async def test_25_counts_are_exact_over_restarts_and_new_pods(story: Story) -> None:
    await story.first_version(**COUNTED)
    story.behaves("v2", violation=0.2)
    await story.release("v2")
    await story.until(measured("violations"))
    workload = await story.candidate()
    first, second = await story.pods(workload)

    story.land.agents.restart(first)
    await story.scraped(2)
    await story.delete_pod(second)
    await story.until_pods(workload, lambda pods: len(pods) == 2 and second not in pods)
    await story.scraped(2)
    await story.scale(3)
    await story.until_pods(workload, lambda pods: len(pods) == 3)
    await story.scraped(2)
    story.land.agents.restart(first)
    await story.scraped(2)

    story.traffic(0)
    await story.scraped(2)
    tasks = story.land.agents.served(story.namespace, workload, "ai_agent_tasks_total")
    bad = story.land.agents.served(story.namespace, workload, "ai_agent_policy_violations_total")

    async def counted() -> bool:
        gate = next(g for g in (await story.rollout()).status.gates if g.name == "violations")
        return gate.candidate.endswith(f"(n={tasks:.0f})")

    await until(counted, 10, f"{tasks:.0f} tasks to be counted")
    gate = next(g for g in (await story.rollout()).status.gates if g.name == "violations")
    shown = float(gate.candidate.split()[0])
    assert abs(shown - bad / tasks) <= 0.005 + 1e-9, "exact to the digits that are shown"


@pytest.mark.parametrize("fate", ["restart", "replace"])
async def test_25_a_violation_in_a_new_process_is_not_lost(story: Story, fate: str) -> None:
    """The counter is born at 1 in a process, or a pod, that nobody has scraped before."""
    await story.first_version(**COUNTED)
    await story.release("v2")
    await story.until(measured("violations"))
    workload = await story.candidate()
    pod = (await story.pods(workload))[0]
    if fate == "restart":
        story.land.agents.restart(pod)
    else:
        await story.delete_pod(pod)
        await story.until_pods(workload, lambda pods: len(pods) == 2 and pod not in pods)
        pod = (await story.pods(workload))[-1]
    pod.count("ai_agent_policy_violations_total", rule="payment", severity="critical")
    found = await story.until(phase("Reverted"))
    assert found.status.attempt is not None
    assert found.status.attempt.message.startswith("critical:")

"""Story 14: the first critical violation takes a version back, also one whose series is born as 1."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dev.demo.agent.catalogue import Catalogue, Question
from dev.demo.agent.scorer import Index
from dev.demo.versions import document
from tests.e2e import manifests
from tests.e2e.clients import Answer, Clients, versions
from tests.e2e.given import V1, questions, release, v1_serves
from tests.e2e.manifests import Manifest
from tests.e2e.measured import Measured
from tests.e2e.place import GATEWAY_LAG, Place, Stage, entry, seconds
from tests.e2e.prometheus import Sample

CRITICAL = "triage-critical"
VIOLATIONS = "ai_agent_policy_violations_total"
HALF = 50
LEAST = 40
"""Answers of the candidate before it does what is forbidden."""
BORN_WITH_ONE = """
from agent import __main__, metrics
born_at_zero = metrics.AgentMetrics._born_at_zero
def but_violations(self, tools):
    born_at_zero(self, tools)
    self._violations.clear()
metrics.AgentMetrics._born_at_zero = but_violations
raise SystemExit(__main__.main())
"""
"""The demo's agent, but no series of violations exists before there is one: many agents count that way."""


@dataclass(frozen=True, slots=True)
class Told:
    """What happened. `before`: critical violations in Prometheus before the forbidden choice, None without a
    series; `series`: samples of them all at the end. `forbidden`: the answer with the forbidden choice."""

    clients: Clients
    status: Manifest
    release: Manifest
    verdict_before: str
    before: float | None
    forbidden: Answer
    series: list[list[Sample]]
    account: str


async def tell(stage: Stage) -> Told:
    """A candidate does well under load; then it makes the one choice that is forbidden to it, once."""
    tool, trap = await asyncio.to_thread(chosen_once, stage.catalogue)
    async with stage.place("critical") as place:
        rollout = await v1_serves(
            place,
            steps=manifests.endless(HALF),
            gates=[manifests.NOTHING_CRITICAL],
            template=_counting_late(place.namespace),
        )
        await asyncio.sleep(GATEWAY_LAG)
        place.clients.start(_all_but(trap, questions(place, seed=14)))
        await release(place, rollout, _forbidding(tool, place.namespace))
        await place.until(lambda: place.is_running(f"canary-{HALF}"), "the canary begins")
        await place.until(lambda: len(place.clients.answered_by(CRITICAL)) >= LEAST, "the candidate answers")
        await place.until(lambda: place.gate("critical").get("verdict") == "Pass", "its gate passes")
        labels = {"namespace": place.namespace, "severity": "critical"}
        before = await stage.prometheus.total(VIOLATIONS, labels)
        verdict = place.gate("critical")["verdict"]
        forbidden = await _until_the_candidate_answers(place, trap)
        await place.until(lambda: place.status.get("phase") == "Reverted", "it is taken back")
        await asyncio.sleep(GATEWAY_LAG + 3)
        await place.clients.stop()
        return Told(
            clients=place.clients,
            status=place.status,
            release=place.release(2),
            verdict_before=verdict,
            before=before,
            forbidden=forbidden,
            series=await stage.prometheus.samples(VIOLATIONS, labels),
            account=await place.describe(),
        )


def chosen_once(catalogue: Catalogue) -> tuple[str, Question]:
    """A tool that v1 chooses for one question only, and that question."""
    configuration = document(V1).configuration
    assert configuration.minimum_score is not None
    index = Index(catalogue.tools, configuration)
    chosen: dict[str, Question] = {}
    times: Counter[str] = Counter()
    for question in catalogue.questions:
        choice = index.choose(question.text, question.tools)
        if choice.score >= configuration.minimum_score:
            tool = catalogue.tools[question.tools[choice.position]].name
            times[tool] += 1
            chosen[tool] = question
    tool = next(tool for tool, question in chosen.items() if times[tool] == 1 and question.answerable)
    return tool, chosen[tool]


def _all_but(trap: Question, drawn: Iterator[Question]) -> Iterator[Question]:
    return (question for question in drawn if question.id != trap.id)


def _counting_late(namespace: str) -> Manifest:
    template = manifests.template(namespace)
    (container,) = template["spec"]["template"]["spec"]["containers"]
    container["command"] = ["/usr/bin/python3", "-c", BORN_WITH_ONE]
    return template


def _forbidding(tool: str, namespace: str) -> Manifest:
    """v1 in all it does, under a policy that forbids one choice."""
    version = manifests.version(V1, namespace)
    version["metadata"]["name"] = CRITICAL
    version["spec"]["version"] = "critical"
    version["spec"]["parameters"]["forbiddenTools"] = [tool]
    return version


async def _until_the_candidate_answers(place: Place, trap: Question) -> Answer:
    """Asks the question one at a time until it is the candidate that answers: then it has been asked once."""
    # Half of the requests go to the candidate: were they drawn, all of these would go to v1 with 2^-100.
    for _ in range(100):
        answer = await place.clients.ask(trap)
        if answer.version == CRITICAL:
            return answer
    raise AssertionError("the candidate was never asked")


# ------------------------------------------------------------------ before
def test_until_then_there_is_no_such_series_and_the_gate_passes(told: Told) -> None:
    assert told.before is None
    assert told.verdict_before == "Pass"


def test_the_series_is_born_with_the_value_one(told: Told) -> None:
    (samples,) = told.series
    assert {value for _, value in samples} == {1.0}
    assert samples[0][0] >= told.forbidden.begun


# ------------------------------------------------------------------ after
def test_the_first_one_takes_it_back(told: Told, measured: Measured) -> None:
    decision = entry(told.release, stage="Reverting")
    assert decision["reason"] == "GateFailed"
    assert decision["message"] == "critical: 1 critical policy violation of the candidate, 0 allowed"
    visible = told.series[0][0][0]
    decided = seconds(decision["time"])
    measured(
        f"first critical violation: visible {visible - told.forbidden.begun:.2f} s after the request, "
        f"decision {decided - visible:.2f} s later"
    )
    assert decided >= visible


def test_its_release_ends_as_reverted_and_its_content_stays_back(told: Told) -> None:
    assert [e["seq"] for e in told.release["entries"]] == [1, 2, 3, 4]
    assert told.release["entries"][-1]["outcome"] == "Reverted"
    digest = told.release["header"]["candidate"]["digest"]
    assert [item["digest"] for item in told.status["quarantine"]] == [digest]


def test_clients_see_only_v1_afterwards_and_lose_nothing(told: Told) -> None:
    stopped = seconds(entry(told.release, stage="Done")["time"])
    after = told.clients.between(stopped + GATEWAY_LAG, float("inf"))
    assert versions(after).keys() == {V1}
    assert len(after) >= 20
    assert not told.clients.failures

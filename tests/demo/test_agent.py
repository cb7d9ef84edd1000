"""The agent over HTTP: its answers, what it counts, how it takes wrong requests and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from dev.demo.agent.catalogue import Catalogue, Question
from dev.demo.agent.document import Faults, VersionDocument
from dev.demo.agent.judge import Judgement, Verdict, judge
from dev.demo.agent.metrics import FAILURE_CATEGORIES, OUTCOMES, TOOL_RESULTS
from dev.demo.agent.triage import TOOLS, hundredth
from dev.demo.simulate import outcomes
from dev.demo.versions import document, manifest
from tests.demo.conftest import Running, serving

V1 = document("triage-v1")
ROOT = Path(__file__).resolve().parents[2]


def with_parameters(**changes: object) -> VersionDocument:
    return replace(V1, configuration=replace(V1.configuration, **changes))  # type: ignore[arg-type]


def ask(agent: Running, question_id: str) -> httpx.Response:
    return httpx.post(f"{agent.url}/triage", json={"question_id": question_id}, trust_env=False)


@pytest.fixture(scope="module")
def one_of_each(shown: Catalogue) -> dict[Verdict, Question]:
    """A question for every verdict that v1 gives."""
    verdicts = outcomes(V1.configuration, shown)
    return {verdicts[question.id]: question for question in shown.questions}


@pytest.fixture
def agent(shown: Catalogue) -> Iterator[Running]:
    with serving(shown, V1) as running:
        yield running


def test_it_names_the_tool_and_the_version(agent: Running, one_of_each: dict[Verdict, Question]) -> None:
    question = one_of_each[Verdict.RIGHT]

    reply = ask(agent, question.id)

    assert reply.status_code == 200
    assert reply.headers["x-agent-version"] == "triage-v1"
    assert reply.json() | {"score": 0} == {
        "question_id": question.id,
        "decision": "act",
        "tool": question.answer,
        "score": 0,
    }


def test_it_declines_below_its_minimum(agent: Running, one_of_each: dict[Verdict, Question]) -> None:
    content = ask(agent, one_of_each[Verdict.DECLINED_IRRELEVANT].id).json()

    assert (content["decision"], content["tool"]) == ("decline", None)
    assert content["score"] < 8.0


def test_every_series_is_there_at_zero_before_the_first_task(agent: Running) -> None:
    samples = agent.samples()

    expected = {("ai_agent_tasks_started_total", frozenset[tuple[str, str]]())}
    expected |= {("ai_agent_tasks_total", frozenset({("outcome", outcome)})) for outcome in OUTCOMES}
    expected |= {
        ("ai_agent_tasks_verified_total", frozenset({("result", result), ("verifier", "postcondition")}))
        for result in ("pass", "fail")
    }
    expected |= {
        ("ai_agent_policy_violations_total", frozenset({("rule", rule), ("severity", severity)}))
        for rule, severity in (("act-without-fitting-tool", "medium"), ("forbidden-tool", "critical"))
    }
    expected |= {("ai_agent_failures_total", frozenset({("category", name)})) for name in FAILURE_CATEGORIES}
    expected |= {
        ("ai_agent_tool_calls_total", frozenset({("tool", tool), ("result", result)}))
        for tool in TOOLS
        for result in TOOL_RESULTS
    }
    expected |= {
        (name, frozenset[tuple[str, str]]())
        for name in (
            "ai_agent_conversations_active",
            "ai_agent_conversations_started_total",
            "ai_agent_task_duration_seconds_count",
            "ai_agent_task_duration_seconds_sum",
        )
    }
    assert {series: samples.get(series) for series in expected} == dict.fromkeys(expected, 0.0)


def test_it_says_what_runs_and_since_when(agent: Running) -> None:
    assert agent.value("ai_agent_version_info", digest="digest-of-the-document") == 1
    assert 0 < time.time() - agent.value("process_start_time_seconds") < 36_000


@pytest.mark.parametrize(
    ("verdict", "outcome", "verified", "violations", "failure"),
    [
        (Verdict.RIGHT, "success", "pass", 0, None),
        (Verdict.WRONG_TOOL, "success", "fail", 0, "wrong_tool"),
        (Verdict.DECLINED, "escalated", "fail", 0, "missing_context"),
        (Verdict.ACTED_ON_IRRELEVANT, "success", None, 1, "wrong_tool"),
        (Verdict.DECLINED_IRRELEVANT, "escalated", None, 0, None),
    ],
)
def test_what_a_task_counts(
    agent: Running,
    one_of_each: dict[Verdict, Question],
    *,
    verdict: Verdict,
    outcome: str,
    verified: str | None,
    violations: int,
    failure: str | None,
) -> None:
    ask(agent, one_of_each[verdict].id)

    changed = {
        (name.removeprefix("ai_agent_").removesuffix("_total"), *sorted(dict(labels).values()))
        for (name, labels), value in agent.samples().items()
        if name.startswith("ai_agent_") and name.endswith("_total") and value == 1
    }
    tool = "hand_over" if outcome == "escalated" else "dispatch"
    expected: set[tuple[str, ...]] = {
        ("tasks_started",),
        ("conversations_started",),
        ("tasks", outcome),
        ("tool_calls", "ok", "search_catalogue"),
        ("tool_calls", *sorted(("ok", tool))),
    }
    expected |= {("tasks_verified", verified, "postcondition")} if verified else set()
    expected |= {("policy_violations", "act-without-fitting-tool", "medium")} if violations else set()
    expected |= {("failures", failure)} if failure else set()
    assert {(entry[0], *sorted(entry[1:])) for entry in expected} == changed
    assert agent.value("ai_agent_task_duration_seconds_count") == 1
    assert agent.value("ai_agent_conversations_active") == 0


def test_in_shadow_nothing_is_called_but_acts_are_still_judged(
    shown: Catalogue, one_of_each: dict[Verdict, Question]
) -> None:
    with serving(shown, V1, mode="shadow") as agent:
        ask(agent, one_of_each[Verdict.ACTED_ON_IRRELEVANT].id)

        assert agent.value("ai_agent_tool_calls_total", tool="search_catalogue", result="ok") == 1
        assert agent.value("ai_agent_tool_calls_total", tool="dispatch", result="suppressed") == 1
        assert agent.value("ai_agent_tool_calls_total", tool="dispatch", result="ok") == 0
        assert (
            agent.value(
                "ai_agent_policy_violations_total", rule="act-without-fitting-tool", severity="medium"
            )
            == 1
        )


def test_a_forbidden_tool_is_a_critical_violation(
    shown: Catalogue, one_of_each: dict[Verdict, Question]
) -> None:
    question = one_of_each[Verdict.RIGHT]
    assert question.answer is not None
    forbidding = with_parameters(forbidden_tools=frozenset({question.answer}))

    with serving(shown, forbidding) as agent:
        ask(agent, question.id)

        assert (
            agent.value("ai_agent_policy_violations_total", rule="forbidden-tool", severity="critical") == 1
        )


def test_choosing_a_forbidden_tool_for_an_irrelevant_question_breaks_both_rules() -> None:
    question = Question("q", "text", (0, 1), None)

    assert judge(question, "t", frozenset({"t"})) == Judgement(
        verdict=Verdict.ACTED_ON_IRRELEVANT,
        outcome="success",
        verified=None,
        violations=("act-without-fitting-tool", "forbidden-tool"),
        failure="wrong_tool",
    )


def test_an_asked_for_error_is_a_failure_of_the_same_questions_everywhere(
    shown: Catalogue, one_of_each: dict[Verdict, Question]
) -> None:
    question = one_of_each[Verdict.RIGHT]
    with serving(shown, with_parameters(faults=Faults(error_percent=hundredth(question.id) + 1))) as agent:
        assert ask(agent, question.id).status_code == 500
        assert agent.value("ai_agent_tasks_total", outcome="failure") == 1
        assert agent.value("ai_agent_tasks_verified_total", result="fail", verifier="postcondition") == 1
    with serving(shown, with_parameters(faults=Faults(error_percent=hundredth(question.id)))) as agent:
        assert ask(agent, question.id).status_code == 200


def test_health_is_what_the_document_lets_it_be(shown: Catalogue, agent: Running) -> None:
    with serving(shown, with_parameters(faults=Faults(never_ready=True))) as unready:
        assert httpx.get(f"{unready.url}/healthz", trust_env=False).status_code == 503
    assert httpx.get(f"{agent.url}/healthz", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/triage", b'{"question_id": "no-such-question"}', 404),
        ("/triage", b"not JSON", 400),
        ("/triage", b"[]", 400),
        ("/triage", b'{"question_id": 7}', 400),
        ("/triage", b"x" * 70_000, 413),
        ("/other", b'{"question_id": "live_multiple_0-0-0"}', 404),
    ],
)
def test_a_wrong_request_is_refused_and_is_no_task(
    agent: Running, path: str, body: bytes, status: int
) -> None:
    reply = httpx.post(agent.url + path, content=body, trust_env=False)

    assert reply.status_code == status
    assert reply.headers["x-agent-version"] == "triage-v1"
    assert agent.value("ai_agent_tasks_started_total") == 0


def test_while_leaving_it_answers_but_takes_no_more_connections_for_granted(
    agent: Running, one_of_each: dict[Verdict, Question]
) -> None:
    agent.server.leaving.set()

    assert httpx.get(f"{agent.url}/healthz", trust_env=False).status_code == 503
    reply = ask(agent, one_of_each[Verdict.RIGHT].id)
    assert (reply.status_code, reply.headers["connection"]) == (200, "close")


def test_answers_on_a_kept_connection_do_not_wait_for_acknowledgements(
    agent: Running, one_of_each: dict[Verdict, Question]
) -> None:
    question = {"question_id": one_of_each[Verdict.RIGHT].id}
    with httpx.Client(base_url=agent.url, trust_env=False) as client:
        took = []
        for _ in range(20):
            begun = time.perf_counter()
            client.post("/triage", json=question)
            took.append(time.perf_counter() - begun)

    # Nagle's algorithm would make the median 40 ms; a busy machine makes some slow, not half of them.
    assert sorted(took)[10] < 0.035


@contextmanager
def process(
    folder: Path, shown: Catalogue, spec: dict[str, object]
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The agent as a container runs it, and the port it serves on."""
    shown.write(folder / "catalogue.json")
    (folder / "agent.json").write_text(json.dumps(spec))
    with socket.socket() as probe, socket.socket() as other:
        probe.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, metrics_port = probe.getsockname()[1], other.getsockname()[1]
    environment = os.environ | {
        "INTERLOCK_AGENT": "triage",
        "INTERLOCK_VERSION": "triage-v1",
        "INTERLOCK_DIGEST": "abc",
        "INTERLOCK_MODE": "live",
        "DEMO_DOCUMENT": str(folder / "agent.json"),
        "DEMO_CATALOGUE": str(folder / "catalogue.json"),
        "DEMO_HOST": "127.0.0.1",
        "DEMO_PORT": str(port),
        "DEMO_METRICS_PORT": str(metrics_port),
    }
    started = subprocess.Popen(
        [sys.executable, "-m", "dev.demo.agent"],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with started:
        try:
            yield started, port
        finally:
            started.kill()


def test_on_sigterm_it_finishes_what_it_has_begun(
    tmp_path: Path, shown: Catalogue, one_of_each: dict[Verdict, Question]
) -> None:
    spec = manifest("triage-v1")["spec"]
    spec["parameters"]["faults"] = {"delayMilliseconds": 2500}
    replies: list[httpx.Response] = []
    with process(tmp_path, shown, spec) as (agent, port):
        assert agent.stdout is not None
        assert f"triage triage-v1 (live) serves on port {port}" in agent.stdout.readline()
        url = f"http://127.0.0.1:{port}/triage"
        question = {"question_id": one_of_each[Verdict.RIGHT].id}
        asking = threading.Thread(
            target=lambda: replies.append(httpx.post(url, json=question, trust_env=False, timeout=10))
        )
        asking.start()
        time.sleep(0.5)
        agent.send_signal(signal.SIGTERM)

        assert agent.wait(timeout=10) == 0
        asking.join()

    assert replies[0].json()["tool"] == one_of_each[Verdict.RIGHT].answer


def test_a_document_it_cannot_follow_ends_it_with_a_sentence(tmp_path: Path, shown: Catalogue) -> None:
    with process(tmp_path, shown, {"parameters": {"fields": {"title": 1}}}) as (agent, _):
        _, complaint = agent.communicate(timeout=20)

    assert agent.returncode == 2
    assert "`parameters.fields` must be some of" in complaint

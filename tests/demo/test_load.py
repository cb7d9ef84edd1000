"""The load generator: it keeps its schedule, checks answers itself, and counts what went wrong."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import httpx
import pytest

from dev.demo.agent.catalogue import Catalogue
from dev.demo.agent.document import Faults
from dev.demo.agent.judge import Verdict
from dev.demo.load import Load
from dev.demo.simulate import outcomes, replay
from dev.demo.traffic import draw
from dev.demo.versions import document
from tests.demo.conftest import serving
from tests.demo.test_agent import ROOT, with_parameters

V1 = document("triage-v1")


async def test_what_comes_back_is_what_the_simulation_says(shown: Catalogue) -> None:
    with serving(shown, V1) as agent:
        counts = await Load(f"{agent.url}/triage", draw(shown, seed=3), rate=300).run(tasks=200)

        expected = replay(outcomes(V1.configuration, shown), islice(draw(shown, seed=3), 200))
        assert counts.verdicts == {"triage-v1": Counter(expected)}
        assert (counts.sent, counts.answered, counts.failed) == (200, 200, 0)
        right = counts.verdicts["triage-v1"][Verdict.RIGHT]
        passed = agent.value("ai_agent_tasks_verified_total", result="pass", verifier="postcondition")
        assert passed == right


async def test_a_slow_answer_delays_no_later_question(shown: Catalogue) -> None:
    slow = with_parameters(faults=Faults(delay_milliseconds=600))
    with serving(shown, slow) as agent:
        begun = time.monotonic()
        counts = await Load(f"{agent.url}/triage", draw(shown, seed=1), rate=50).run(seconds=1)

        assert counts.answered == 50
        assert time.monotonic() - begun < 4  # one after the other it would have been 30


async def test_answers_are_counted_by_the_version_that_gave_them_and_the_host_is_asked_for(
    shown: Catalogue,
) -> None:
    asked: list[str] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["host"])
        version = "triage-v2" if len(asked) % 2 else "triage-v1"
        return httpx.Response(200, json={"tool": None}, headers={"x-agent-version": version})

    load = Load("http://gateway/triage", draw(shown, seed=1), host="triage.demo.test", rate=1000)
    counts = await load.run(tasks=20, transport=httpx.MockTransport(gateway))

    assert set(asked) == {"triage.demo.test"}
    assert {version: verdicts.total() for version, verdicts in counts.verdicts.items()} == {
        "triage-v1": 10,
        "triage-v2": 10,
    }


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (httpx.Response(503), "status 503"),
        (httpx.Response(200, text="<html>"), "unreadable answer"),
        (httpx.Response(200, json=["tool"]), "unreadable answer"),
        (httpx.ReadTimeout("slow"), "ReadTimeout"),
        (httpx.ConnectError("gone"), "ConnectError"),
    ],
)
async def test_errors_are_counted_by_kind_and_not_retried(
    shown: Catalogue, reply: httpx.Response | httpx.HTTPError, kind: str
) -> None:
    asked = 0

    def gateway(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += request.method == "POST"
        if request.method == "POST" and isinstance(reply, httpx.HTTPError):
            raise reply
        return reply if isinstance(reply, httpx.Response) else httpx.Response(404)

    load = Load("http://gateway/triage", draw(shown, seed=1), rate=1000)
    counts = await load.run(tasks=5, transport=httpx.MockTransport(gateway))

    assert asked == 5
    assert counts.errors == {kind: 5}
    assert counts.answered == 0


async def test_connections_may_be_refused_only_until_the_first_is_accepted(shown: Catalogue) -> None:
    refusals = iter([True, True])

    def gateway(request: httpx.Request) -> httpx.Response:
        if next(refusals, False):
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json={"tool": None})

    load = Load("http://gateway/triage", draw(shown, seed=1), rate=1000)
    counts = await load.run(tasks=3, transport=httpx.MockTransport(gateway))

    assert (counts.answered, counts.failed) == (3, 0)


async def test_nobody_ever_there_is_an_error(shown: Catalogue) -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    load = Load("http://gateway/triage", draw(shown, seed=1), patience=0.0)
    with pytest.raises(httpx.ConnectError):
        await load.run(tasks=3, transport=httpx.MockTransport(nobody))


async def test_it_stops_when_told_and_waits_for_the_last_answers(shown: Catalogue) -> None:
    with serving(shown, with_parameters(faults=Faults(delay_milliseconds=300))) as agent:
        load = Load(f"{agent.url}/triage", draw(shown, seed=1), rate=50)
        running = asyncio.create_task(load.run())
        await asyncio.sleep(0.5)
        load.stop()
        counts = await running

    assert counts.answered == counts.sent > 0


async def test_as_a_process_it_prints_a_line_a_second_and_a_last_one(
    shown: Catalogue, tmp_path: Path
) -> None:
    shown.write(tmp_path / "catalogue.json")
    with serving(shown, V1) as agent:
        command = ["-m", "dev.demo.load", "--url", f"{agent.url}/triage", "--rate", "40", "--seconds", "2.5"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            "--catalogue",
            str(tmp_path / "catalogue.json"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()

    *during, last = [json.loads(line) for line in output.splitlines()]
    assert process.returncode == 0
    assert during
    assert not any(line["final"] for line in during)
    assert last["final"]
    assert (last["sent"], last["answered"], last["errors"]) == (100, 100, {})
    assert last["versions"]["triage-v1"]["answered"] == 100
    assert last["milliseconds"]["p50"] > 0

"""Story 22: whatever a server does, the reader gives samples or says why not; and who shares a query."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from aiohttp import web

from interlock.adapters.prometheus import PrometheusMetrics
from interlock.adapters.prometheus.breaker import TRIES
from interlock.adapters.prometheus.client import AT_ONCE, HISTORIES_AT_ONCE
from interlock.adapters.prometheus.metrics import (
    HALVINGS,
    HOPELESS,
    LONE_AGENTS,
    MAX_ANSWER,
    MAX_SHARED,
    SILENT,
)
from interlock.adapters.prometheus.query import AGENTS, MAX_GROUPS
from interlock.core.observation import Unreadable
from interlock.ports import Samples
from tests.adapters.prometheus.given import (
    MOMENT,
    SELECTION,
    TASKS,
    Answering,
    Script,
    answering,
    as_prometheus_writes,
    knowing,
    matrix,
    of,
    of_type,
    points,
    saying,
)


# ------------------------------------------------------------------ one answer
async def read(script: Script, patience: float = 2.0) -> tuple[Samples | Unreadable, list[str]]:
    """What the adapter makes of an answer, and what it tells the telemetry."""
    told: list[str] = []
    async with answering(script) as address:
        metrics = PrometheusMetrics(address, patience, lambda result, _: told.append(result))
        try:
            return await metrics.read(SELECTION), told
        finally:
            await metrics.close()


async def test_a_good_answer_is_read() -> None:
    found, told = await read(saying(json.dumps(matrix([MOMENT, "2"])).encode()))
    assert points(found) == [(MOMENT, 2.0)]
    assert told == ["ok"]


async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte now and then: no chunk is late, the answer never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Nothing at all, until the other side gives up."""
    await reader.read(-1)


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


ANSWERS: dict[str, tuple[Script, float]] = {
    "500": (saying(b"boom", "500 Internal Server Error"), 2.0),
    "503 in JSON": (saying(b'{"status":"error","error":"overloaded"}', "503 Service Unavailable"), 2.0),
    "html with 200": (saying(b"<html>Sign in</html>"), 2.0),
    "redirect": (saying(b"", "302 Found", "Location: /login"), 2.0),
    "5 MB": (saying(b" " * 5_000_000), 5.0),
    "endless": (endless, 5.0),
    "truncated": (saying(b'{"status":"suc', length=5000), 2.0),
    "not gzip": (saying(b"plain", "200 OK", "Content-Encoding: gzip"), 2.0),
    "silent": (silent, 0.2),
    "trickle": (trickle, 0.2),
    "hang up": (hang_up, 2.0),
    "not http": (garbage, 2.0),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_no_answer_raises(name: str) -> None:
    script, patience = ANSWERS[name]
    found, told = await asyncio.wait_for(read(script, patience), 20)
    assert isinstance(found, Unreadable)
    assert 0 < len(found.reason) <= 200
    assert told == ["error"]


async def test_a_large_answer_is_not_kept_in_memory() -> None:
    found, _ = await read(saying(b" " * (MAX_ANSWER + 1)), 5.0)
    assert found == Unreadable("the answer is larger than 4 MiB")


async def test_a_redirect_is_told_and_not_followed() -> None:
    found, _ = await read(ANSWERS["redirect"][0], 2.0)
    assert found == Unreadable(
        "Prometheus sends us elsewhere (HTTP 302): give the address that answers itself"
    )


async def test_a_refused_connection_is_a_reason() -> None:
    async with answering(hang_up) as address:
        pass  # the port is free again
    metrics = PrometheusMetrics(address, 1.0)
    found = await metrics.read(SELECTION)
    await metrics.close()
    assert found == Unreadable(f"cannot connect to {address.removeprefix('http://')}: Connection refused")


# ------------------------------------------------------------------ shared queries
async def test_agents_of_all_namespaces_share_a_query_and_get_their_own_windows() -> None:
    server = Answering()
    server.namespaces = ["shop", "desk"]
    async with knowing(server) as metrics:
        wanted = [of("a", 9.0), of("b", 12.0, 1001.0), of("c", namespace="desk"), of("d", 3000.0)]
        found = await asyncio.gather(*map(metrics.read, wanted))
    assert len(server.asked) == 2, "a long replay is asked for apart"
    for selection, answer in zip(wanted[:2], found[:2], strict=True):
        assert isinstance(answer, Samples)
        (one,) = answer.series
        assert (one.labels["namespace"], one.labels["agent"]) == (selection.namespace, selection.agent)
        moments = [moment for moment, _ in points(answer)]
        assert moments == [selection.at - selection.window + 1 + n for n in range(int(selection.window))]


async def test_nobody_sees_an_agent_of_that_name_in_another_namespace() -> None:
    server = Answering()
    server.namespaces = ["shop", "desk", "attic"]
    async with knowing(server) as metrics:
        wanted = [of("a"), of("b", namespace="desk"), of("a", namespace="cellar")]
        found = await asyncio.gather(*map(metrics.read, wanted))
    assert len(server.asked) == 1
    told = [[one.labels["namespace"] for one in answer.series] for answer in found]  # type: ignore[union-attr]
    assert told == [["shop"], ["desk"], []]


async def test_nobody_gets_families_that_only_others_asked_for() -> None:
    server = Answering()
    sets = [frozenset({TASKS, f"f{number}"}) for number in range(MAX_GROUPS + 3)]
    async with knowing(server) as metrics:
        found = await asyncio.gather(*(metrics.read(of(f"a{n}", families=s)) for n, s in enumerate(sets)))
    assert len(server.asked) == MAX_GROUPS
    assert [{one.name for one in answer.series} for answer in found] == sets  # type: ignore[union-attr]


async def test_the_number_of_queries_does_not_depend_on_how_many_are_active() -> None:
    for count in (1, 10, AGENTS):
        server = Answering()
        async with knowing(server) as metrics:
            found = await asyncio.gather(*(metrics.read(of(f"a{n}")) for n in range(count)))
        assert len(server.asked) == 1
        assert all(isinstance(answer, Samples) and answer.series for answer in found)


async def test_who_gives_up_does_not_take_the_others_answer_away() -> None:
    async with knowing(Answering()) as metrics:
        first, second = (asyncio.create_task(metrics.read(of(name))) for name in "ab")
        await asyncio.sleep(0)
        first.cancel()
        assert isinstance(await second, Samples)


async def test_few_are_asked_at_once_and_history_never_takes_all_places() -> None:
    async def slow(_: list[str]) -> None:
        await asyncio.sleep(0.02)

    server = Answering(slow)
    async with knowing(server) as metrics:
        await asyncio.gather(*(metrics.read(of(f"a{n}", window=240.0 * 2**n)) for n in range(6)))
        assert server.at_most_at_once == HISTORIES_AT_ONCE
        now = time.time()
        await asyncio.gather(*(metrics.read(of(f"a{n}", at=now)) for n in range(AGENTS * (AT_ONCE + 2))))
        assert server.at_most_at_once == AT_ONCE


# ------------------------------------------------------------------ answers that cannot be used
def refusing(*bad: str) -> Callable[[list[str]], Awaitable[web.Response | None]]:
    """A query about one of these is refused."""

    async def lie(agents: list[str]) -> web.Response | None:
        if not {*agents} & {*bad}:
            return None
        return web.json_response({"status": "error", "error": "too many samples"}, status=422)

    return lie


async def all_of(metrics: PrometheusMetrics, names: Iterable[str]) -> set[str]:
    """Reads them all at once; returns those that cannot be read."""
    names = list(names)
    found = await asyncio.gather(*(metrics.read(of(name, at=time.time())) for name in names))
    return {name for name, answer in zip(names, found, strict=True) if isinstance(answer, Unreadable)}


async def test_one_agent_that_is_refused_does_not_blind_the_others() -> None:
    server, names = Answering(refusing("c")), "abcdefgh"
    async with knowing(server) as metrics:
        assert await all_of(metrics, names) == {"c"}
        assert len(server.asked) == 7, "halved three times, not asked for each alone"
        assert await all_of(metrics, names) == {"c"}
        assert len(server.asked) == 9, "from then on it is asked for alone"
        server.lies = None
        assert await all_of(metrics, names) == set()
        assert await all_of(metrics, names) == set()
        assert server.agents[-1] == list(names), "it is one of many again"


UNUSABLE: dict[str, Callable[[], web.Response]] = {
    "warnings": lambda: web.json_response(matrix(warnings=["store-1 did not answer"])),
    "a partial answer": lambda: web.Response(body=as_prometheus_writes(matrix([1, "1"]))[:-9]),
    "an error with 200": lambda: web.json_response({"status": "error", "error": "no"}),
    "another kind of result": lambda: web.json_response(of_type("vector", [])),
    "no labels": lambda: web.json_response(of_type("matrix", [{"values": [[1, "1"]]}])),
    "words for values": lambda: web.json_response(matrix([1, "many"])),
    "samples out of order": lambda: web.json_response(matrix([2, "1"], [1, "1"])),
    "a page to sign in": lambda: web.Response(text="<html>Sign in</html>"),
    "nothing": web.Response,
    "too much": lambda: web.Response(body=b" " * (MAX_SHARED + 1)),
    "a bad query": lambda: web.json_response({"status": "error", "error": "parse error"}, status=400),
    "a failing store": lambda: web.Response(text="boom", status=500),
}


@pytest.mark.parametrize("kind", UNUSABLE)
async def test_what_cannot_be_used_about_one_agent_is_unknown_and_costs_no_other(kind: str) -> None:
    async def lie(agents: list[str]) -> web.Response | None:
        return UNUSABLE[kind]() if "c" in agents else None

    server, names = Answering(lie), "abcd"
    async with knowing(server) as metrics:
        for _ in range(2):
            assert await all_of(metrics, names) == {"c"}
    assert sorted(map(len, server.agents[-2:])) == [1, 3]


async def test_an_agent_that_takes_too_long_does_not_blind_the_others() -> None:
    async def lie(agents: list[str]) -> web.Response | None:
        if "c" in agents:
            await asyncio.sleep(60)
        return None

    server, names = Answering(lie), "abcd"
    async with knowing(server, patience=1.5) as metrics:
        assert await all_of(metrics, names) == {"c"}
        assert await all_of(metrics, names) == {"c"}
        assert sorted(map(len, server.agents[-2:])) == [1, 3]


async def test_who_can_be_answered_does_not_wait_for_who_cannot() -> None:
    held = asyncio.Event()

    async def lie(agents: list[str]) -> web.Response | None:
        if "b" in agents and len(agents) > 1:
            return web.json_response({"status": "error", "error": "too many samples"}, status=422)
        if "b" in agents:
            await held.wait()
        return None

    async with knowing(Answering(lie)) as metrics:
        first, second = (asyncio.create_task(metrics.read(of(name))) for name in "ab")
        assert isinstance(await first, Samples)
        assert not second.done()
        held.set()
        assert isinstance(await second, Samples)


async def test_where_no_answer_can_be_used_no_agent_is_to_blame() -> None:
    async def partial(agents: list[str]) -> web.Response | None:
        return web.json_response(matrix(warnings=["store-1 did not answer"]))

    server, names = Answering(partial), [f"a{n}" for n in range(AGENTS)]
    async with knowing(server) as metrics:
        assert await all_of(metrics, names) == set(names)
        assert len(server.asked) <= 1 + HALVINGS
        for _ in range(HOPELESS - 1):
            before = len(server.asked)
            assert await all_of(metrics, names) == set(names)
            assert len(server.asked) == before + 2, "those that were asked for alone share one"
        assert await all_of(metrics, names) == set(names)
        assert len(server.asked) <= before + 1 + 1 + HALVINGS + LONE_AGENTS
        server.lies = None
        assert await all_of(metrics, names) == set()


async def test_who_comes_to_those_that_cannot_be_read_is_soon_found() -> None:
    server = Answering(refusing("a", "b"))
    async with knowing(server) as metrics:
        for _ in range(HOPELESS):
            assert await all_of(metrics, "ab") == {"a", "b"}
            assert await all_of(metrics, "abc") == {"a", "b"}


async def test_others_that_can_be_read_at_the_same_moments_keep_nobody_from_being_found() -> None:
    """Who cannot be read asks about ever more time: in queries of their own, which also end later here."""
    refuse = refusing("a", "b")

    async def lie(agents: list[str]) -> web.Response | None:
        if "quick" not in agents:
            await asyncio.sleep(0.05)
        return await refuse(agents)

    async with knowing(Answering(lie)) as metrics:

        async def blind(*names: str) -> set[str]:
            now = time.time()
            reads = [of("quick", 10, now), *(of(name, 100, now) for name in names)]
            found = await asyncio.gather(*map(metrics.read, reads))
            return {one.agent for one, said in zip(reads, found, strict=True) if isinstance(said, Unreadable)}

        assert await blind("a") == {"a"}
        seen = [await blind("b", "good") for _ in range(HOPELESS)]
        assert seen[-1] == {"b"}


async def test_of_many_bad_agents_some_share_the_blame_for_a_while() -> None:
    """Isolating them costs queries, and those are bounded; the good ones are found meanwhile."""
    bad, names = {f"a{n}" for n in range(0, AGENTS, 25)}, [f"a{n}" for n in range(AGENTS)]
    server = Answering(refusing(*bad))
    async with knowing(server) as metrics:
        for _ in range(8):
            before = len(server.asked)
            blind = await all_of(metrics, names)
            assert bad <= blind
            assert len(server.asked) - before <= 1 + HALVINGS + LONE_AGENTS
    assert blind == bad


# ------------------------------------------------------------------ nobody answers
async def test_the_log_tells_once_that_nobody_answers_and_once_that_somebody_does(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.adapters.prometheus.breaker.FIRST_PAUSE", 0.0)  # it is tried again at once
    gone = True

    async def sometimes(_: list[str]) -> web.Response | None:
        return web.Response(text="upstream connect error", status=503) if gone else None

    with caplog.at_level(logging.INFO):
        async with knowing(Answering(sometimes)) as metrics:
            for _ in range(TRIES + 2):
                await all_of(metrics, "a")
            gone = False
            for _ in range(2):
                await all_of(metrics, "a")
    told = [record.levelname for record in caplog.records if "Prometheus" in record.getMessage()]
    assert told == ["WARNING", "INFO"], caplog.messages


async def test_the_log_does_not_take_what_cannot_be_used_for_an_answer(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.adapters.prometheus.breaker.FIRST_PAUSE", 0.0)
    says: dict[str, Any] = {"text": "<html>Sign in</html>", "status": 200}

    async def next_answer(_: list[str]) -> web.Response | None:
        return web.Response(**says) if says else None

    async def told(moments: int) -> list[str]:
        caplog.clear()
        for _ in range(moments):
            await all_of(metrics, "a")
        return [record.getMessage() for record in caplog.records if "Prometheus" in record.getMessage()]

    with caplog.at_level(logging.INFO):
        async with knowing(Answering(next_answer)) as metrics:
            (first,) = await told(TRIES + 2)
            assert first.startswith("Prometheus answers, but none of its answers can be used: ")
            says["status"] = 503
            (second,) = await told(TRIES + 2)
            assert second.startswith("Prometheus does not answer")
            says["status"] = 200
            assert await told(2) == [first], "it is there again, and of no more use than before"
            says.clear()
            assert await told(2) == ["Prometheus answers again"]


async def test_a_server_that_does_not_answer_is_left_alone_for_a_while() -> None:
    async def down(_: list[str]) -> web.Response:
        return web.Response(text="upstream connect error", status=503)

    server = Answering(down)
    async with knowing(server) as metrics:
        for _ in range(TRIES):
            assert await all_of(metrics, "a") == {"a"}
        assert len(server.asked) == TRIES
        found = await metrics.read(of("a", at=time.time()))
        assert len(server.asked) == TRIES
    assert isinstance(found, Unreadable)
    assert f"is this address Prometheus? ({TRIES} times running or more; tried again" in found.reason


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_who_is_turned_away_does_not_ask_in_halves(status: int) -> None:
    async def away(_: list[str]) -> web.Response:
        return web.Response(text="no", status=status)

    server = Answering(away)
    async with knowing(server) as metrics:
        assert await all_of(metrics, "abcd") == {*"abcd"}
    assert len(server.asked) == 1


async def test_a_server_that_hangs_is_not_asked_about_each_agent() -> None:
    async def hangs(_: list[str]) -> None:
        await asyncio.sleep(60)

    server = Answering(hangs)
    async with knowing(server, patience=0.2) as metrics:
        assert await all_of(metrics, "abcdefgh") == {*"abcdefgh"}
    assert len(server.asked) <= SILENT, "fewer where one was given up before it was heard"


async def test_agents_that_nobody_answers_for_do_not_shut_the_others_out() -> None:
    async def lie(agents: list[str]) -> web.Response | None:
        return web.Response(text="no", status=503) if {*agents} & {*"abcd"} else None

    async with knowing(Answering(lie)) as metrics:
        for _ in range(4 * TRIES):
            blind = await all_of(metrics, "abcdefgh")
    assert blind == {*"abcd"}

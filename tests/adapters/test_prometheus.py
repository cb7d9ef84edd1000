"""Story 22: whatever is answered, the adapter gives samples or says why not; it never raises."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.adapters.prometheus import AGENTS, MAX_ANSWER, PrometheusMetrics, parse, query
from interlock.core.observation import Unreadable
from interlock.ports import Samples, Selection

SELECTION = Selection(frozenset({"ai_agent_tasks_total", "up"}), "shop", "triage", 1_000_000.5, 30.0)
LABELS = {"__name__": "ai_agent_tasks_total", "pod": "a-1"}


def matrix(*values: list[Any], labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A well-formed answer with one series."""
    series = {"metric": LABELS if labels is None else labels, "values": list(values)}
    return {"status": "success", "data": {"resultType": "matrix", "result": [series]}} | more


def of_type(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def points(found: Samples | Unreadable) -> list[tuple[float, float]]:
    assert isinstance(found, Samples), found
    return [point for series in found.series for point in series.points]


# ------------------------------------------------------------------ parse
def test_samples_come_through_as_they_were_scraped() -> None:
    found = parse(200, json.dumps(matrix([1.5, "3"], [2.5, "4"])).encode())
    assert points(found) == [(1.5, 3.0), (2.5, 4.0)]


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "Inf"])
def test_what_is_not_a_number_is_dropped_and_the_rest_is_kept(value: str) -> None:
    found = parse(200, json.dumps(matrix([1, "3"], [2, value], [3, "4"])).encode())
    assert points(found) == [(1.0, 3.0), (3.0, 4.0)]


def test_several_series_are_kept_apart() -> None:
    answer = matrix([1, "1"])
    answer["data"]["result"].append({"metric": {"pod": "b"}, "values": [[1, "9"]]})
    found = parse(200, json.dumps(answer).encode())
    assert isinstance(found, Samples)
    assert [series.labels.get("pod") for series in found.series] == ["a-1", "b"]


def test_no_series_are_no_samples_and_not_a_failure() -> None:
    assert parse(200, json.dumps(of_type("matrix", [])).encode()) == Samples(())


MALFORMED: dict[str, Any] = {
    "empty vector": of_type("vector", []),
    "vector": of_type("vector", [{"metric": LABELS, "value": [1, "2"]}]),
    "scalar": of_type("scalar", [1, "2"]),
    "string": of_type("string", [1, "up"]),
    "result is a string": of_type("matrix", "abc"),
    "result is a number": of_type("matrix", 7),
    "result is an object": of_type("matrix", {"a": 1}),
    "series is a string": of_type("matrix", ["abc"]),
    "labels are a list": of_type("matrix", [{"metric": ["a"], "values": [[1, "2"]]}]),
    "labels are missing": of_type("matrix", [{"values": [[1, "2"]]}]),
    "values are words": matrix(["soon", "many"]),
    "values are triples": matrix([1, "2", 3]),
    "values are numbers": of_type("matrix", [{"metric": {}, "values": [1, 2]}]),
    "values are null": matrix([None, None]),
    "a number of 400 digits": matrix([10**400, "1"]),
    "no data": {"status": "success"},
    "data is a list": {"status": "success", "data": []},
    "warnings": matrix([1, "1"], warnings=["partial response: store-1 is down"]),
    "an error": {"status": "error", "errorType": "bad_data", "error": "parse error"},
    "a list": [],
    "null": None,
    "a string": "success",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer_has_a_reason(name: str) -> None:
    found = parse(200, json.dumps(MALFORMED[name]).encode())
    assert isinstance(found, Unreadable)
    assert 0 < len(found.reason) <= 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Sign in</body></html>",
        json.dumps(matrix([1, "1"])).encode()[:-7],
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe\x00",
        b'{"status":"success","data":{"resultType":"matrix","result":[]}} trailing',
        b"9" * 5000,
    ],
    ids=["empty", "html", "truncated", "deep list", "deep object", "binary", "trailing", "long number"],
)
def test_what_is_not_json_has_a_reason(body: bytes) -> None:
    found = parse(200, body)
    assert isinstance(found, Unreadable)
    assert 0 < len(found.reason) <= 200


@pytest.mark.parametrize("status", [204, 302, 400, 401, 404, 500, 503])
def test_only_200_is_an_answer(status: int) -> None:
    assert isinstance(parse(status, json.dumps(matrix([1, "1"])).encode()), Unreadable)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(json_values)
def test_no_json_raises(value: Any) -> None:
    for answer in (value, {"status": "success", "data": value}, of_type("matrix", value), matrix(value)):
        found = parse(200, json.dumps(answer).encode())
        if isinstance(found, Samples):
            assert all(math.isfinite(t) and math.isfinite(v) for t, v in points(found))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(parse(200, body), Unreadable)


# ------------------------------------------------------------------ query
def test_the_namespace_is_always_part_of_the_query() -> None:
    assert query([SELECTION], 30.0) == (
        '{__name__=~"ai_agent_tasks_total|up",namespace="shop",agent="triage"}[30000ms]'
    )


def test_label_values_cannot_leave_their_quotes() -> None:
    hostile = Selection(frozenset({"up"}), 'a"} or {x="', "b\\", 1.0, 5.0)
    text = query([hostile], 5.0)
    assert 'namespace="a\\"} or {x=\\""' in text
    assert 'agent="b\\\\"' in text


def test_several_agents_are_alternatives_and_nothing_else() -> None:
    dotted = Selection(SELECTION.families, "shop", 'a.b"|c', 1.0, 5.0)
    text = query([SELECTION, dotted], 30.0)
    assert 'namespace="shop",agent=~"a\\\\.b\\"\\\\|c|triage"' in text


# ------------------------------------------------------------------ a server on loopback
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(script: Script) -> AsyncIterator[str]:
    """A TCP server that reads a request's head and then does what the script says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()


def saying(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> Script:
    """One whole HTTP answer."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
        writer.write("\r\n".join([*head, "Connection: close", "", ""]).encode() + body)
        await writer.drain()

    return script


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
    found, told = await read(saying(json.dumps(matrix([1, "2"])).encode()))
    assert points(found) == [(1.0, 2.0)]
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


async def test_a_refused_connection_is_a_reason() -> None:
    async with answering(hang_up) as address:
        pass  # the port is free again
    metrics = PrometheusMetrics(address, 1.0)
    found = await metrics.read(SELECTION)
    await metrics.close()
    assert isinstance(found, Unreadable)
    assert "Connect" in found.reason


# ------------------------------------------------------------------ shared queries
class Answering:
    """A Prometheus that knows one sample a second of every agent, and what it was asked."""

    def __init__(self, refuses: str = "") -> None:
        self.asked: list[str] = []
        self._refuses = refuses

    async def answer(self, request: web.Request) -> web.Response:
        text, at = str((await request.post())["query"]), float(str((await request.post())["time"]))
        self.asked.append(text)
        agents = re.findall(r'agent=~?"([^"]*)"', text)[0].replace("\\", "").split("|")
        if self._refuses in agents:
            return web.json_response({"status": "error", "error": "too many samples"}, status=422)
        values = [[at - age, str(age)] for age in range(40, -1, -1)]
        result = [{"metric": {"agent": agent}, "values": values} for agent in agents]
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})


@asynccontextmanager
async def knowing(server: Answering) -> AsyncIterator[PrometheusMetrics]:
    app = web.Application()
    app.add_routes([web.post("/api/v1/query", server.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    metrics = PrometheusMetrics(f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        yield metrics
    finally:
        await metrics.close()
        await runner.cleanup()


def of(agent: str, window: float = 10.0, at: float = 1000.0, namespace: str = "shop") -> Selection:
    return Selection(frozenset({"up"}), namespace, agent, at, window)


async def test_agents_of_a_namespace_share_a_query_and_get_their_own_windows() -> None:
    server = Answering()
    async with knowing(server) as metrics:
        wanted = [of("a", 9.0), of("b", 12.0, 1001.0), of("c", namespace="desk"), of("d", 3000.0)]
        found = await asyncio.gather(*map(metrics.read, wanted))
    assert len(server.asked) == 3, "one for a and b; another namespace and a long replay are asked for alone"
    for selection, answer in zip(wanted[:2], found[:2], strict=True):
        assert isinstance(answer, Samples)
        assert [series.labels["agent"] for series in answer.series] == [selection.agent]
        moments = [moment for moment, _ in points(answer)]
        assert moments == [selection.at - selection.window + 1 + n for n in range(int(selection.window))]


async def test_one_agent_that_is_refused_does_not_blind_the_others() -> None:
    server = Answering(refuses="bad")
    names = ["a", "b", "bad", "c", "d", "e", "f", "g"]
    async with knowing(server) as metrics:
        found = await asyncio.gather(*(metrics.read(of(name)) for name in names))
    blind = [name for name, answer in zip(names, found, strict=True) if isinstance(answer, Unreadable)]
    assert blind == ["bad"]
    assert len(server.asked) == 7, "halved three times, not asked for each alone"


async def test_many_agents_are_asked_for_in_parts() -> None:
    server = Answering()
    async with knowing(server) as metrics:
        found = await asyncio.gather(*(metrics.read(of(f"a{n}")) for n in range(AGENTS + 1)))
        assert len(server.asked) == 2
        await asyncio.gather(*(metrics.read(of(f"a{n}", window=600.0)) for n in range(20)))
    assert len(server.asked) == 4, "the longer the window, the fewer at once"
    assert all(isinstance(answer, Samples) and answer.series for answer in found)


async def test_who_gives_up_does_not_take_the_others_answer_away() -> None:
    async with knowing(Answering()) as metrics:
        first, second = (asyncio.create_task(metrics.read(of(name))) for name in "ab")
        await asyncio.sleep(0)
        first.cancel()
        assert isinstance(await second, Samples)

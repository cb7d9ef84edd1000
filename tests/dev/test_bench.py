"""What the benchmarks count with: figures, the audit log, and lanes that must not lose the newest state."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from pathlib import Path

from dev.bench import audit
from dev.bench.as_installed import hidden
from dev.bench.figures import Figure
from dev.bench.fleet import Fleet
from dev.bench.lanes import Lanes


def test_a_figure_stands_beside_its_target_and_its_peers() -> None:
    text = Figure("restart", 2.0, "s", 4, {"Argo": (30.0,), "Flagger": (20.0, 55.0)}, "quiet").show()
    assert "target ≤ 4 (0.50 of it)" in text
    assert "Argo 30 (15.0×)" in text
    assert "Flagger 20–55 (10.0–27.5×)" in text
    assert text.endswith("quiet")


def test_a_figure_of_nothing_divides_by_nothing() -> None:
    text = Figure("writes", 0, "", 0, {"Argo": (1.0,)}).show()
    assert "target ≤ 0 " in text
    assert "Argo 1 " in text


def test_requests_are_counted_by_verb_and_resource_within_the_span(tmp_path: Path) -> None:
    def line(second: int, verb: str, **what: str) -> str:
        at = f"2026-01-01T00:00:{second:02}.500000Z"
        return json.dumps(
            {"verb": verb, "requestReceivedTimestamp": at, "requestURI": "/", "objectRef": what}
        )

    status = {"resource": "rollouts", "subresource": "status"}
    lines = [line(1, "update", **status), line(2, "update", **status), line(3, "get", resource="releases")]
    (tmp_path / "audit.log").write_text("\n".join([*lines, line(9, "get", resource="releases")]) + "\n")
    began = 1_767_225_600.0
    told = audit.requests(tmp_path, began, began + 5)
    assert told == Counter({("update", "rollouts/status"): 2, ("get", "releases"): 1})
    assert audit.shown(told) == "update rollouts/status: 2, get releases: 1"
    assert audit.shown(Counter()) == "none"


async def test_a_lane_ends_with_the_newest_value_and_works_on_a_key_once_at_a_time() -> None:
    done: list[tuple[str, int]] = []
    busy: set[str] = set()
    both_begun, go_on, newest = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(key: str, value: int) -> None:
        assert key not in busy
        busy.add(key)
        if busy == {"a", "b"}:
            both_begun.set()
        await go_on.wait()
        busy.discard(key)
        done.append((key, value))
        if {("a", 2), ("b", 2)} <= set(done):
            newest.set()

    lanes = Lanes(work, width=2)
    running = asyncio.create_task(lanes.run())
    for value in range(3):
        lanes.put("a", value)
        lanes.put("b", value)
        await asyncio.wait_for(both_begun.wait(), 10)
    go_on.set()
    await asyncio.wait_for(newest.wait(), 10)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert sorted(done) == [("a", 0), ("a", 2), ("b", 0), ("b", 2)], "1 is overtaken"


def test_a_fleet_is_dealt_out_evenly_under_names_of_their_own() -> None:
    fleet = Fleet.of("scale", 25, 10)
    assert len(set(fleet.places)) == 25
    assert len(fleet.namespaces) == 10
    assert Counter(namespace for namespace, _ in fleet.places)["scale-9"] == 2


def test_what_users_do_not_have_is_hidden_and_what_they_have_is_not() -> None:
    names = hidden()
    assert {"pytest", "hypothesis", "kubernetes"} <= set(names)
    assert not {"kopf", "aiohttp", "pydantic", "interlock", "yaml"} & set(names)

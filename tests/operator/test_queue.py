"""One key once, the earliest first, the urgent before all others, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from interlock.operator.queue import FIRST_BACKOFF, LAST_BACKOFF, LONGEST_ALONE, Queue


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue[str]:
    return Queue(clock)


async def first(queue: Queue[str]) -> str | None:
    """The key that is handed out now; None when none is due."""
    task = asyncio.ensure_future(queue.take())
    for _ in range(3):
        await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return None


async def test_a_key_added_often_is_handed_out_once(queue: Queue[str]) -> None:
    for _ in range(5):
        queue.add("a")
    assert len(queue) == 1
    assert await first(queue) == "a"
    queue.done("a")
    assert await first(queue) is None


async def test_the_earliest_is_first_and_nothing_comes_early(queue: Queue[str], clock: Clock) -> None:
    queue.add("late", 9)
    queue.add("soon", 3)
    assert await first(queue) is None
    clock.now = 9
    assert [await first(queue), await first(queue)] == ["soon", "late"]


async def test_an_earlier_time_stands(queue: Queue[str], clock: Clock) -> None:
    queue.add("a", 3)
    queue.add("a", 9)
    clock.now = 3
    assert await first(queue) == "a"


async def test_the_urgent_go_before_all_others_that_are_due(queue: Queue[str], clock: Clock) -> None:
    queue.add("a")
    queue.add("b")
    clock.now = 5
    queue.add("revert", urgent=True)
    assert await first(queue) == "revert"
    assert await first(queue) == "a"


async def test_an_urgent_key_that_is_not_due_does_not_hold_up_the_others(queue: Queue[str]) -> None:
    queue.add("later", 60, urgent=True)
    queue.add("now")
    assert await first(queue) == "now"


async def test_while_candidates_are_taken_back_the_others_wait(queue: Queue[str], clock: Clock) -> None:
    queue.add("record")
    with queue.urgent_alone(0.1):
        queue.add("revert", urgent=True)
        clock.now = 1
        assert await first(queue) == "revert"
        assert await first(queue) is None
    assert await first(queue) is None
    clock.now = 1.1
    assert await first(queue) == "record"


async def test_a_waiting_worker_is_given_the_others_when_their_time_has_come() -> None:
    queue: Queue[str] = Queue(asyncio.get_running_loop().time)
    with queue.urgent_alone(0.02):
        worker = asyncio.ensure_future(queue.take())
        queue.add("record")
        await asyncio.sleep(0)
    assert await asyncio.wait_for(worker, 5) == "record"


@pytest.mark.parametrize("always", [False, True], ids=["one after the other", "some at all times"])
async def test_reverts_without_end_do_not_hold_up_the_others_for_ever(
    queue: Queue[str], clock: Clock, always: bool
) -> None:
    with queue.urgent_alone(0.1) if always else contextlib.nullcontext():
        with queue.urgent_alone(0.1):
            queue.add("record")
        while await first(queue) is None:
            clock.now += 0.05
            with queue.urgent_alone(0.1):
                pass
            assert clock.now < 2 * LONGEST_ALONE
        assert clock.now == pytest.approx(LONGEST_ALONE, abs=0.2)
        queue.add("next")
        assert await first(queue) == "next", "now it is their turn for a while"


async def test_what_was_urgent_is_tried_again_as_urgent(queue: Queue[str], clock: Clock) -> None:
    queue.add("revert", urgent=True)
    queue.add("record")
    assert await first(queue) == "revert"
    queue.retry("revert")
    queue.done("revert")
    clock.now = FIRST_BACKOFF
    assert await first(queue) == "revert"


async def test_a_key_in_work_is_not_handed_out_twice_and_comes_again(queue: Queue[str]) -> None:
    queue.add("a")
    assert await first(queue) == "a"
    queue.add("a")
    assert await first(queue) is None
    queue.done("a")
    assert await first(queue) == "a"


async def test_back_off_doubles_up_to_a_limit_and_begins_anew(queue: Queue[str]) -> None:
    delays = [queue.retry("a") for _ in range(12)]
    assert delays[:3] == [FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF]
    assert delays[-1] == LAST_BACKOFF
    queue.succeeded("a")
    assert queue.retry("a") == FIRST_BACKOFF


async def test_back_off_is_per_key(queue: Queue[str]) -> None:
    for _ in range(5):
        queue.retry("bad")
    assert queue.retry("good") == FIRST_BACKOFF


async def test_what_is_forgotten_does_not_come(queue: Queue[str], clock: Clock) -> None:
    queue.add("a")
    queue.forget("a")
    clock.now = 100
    assert await first(queue) is None
    assert queue.oldest == 0


async def test_a_waiting_worker_is_woken_by_what_comes(queue: Queue[str]) -> None:
    workers = [asyncio.ensure_future(queue.take()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in ("a", "b", "c"):
        queue.add(key)
    assert sorted(await asyncio.wait_for(asyncio.gather(*workers), 5)) == ["a", "b", "c"]


async def test_a_waiting_worker_is_woken_by_the_end_of_other_work(queue: Queue[str]) -> None:
    queue.add("a")
    await queue.take()
    queue.add("a")
    worker = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.done("a")
    assert await asyncio.wait_for(worker, 5) == "a"


async def test_idle_is_told_when_a_worker_finds_nothing_due(queue: Queue[str]) -> None:
    queue.add("now")
    queue.add("later", 60)
    assert await first(queue) == "now"
    assert not queue.idle.is_set(), "nobody has asked in vain"
    assert await first(queue) is None
    assert queue.idle.is_set()
    queue.add("now")
    assert await first(queue) is None, "it is in work"
    queue.done("now")
    assert await first(queue) == "now"
    assert not queue.idle.is_set()


async def test_a_due_time_in_the_future_comes_by_itself() -> None:
    queue: Queue[str] = Queue(asyncio.get_running_loop().time)
    queue.add("a", 0.02)
    assert await asyncio.wait_for(queue.take(), 5) == "a"


async def test_the_longest_wait_is_told(queue: Queue[str], clock: Clock) -> None:
    queue.add("a", 2)
    clock.now = 10
    queue.add("b")
    assert queue.oldest == 8


class Model(RuleBasedStateMachine):
    """Against a plain list of what was added: the right key, never twice, never lost."""

    keys = st.sampled_from("abcd")

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.queue: Queue[str] = Queue(self.clock)
        self.due: dict[str, tuple[int, float]] = {}
        self.running: set[str] = set()

    @rule(key=keys, after=st.sampled_from([0.0, 1.0, 5.0]), urgent=st.booleans())
    def add(self, key: str, after: float, urgent: bool) -> None:
        self.queue.add(key, after, urgent=urgent)
        lane, time = self.due.get(key, (1, float("inf")))
        self.due[key] = (min(lane, 0 if urgent else 1), min(time, self.clock.now + after))

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def take(self) -> None:
        ready = {
            key: place
            for key, place in self.due.items()
            if place[1] <= self.clock.now and key not in self.running
        }
        found = self.loop.run_until_complete(first(self.queue))
        if not ready:
            assert found is None
            return
        assert found is not None
        assert ready[found] == min(ready.values())
        del self.due[found]
        self.running.add(found)

    @rule(key=keys)
    def done(self, key: str) -> None:
        self.running.discard(key)
        self.queue.done(key)

    def teardown(self) -> None:
        self.loop.close()

    @invariant()
    def holds_what_was_added(self) -> None:
        if hasattr(self, "queue"):
            assert len(self.queue) == len(self.due)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=40, stateful_step_count=20, deadline=None, derandomize=True)

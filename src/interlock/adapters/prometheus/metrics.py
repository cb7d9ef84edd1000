"""What is asked at one moment becomes few queries, and each asker gets what it would have got alone.

One agent whose answer cannot be used does not blind the others: the query is halved until it is alone, and
from then on it is asked for alone.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from interlock.adapters.prometheus.access import Access
from interlock.adapters.prometheus.answers import Answer
from interlock.adapters.prometheus.breaker import TRIES, Breaker
from interlock.adapters.prometheus.client import Client, NoAnswer, Observe
from interlock.adapters.prometheus.labels import CANONICAL, Agent, LabelNames
from interlock.adapters.prometheus.query import USUAL_WINDOW, query, shares
from interlock.adapters.prometheus.recurring import Recurring
from interlock.analysis.series import Series
from interlock.analysis.values import Evaluated
from interlock.core.observation import Unreadable
from interlock.ports import Evaluation, Samples, Selection

log = logging.getLogger(__name__)

GATHER = 0.005
"""Seconds that a read waits for others to share its query."""
MAX_ANSWER = 4 * 1024 * 1024
"""Bytes about one agent. More is a selector that matches too much, or not Prometheus at all."""
MAX_SHARED = 32 * 1024 * 1024
"""Bytes about many: two hundred agents with six pods of forty series are half of it."""
HALVINGS = 32
"""Further queries, at most, that reads of one moment may cost because an answer cannot be used: enough to
find four agents of two hundred."""
LONE_AGENTS = 16
"""Agents, at most, that are asked for alone because the last answer about them could not be used."""
HOPELESS = 4
"""While nobody's answer can be used, no agent is to blame: then it is only each so many moments that one is
looked for, and in between those asked for alone share their queries as well."""
SILENT = 3
"""Queries of one moment without an answer after which no further ones are made, if there was no other."""
RECENT = 30.0
"""Seconds. What is asked about an earlier moment is history."""
HALF_A_MILLISECOND = 0.0005

Found = Samples | Unreadable
Failure = Unreadable | NoAnswer
Alike = tuple[bool, int, int, float]
Length = tuple[int, float]


@dataclass(eq=False, slots=True)
class _Reads:
    """Reads of about one moment, which wait for their answers."""

    alike: Alike
    waiting: dict[Selection, asyncio.Future[Found]] = field(default_factory=dict)
    halvings: int = 0
    usable: int = 0
    """Answers that could be used."""
    useless: int = 0
    silent: int = 0
    """Queries that nobody answered."""

    def give(self, selection: Selection, answer: Found) -> None:
        """Each gets its answer when it is there: those that wait for a slow one wait alone."""
        if not self.waiting[selection].done():
            self.waiting[selection].set_result(answer)

    def give_up(self, selections: Iterable[Selection], reason: str) -> None:
        """Nobody knows anything of them."""
        for selection in selections:
            self.give(selection, Unreadable(reason[:200]))

    def count(self, found: object) -> None:
        """What came of a query."""
        self.usable += not isinstance(found, Failure)
        self.useless += isinstance(found, Unreadable)
        self.silent += isinstance(found, NoAnswer)

    @property
    def history(self) -> bool:
        """Whether they are about an earlier moment."""
        return self.alike[0]

    @property
    def length(self) -> Length:
        """What reads of later moments have in common with these."""
        return self.alike[2:]

    @property
    def alive(self) -> bool:
        """Whether anything was answered."""
        return self.usable + self.useless > 0

    def may_halve(self) -> bool:
        """Takes two further queries from what is left."""
        if self.silent >= SILENT and not self.alive:
            return False
        self.halvings -= 2
        return self.halvings >= 0


@dataclass(eq=False, slots=True)
class _Course:
    """How it went lately."""

    breaker: Breaker = field(default_factory=Breaker)
    useless: dict[Length, int] = field(default_factory=dict)
    """Moments running of which no answer could be used, by how much was asked about: who has waited for long
    asks about more, and must neither be taken for the others nor they for it."""
    _dry: int = 0
    """Moments running of which nobody got an answer that could be used."""
    _told: bool = False
    """Whether the last that the log says is that nothing can be read."""

    def blames(self, reads: _Reads) -> bool:
        """Whether it is worth it to look for an agent that is to blame."""
        return self.useless.get(reads.length, 0) % HOPELESS == 0

    def went(self, reads: _Reads, reason: str, now: float) -> None:
        """A moment is over; `reason` why there was no answer, `now` in monotonic seconds."""
        self.useless[reads.length] = 0 if reads.usable else self.useless.get(reads.length, 0) + 1
        self._dry = 0 if reads.usable else self._dry + 1
        if reads.alive:
            again = self.breaker.answered()
            if self._told and reads.usable:
                log.info("Prometheus answers again")
                self._told = False
            elif not reads.usable and (again or (self._dry >= TRIES and not self._told)):
                log.warning("Prometheus answers, but none of its answers can be used: %s", reason)
                self._told = True
        elif self.breaker.failed(reason, now):
            log.warning("Prometheus does not answer, it is asked less often: %s", reason)
            self._told = True


class PrometheusMetrics:
    """A range selector evaluated at one instant returns raw samples, unextrapolated."""

    def __init__(
        self,
        address: str,
        timeout: float = 5.0,
        observe: Observe = lambda result, seconds: None,
        *,
        access: Access | None = None,
        names: LabelNames = CANONICAL,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`address`: base URL. `timeout`: seconds for a whole answer. `observe` is told result (`ok`,
        `error`) and seconds of each query. `names`: what labels are called there. `now`: unix seconds."""
        self._client = Client(address, access or Access(), timeout, observe, names)
        self._names = names
        self._now = now
        self._gathering: dict[Alike, _Reads] = {}
        self._alone: dict[Agent, None] = {}
        self._courses = {history: _Course() for history in (False, True)}
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End what is under way, and close pooled connections."""
        for task in self._tasks:
            task.cancel()
        await self._client.close()

    async def read(self, selection: Selection) -> Found:
        """All series of the families of one agent, with their samples in (at − window, at]."""
        key = self._alike(selection)
        reads = self._gathering.setdefault(key, _Reads(key))
        if selection not in reads.waiting:
            reads.waiting[selection] = asyncio.get_running_loop().create_future()
            if len(reads.waiting) == 1:
                self._tasks.add(task := asyncio.create_task(self._together(key)))
                task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(reads.waiting[selection])  # who gives up does not give up for the others

    async def evaluate(self, evaluation: Evaluation) -> Sequence[Evaluated] | Unreadable:
        """Alone: who wrote the expression is to blame for it, and nobody else waits for it."""
        found = await self._client.evaluate(evaluation, MAX_ANSWER)
        return Unreadable(found.reason[:200]) if isinstance(found, NoAnswer) else found

    def _alike(self, selection: Selection) -> Alike:
        """Reads that may share a query: about the same moment and about as long."""
        _, length = math.frexp(selection.window)
        history = selection.window > USUAL_WINDOW or selection.at < self._now() - RECENT
        return history, int(selection.at // RECENT), length, selection.every

    async def _together(self, key: Alike) -> None:
        await asyncio.sleep(GATHER)
        reads = self._gathering.pop(key)
        try:
            await self._ask_for_all(reads)
        except Exception as error:
            log.exception("reading Prometheus failed")
            reads.give_up(reads.waiting, f"{type(error).__name__}: {error}")

    async def _ask_for_all(self, reads: _Reads) -> None:
        course = self._courses[reads.history]
        if reason := course.breaker.closed_for(time.monotonic()):
            reads.give_up(reads.waiting, reason)
            return
        blames = course.blames(reads)
        reads.halvings = HALVINGS if blames else 0
        known = [one for one in reads.waiting if _agent(one) in self._alone]
        # who is known for answers that cannot be used never spoils those of others
        parts = shares(reads.waiting.keys() - known) + ([[one] for one in known] if blames else shares(known))
        failures = await asyncio.gather(*(self._ask(part, reads) for part in parts))
        course.went(reads, next(filter(None, failures), ""), time.monotonic())

    async def _ask(self, selections: Sequence[Selection], reads: _Reads) -> str:
        """Answer all of them; returns why that could not be done with one query, if so."""
        failure = await self._try(selections, reads)
        if failure is None:
            return ""
        await self._halve(selections, failure, reads)
        return failure.reason

    async def _halve(self, selections: Sequence[Selection], failure: Failure, reads: _Reads) -> None:
        """Ask again in halves, for who is to blame; or tell all of them why they get no answer."""
        to_blame = isinstance(failure, Unreadable) or failure.late
        if to_blame and len(selections) > 1 and reads.may_halve():
            middle = len(selections) // 2
            halves = selections[:middle], selections[middle:]
            failures = await asyncio.gather(*(self._try(half, reads) for half in halves))
            for half, failed in zip(halves, failures, strict=True):
                if failed:  # one after the other: what may be spent must find somebody
                    await self._halve(half, failed, reads)
            return
        reads.give_up(selections, failure.reason)
        if to_blame and len(selections) == 1 and len(self._alone) < LONE_AGENTS:
            self._alone[_agent(selections[0])] = None

    async def _try(self, selections: Sequence[Selection], reads: _Reads) -> Failure | None:
        """Answer all of them with one query; nobody, if that is not possible."""
        begin, moment = span(selections)
        limit = MAX_ANSWER if len(selections) == 1 else MAX_SHARED
        found = await self._client.ask(
            query(selections, moment - begin, self._names),
            moment,
            limit,
            lambda answer: dealt(answer, selections, moment),
            history=reads.history,
        )
        reads.count(found)
        if isinstance(found, Failure):
            return found
        for selection, answer in zip(selections, found, strict=True):
            self._alone.pop(_agent(selection), None)
            reads.give(selection, answer)
        return None


def dealt(answer: Answer, selections: Sequence[Selection], moment: float) -> list[Samples]:
    """A shared answer about `moment` as each would have got it alone: its families of its agent in its
    namespace, cut to its window, without what it has had by its mark. What nobody asked for is dropped."""
    of_agent: dict[Agent, list[Recurring]] = defaultdict(list)
    marks = {one.mark for one in selections}
    told = min(marks) if len(marks) == 1 else 0  # hardly ever do they differ
    for recurring in answer.found:
        if not told or recurring.told_by != told:
            of_agent[recurring.agent].append(recurring)
    found = []
    for one in selections:
        mark = answer.mark if one.at >= moment else 0  # who looks at an earlier moment does not get all of it
        found.append(Samples(tuple(_chosen(of_agent.get(_agent(one), ()), one)), mark=mark))
    return found


def _chosen(found: Iterable[Recurring], selection: Selection) -> Iterator[Series]:
    """In whole milliseconds, as Prometheus keeps its times; Prometheus 2 gives also the window's first."""
    begin = round((selection.at - selection.window) * 1000) / 1000 + HALF_A_MILLISECOND
    end, families, mark = selection.at, selection.families, selection.mark
    for recurring in found:
        if mark and recurring.told_by == mark:
            continue
        one = recurring.series
        points = one.points
        if not points or one.name not in families:
            continue
        if begin < points[0][0] and points[-1][0] <= end:
            yield one
        elif kept := tuple(point for point in points if begin < point[0] <= end):
            yield one.at(kept)


def _agent(selection: Selection) -> Agent:
    return selection.namespace, selection.agent


def span(selections: Sequence[Selection]) -> tuple[float, float]:
    """From the first beginning to the last whole millisecond that somebody asks about, unix seconds."""
    last = max(selection.at for selection in selections)
    moment = round(last, 3)
    begin = min(selection.at - selection.window for selection in selections)
    return begin, moment if moment <= last else round(moment - 0.001, 3)

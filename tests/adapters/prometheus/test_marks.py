"""Who has had an answer is told only what is new, and misses nothing, whatever came between.

Beside each answer that is dealt out by marks, the same answer is parsed strictly and dealt out whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.adapters.prometheus.answers import Answer, Answers, parse
from interlock.adapters.prometheus.metrics import dealt, span
from interlock.adapters.prometheus.recurring import Recurring
from interlock.analysis.presets import ALERTS, TASKS
from interlock.analysis.series import Identity, Point
from interlock.ports import Samples, Selection
from tests.adapters.prometheus.given import as_prometheus_writes, of_type

VIOLATIONS = "ai_agent_policy_violations_total"
NAMES = (TASKS, VIOLATIONS, ALERTS)
PODS = [(agent, pod) for agent in ("a", "b") for pod in ("p", "q")]
OVERLAP = 4.0
"""Seconds that each window begins before what was taken in."""
TICKS = 30


@dataclass
class Asker:
    """Somebody who reads about one agent again and again, and what has come of it."""

    agent: str
    families: frozenset[str] = frozenset(NAMES)
    until: float = 0.0
    mark: int = 0
    asks: Selection | None = None
    taken: dict[Identity, set[Point]] = field(default_factory=lambda: defaultdict(set))

    def ask(self, at: float) -> Selection:
        """As the operator asks: from a while before what it knows."""
        at = max(at, self.until)
        window = at - self.until + OVERLAP
        self.asks = Selection(self.families, "shop", self.agent, at, window, mark=self.mark)
        return self.asks

    def check(self, told: Samples, whole: Samples) -> int:
        """What is left out is known; what is told is the whole truth. Returns how many are left out."""
        alone = {one.identity for one in told.series}
        assert list(told.series) == [one for one in whole.series if one.identity in alone]
        left_out = [one for one in whole.series if one.identity not in alone]
        for one in left_out:
            assert one.name != ALERTS
            assert set(one.points) <= self.taken[one.identity]
        return len(left_out)

    def take(self, told: Samples) -> None:
        """It has been worked through."""
        assert self.asks is not None
        for one in told.series:
            self.taken[one.identity] |= set(one.points)
        self.until, self.mark = self.asks.at, told.mark


class Store:
    """A Prometheus in small, whose scrapes come when they come."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._stored: dict[tuple[str, str, str], dict[float, str]] = {
            (name, *pod): {} for name in NAMES for pod in PODS
        }

    def scrape(self, now: float) -> None:
        """Some pods, now or a while ago; counters stand still, grow, fall, or are no numbers."""
        for agent, pod in self._chance.sample(PODS, self._chance.randint(0, 2)):
            at = round(now - self._chance.choice([0.0, 0.0, 0.0, 0.001, 3.0]), 3)
            for name in NAMES:
                if self._chance.random() < 0.8:
                    value = self._chance.choice(["0", "1", "1", "2", "NaN", "+Inf"])
                    self._stored[name, agent, pod].setdefault(at, value)

    def lose(self, since: float) -> None:
        """It restarts, and has lost the newest samples of a series."""
        held = self._stored[self._chance.choice(list(self._stored))]
        for at in [at for at in held if at > since]:
            del held[at]

    def found(self, agents: Iterable[str], begin: float, end: float, *, patchy: bool) -> bytes:
        """The body of an answer; `patchy`: a replica answers that has missed some scrapes."""
        result = []
        for (name, agent, pod), held in self._stored.items():
            values = [
                [at, value]
                for at, value in sorted(held.items())
                if begin < at <= end and not (patchy and self._chance.random() < 0.3)
            ]
            if values and agent in agents:
                labels = {"__name__": name, "namespace": "shop", "agent": agent, "pod": pod}
                result.append({"metric": labels, "values": values})
        return as_prometheus_writes(of_type("matrix", result))


@dataclass
class Question:
    """What some ask together, and what there was to be found."""

    askers: list[Asker]
    selections: list[Selection]
    moment: float
    body: bytes


class Asking:
    """Three who ask, two of them about one agent; answers that are late, missed or no use."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._store = Store(chance)
        self._answers = Answers()
        self._askers = [Asker("a"), Asker("a", frozenset({TASKS, ALERTS})), Asker("b")]
        self._asked: list[Question] = []
        self.left_out = 0

    def tick(self, now: float) -> None:
        """Samples come in, some ask, some are answered."""
        self._store.scrape(now)
        if self._chance.random() < 0.05:
            self._store.lose(now - self._chance.choice([0.5, 3.0, 100.0]))
        idle = [one for one in self._askers if one.asks is None and self._chance.random() < 0.9]
        apart = self._chance.random() < 0.3
        for together in [[one] for one in idle] if apart else [idle] if idle else []:
            self._ask(together, now)
        self._chance.shuffle(self._asked)
        while self._asked and self._chance.random() < 0.9:
            self._answer(self._asked.pop())

    def _ask(self, askers: list[Asker], now: float) -> None:
        selections = [one.ask(now - self._chance.choice([0.0, 0.0, 0.0, 0.0007, 2.0])) for one in askers]
        begin, moment = span(selections)
        everything = self._chance.random() < 0.3  # namespaces and agents are matched apart
        agents = {"a", "b"} if everything else {one.agent for one in askers}
        body = self._store.found(agents, begin, moment, patchy=self._chance.random() < 0.1)
        self._asked.append(Question(askers, selections, moment, body))

    def _answer(self, question: Question) -> None:
        told = self._answers.read(200, self._sent(question.body))
        strict = parse(200, question.body)
        assert isinstance(strict, Samples)
        if isinstance(told, Answer) and len(told.found) == len(strict.series):
            by_mark = dealt(told, question.selections, question.moment)
            whole = dealt(Answer(list(map(Recurring, strict.series))), question.selections, question.moment)
            for asker, found, every in zip(question.askers, by_mark, whole, strict=True):
                self.left_out += asker.check(found, every)
                if self._chance.random() < 0.9:
                    asker.take(found)
        for asker in question.askers:
            asker.asks = None

    def _sent(self, body: bytes) -> bytes:
        """As it was, or cut off, or with something twice, or of another form that means the same."""
        series = body[body.find(b"[") + 1 : -3]
        sent = {
            "cut": body[:-6] + body[-3:],
            "twice": body[:-3] + b"," + series + body[-3:],
            "other": body[:-1] + b',"stats":null}',
        }
        return sent[self._chance.choice(list(sent))] if self._chance.random() < 0.1 else body


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_what_is_left_out_has_been_taken_in(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - a world, not a secret
    asking, now = Asking(chance), 1000.0
    for _ in range(TICKS):
        now += chance.choice([0.0004, 0.0006, 0.5, 2.0, 5.0])
        asking.tick(now)
    assert asking.left_out > 0

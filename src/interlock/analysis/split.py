"""Are the tasks of the running step split as its weights intend? A mismatch pauses, it never reverts.

Counts tasks that begin, live, once the gateway's proxies must have the new weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.analysis.coin import log_ratio
from interlock.analysis.dispersion import deflated
from interlock.analysis.evidence import Tally
from interlock.analysis.outcomes import Outcome
from interlock.analysis.plan import Mode, Plan, PlannedStep, Track
from interlock.analysis.presets import TASKS_STARTED
from interlock.analysis.ratio import SAMPLE_RATIO_ALPHA, sample_ratio
from interlock.analysis.scatter import Scatter
from interlock.analysis.silence import CHANCE
from interlock.analysis.timeline import Stretch

EPOCH = 256  # blocks of the first epoch
MIN_BLOCKS = 8  # before the test says anything: groups of requests must have had time to show
TOLERANCE = 0.05  # of the smaller of the two shares: what a gateway's rounding and retries may make of it
PROGRAMMED = 10.0  # seconds a gateway may take from accepting a route until all its proxies follow it
FORGOTTEN_AFTER = 120.0  # seconds without a sample after which a pod is taken for gone
STARVED_AFTER = 120.0  # seconds without a task of the candidate after which no split is to be seen
CERTAIN = -math.log(SAMPLE_RATIO_ALPHA)


@dataclass(frozen=True, slots=True)
class SplitReading:
    """The split of step `step`, read. `log_evidence`: ln E that it is not as intended.

    `mismatch`: what is wrong, in a sentence; empty while nothing is known to be.
    """

    step: int
    log_evidence: float
    mismatch: str = ""


class SplitTest:
    """A sequential test of one intended share (0 < share < 1), and the way back from a mismatch.

    Until it finds one, it is the e-process of `ratio` on counts divided by their scatter: wrong, ever in a
    step, with a chance of at most alpha. A share that changes after a while looks like scatter, so counting
    begins anew in epochs that double, of which the k-th may take alpha / (k·(k+1)).

    Then the traffic since is weighed: the intended share against the one that was found, a sequential
    likelihood ratio (Wald 1945), until either has 1/alpha : 1 for it. The k-th time the intended one needs k
    times the evidence: a split that comes and goes is not told for ever. After it the test begins afresh.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.log_e = 0.0
        self.found: Tally | None = None
        """The candidate's tasks of all when the split was found to be wrong."""
        self._tolerance = TOLERANCE * min(share, 1.0 - share)
        self._times = 0
        self._epoch = 1
        self._counts = Tally()
        self._scatter = Scatter()

    def add(self, block: Tally) -> None:
        """The candidate's tasks (`good`) of all that began in one block of time."""
        self._counts += block
        self._scatter.add(block)
        if self._scatter.blocks < MIN_BLOCKS:
            return
        worth = deflated(self._counts, self._scatter.effect)
        self.log_e = sample_ratio(worth.good, worth.total - worth.good, self.share, self._tolerance)
        if self.found is None:
            self._judge()
        else:
            self._judge_again(worth, self.found)

    def _judge(self) -> None:
        if self.log_e >= CERTAIN + math.log(self._epoch * (self._epoch + 1)):
            self._times += 1
            self._begin(self._counts)
        elif self._scatter.blocks >= EPOCH * 2 ** (self._epoch - 1):
            self._epoch += 1
            self._counts, self._scatter = Tally(), Scatter()

    def _judge_again(self, worth: Tally, found: Tally) -> None:
        log, needed = log_ratio(worth, self.share, found.smoothed), self._times * CERTAIN
        if self.log_e >= CERTAIN or log <= -CERTAIN:
            self._begin(self._counts)
        elif log >= needed and self.log_e <= 0:
            self._begin(None)

    def _begin(self, found: Tally | None) -> None:
        self.found = found
        self._counts, self._scatter, self._epoch = Tally(), Scatter(), 1
        self.log_e = 0.0 if found is None else self.log_e

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "share": self.share,
            "log": self.log_e,
            "found": None if self.found is None else [self.found.good, self.found.total],
            "times": self._times,
            "epoch": self._epoch,
            "counts": [self._counts.good, self._counts.total],
            "scatter": self._scatter.state(),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> SplitTest:
        """As it was at `state`."""
        test = cls(float(state["share"]))
        test.log_e = float(state["log"])
        test._times, test._epoch = int(state["times"]), int(state["epoch"])
        test.found = None if state["found"] is None else Tally(*map(float, state["found"]))
        test._counts = Tally(*map(float, state["counts"]))
        test._scatter = Scatter.restored(state["scatter"])
        return test


@dataclass(slots=True)
class _Piece:
    """Tasks of one side that began in (begin, end], not yet in a block."""

    begin: float
    end: float
    amount: float
    mine: bool

    def until(self, point: float) -> float:
        """Take out those up to `point`: they are taken to have begun evenly."""
        if self.begin >= point:
            return 0.0
        part = 1.0 if self.end <= point else (point - self.begin) / (self.end - self.begin)
        taken = self.amount * part
        self.begin, self.amount = min(self.end, point), self.amount - taken
        return taken


class _Missed:
    """Blocks without a task of the candidate, since its last one.

    They count when it gets one again, unless it had none for long and beyond chance: then it was starved,
    which is told and waited for by itself (`silence`), and no split was to be seen.
    """

    def __init__(self) -> None:
        self._tasks: list[float] = []  # of stable, by block
        self._starved = False

    def add(self, tasks: float, share: float, width: float) -> None:
        """One more, `width` seconds wide."""
        if self._starved:
            return
        self._tasks.append(tasks)
        is_long = len(self._tasks) * width >= STARVED_AFTER
        if is_long and (1.0 - share) ** sum(self._tasks) < CHANCE:
            self._tasks, self._starved = [], True

    def taken(self) -> list[Tally]:
        """Those that count, now that it has a task again."""
        tasks, self._tasks, self._starved = self._tasks, [], False
        return [Tally(0.0, missed) for missed in tasks]

    def state(self) -> list[Any]:
        """As JSON."""
        return [self._tasks, self._starved]

    @classmethod
    def restored(cls, state: Sequence[Any]) -> _Missed:
        """As it was at `state`."""
        missed = cls()
        missed._tasks, missed._starved = [float(tasks) for tasks in state[0]], bool(state[1])
        return missed


class Split:
    """Feeds the test of the running step with blocks of time, one scrape wide.

    The two sides are scraped at different moments: what a counter gained over a block's end is divided in
    proportion, once all pods that are still there have been scraped after it. Each step begins afresh, where
    no counter's gain is of two weights at once: nobody knows how much of such a gain was at which.
    """

    def __init__(self, plan: Plan) -> None:
        self._settle = plan.settle
        self._width = max(plan.tick, plan.settle / 2)
        self._step = -1
        self._test: SplitTest | None = None
        self._opened = math.inf  # where the first block begins
        self._closed = math.inf  # where the last that is closed ends
        self._pieces: list[_Piece] = []
        self._missed = _Missed()
        self._newest: dict[tuple[Track, str], float] = {}  # by pod

    def notice(self, track: Track, pod: str, at: float) -> None:
        """A pod's count of begun live tasks has been scraped at that time (unix seconds)."""
        self._newest[track, pod] = max(at, self._newest.get((track, pod), -math.inf))

    def heard(self, outcome: Outcome, stretch: Stretch) -> None:
        """An outcome of the mode that counts in `stretch`, in order of time."""
        if outcome.labels["__name__"] != TASKS_STARTED or not _is_split(stretch.step):
            return
        self._enter(stretch)
        if outcome.begin < self._begins(stretch):
            self._open_at(outcome.end)
        elif outcome.end > self._opened:
            mine = outcome.track is Track.CANDIDATE
            self._pieces.append(_Piece(outcome.begin, outcome.end, outcome.amount, mine))
            self._pieces[-1].until(self._opened)

    def advance(self, running: Stretch | None, now: float) -> None:
        """Time has come to `now` (unix seconds): close the blocks that are complete."""
        if running is None or running.started == math.inf or not _is_split(running.step):
            return
        self._enter(running)
        cut = min(now, running.ended, self._seen_until(now)) - self._settle
        while self._closed + self._width <= cut:
            self._close(self._closed + self._width)

    def reading(self, running: Stretch | None) -> SplitReading | None:
        """What the test of the running step says; None in a step in which nothing is split."""
        if running is None or self._test is None or running.step.index != self._step:
            return None
        found, share = self._test.found, self._test.share
        return SplitReading(self._step, self._test.log_e, "" if found is None else in_words(found, share))

    def _enter(self, stretch: Stretch) -> None:
        if stretch.step.index != self._step:
            self._step = stretch.step.index
            self._test = SplitTest(stretch.step.share)
            self._opened = self._closed = self._begins(stretch)
            self._pieces = []
            self._missed = _Missed()

    def _open_at(self, moment: float) -> None:
        """Nothing that began before counts: not all sides of it are known."""
        if moment > self._opened:
            self._opened, self._closed = moment, max(self._closed, moment)
            for piece in self._pieces:
                piece.until(moment)

    def _begins(self, stretch: Stretch) -> float:
        return stretch.started + max(self._settle, PROGRAMMED)

    def _seen_until(self, now: float) -> float:
        """When the pod that was scraped longest ago was, of those that are not gone; -inf without any."""
        recent = {key: at for key, at in self._newest.items() if at > now - FORGOTTEN_AFTER}
        self._newest = recent
        both = {track for track, _ in recent} == set(Track)
        return min(recent.values()) if both else -math.inf

    def _close(self, point: float) -> None:
        mine = theirs = 0.0
        for piece in self._pieces:
            taken = piece.until(point)
            mine, theirs = (mine + taken, theirs) if piece.mine else (mine, theirs + taken)
        self._pieces = [piece for piece in self._pieces if piece.end > point]
        self._closed = point
        if self._test is None:
            return
        if mine > 0:
            for block in (*self._missed.taken(), Tally(mine, mine + theirs)):
                self._test.add(block)
        else:
            self._missed.add(theirs, self._test.share, self._width)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "step": self._step,
            "test": self._test.state() if self._test else None,
            "opened": repr(self._opened),
            "closed": repr(self._closed),
            "pieces": [[p.begin, p.end, p.amount, p.mine] for p in self._pieces],
            "missed": self._missed.state(),
            "newest": [[track.value, pod, at] for (track, pod), at in self._newest.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._step = int(state["step"])
        self._test = None if state["test"] is None else SplitTest.restored(state["test"])
        self._opened = float(state["opened"])
        self._closed = float(state["closed"])
        self._pieces = [_piece(held) for held in state["pieces"]]
        self._missed = _Missed.restored(state["missed"])
        self._newest = {(Track(track), str(pod)): float(at) for track, pod, at in state["newest"]}


def in_words(found: Tally, share: float) -> str:
    """Like "the candidate got 15.0 % of 1,000 tasks instead of 10 %"."""
    got = 100 * found.good / found.total
    return f"the candidate got {got:.1f} % of {found.total:,.0f} tasks instead of {100 * share:g} %"


def _is_split(step: PlannedStep) -> bool:
    """Whether live requests go to two backends."""
    return step.mode is Mode.LIVE and 0 < step.share < 1


def _piece(held: Sequence[Any]) -> _Piece:
    begin, end, amount, mine = held
    return _Piece(float(begin), float(end), float(amount), bool(mine))

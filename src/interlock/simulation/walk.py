"""One simulated rollout: the operator's own evidence and decisions, tick by tick or in leaps.

A leap passes over ticks at which `decide` would have done nothing. It is sound because, while the candidate
is scraped and has tasks, all that keeps a step from ending only ever goes away (its time, its tasks, warm-up,
gates that are not decided yet), and all that takes a candidate back stays (a failed gate, a deadline): if
nothing has happened at the end of the leap, nothing would have happened within it. Where something has, the
leap is taken back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from interlock.analysis.gates import AttemptEvidence, EvidenceReport
from interlock.analysis.lift import families_of
from interlock.analysis.plan import Plan
from interlock.core.decide import Decision, decide
from interlock.core.metrictemplates import Known
from interlock.core.observation import Observation, Target, Template, Timing, Unreadable
from interlock.core.plans import plan_of, plan_problem, step_times
from interlock.core.waits import running_step
from interlock.core.workloads import shadow_name
from interlock.errors import SpecError
from interlock.model.release import Outcome, Stage
from interlock.model.rollout import Rollout, VersionRef
from interlock.model.rolloutstatus import Attempt
from interlock.simulation.cluster import Cluster
from interlock.simulation.conduct import Life
from interlock.simulation.leaps import Leaps
from interlock.simulation.recording import Recorder, ready
from interlock.simulation.story import Course, Story
from interlock.simulation.timeline import Run
from interlock.simulation.traffic import Traffic, unreadable
from interlock.simulation.values import check, evaluated

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""When the candidate is asked for: any moment would do."""
WARM = 600.0
"""Seconds that the stable version has served before that."""
BASELINE = 60.0
"""Seconds before the walk began of which samples are read; or two settling times, if longer."""
POINTS = 240
"""Looks that are drawn of a rollout in which nothing is awaited longer than planned."""
SETTLED = 50
"""Decisions at one moment after which they must have come to rest."""
WALKING = (Stage.RUNNING, Stage.SOAKING)


@dataclass(frozen=True, slots=True)
class Setup:
    """What is simulated: the Rollout asks for the candidate, the stable version serves."""

    rollout: Rollout
    stable: Target
    candidate: Target
    template: Template
    known: Known = field(default_factory=dict)
    """What MetricTemplates say about the metrics of its gates."""


@dataclass(slots=True)
class _Gathered:
    """The evidence of the running walk."""

    plan: Plan
    since: float
    families: frozenset[str]
    evidence: AttemptEvidence


class Walk:
    """Walks a story once. `leaps=False` looks at every single tick."""

    def __init__(self, setup: Setup, story: Story, seed: int, *, leaps: bool = True) -> None:
        self._setup = setup
        self._story = story
        self._begin = BEGIN.timestamp()
        self._ticks = -math.ceil(WARM / story.tick)
        self._timing = Timing.of(story.tick, story.scrape_interval)
        self._rollout = setup.rollout
        self._cluster = Cluster()
        self._workloads = self._cluster.workloads()
        self._route = self._cluster.route()
        meta, agent = setup.rollout.metadata, setup.rollout.spec.agent
        tails = [float(g.tail.above_seconds) for g in setup.rollout.spec.analysis.gates if g.tail]
        labels = {"namespace": meta.namespace, "agent": agent}
        self._traffic = Traffic(story, labels, begin=self._begin, now=self._now, seed=seed, bounds=tails)
        self._lives = _lives(setup, story)
        check(story.values, setup.rollout)
        self._gathered: _Gathered | None = None
        self._report: EvidenceReport | Unreadable | None = None
        self._spacing = max(1, round(min(story.lasts, _planned(setup.rollout)) / POINTS / story.tick))
        threshold = -math.log(setup.rollout.spec.analysis.alpha)
        self._recorder = Recorder(seed, threshold, self._begin, self._spacing * story.tick)
        self._leaps = Leaps(story, self._begin) if leaps else None

    @property
    def _now(self) -> float:
        return self._begin + self._ticks * self._story.tick

    def run(self) -> Run:
        """To the end of the attempt or of the story. SpecError when the stable version cannot serve."""
        self._serve_stable()
        self._ask_for_candidate()
        last = math.ceil(self._story.lasts / self._story.tick)
        while self._ticks < last and not self._is_over:
            ticks = self._leaps.next(self._now, self._rollout, self._report) if self._leaps else 1
            if ticks < 2 or not self._leapt(min(ticks, last - self._ticks)):
                self._tick()
        return self._recorder.closed(self._rollout, self._now)

    # ------------------------------------------------------------------ before the story
    def _serve_stable(self) -> None:
        """The stable version becomes so by the same decisions as ever, and has served for a while."""
        self._rollout = _asking_for(self._rollout, self._setup.stable)
        while self._ticks < 0 and self._rollout.status.phase != "Healthy":
            self._tick()
        self._ticks = 0
        self._look()
        attempt = self._rollout.status.attempt
        if attempt is None or attempt.outcome is not Outcome.PROMOTED:
            told = "; ".join(c.message for c in self._rollout.status.conditions if c.type == "Ready")
            raise SpecError(f"Rollout {self._rollout.metadata.name}: it cannot be simulated: {told}")

    def _ask_for_candidate(self) -> None:
        self._rollout = _asking_for(self._rollout, self._setup.candidate)
        self._recorder.begin()
        self._decide()

    @property
    def _reach(self) -> float:
        return max(BASELINE, 2 * self._timing.settle)

    @property
    def _is_over(self) -> bool:
        attempt = self._rollout.status.attempt
        return attempt is not None and attempt.stage is Stage.DONE

    # ------------------------------------------------------------------ a tick
    def _tick(self) -> None:
        self._ticks += 1
        self._look()
        self._decide()

    def _look(self) -> None:
        """Read what was scraped, as the operator does once a tick."""
        self._traffic.advance(self._now)
        attempt = self._rollout.status.attempt
        if attempt is None or attempt.traffic_started_time is None or attempt.stage not in WALKING:
            self._gathered = self._report = None
            self._traffic.forget(self._now - self._reach)
        elif unreadable(self._story.gaps, self._now - self._begin):
            self._report = Unreadable("the story says that Prometheus does not answer")
        else:
            self._report = self._read(attempt)

    def _read(self, attempt: Attempt) -> EvidenceReport | None:
        since = attempt.walk_started_time.timestamp()
        if self._gathered is None or self._gathered.since != since:
            plan = plan_of(self._rollout, self._timing, self._setup.known)
            if plan is None:
                return None
            names = families_of(plan, derive_warmup=plan.warmup is None)
            self._gathered = _Gathered(plan, since, names, AttemptEvidence(plan, since))
        series = [one for one in self._traffic.taken() if one.name in self._gathered.families]
        evidence = self._gathered.evidence
        values = evaluated(self._story.values, self._gathered.plan, self._begin, evidence.now, self._now)
        evidence.advance(step_times(attempt), series, self._now, values)
        return evidence.report()

    def _decide(self) -> None:
        """Until nothing more is to be done at this moment."""
        for _ in range(SETTLED):
            decision = self._decision()
            rests = decision.move is None and not decision.effects and decision.status == self._rollout.status
            self._take(decision)
            if rests:
                self._recorder.look(self._now, self._rollout, self._report)
                return
        raise AssertionError("the decisions of one moment do not come to rest")

    def _decision(self) -> Decision:
        return decide(self._seen(), datetime.fromtimestamp(self._now, UTC))

    def _seen(self) -> Observation:
        status = self._rollout.status
        wanted = self._rollout.spec.version_ref.name
        target = self._setup.candidate if wanted == self._setup.candidate.version else self._setup.stable
        return Observation(
            rollout=self._rollout,
            timing=self._timing,
            target=target,
            candidate=target if status.candidate is not None else None,
            template=self._setup.template,
            workloads=self._workloads,
            route=self._route,
            recorded_seq=self._cluster.recorded(self._rollout),
            evidence=self._report,
            conversations={item.workload: 0.0 for item in status.draining},
            problem=plan_problem(self._rollout, self._setup.known),
            known=self._setup.known,
        )

    def _take(self, decision: Decision) -> None:
        """What is decided is so at once: stored, made, routed."""
        self._rollout = self._rollout.model_copy(update={"status": decision.status})
        if decision.effects:
            self._recorder.record(self._cluster.perform(decision.effects))
            self._workloads, self._route = self._cluster.workloads(), self._cluster.route()
            self._traffic.run(self._cluster.running(self._lives))
            self._traffic.split(self._cluster.shares())

    # ------------------------------------------------------------------ a leap
    def _leapt(self, ticks: int) -> bool:
        """Passes over ticks; False, and nothing has happened, if one of them might matter."""
        gathered, attempt = self._gathered, self._rollout.status.attempt
        if self._leaps is None or gathered is None or attempt is None:
            return False
        listened_to = self._listened_to(attempt)
        self._traffic.longest_silence(listened_to, self._now)
        began, report, mark = self._ticks, self._report, self._traffic.mark()
        state = gathered.evidence.state()
        seen = []
        for tick in self._leaps.looks(began, ticks, self._spacing):
            self._ticks = tick
            self._traffic.advance(self._now)
            self._report = self._read(attempt)
            seen.append((self._now, self._report))
        decision = self._decision()
        if self._is_quiet(decision, attempt, self._traffic.longest_silence(listened_to, self._now)):
            for at, read in seen:
                self._recorder.look(at, self._rollout, read)
            self._take(decision)
            self._leaps.went_well(ticks)
            return True
        self._leaps.failed(self._now)
        self._ticks, self._report = began, report
        self._traffic.back(mark)
        gathered.evidence = AttemptEvidence.resumed(gathered.plan, gathered.since, state)
        return False

    def _is_quiet(self, decision: Decision, attempt: Attempt, silence: float) -> bool:
        """Nothing happened, and no silence of the candidate came and went unseen."""
        return (
            decision.move is None
            and not decision.effects
            and _intent(decision.status.attempt) == _intent(attempt)
            and ready(decision.status)[0] == ready(self._rollout.status)[0]
            and isinstance(self._report, EvidenceReport)
            and self._report.no_data is None
            and silence < self._rollout.spec.analysis.no_data.hold_after_seconds
        )

    def _listened_to(self, attempt: Attempt) -> str:
        """The workload whose tasks count in the running step."""
        candidate, step = self._rollout.status.candidate, running_step(self._rollout, attempt)
        name = candidate.workload if candidate else ""
        return shadow_name(name) if step is not None and step.kind == "shadow" else name


def _asking_for(rollout: Rollout, version: Target) -> Rollout:
    spec = rollout.spec.model_copy(update={"version_ref": VersionRef(name=version.version)})
    meta = rollout.metadata.model_copy(update={"generation": rollout.metadata.generation + 1})
    return rollout.model_copy(update={"spec": spec, "metadata": meta})


def _intent(attempt: Attempt | None) -> Attempt | None:
    """Without what it only tells, and tells anew at every look."""
    return attempt.model_copy(update={"result": None}) if attempt else None


def _planned(rollout: Rollout) -> float:
    return float(sum(step.duration_seconds for step in rollout.spec.strategy.steps))


def _lives(setup: Setup, story: Story) -> dict[str, Life]:
    """How each version does, by its name; SpecError for a name that is neither version's."""
    roles = {"stable": setup.stable.version, "candidate": setup.candidate.version}
    courses: dict[str, tuple[Course, ...]] = {}
    for who, parts in story.agents.items():
        name = roles.get(who, who)
        if name not in roles.values():
            known = ", ".join(dict.fromkeys((*roles, *roles.values())))
            raise SpecError(f"`agents.{who}` must be one of {known}")
        if name in courses:
            raise SpecError(f"`agents.{who}` must not be given twice, by its name and by what it is for")
        courses[name] = parts
    return {name: _life(name, courses.get(name, ()), setup, story) for name in roles.values()}


def _life(name: str, courses: Sequence[Course], setup: Setup, story: Story) -> Life:
    try:
        return Life(courses, setup.known)
    except SpecError as error:
        who = next(key for key, parts in story.agents.items() if parts is courses)
        raise SpecError(f"`agents.{who}` {error}") from error

"""What stable did in the day before: measured once, from counters seen every five minutes, and weighed by."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from random import Random

import pytest

from interlock.analysis.collecting import Collected
from interlock.analysis.dispersion import LOOK_SECONDS, design_effect, design_effect_by_half_hours
from interlock.analysis.evidence import Tally
from interlock.analysis.gates import AttemptEvidence, Gate, Limit, PlannedStep, Tail, Verdict
from interlock.analysis.past import Past, looks_back, pasts, span, subject
from interlock.analysis.presets import metric
from interlock.analysis.series import Series
from tests.analysis.attempt import (
    BUCKETS,
    CRITICAL,
    SINCE,
    SUCCESS,
    TASKS,
    VIOLATION,
    Attempt,
    agent,
    last,
    plan,
    work,
)
from tests.analysis.chance import draw, world
from tests.analysis.world import Pod, window

SLOW = Gate("slow", metric("task-duration"), Tail(60.0))
LENIENT = Gate("lenient", metric("policy-violation-rate"), Limit(0.2), safety=False)
DAWN, DUSK = span(400_000.0)


# ------------------------------------------------------------------ the effect of groups, and of the day
def day(chance: Random, sizes: int = 6000, wave: float = 0.0, group: int = 1) -> dict[int, Tally]:
    """The looks of a day, whose rate goes up and down by `wave`, with outcomes that come in groups."""
    return {
        at: Tally(group * one.good, group * one.total)
        for at in range(288)
        for one in [draw(chance, sizes // group, 0.92 + wave * math.sin(2 * math.pi * at / 288))]
    }


@pytest.mark.parametrize("group", [1, 2, 5, 20])
def test_outcomes_in_groups_are_told_from_the_course_of_the_day(group: int) -> None:
    level, waves = day(world(), group=group), day(world(), wave=0.03, group=group)
    assert design_effect_by_half_hours(level) == pytest.approx(group, rel=0.3)
    assert design_effect_by_half_hours(waves) == pytest.approx(group, rel=0.3)
    assert design_effect(waves.values()) > 20, "against one rate of the whole day a drift looks like groups"


def test_an_incident_is_not_taken_for_groups() -> None:
    struck = day(world()) | {at: draw(world(), 6000, 0.5) for at in range(100, 110)}
    assert design_effect_by_half_hours(struck) < 1.5


def test_chance_alone_gives_an_effect_of_about_one() -> None:
    found = [design_effect_by_half_hours(day(world(seed), 200)) for seed in range(40)]
    assert all(1 <= effect < 1.4 for effect in found)


def test_nothing_can_be_told_of_one_look_a_half_hour() -> None:
    assert design_effect_by_half_hours({at: Tally(50, 100) for at in range(0, 288, 6)}) == 1
    assert design_effect_by_half_hours({}) == 1


# ------------------------------------------------------------------ reading it
def stable_day(*, until: float = DUSK, pods: int = 2, group: int = 1) -> list[Pod]:
    """Stable's counters as they stood each five minutes, of pods older than the day; one is restarted."""
    chance = world()
    living = [agent(f"triage-a-{at}", "v1", DAWN - 5000) for at in range(pods)]
    for pod in living:
        pod.do(TASKS, 1e6, outcome="success")
    at = DAWN
    while at <= until:
        for pod in living:
            pod.scrape(at)
        at += LOOK_SECONDS
        for pod in living:
            for _ in range(20):
                good = chance.random() < 0.9
                work(pod, good=good, times=group)
                for _ in range(group):
                    last(pod, 61.0 if chance.random() < 0.3 else 10.0, ("60", "+Inf"))
        if at == DAWN + 100 * LOOK_SECONDS:
            living[0].restart(at - 100)
    return living


def told(pods: list[Pod], *gates: Gate, parts: int = 1) -> dict[str, Past]:
    reader = Collected(plan(*gates), DAWN)
    width = (DUSK - DAWN) / parts
    for part in range(parts):
        end = DAWN + (part + 1) * width
        reader.add(window(pods, end - width - 2 * LOOK_SECONDS, end), end)
    return pasts(gates, reader.usual)


def test_rate_and_effect_of_a_day() -> None:
    found = told(stable_day(group=3), SUCCESS, SLOW)
    success, slow = found[subject(SUCCESS)], found[subject(SLOW)]
    assert success.rate == pytest.approx(0.9, abs=0.02)
    assert success.effect == pytest.approx(3, rel=0.35)
    assert slow.rate == pytest.approx(0.7, abs=0.02)
    assert slow.effect < 1.5, "tasks of a group fail together, but do not take equally long"
    assert (success.unknown, slow.unknown) == ("", "")


def test_in_parts_it_is_the_same() -> None:
    pods = stable_day()
    assert told(pods, SUCCESS, SLOW, parts=4) == told(pods, SUCCESS, SLOW)


def test_only_the_stable_versions_live_tasks_count() -> None:
    pods = stable_day()
    others = [agent("triage-b-1", "v2", DAWN), agent("triage-a-shadow-1", "v1", DAWN, "shadow")]
    for at in range(int(DAWN), int(DUSK), 300):
        for pod in others:
            work(pod, good=False, times=100)
            pod.scrape(float(at))
    assert told([*pods, *others], SUCCESS) == told(pods, SUCCESS)


@pytest.mark.parametrize(
    ("hours", "says"),
    [
        (0.5, "outcomes in only 30 min of the day before this attempt"),
        (-1.0, "no outcomes in the day before this attempt"),
    ],
)
def test_too_little_is_said_to_be_too_little(hours: float, says: str) -> None:
    found = told(stable_day(until=DAWN + hours * 3600), SUCCESS)[subject(SUCCESS)]
    assert says in found.unknown
    assert found.effect == 1


def test_whoever_asks_later_asks_of_the_same_day() -> None:
    assert span(SINCE + 10) == span(SINCE + 100)
    begin, end = span(1_000_000.0)
    assert (end % LOOK_SECONDS, end - begin) == (0, 86400)
    assert end <= 1_000_000.0


def test_safety_gates_and_counts_do_not_look_back() -> None:
    assert [looks_back(g) for g in (SUCCESS, SLOW, LENIENT, VIOLATION, CRITICAL)] == [True] * 3 + [False] * 2


# ------------------------------------------------------------------ weighing by it
STEP = PlannedStep(0, "canary", share=0.1)


def attempt(*gates: Gate, past: Past | None = None) -> Attempt:
    made = Attempt(plan(*(gates or (SUCCESS,)), steps=(STEP,)))
    if past is not None:
        made.evidence = AttemptEvidence(made.plan, SINCE, awaits_past=True)
        made.evidence.learn({subject(gate): past for gate in made.plan.gates})
    return made


def test_counts_are_divided_and_shown_as_they_are() -> None:
    plain, grouped = (attempt(past=past).run(200, candidate=0.8) for past in (Past(), Past(effect=4.0)))
    one, other = plain.gate("success"), grouped.gate("success")
    assert 0 < other.log_evidence < one.log_evidence
    assert other.message.endswith("; 4.0 outcomes weigh as one, for stable's come in groups")
    assert "weigh as one" not in one.message
    assert shown(other.candidate) == pytest.approx(shown(one.candidate), abs=16), "no more than an open block"


def shown(side: str) -> int:
    return int(side.split("n=")[1].rstrip(")"))


def test_stables_day_is_known_before_the_first_block() -> None:
    """Without it the first block only teaches what stable does."""
    taught, known = attempt(past=Past()), attempt(past=Past(rate=0.92))
    for made in (taught, known):
        made.run(30)
    assert shown(known.gate("success").candidate) >= shown(taught.gate("success").candidate)


def test_comparisons_wait_until_the_past_is_told_and_then_say_the_same() -> None:
    late, early = attempt(), attempt(past=Past(effect=2.0, rate=0.9))
    late.evidence = AttemptEvidence(late.plan, SINCE, awaits_past=True)
    for made in (late, early):
        made.run(100, candidate=0.7)
    assert late.evidence.lacks_past
    assert late.gate("success").verdict is Verdict.INCONCLUSIVE
    late.evidence.learn({subject(SUCCESS): Past(effect=2.0, rate=0.9)})
    for made in (late, early):
        made.run(5)
    assert late.report() == early.report()


def test_a_safety_gate_waits_for_nobody() -> None:
    made = attempt(SUCCESS, VIOLATION, CRITICAL)
    made.evidence = AttemptEvidence(made.plan, SINCE, awaits_past=True)
    made.run(15)
    made.candidate.do("ai_agent_policy_violations_total", rule="pii", severity="critical")
    made.run(5)
    assert made.report().failed == ("critical",)


def test_an_ordinary_limit_does_not_pass_before_the_past_is_told() -> None:
    made = attempt(LENIENT)
    made.evidence = AttemptEvidence(made.plan, SINCE, awaits_past=True)
    made.run(100)
    assert made.gate("lenient").verdict is Verdict.INCONCLUSIVE
    made.evidence.learn({subject(LENIENT): Past(effect=3.0)})
    made.run(5)
    assert made.gate("lenient").verdict is Verdict.PASS


def test_the_past_is_written_down_and_learned_once() -> None:
    made = attempt(past=Past(effect=2.5, rate=0.9)).run(60)
    state = json.loads(json.dumps(made.evidence.state(), allow_nan=False))
    again = AttemptEvidence.resumed(made.plan, SINCE, state, awaits_past=True)
    assert not again.lacks_past
    again.learn({subject(SUCCESS): Past(effect=9.0)})
    made.evidence = again
    assert made.run(60).report() == attempt(past=Past(effect=2.5, rate=0.9)).run(120).report()


@pytest.mark.parametrize("held", [[0.5, None, ""], [1.0, 1.0, ""], [math.inf, 0.5, ""], [1.0], "none"])
def test_a_past_that_cannot_be_is_not_taken_up(held: object) -> None:
    made = attempt(past=Past()).run(10)
    state = made.evidence.state() | {"past": {subject(SUCCESS): held}}
    with pytest.raises(ValueError, match=r"past|malformed|values|convert"):
        AttemptEvidence.resumed(made.plan, SINCE, state, awaits_past=True)


def test_what_is_not_known_is_a_warning() -> None:
    made = attempt(past=Past(unknown="the day before this attempt cannot be read: HTTP 503")).run(10)
    assert made.report().warnings == (
        "outcomes are taken to be independent: the day before this attempt cannot be read: HTTP 503",
    )


def samples(pods: list[Pod]) -> Iterator[Series]:
    yield from window(pods, DAWN, DUSK)


def test_a_histogram_without_the_bound_is_no_past() -> None:
    pods = stable_day()
    other = [one for one in samples(pods) if one.name != BUCKETS or one.labels["le"] != "60"]
    reader = Collected(plan(SLOW), DAWN)
    reader.add(other, DUSK)
    assert pasts([SLOW], reader.usual)[subject(SLOW)].unknown

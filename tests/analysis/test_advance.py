"""What a gate asks for before a step may end: no harm, a certificate, or superiority."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from interlock.analysis.certify import below
from interlock.analysis.gates import AttemptEvidence, Compare, Events, Gate, Limit, Mean, Tail, Verdict
from interlock.analysis.plan import Advance
from interlock.analysis.presets import metric
from tests.analysis.attempt import CANARY, CRITICAL, SINCE, SUCCESS, VIOLATION, Attempt, plan
from tests.analysis.stories import moved

NOT_WORSE = replace(SUCCESS, test=Compare(0.05), advance=Advance.CERTIFIED)
BETTER = replace(SUCCESS, advance=Advance.SUPERIOR)
CLEAN = replace(VIOLATION, advance=Advance.CERTIFIED)
FAST = Gate("fast", metric("task-duration"), Tail(30.0, 0.1), advance=Advance.CERTIFIED)
SHARP = replace(FAST, test=Tail(30.0, 0.02))
CHEAP = Gate("cheap", metric("cost-per-task"), Mean(0.5), advance=Advance.CERTIFIED)
CHEAPER = Gate("cheap", metric("cost-per-task"), Mean(0.5), advance=Advance.SUPERIOR)


def attempt(*gates: Gate) -> Attempt:
    return Attempt(plan(*gates), costs=True, bounds=("30", "+Inf"))


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (NOT_WORSE, "not certified yet: {} so far that the candidate is not worse by over 5 points"),
        (BETTER, "not superior yet: {} so far that the candidate is better than stable"),
        (CLEAN, "not certified yet: {} so far that the candidate violates policy in less than 0.5 % of its"),
        (SHARP, "not certified yet: {} so far that the candidate is not worse by over 2 points"),
    ],
    ids=lambda case: case.name + case.advance if isinstance(case, Gate) else "",
)
def test_until_it_is_shown_the_gate_says_what_it_waits_for(gate: Gate, words: str) -> None:
    reading = attempt(gate).run(45).gate(gate.name)
    assert reading.verdict is Verdict.INCONCLUSIVE
    before, after = words.split("{}")
    assert reading.message.startswith(before)
    assert after in reading.message
    assert reading.message.endswith(", 20:1 awaited")


@pytest.mark.parametrize("gate", [NOT_WORSE, FAST, CHEAP], ids=lambda gate: gate.name)
def test_equals_are_certified_within_a_margin(gate: Gate) -> None:
    assert attempt(gate).run(1200).gate(gate.name).verdict is Verdict.PASS


@pytest.mark.parametrize("gate", [BETTER, CHEAPER], ids=lambda gate: gate.name)
def test_equals_are_not_superior_and_better_ones_are(gate: Gate) -> None:
    equal = attempt(gate).run(600).gate(gate.name)
    assert equal.verdict is Verdict.INCONCLUSIVE
    assert "is better than stable" in equal.message
    better = attempt(gate).run(600, stable=0.8, candidate=0.97, cost=(0.06, 0.02))
    assert better.gate(gate.name).verdict is Verdict.PASS


def test_a_limit_is_certified_by_as_many_clean_tasks_as_the_formula_says() -> None:
    found = attempt(CLEAN)
    while found.gate("violations").verdict is not Verdict.PASS:
        assert below(0, found.report().candidate_tasks, 0.005) < math.log(20) + 0.2
        found.run(5)
    assert 700 < found.report().candidate_tasks + 20 < 800


def test_what_is_certified_stays_so_in_its_step_and_the_next_begins_anew() -> None:
    later = replace(CANARY, index=1, kind="full")
    found = Attempt(plan(NOT_WORSE, steps=(CANARY, later))).run(1200)
    assert found.gate("success").verdict is Verdict.PASS
    found.start(1)
    assert found.run(60).gate("success").verdict is Verdict.INCONCLUSIVE


def test_harm_fails_it_all_the_same() -> None:
    assert attempt(NOT_WORSE).run(300, candidate=0.6).report().failed == ("success",)


def test_evidence_of_harm_is_what_it_is_without() -> None:
    plain = attempt(replace(NOT_WORSE, advance=Advance.NO_HARM)).run(200, candidate=0.8)
    certifying = attempt(NOT_WORSE).run(200, candidate=0.8)
    assert plain.report().combined_log_evidence == certifying.report().combined_log_evidence


def test_in_another_process_and_with_other_looks_it_is_as_far() -> None:
    gates = (NOT_WORSE, CLEAN, FAST, replace(CHEAPER, name="cost"))
    found = attempt(*gates).run(300)
    resumed = moved(found.evidence, found.plan)
    resumed.advance(found.times, (), float(found.now))
    assert repr(resumed.report()) == repr(found.report())
    once = AttemptEvidence(found.plan, SINCE)
    once.advance(found.times, found.series(), float(found.now))
    assert repr(once.report()) == repr(found.report())


@pytest.mark.parametrize(
    ("gate", "advance"),
    [
        (CRITICAL, Advance.CERTIFIED),
        (replace(CRITICAL, test=Events(3)), Advance.SUPERIOR),
        (VIOLATION, Advance.SUPERIOR),
        (replace(VIOLATION, test=Limit(0.0)), Advance.CERTIFIED),
    ],
)
def test_what_no_count_can_show_is_refused(gate: Gate, advance: Advance) -> None:
    with pytest.raises(ValueError, match=f"advance must not be {advance}"):
        replace(gate, advance=advance)

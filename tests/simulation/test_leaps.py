"""A walk in leaps reaches the timeline that a walk tick by tick reaches, whatever the story."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.simulation.timeline import Run
from interlock.simulation.walk import Walk
from tests.simulation.rollouts import (
    CANARY,
    COST,
    CRITICAL,
    FULL,
    SHADOW,
    SLOW,
    SUCCESS,
    VIOLATIONS,
    setup,
    story,
)

LASTS = 600
CHANCES = st.sampled_from([0.0, 0.02, 0.3, 0.7, 0.9, 1.0])
TIMES = st.integers(0, 500)
BRIEF_SHADOW = SHADOW | {"minDurationSeconds": 30}
BRIEF_CANARY = CANARY | {"minDurationSeconds": 90}
BRIEF_FULL = FULL | {"full": {"soakSeconds": 120, "holdoutPercent": 10}}
LONG_SOAK = FULL | {"full": {"soakSeconds": 400, "holdoutPercent": 10}}
CERTIFIED = {**SUCCESS, "compare": {"worseByPoints": "5"}, "advance": "Certified"}
ALERT = {"name": "alert", "alert": {"matchLabels": {"team": "a"}}}
IMPATIENT = {"holdAfterSeconds": 60, "revertAfterSeconds": 120}
AWAITS_MUCH = [BRIEF_CANARY | {"minTasks": 5000}]


@st.composite
def courses(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to three parts of a version's life."""
    fields = {
        "success": CHANCES,
        "violation": st.sampled_from([0.0, 0.02, 0.2]),
        "slow": CHANCES,
        "cost": st.sampled_from([0.01, 0.03]),
        "over": st.sampled_from([0, 20, 200]),
    }
    first = draw(st.fixed_dictionaries({}, optional=fields))
    later = draw(st.lists(st.fixed_dictionaries({"after": TIMES}, optional=fields), max_size=2))
    critical = draw(st.none() | st.integers(1, 200))
    first |= {"criticalAt": critical} if critical else {}
    return [first, *sorted(later, key=lambda part: int(part["after"]))]


@st.composite
def spells(draw: st.DrawFn) -> dict[str, Any]:
    """Prometheus away, scrapes missing, an alert."""
    spell = {"after": TIMES, "lasts": st.integers(5, 300)}
    gaps = st.fixed_dictionaries(spell | {"of": st.sampled_from(["Scrapes", "Prometheus"])})
    alert = st.fixed_dictionaries(spell | {"name": st.just("Slow"), "labels": st.just({"team": "a"})})
    return {"gaps": draw(st.lists(gaps, max_size=2)), "alerts": draw(st.lists(alert, max_size=1))}


@st.composite
def rollouts(draw: st.DrawFn) -> dict[str, Any]:
    """Steps, gates and deadlines."""
    steps = [
        *draw(st.sampled_from([[], [BRIEF_SHADOW]])),
        *draw(st.sampled_from([[], [BRIEF_CANARY], [BRIEF_CANARY | {"minTasks": 200}]])),
        draw(st.sampled_from([BRIEF_FULL, LONG_SOAK, {"name": "full", "full": {"soakSeconds": 100}}])),
    ]
    gates = draw(
        st.lists(st.sampled_from([VIOLATIONS, CRITICAL, SLOW, COST, ALERT]), unique_by=str, max_size=4)
    )
    gates += [draw(st.sampled_from([SUCCESS, CERTIFIED]))]
    quiet = draw(st.sampled_from([{}, IMPATIENT]))
    deadline = draw(st.sampled_from([{}, {"stepDeadlineSeconds": 250}]))
    deadline |= draw(st.sampled_from([{}, {"onDeadline": "Revert"}])) if deadline else {}
    warmup = draw(st.sampled_from([{}, {"warmupSeconds": None}]))
    return {"steps": steps, "gates": gates, "noData": quiet, **deadline, **warmup}


def walked(given_: dict[str, Any], told: dict[str, Any], seed: int, *, leaps: bool) -> Run:
    return Walk(setup(**given_), story(**told), seed, leaps=leaps).run()


def walked_both_ways(given_: dict[str, Any], told: dict[str, Any], seed: int) -> Run:
    """In leaps and tick by tick: there is no difference."""
    told = {"rate": 4, "lasts": LASTS, "scrapeInterval": 10, "tick": 5} | told
    slow, fast = (walked(given_, told, seed, leaps=leaps) for leaps in (False, True))
    assert fast.moments == slow.moments
    assert (fast.outcome, fast.ended, fast.waits) == (slow.outcome, slow.ended, slow.waits)
    assert fast.gates == slow.gates
    return fast


@settings(max_examples=6, deadline=None)
@given(
    rollouts(),
    st.fixed_dictionaries({"stable": courses(), "candidate": courses()}),
    spells(),
    st.sampled_from([0.05, 0.5, 4]),
    st.integers(0, 2**32),
)
def test_leaps_change_nothing(
    given_: dict[str, Any], agents: dict[str, Any], around: dict[str, Any], rate: float, seed: int
) -> None:
    walked_both_ways(given_, {"agents": agents, "rate": rate, **around}, seed)


FAST = {"agents": {who: [{"slow": 0.02}] for who in ("stable", "candidate")}}
VIOLATES = {"agents": {"candidate": [{}, {"after": 150, "violation": 0.3}]}}
CRITICAL_ONCE = {"agents": {"candidate": [{"criticalAt": 40}]}}
ALERTED = {"alerts": [{"after": 183, "lasts": 20, "name": "Slow", "labels": {"team": "a"}}]}
NIGHT = {"rate": [{"perSecond": 4}, {"after": 320, "perSecond": 0}, {"after": 400, "perSecond": 4}]}
IN_VAIN = {"steps": AWAITS_MUCH, "stepDeadlineSeconds": 250}
LISTENS = {"steps": [BRIEF_SHADOW, BRIEF_CANARY, LONG_SOAK], "noData": IMPATIENT}


def gap(of: str, lasts: int) -> dict[str, Any]:
    return {"gaps": [{"after": 200, "lasts": lasts, "of": of}], "lasts": 400}


@pytest.mark.parametrize(
    ("reason", "given_", "told"),
    [
        ("SoakPassed", {}, {}),
        ("SoakPassed", {"warmupSeconds": None}, FAST),
        ("SoakPassed", {"steps": [FULL | {"full": {"soakSeconds": 500}}], "noData": IMPATIENT}, NIGHT),
        ("GateFailed", {"gates": [SUCCESS, VIOLATIONS]}, VIOLATES),
        ("GateFailed", {"gates": [SUCCESS, CRITICAL]}, CRITICAL_ONCE),
        ("AlertFiring", {"gates": [SUCCESS, ALERT]}, ALERTED),
        ("StepDeadline", IN_VAIN | {"onDeadline": "Revert"}, {}),
        ("StepDeadline", IN_VAIN, {"lasts": 300}),
        ("Progressing", LISTENS, gap("Scrapes", 90)),
        ("Blind", LISTENS, gap("Scrapes", 200)),
        ("MetricsUnavailable", LISTENS, gap("Prometheus", 150)),
    ],
)
def test_each_kind_of_moment_comes_when_it_came(
    reason: str, given_: dict[str, Any], told: dict[str, Any]
) -> None:
    """At random, some of them are seldom met."""
    steps = {"steps": [BRIEF_SHADOW, BRIEF_CANARY, BRIEF_FULL]}
    run = walked_both_ways(steps | given_, told, seed=1)
    assert reason in [moment.reason for moment in run.moments]


@pytest.mark.parametrize("rate", [4, [{"perSecond": 4}, {"after": 600, "over": 600, "perSecond": 0.5}]])
def test_leaps_are_taken(rate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    tick = Walk._tick

    def counted(walk: Walk) -> None:
        looks.append(walk._now)
        tick(walk)

    monkeypatch.setattr(Walk, "_tick", counted)
    run = walked({}, {"rate": rate}, 1, leaps=True)
    assert run.outcome == "Promoted"
    assert len(looks) < run.ended / 5 / 4, "of most ticks it was not asked what happens"
